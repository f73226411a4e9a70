/* SPDX-License-Identifier: Apache-2.0
 *
 * process: descriptors that the monitor inherits, and children of the jailer. The
 * process has one thread.
 */
#ifndef HUSK_JAILER_PROCESS_H
#define HUSK_JAILER_PROCESS_H

#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Closes every descriptor from 3 on but the n in keep, which are in rising order and
 * which exec will pass on. -EINVAL or -errno with text when one of those is not open,
 * or is a directory, through which one could leave the jail. */
MUST_CHECK int process_close_fds(const int *keep, size_t n, struct err *e);

/* Refuses a directory as stdin, stdout or stderr, for a monitor that inherits these. */
MUST_CHECK int process_check_standard_fds(struct err *e);

/* Forks, with clone flags added. cgroup_fd: the directory of the cgroup v2 in which the
 * child is created, or -1 for the parent's. 0 in the child; in the parent its id, or
 * -errno. */
MUST_CHECK pid_t process_spawn(uint64_t flags, int cgroup_fd);

/* Reads from a pipe until no writer is left. A child writes what went wrong; if all
 * goes well, exec closes the pipe. 0, or -ECHILD with the child's text. */
MUST_CHECK int process_wait_exec(int fd, struct err *e);

#endif
