/* SPDX-License-Identifier: Apache-2.0
 *
 * devices: the device nodes of the jail (contract, 7.2 step 11). In a user namespace,
 * where none can be made, the host's own nodes are mounted instead.
 */
#ifndef HUSK_JAILER_DEVICES_H
#define HUSK_JAILER_DEVICES_H

#include <stdio.h>

#include "jailer/chroot.h"

enum { DEVICE_TUN, DEVICE_KVM, DEVICE_URANDOM, DEVICE_USERFAULTFD, DEVICE_COUNT };

struct devices {
	int misc_userfaultfd; /* its minor number, -1 when the host has none */
	bool bind; /* mount the host's nodes */
	int host[DEVICE_COUNT]; /* detached mounts, -1 for what the host has not */
};

/* The minor number of a device by the lines of /proc/misc; -1 when it is not there. */
int devices_find_minor(FILE *misc, const char *name);

/* What must be known of the host before its root is left; bind: see above, in the mount
 * namespace of the jail. d is to be given to devices_close either way. */
MUST_CHECK int devices_find(struct devices *d, bool bind, struct err *e);
void devices_close(struct devices *d);

/* Makes the nodes, mode 0600, for uid:gid. One that exists is an error: a jail is used
 * once. Without urandom the monitor can live: then 0, with text in *warning. */
MUST_CHECK int devices_make(const struct devices *d, const struct jail_dirs *dirs,
	uid_t uid, gid_t gid, struct err *warning, struct err *e);

#endif
