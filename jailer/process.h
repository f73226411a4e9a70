/* SPDX-License-Identifier: Apache-2.0
 *
 * process: descriptors and children of the jailer, which has one thread.
 */
#ifndef HUSK_JAILER_PROCESS_H
#define HUSK_JAILER_PROCESS_H

#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Closes every descriptor from 3 on but the n in keep (rising; each must be open, and
 * no directory, by which one could leave the jail); those are inherited by exec. */
MUST_CHECK int process_close_fds(const int *keep, size_t n, struct err *e);

/* Refuses a directory as stdin, stdout or stderr, where the monitor inherits those. */
MUST_CHECK int process_check_standard_fds(struct err *e);

/* A child, as fork makes it, with the clone flags added, and in the cgroup of version 2
 * whose directory is cgroup_fd, or in the parent's when that is -1. 0 in the child; in
 * the parent its id or -errno. */
MUST_CHECK pid_t process_spawn(uint64_t flags, int cgroup_fd);

/* Reads from a pipe until all writers are gone. They write what went wrong, or nothing:
 * exec closes their ends. 0, or -ECHILD with their text. */
MUST_CHECK int process_wait_exec(int fd, struct err *e);

#endif
