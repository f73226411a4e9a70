/* SPDX-License-Identifier: Apache-2.0
 *
 * chroot: the jail's mount namespace, root and directories (contract, 7.2 steps 3, 9
 * and 10). Everything is done by descriptors and ".", so that no path is walked twice.
 * All functions return 0, or -errno with text.
 */
#ifndef HUSK_JAILER_CHROOT_H
#define HUSK_JAILER_CHROOT_H

#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Makes what is missing of <base>/<exec>/<id>/root, and opens it as *root, which the
 * caller closes. */
MUST_CHECK int chroot_make_root(
	int base, const char *exec, const char *id, int *root, struct err *e);

/* Makes a mount namespace, into which later mounts of the host still propagate, with
 * root as the working directory. */
MUST_CHECK int chroot_unshare(int root, struct err *e);

/* Makes the working directory, with all that is mounted below it, the root directory.
 * Nothing of the old root stays. *root is opened on the new one; the caller closes it.
 */
MUST_CHECK int chroot_pivot(int *root, struct err *e);

/* The directories of the new root that hold devices. */
struct jail_dirs {
	int dev, net;
};

/* Makes /dev, /dev/net and /run with mode 0700, and gives them and / to uid:gid. The
 * caller closes the descriptors in *d, after a failure too. */
MUST_CHECK int chroot_make_dirs(
	int root, uid_t uid, gid_t gid, struct jail_dirs *d, struct err *e);

#endif
