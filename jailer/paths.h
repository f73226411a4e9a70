/* SPDX-License-Identifier: Apache-2.0
 *
 * paths: how the jailer names files. A path of the command line is walked once, to a
 * descriptor; what is below it is opened from that descriptor, a component at a time
 * and never through a symbolic link, so that swapping a directory changes nothing.
 */
#ifndef HUSK_JAILER_PATHS_H
#define HUSK_JAILER_PATHS_H

#include <limits.h>
#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* The executable, links followed: it must be a regular file. *fd is open for reading,
 * the caller closes it; name is the last component of its canonical path. */
MUST_CHECK int path_open_exec(
	const char *path, int *fd, char name[NAME_MAX + 1], struct err *e);

/* A directory that exists, links followed. */
MUST_CHECK int path_open_dir(const char *path, int *fd, struct err *e);

/* The directory name in the directory at, created with mode (less the umask) when it is
 * missing. A symbolic link, even to a directory, is refused. */
MUST_CHECK int path_make_dir(
	int at, const char *name, mode_t mode, int *fd, struct err *e);

/* Whether the mount on which fd was opened has a flag of statvfs, such as ST_NODEV.
 * False too when it cannot be asked: what the flag forbids fails by itself then. */
bool path_has_mount_flag(int fd, unsigned long flag);

/* Whether a path stays below where it starts: relative, no component "." or "..", and
 * none longer than NAME_MAX. */
bool path_is_inner(const char *path);

/* Takes the next component off *rest. For paths that path_is_inner took; false at the
 * end. */
bool path_next(const char **rest, char name[NAME_MAX + 1]);

/* Reads a file of at most size - 1 bytes, such as those of /proc and cgroups, as text.
 * Its length, or -errno. */
MUST_CHECK int path_read_text(int at, const char *name, char *text, size_t size);

/* Writes text to a file that exists with one write, as /proc and cgroups want it. */
MUST_CHECK int path_write_text(int at, const char *name, const char *text);

#endif
