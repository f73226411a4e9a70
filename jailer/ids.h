/* SPDX-License-Identifier: Apache-2.0
 *
 * ids: user and group ids, capabilities and resource limits: what the jailer has, and
 * what it gives up for good. The process must have one thread.
 */
#ifndef HUSK_JAILER_IDS_H
#define HUSK_JAILER_IDS_H

#include <sys/resource.h>
#include <sys/types.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Sets a resource's soft and hard limit. name: for the text of an error. */
MUST_CHECK int ids_limit(
	__rlimit_resource_t what, const char *name, uint64_t value, struct err *e);

/* Whether this process is in a user namespace other than the first. There it cannot
 * make device nodes, whatever its ids and capabilities are. False without /proc. */
bool ids_is_in_user_ns(void);

/* Whether this process may become another user and group, as root may: it has
 * CAP_SYS_ADMIN and may change its supplementary groups. */
bool ids_is_privileged(void);

/* Makes and enters a user namespace, whose only user and group is uid:gid: the caller.
 */
MUST_CHECK int ids_enter_user_ns(uid_t uid, gid_t gid, struct err *e);

/* Whether the monitor keeps capabilities. User 0 keeps the caller's, because users of
 * Firecracker's jailer rely on that; in_user_ns: ids_enter_user_ns was called, and then
 * it keeps none. */
bool ids_keeps_capabilities(uid_t uid, bool in_user_ns);

/* Becomes uid:gid and sets no_new_privs. Gives up:
 *   - the supplementary groups, except in_user_ns, where the kernel forbids it;
 *   - the caller's session keyring;
 *   - unless ids_keeps_capabilities, all capabilities and the bounding set.
 * Then asks the kernel whether it is so and, without capabilities, tries to become
 * another user, which must fail. in_user_ns: ids_enter_user_ns was called.
 * -errno or -EINVAL with text: the process may then have lost some of its rights, and
 * must not run the monitor. */
MUST_CHECK int ids_drop(uid_t uid, gid_t gid, bool in_user_ns, struct err *e);

#endif
