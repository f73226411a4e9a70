/* SPDX-License-Identifier: Apache-2.0
 *
 * filter: see the header.
 */
#include "vmm/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "vmm/base/io.h"
#include "vmm/core/snap.h"

static const char category_names[FILTER_PROGRAMS][FILTER_NAME_BYTES] = {
	[FILTER_API] = "api",
	[FILTER_VMM] = "vmm",
	[FILTER_VCPU] = "vcpu",
	[FILTER_NO_API] = "no_api",
};

/* The category of that name, or FILTER_CATEGORIES. */
static enum filter_category find_category(const char name[FILTER_NAME_BYTES])
{
	unsigned i = 0;

	while (i < FILTER_CATEGORIES &&
		memcmp(name, category_names[i], FILTER_NAME_BYTES) != 0)
		i++;
	return i;
}

/* struct sock_filter is as in the file: x86 is little-endian. */
_Static_assert(sizeof(struct sock_filter) == 8, "");

/* Reads one category; its program begins at instruction *used of out->owned. */
static int parse_category(
	struct snap *s, struct filter_set *out, size_t *used, struct err *e)
{
	char name[FILTER_NAME_BYTES + 1] = "";
	struct filter_program *p;
	enum filter_category c;
	uint32_t n = 0;

	snap_bytes(s, name, FILTER_NAME_BYTES);
	snap_u32(s, &n);
	if (s->error != 0)
		return err_bad(e, "it ends before its categories");
	c = find_category(name);
	if (c == FILTER_CATEGORIES)
		return err_bad(e, "'%s' is not a category", name);
	p = &out->program[c];
	if (p->insn)
		return err_bad(e, "category '%s' is there twice", name);
	if (n > FILTER_INSTRUCTIONS_MAX)
		return err_bad(e, "category '%s' has %u instructions, more than %d",
			name, n, FILTER_INSTRUCTIONS_MAX);
	p->insn = out->owned + *used;
	p->n = (uint16_t)n;
	snap_bytes(s, out->owned + *used, n * sizeof(*p->insn));
	*used += n;
	return s->error != 0 ? err_bad(e, "category '%s' is cut short", name) : 0;
}

static int parse(struct snap *s, struct filter_set *out, struct err *e)
{
	char magic[4] = "";
	uint32_t version = 0, n = 0;
	size_t used = 0;
	int r = 0;

	snap_bytes(s, magic, sizeof(magic));
	snap_u32(s, &version);
	snap_u32(s, &n);
	if (s->error != 0)
		return err_bad(e, "too short, or its checksum is wrong");
	if (memcmp(magic, FILTER_FILE_MAGIC, sizeof(magic)) != 0)
		return err_bad(e, "not made by husk-seccomp");
	if (version != FILTER_FILE_VERSION)
		return err_bad(e, "version %u, not %d", version, FILTER_FILE_VERSION);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = parse_category(s, out, &used, e);
	for (unsigned c = 0; r == 0 && c < FILTER_CATEGORIES; c++)
		if (!out->program[c].insn)
			r = err_bad(e, "category '%s' is missing", category_names[c]);
	if (r == 0 && snap_finish(s) != 0)
		r = err_bad(e, "there is more after the last category");
	return r;
}

int filter_parse(const void *file, size_t n, struct filter_set *out, struct err *e)
{
	/* a file of n bytes has fewer instructions than n / 8 */
	struct filter_set set = { .owned = malloc(n + 1) };
	struct snap s;
	int r;

	if (!set.owned)
		return err_code(e, -ENOMEM, "filters");
	snap_init_load(&s, file, n);
	r = parse(&s, &set, e);
	snap_fini(&s);
	if (r < 0) {
		filter_fini(&set);
		return r;
	}
	set.program[FILTER_NO_API] = set.program[FILTER_VMM];
	*out = set;
	return 0;
}

int filter_load(const char *path, struct filter_set *out, struct err *e)
{
	char *file;
	size_t n;
	int r = io_read_file(path, FILTER_FILE_MAX, &file, &n, e);

	if (r == 0) {
		r = filter_parse(file, n, out, e);
		free(file);
		if (r < 0)
			err_add(e, r, "'%s'", path);
	}
	return r < 0 ? err_add(e, r, "system call filters") : 0;
}

void filter_fini(struct filter_set *s)
{
	free(s->owned);
	*s = (struct filter_set){ .owned = NULL };
}

int filter_prepare(struct err *e)
{
	/* The first localtime opens a file, which a filter may refuse, holding a lock
	 * that the log line about that wants. */
	tzset();
	/* A thread's first malloc, or free, would map memory for it alone. */
	(void)mallopt(M_ARENA_MAX, 1);
	/* /proc/self/mem is root's now, which is a way around PROT_EXEC; and other
	 * processes of the user may not trace this one. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, "PR_SET_DUMPABLE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "no_new_privs");
	return 0;
}

int filter_install(
	const struct filter_set *set, enum filter_category which, struct err *e)
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
