/* SPDX-License-Identifier: Apache-2.0
 *
 * ids: resource limits, and the rights that the jailer has and gives up for good. The
 * process has one thread.
 */
#ifndef HUSK_JAILER_IDS_H
#define HUSK_JAILER_IDS_H

#include <sys/resource.h>
#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Sets a resource's soft and hard limit. name is for the text. */
MUST_CHECK int ids_limit(
	__rlimit_resource_t what, const char *name, uint64_t value, struct err *e);

/* Whether this process is in a user namespace other than the first, where it makes no
 * device nodes, whatever ids and capabilities it has. False without /proc. */
bool ids_is_in_user_ns(void);

/* Whether it may become another user and group as root does: it has CAP_SYS_ADMIN, and
 * may change its supplementary groups. */
bool ids_is_privileged(void);

/* Enters a user namespace in which the caller is uid:gid, its only user and group. */
MUST_CHECK int ids_enter_user_ns(uid_t uid, gid_t gid, struct err *e);

/* Becomes uid:gid without capabilities, supplementary groups (but in a user namespace,
 * where the kernel does not let go of them), the caller's keys, or a way to gain any;
 * then asks the kernel whether it is so, and tries to become another user, which must
 * fail. */
MUST_CHECK int ids_drop(uid_t uid, gid_t gid, bool in_user_ns, struct err *e);

#endif
