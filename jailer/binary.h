/* SPDX-License-Identifier: Apache-2.0
 *
 * binary: the executable's copy in the jail (contract, 7.2 step 4). Never a hard link:
 * it would have the source's owner and mode, and a second name outside the jail. Where
 * the file system can, the copy shares the source's blocks and no byte is copied.
 */
#ifndef HUSK_JAILER_BINARY_H
#define HUSK_JAILER_BINARY_H

#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Copies the regular file from into the directory as name, with its permission bits and
 * owned by uid:gid. A name that is a symbolic link, no regular file, the executable
 * itself, or has another link is refused; another plain file of that name is removed,
 * not written to. */
MUST_CHECK int binary_copy(
	int from, int dir, const char *name, uid_t uid, gid_t gid, struct err *e);

#endif
