/* SPDX-License-Identifier: Apache-2.0
 *
 * seccomp: see the header.
 */
#include "vmm/process/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "vmm/base/io.h"
#include "vmm/codec/stream.h"

static const char category_names[SECCOMP_PROGRAMS][SECCOMP_NAME_BYTES] = {
	[SECCOMP_API] = "api",
	[SECCOMP_VMM] = "vmm",
	[SECCOMP_VCPU] = "vcpu",
	[SECCOMP_NO_API] = "no_api",
};

/* The category of that name, or SECCOMP_CATEGORIES. */
static enum seccomp_filter_category find_category(const char name[SECCOMP_NAME_BYTES])
{
	unsigned i = 0;

	while (i < SECCOMP_CATEGORIES &&
		memcmp(name, category_names[i], SECCOMP_NAME_BYTES) != 0)
		i++;
	return i;
}

/* The file has struct sock_filter as it is in memory, because x86 is little-endian. */
_Static_assert(sizeof(struct sock_filter) == 8, "");

/* Reads one category. Its program goes to out->owned from instruction *used on. */
static int parse_category(
	struct stream *s, struct seccomp_filters *out, size_t *used, struct err *e)
{
	char name[SECCOMP_NAME_BYTES + 1] = "";
	struct seccomp_filter_program *p;
	enum seccomp_filter_category c;
	uint32_t n = 0;

	stream_bytes(s, name, SECCOMP_NAME_BYTES);
	stream_u32(s, &n);
	if (s->error != 0)
		return err_bad(e, "it ends before its categories");
	c = find_category(name);
	if (c == SECCOMP_CATEGORIES)
		return err_bad(e, "'%s' is not a category", name);
	p = &out->program[c];
	if (p->insn)
		return err_bad(e, "category '%s' is there twice", name);
	if (n > SECCOMP_INSTRUCTIONS_MAX)
		return err_bad(e, "category '%s' has %u instructions, more than %d",
			name, n, SECCOMP_INSTRUCTIONS_MAX);
	p->insn = out->owned + *used;
	p->n = (uint16_t)n;
	stream_bytes(s, out->owned + *used, n * sizeof(*p->insn));
	*used += n;
	return s->error != 0 ? err_bad(e, "category '%s' is cut short", name) : 0;
}

static int parse(struct stream *s, struct seccomp_filters *out, struct err *e)
{
	char magic[4] = "";
	uint32_t version = 0, n = 0;
	size_t used = 0;
	int r = 0;

	stream_bytes(s, magic, sizeof(magic));
	stream_u32(s, &version);
	stream_u32(s, &n);
	if (s->error != 0)
		return err_bad(e, "too short, or its checksum is wrong");
	if (memcmp(magic, SECCOMP_FILE_MAGIC, sizeof(magic)) != 0)
		return err_bad(e, "not made by husk-seccomp");
	if (version != SECCOMP_FILE_VERSION)
		return err_bad(e, "version %u, not %d", version, SECCOMP_FILE_VERSION);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = parse_category(s, out, &used, e);
	for (unsigned c = 0; r == 0 && c < SECCOMP_CATEGORIES; c++)
		if (!out->program[c].insn)
			r = err_bad(e, "category '%s' is missing", category_names[c]);
	if (r == 0 && stream_finish(s) != 0)
		r = err_bad(e, "there is more after the last category");
	return r;
}

int seccomp_filter_parse(
	const void *file, size_t n, struct seccomp_filters *out, struct err *e)
{
	/* enough: a file of n bytes has less than n / 8 instructions of 8 bytes */
	struct seccomp_filters set = { .owned = malloc(n + 1) };
	struct stream s;
	int r;

	if (!set.owned)
		return err_code(e, -ENOMEM, "filters");
	stream_init_load(&s, file, n);
	r = parse(&s, &set, e);
	stream_fini(&s);
	if (r < 0) {
		seccomp_filter_fini(&set);
		return r;
	}
	set.program[SECCOMP_NO_API] = set.program[SECCOMP_VMM];
	*out = set;
	return 0;
}

int seccomp_filter_load(const char *path, struct seccomp_filters *out, struct err *e)
{
	char *file;
	size_t n;
	int r = io_read_file(path, SECCOMP_FILE_MAX, &file, &n, e);

	if (r == 0) {
		r = seccomp_filter_parse(file, n, out, e);
		free(file);
		if (r < 0)
			err_add(e, r, "'%s'", path);
	}
	return r < 0 ? err_add(e, r, "system call filters") : 0;
}

void seccomp_filter_fini(struct seccomp_filters *s)
{
	free(s->owned);
	*s = (struct seccomp_filters){ .owned = NULL };
}

int seccomp_filter_prepare(struct err *e)
{
	/* libc's first localtime opens a file with a lock held. A filter may refuse
	 * that call, and the line about it would wait for the lock. */
	tzset();
	/* Otherwise the first malloc or free of a thread would map an arena of its own.
	 */
	(void)mallopt(M_ARENA_MAX, 1);
	/* Gives /proc/self/mem, a way around PROT_EXEC, to root, and keeps other
	 * processes of the same user from tracing this one. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, "PR_SET_DUMPABLE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "no_new_privs");
	return 0;
}

int seccomp_filter_install(const struct seccomp_filters *set,
	enum seccomp_filter_category which, struct err *e)
{
	struct sock_fprog prog;

	if (!set || set->program[which].n == 0)
		return 0;
	prog.len = set->program[which].n;
	prog.filter = (struct sock_filter *)(uintptr_t)set->program[which].insn;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return err_sys(e, "cannot install the system call filter '%s'",
			category_names[which]);
	return 0;
}
