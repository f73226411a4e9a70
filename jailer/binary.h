/* SPDX-License-Identifier: Apache-2.0
 *
 * binary: copies the executable into the jail (contract, 7.2 step 4). It is never a
 * hard link, which would keep the source's owner and mode, and a second name outside
 * the jail. Where the file system can, the copy shares the source's blocks.
 */
#ifndef HUSK_JAILER_BINARY_H
#define HUSK_JAILER_BINARY_H

#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Copies the regular file `from` to `name` in the directory `dir`, with the source's
 * permission bits and owned by uid:gid. An existing regular file of that name is
 * removed, not written to. -EINVAL with text when `name` is a symbolic link, not a
 * regular file, the executable itself, or has another link; or -errno with text. */
MUST_CHECK int binary_copy(
	int from, int dir, const char *name, uid_t uid, gid_t gid, struct err *e);

#endif
