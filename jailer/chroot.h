/* SPDX-License-Identifier: Apache-2.0
 *
 * chroot: the jail's mount namespace, root and directories (contract, 7.2 steps 3, 9
 * and 10). Everything goes by descriptors and ".": no path is walked twice.
 */
#ifndef HUSK_JAILER_CHROOT_H
#define HUSK_JAILER_CHROOT_H

#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Makes <base>/<exec>/<id>/root where it is missing and opens it. */
MUST_CHECK int chroot_make_root(
	int base, const char *exec, const char *id, int *root, struct err *e);

/* A mount namespace of our own, into which later mounts of the host still come, with
 * root as the working directory. */
MUST_CHECK int chroot_unshare(int root, struct err *e);

/* Makes the working directory, with what is mounted below it, the root; nothing of the
 * old one stays. *root is open on it. */
MUST_CHECK int chroot_pivot(int *root, struct err *e);

/* The directories of the new root that hold devices. */
struct jail_dirs {
	int dev, net;
};

/* Makes /dev, /dev/net and /run, and gives them and / to uid:gid, mode 0700. The caller
 * closes what is open in *d. */
MUST_CHECK int chroot_make_dirs(
	int root, uid_t uid, gid_t gid, struct jail_dirs *d, struct err *e);

#endif
