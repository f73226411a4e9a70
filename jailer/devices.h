/* SPDX-License-Identifier: Apache-2.0
 *
 * devices: the device nodes of the jail (contract, 7.2 step 11). In a user namespace no
 * node can be made, so the host's own nodes are mounted instead ("bind" below).
 */
#ifndef HUSK_JAILER_DEVICES_H
#define HUSK_JAILER_DEVICES_H

#include <stdio.h>

#include "jailer/chroot.h"

enum { DEVICE_TUN, DEVICE_KVM, DEVICE_URANDOM, DEVICE_USERFAULTFD, DEVICE_COUNT };

struct devices {
	int misc_userfaultfd; /* its minor number, or -1 when the host has none */
	bool bind; /* mount the host's nodes instead of making new ones */
	int host[DEVICE_COUNT]; /* detached mounts of them, or -1 */
};

/* The minor number of a device, from the lines of /proc/misc; -1 when it is not there.
 */
int devices_find_minor(FILE *misc, const char *name);

/* Collects what must be known of the host before its root is left. Call it in the
 * jail's mount namespace, and devices_close afterwards, after a failure too. */
MUST_CHECK int devices_find(struct devices *d, bool bind, struct err *e);
void devices_close(struct devices *d);

/* Makes the nodes with mode 0600, owned by uid:gid, or mounts the host's. A node that
 * exists is an error, because a jail is used once. urandom may fail: then 0 with text
 * in *warning, since the monitor can do without. */
MUST_CHECK int devices_make(const struct devices *d, const struct jail_dirs *dirs,
	uid_t uid, gid_t gid, struct err *warning, struct err *e);

#endif
