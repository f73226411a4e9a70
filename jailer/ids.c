/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "jailer/paths.h"

#define CAP_WORDS 2 /* of _LINUX_CAPABILITY_VERSION_3 */

#define FIRST_USER_NS_INODE 0xEFFFFFFDU /* fixed by the kernel's ABI */

struct caps {
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct words[CAP_WORDS];
};

static int read_caps(struct caps *c)
{
	*c = (struct caps){ .head.version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, &c->head, c->words) < 0 ? -errno : 0;
}

int ids_limit(__rlimit_resource_t what, const char *name, uint64_t value, struct err *e)
{
	struct rlimit l = { value, value };

	if (setrlimit(what, &l) < 0)
		return err_sys(e, "cannot set the limit %s to %llu", name,
			(unsigned long long)value);
	return 0;
}

bool ids_is_in_user_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino != FIRST_USER_NS_INODE;
}

/* False in a user namespace that was made without privileges. */
static bool may_change_groups(void)
{
	char text[16];

	return path_read_text(AT_FDCWD, "/proc/self/setgroups", text, sizeof(text)) <
		0 ||
		strcmp(text, "deny\n") != 0;
}

bool ids_is_privileged(void)
{
	struct caps c;

	return read_caps(&c) == 0 && (c.words[0].effective & (1U << CAP_SYS_ADMIN)) &&
		may_change_groups();
}

static int write_map(const char *path, uint32_t inside, uint32_t outside, struct err *e)
{
	char text[32];
	int r;

	(void)snprintf(text, sizeof(text), "%u %u 1", inside, outside);
	r = path_write_text(AT_FDCWD, path, text);
	return r < 0 ? err_code(e, r, "cannot write '%s' to %s", text, path) : 0;
}

int ids_enter_user_ns(uid_t uid, gid_t gid, struct err *e)
{
	uid_t own_uid = geteuid();
	gid_t own_gid = getegid();
	int r;

	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(e, "not root, and cannot make a user namespace");
	/* the kernel refuses a group map without this, because dropping a group could
	 * give access that the group's permission bits deny */
	r = path_write_text(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (r < 0)
		return err_code(e, r, "cannot write /proc/self/setgroups");
	r = write_map("/proc/self/uid_map", uid, own_uid, e);
	return r < 0 ? r : write_map("/proc/self/gid_map", gid, own_gid, e);
}

/* Empties the set from which exec could give capabilities back, even to user 0. */
static int empty_bounding_set(struct err *e)
{
	unsigned long cap = 0;

	while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
		cap++;
	/* EINVAL: the kernel knows no such capability, so all were dropped */
	return errno == EINVAL ? 0 : err_sys(e, "cannot drop capability %lu", cap);
}

static int check_no_new_privs(struct err *e)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return err_bad(e, "exec can still give privileges");
	return 0;
}

static int check_capabilities(struct err *e)
{
	struct caps c;
	int held;
	int r = read_caps(&c);

	if (r < 0)
		return err_code(e, r, "cannot read the capabilities");
	for (size_t i = 0; i < CAP_WORDS; i++)
		if (c.words[i].effective | c.words[i].permitted |
			c.words[i].inheritable)
			return err_bad(e, "capabilities are left after the drop");
	for (unsigned long cap = 0; (held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0;
		cap++)
		if (held > 0)
			return err_bad(e, "capability %lu can still be gained", cap);
	return 0;
}

/* Checks that uid:gid are the only ids left. */
static int check_ids(uid_t uid, gid_t gid, bool in_user_ns, struct err *e)
{
	uid_t u[3];
	gid_t g[3];

	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
		return err_sys(e, "cannot read the ids");
	for (size_t i = 0; i < ARRAY_LEN(u); i++)
		if (u[i] != uid || g[i] != gid)
			return err_bad(
				e, "the ids are not %u:%u after the drop", uid, gid);
	if (!in_user_ns && getgroups(0, NULL) != 0)
		return err_bad(e, "supplementary groups are left after the drop");
	return 0;
}

/* Checks that no other id can be taken: tries 0, or 1 if uid or gid is 0 itself. */
static int check_no_way_back(uid_t uid, gid_t gid, struct err *e)
{
	if (setresuid(uid == 0, uid == 0, uid == 0) == 0 ||
		setresgid(gid == 0, gid == 0, gid == 0) == 0)
		return err_bad(e, "the ids could be changed after the drop");
	return 0;
}

/* Replaces the caller's session keyring, whose keys the monitor could read, by a new
 * one. Three failures are accepted: ENOSYS, a kernel without keyrings; EPERM, a system
 * call filter that the caller has, and that the monitor inherits; and EDQUOT without
 * root, since a user may have 200 keyrings: that jail keeps the keyring of its own
 * user. */
static int leave_keyring(bool in_user_ns, struct err *e)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0 ||
		errno == ENOSYS || errno == EPERM || (errno == EDQUOT && in_user_ns))
		return 0;
	return err_sys(e, "cannot leave the caller's session keyring");
}

bool ids_keeps_capabilities(uid_t uid, bool in_user_ns)
{
	return uid == 0 && !in_user_ns;
}

int ids_drop(uid_t uid, gid_t gid, bool in_user_ns, struct err *e)
{
	struct caps none = { .head.version = _LINUX_CAPABILITY_VERSION_3 };
	bool keeps = ids_keeps_capabilities(uid, in_user_ns);
	int r;

	if (!in_user_ns && setgroups(0, NULL) < 0)
		return err_sys(e, "cannot drop the supplementary groups");
	r = leave_keyring(in_user_ns, e);
	if (r == 0 && !keeps)
		r = empty_bounding_set(e);
	if (r < 0)
		return r;
	if (setresgid(gid, gid, gid) < 0)
		return err_sys(e, "cannot become group %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return err_sys(e, "cannot become user %u", uid);
	if (!keeps && syscall(SYS_capset, &none.head, none.words) < 0)
		return err_sys(e, "cannot drop the capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot set no_new_privs");
	r = check_no_new_privs(e);
	if (r == 0)
		r = check_ids(uid, gid, in_user_ns, e);
	if (r == 0 && !keeps)
		r = check_capabilities(e);
	return r < 0 || keeps ? r : check_no_way_back(uid, gid, e);
}
