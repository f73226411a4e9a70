/* SPDX-License-Identifier: Apache-2.0
 *
 * filter: the system call filters of husk's threads (contract, section 8): programs
 * that were compiled when husk was built, or that a file made by husk-seccomp holds,
 * and their installation. A filter is a thread's for good; more can be put on top, and
 * the strictest answer counts.
 *
 * The file, little-endian: "HSKF", version u32, number of categories u32; for each its
 * name in 8 bytes padded with NULs, the number of instructions u32, and the
 * instructions, 8 bytes each, as Linux's struct sock_filter; then xxh64 of all before.
 */
#ifndef HUSK_FILTER_H
#define HUSK_FILTER_H

#include <linux/filter.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum {
	FILTER_INSTRUCTIONS_MAX = 4096, /* of a program, as in the kernel */
	FILTER_FILE_MAX = 100000,
	FILTER_NAME_BYTES = 8,
	FILTER_FILE_VERSION = 1,
};

#define FILTER_FILE_MAGIC "HSKF"

/* When a filter is put on, and on which thread. */
enum filter_category {
	FILTER_API, /* main, before it serves HTTP, unless a config file is read */
	FILTER_VMM, /* main, on top, before any vCPU runs the guest */
	FILTER_VCPU, /* a vCPU's thread, before the first KVM_RUN */
	FILTER_CATEGORIES,
	/* In place of FILTER_VMM with --no-api: the same without what only the API asks
	 * for. No category of a file: a set that is loaded has its FILTER_VMM here. */
	FILTER_NO_API = FILTER_CATEGORIES,
	FILTER_PROGRAMS,
};

/* Without instructions: no filter. */
struct filter_program {
	const struct sock_filter *insn;
	uint16_t n;
};

struct filter_set {
	struct filter_program program[FILTER_PROGRAMS];
	struct sock_filter *owned; /* what a loaded set's programs lie in, or NULL */
};

/* The filters that husk was built with: this function and filter_syscall_name are what
 * husk-seccomp --c-source makes. Borrowed, for good. */
const struct filter_set *filter_builtin(void);

/* Reads a set from a file of n bytes, which may be hostile. -EINVAL with text when it
 * is malformed, or does not have each category just once. The kernel checks the
 * programs when they are installed. The caller owns *out. */
MUST_CHECK int filter_parse(
	const void *file, size_t n, struct filter_set *out, struct err *e);
/* The same of the file at path. */
MUST_CHECK int filter_load(const char *path, struct filter_set *out, struct err *e);
void filter_fini(struct filter_set *s);

/* Before the first filter, while there is one thread: sets no_new_privs for the
 * process, has it leave no core and its user not trace it, and has libc do what would
 * later need system calls, or a lock when a refused call is logged. -errno with text.
 */
MUST_CHECK int filter_prepare(struct err *e);

/* Puts the filter on the calling thread, and on those that it will start. set NULL: no
 * filter. -errno with text, -EINVAL when the kernel does not take the program. */
MUST_CHECK int filter_install(
	const struct filter_set *set, enum filter_category which, struct err *e);

/* The name of a system call, "?" for a number that was not known when husk was built.
 * Safe in a signal handler. */
const char *filter_syscall_name(int nr);

#endif
