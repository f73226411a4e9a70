/* SPDX-License-Identifier: Apache-2.0
 *
 * paths: how the jailer opens files. A path of the command line is walked once, to a
 * descriptor. What is below it is opened from that descriptor, one component at a time
 * and never through a symbolic link, so that nobody gains by swapping a directory
 * meanwhile. Functions with a struct err return 0, or -EINVAL or -errno with text.
 */
#ifndef HUSK_JAILER_PATHS_H
#define HUSK_JAILER_PATHS_H

#include <limits.h>
#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Opens the executable, following links; it must be a regular file. *fd is for reading,
 * and the caller closes it. name: the last component of the file's canonical path. */
MUST_CHECK int path_open_exec(
	const char *path, int *fd, char name[NAME_MAX + 1], struct err *e);

/* Opens a directory that exists, following links. The caller closes *fd. */
MUST_CHECK int path_open_dir(const char *path, int *fd, struct err *e);

/* Opens the directory `name` in the directory `at`, and creates it with mode (less the
 * umask) when it is missing. A symbolic link is refused, even to a directory. The
 * caller closes *fd. */
MUST_CHECK int path_make_dir(
	int at, const char *name, mode_t mode, int *fd, struct err *e);

/* Whether the mount of fd has a flag of statvfs, such as ST_NODEV. False also when the
 * kernel does not say: what the flag forbids then fails by itself, with a poorer text.
 */
bool path_has_mount_flag(int fd, unsigned long flag);

/* Whether a path stays below its start: it is relative and has no component "." or
 * "..", and none longer than NAME_MAX. */
bool path_is_inner(const char *path);

/* Removes the first component of *rest, a path that path_is_inner accepts, and copies
 * it to name. False when there is none left. */
bool path_next(const char **rest, char name[NAME_MAX + 1]);

/* Reads all of a small file, such as those of /proc and cgroups, as text. Returns its
 * length; -EFBIG when it has size bytes or more; or -errno. */
MUST_CHECK int path_read_text(int at, const char *name, char *text, size_t size);

/* Writes text to an existing file by a single write, as /proc and cgroups want it. 0 or
 * -errno. */
MUST_CHECK int path_write_text(int at, const char *name, const char *text);

#endif
