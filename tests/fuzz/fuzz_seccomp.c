/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_seccomp: the input is a file of system call filters. It is read as it is, and
 * with the right checksum at its end. The target checks that a refusal has a text, and
 * that the instructions of a file that is accepted lie within what was read.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/codec/stream.h"
#include "vmm/process/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void parse(const void *file, size_t n)
{
	struct err e = { "" };
	struct seccomp_filters set;
	uint32_t sum = 0;
	size_t total = 0;

	if (seccomp_filter_parse(file, n, &set, &e) < 0) {
		require(e.text[0] != '\0' && strlen(e.text) < sizeof(e.text));
		return;
	}
	for (unsigned c = 0; c < SECCOMP_CATEGORIES; c++) {
		const struct seccomp_filter_program *p = &set.program[c];

		require(p->n <= SECCOMP_INSTRUCTIONS_MAX);
		total += p->n;
		for (uint16_t i = 0; i < p->n; i++)
			sum += p->insn[i].k; /* a sanitizer looks on */
	}
	require(total * sizeof(struct sock_filter) < n);
	__asm__ volatile("" : : "r"(sum));
	seccomp_filter_fini(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct stream s;

	parse(data, n);
	stream_init_save(&s);
	stream_bytes(&s, (void *)(uintptr_t)data, n);
	if (stream_finish(&s) == 0)
		parse(s.buf, s.len);
	stream_fini(&s);
	return 0;
}
