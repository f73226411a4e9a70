/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_filters: a child process that system call filters are tried on.
 */
#ifndef HUSK_FAKE_FILTERS_H
#define HUSK_FAKE_FILTERS_H

#include "vmm/process/seccomp.h"

/* What became of the child. */
struct tried {
	int status; /* of its exit, or -1 */
	int signal; /* that ended it, or 0 */
	char text[512]; /* what it wrote to stderr and the log */
};

/* Forks; the child puts the filter on, calls fn and exits with its result. */
struct tried try_filter(const struct seccomp_filters *set,
	enum seccomp_filter_category which, int (*fn)(const long *arg),
	const long *arg);

#endif
