/* SPDX-License-Identifier: Apache-2.0
 *
 * seccomp: the system call filters of husk's threads (contract, section 8) and their
 * installation. A filter is a program of classic BPF; it was compiled when husk was
 * built, or comes from a file that husk-seccomp has made. A thread cannot take a filter
 * off. It can put more on top; the strictest answer of all of them counts.
 *
 * The file, in little-endian: "HSKF", version u32, number of categories u32; for each
 * category its name in 8 bytes, padded with NULs, its number of instructions u32, and
 * the instructions, 8 bytes each, as Linux's struct sock_filter; then the xxh64 of all
 * bytes before.
 */
#ifndef HUSK_PROCESS_SECCOMP_H
#define HUSK_PROCESS_SECCOMP_H

#include <linux/filter.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum {
	SECCOMP_INSTRUCTIONS_MAX = 4096, /* in a program; the kernel's limit */
	SECCOMP_FILE_MAX = 100000, /* bytes of a file */
	SECCOMP_NAME_BYTES = 8, /* of a category */
	SECCOMP_FILE_VERSION = 1,
};

#define SECCOMP_FILE_MAGIC "HSKF"

/* The threads and the moments for which there is a filter. */
enum seccomp_filter_category {
	SECCOMP_API, /* main, before it serves HTTP; not with --config-file */
	SECCOMP_VMM, /* main, on top of that, before any vCPU runs the guest */
	SECCOMP_VCPU, /* the thread of a vCPU, before its first KVM_RUN */
	SECCOMP_CATEGORIES,
	/* With --no-api in place of SECCOMP_VMM: the same without the calls that only
	 * the API causes. Files do not have this category; a set that is loaded uses
	 * its SECCOMP_VMM here. */
	SECCOMP_NO_API = SECCOMP_CATEGORIES,
	SECCOMP_PROGRAMS,
};

/* One filter. n is 0 when there is none. */
struct seccomp_filter_program {
	const struct sock_filter *insn;
	uint16_t n;
};

struct seccomp_filters {
	struct seccomp_filter_program program[SECCOMP_PROGRAMS];
	struct sock_filter *owned; /* memory of a loaded set's programs, or NULL */
};

/* The filters with which husk was built. husk-seccomp --c-source writes the source of
 * this function and of seccomp_filter_syscall_name. Static. */
const struct seccomp_filters *seccomp_filter_builtin(void);

/* Reads a set of filters from n bytes of a file, which may be hostile. The caller calls
 * seccomp_filter_fini for *out. -EINVAL with text when the file is malformed, or does
 * not have each category just once. It does not check the programs: the kernel does,
 * when they are installed. */
MUST_CHECK int seccomp_filter_parse(
	const void *file, size_t n, struct seccomp_filters *out, struct err *e);
/* The same for the file at path. */
MUST_CHECK int seccomp_filter_load(
	const char *path, struct seccomp_filters *out, struct err *e);
void seccomp_filter_fini(struct seccomp_filters *s);

/* Prepares the process for filters; call it before the first one, while there is one
 * thread. Sets no_new_privs; forbids core dumps, and tracing by the same user; lets
 * libc do now what would later need system calls, or a lock while a refused call is
 * logged. -errno with text. */
MUST_CHECK int seccomp_filter_prepare(struct err *e);

/* Installs a filter on the calling thread; threads that it starts inherit it. Does
 * nothing when set is NULL. -errno with text; -EINVAL when the kernel refuses the
 * program. */
MUST_CHECK int seccomp_filter_install(const struct seccomp_filters *set,
	enum seccomp_filter_category which, struct err *e);

/* The name of a system call, or "?" when husk was built without knowing its number.
 * Safe in a signal handler. */
const char *seccomp_filter_syscall_name(int nr);

#endif
