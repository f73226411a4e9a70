/* SPDX-License-Identifier: Apache-2.0
 *
 * trim: see the header. When a filter is installed, the kernel compiles it, and
 * interprets it for each of its 900 system call numbers to find those that are always
 * allowed. Both take longer than all later runs of the filter.
 */
#include "resources/seccomp/trim.h"

#include <linux/seccomp.h>
#include <string.h>

enum {
	LOAD = BPF_LD | BPF_W | BPF_ABS,
	AND = BPF_ALU | BPF_AND | BPF_K,
	JUMP_IF_EQUAL = BPF_JMP | BPF_JEQ | BPF_K,
	PROGRAM_MAX = 1 << 12,
};

/* Whether insn begins with "load; and 0; equal to 0? go on", which always goes on, and
 * then loads something else. */
static bool is_idle(const struct sock_filter *insn, size_t left)
{
	return left > 3 && insn[0].code == LOAD && insn[1].code == AND &&
		insn[1].k == 0 && insn[2].code == JUMP_IF_EQUAL && insn[2].k == 0 &&
		insn[2].jt == 0 && insn[3].code == LOAD;
}

static bool is_conditional(const struct sock_filter *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP && insn->code != (BPF_JMP | BPF_JA);
}

/* The offset of a jump at instruction i after the move; it never grows. */
static uint32_t moved(const uint16_t *to, size_t i, uint32_t offset)
{
	return to[i + 1 + offset] - to[i] - 1u;
}

static size_t drop_idle(struct sock_filter *insn, size_t n)
{
	uint16_t to[PROGRAM_MAX + 1]; /* new index of each, or of the next that stays */
	size_t kept = 0, idle = 0;

	for (size_t i = 0; i < n; i++) {
		if (idle == 0 && is_idle(insn + i, n - i))
			idle = 3;
		to[i] = (uint16_t)kept;
		kept += idle == 0;
		idle -= idle > 0;
	}
	to[n] = (uint16_t)kept;
	for (size_t i = 0; i < n; i++) {
		struct sock_filter moving = insn[i];

		if (to[i] == to[i + 1])
			continue;
		if (is_conditional(&moving)) {
			moving.jt = (uint8_t)moved(to, i, moving.jt);
			moving.jf = (uint8_t)moved(to, i, moving.jf);
		} else if (moving.code == (BPF_JMP | BPF_JA)) {
			moving.k = moved(to, i, moving.k);
		}
		insn[to[i]] = moving;
	}
	return kept;
}

size_t trim(struct sock_filter *insn, size_t n)
{
	/* The kernel's interpreter gives up at a load that it does not know. */
	const struct sock_filter first =
		BPF_STMT(LOAD, offsetof(struct seccomp_data, args[0]));

	if (n > PROGRAM_MAX)
		return n;
	n = drop_idle(insn, n);
	memmove(insn + 1, insn, n * sizeof(*insn));
	insn[0] = first;
	return n + 1;
}
