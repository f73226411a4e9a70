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
#ifndef HUSK_PROCESS_SECCOMP_H
#define HUSK_PROCESS_SECCOMP_H

#include <linux/filter.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum {
	SECCOMP_INSTRUCTIONS_MAX = 4096, /* of a program, as in the kernel */
	SECCOMP_FILE_MAX = 100000,
	SECCOMP_NAME_BYTES = 8,
	SECCOMP_FILE_VERSION = 1,
};

#define SECCOMP_FILE_MAGIC "HSKF"

/* When a filter is put on, and on which thread. */
enum seccomp_filter_category {
	SECCOMP_API, /* main, before it serves HTTP, unless a config file is read */
	SECCOMP_VMM, /* main, on top, before any vCPU runs the guest */
	SECCOMP_VCPU, /* a vCPU's thread, before the first KVM_RUN */
	SECCOMP_CATEGORIES,
	/* In place of SECCOMP_VMM with --no-api: the same without what only the API
	 * asks for. No category of a file: a set that is loaded has its SECCOMP_VMM
	 * here. */
	SECCOMP_NO_API = SECCOMP_CATEGORIES,
	SECCOMP_PROGRAMS,
};

/* Without instructions: no filter. */
struct seccomp_filter_program {
	const struct sock_filter *insn;
	uint16_t n;
};

struct seccomp_filters {
	struct seccomp_filter_program program[SECCOMP_PROGRAMS];
	struct sock_filter *owned; /* what a loaded set's programs lie in, or NULL */
};

/* The filters that husk was built with: this function and seccomp_filter_syscall_name
 * are what husk-seccomp --c-source makes. Borrowed, for good. */
const struct seccomp_filters *seccomp_filter_builtin(void);

/* Reads a set from a file of n bytes, which may be hostile. -EINVAL with text when it
 * is malformed, or does not have each category just once. The kernel checks the
 * programs when they are installed. The caller owns *out. */
MUST_CHECK int seccomp_filter_parse(
	const void *file, size_t n, struct seccomp_filters *out, struct err *e);
/* The same of the file at path. */
MUST_CHECK int seccomp_filter_load(
	const char *path, struct seccomp_filters *out, struct err *e);
void seccomp_filter_fini(struct seccomp_filters *s);

/* Before the first filter, while there is one thread: sets no_new_privs for the
 * process, has it leave no core and its user not trace it, and has libc do what would
 * later need system calls, or a lock when a refused call is logged. -errno with text.
 */
MUST_CHECK int seccomp_filter_prepare(struct err *e);

/* Puts the filter on the calling thread, and on those that it will start. set NULL: no
 * filter. -errno with text, -EINVAL when the kernel does not take the program. */
MUST_CHECK int seccomp_filter_install(const struct seccomp_filters *set,
	enum seccomp_filter_category which, struct err *e);

/* The name of a system call, "?" for a number that was not known when husk was built.
 * Safe in a signal handler. */
const char *seccomp_filter_syscall_name(int nr);

#endif
