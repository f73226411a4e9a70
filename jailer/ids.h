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

/* Whether the monitor has capabilities: user 0 keeps the caller's, as with
 * Firecracker's jailer, whose users rely on it. In a user namespace that
 * ids_enter_user_ns made it keeps none. */
bool ids_keeps_capabilities(uid_t uid, bool in_user_ns);

/* Becomes uid:gid without supplementary groups (but in a user namespace, where the
 * kernel does not let go of them) and the caller's keys, and with no_new_privs; unless
 * ids_keeps_capabilities, also without capabilities or a way to gain any. Then asks the
 * kernel whether it is so, and tries to become another user, which must fail.
 * in_user_ns: ids_enter_user_ns was called. -errno or -EINVAL with text; then the
 * process has lost some of its rights, and must not run the monitor. */
MUST_CHECK int ids_drop(uid_t uid, gid_t gid, bool in_user_ns, struct err *e);

#endif
