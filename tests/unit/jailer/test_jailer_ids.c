/* SPDX-License-Identifier: Apache-2.0
 *
 * jailer ids: what the jailer gives up is gone afterwards, or the jail does not start.
 * This file replaces the C library's system calls by ones that change a struct in place
 * of a process. Each can fail, and each can claim success and do nothing.
 */
#include "jailer/ids.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { UID = 1001, GID = 1002, CAPS = 41, NONE = -1, SETS = 3 };

/* The sets of struct __user_cap_data_struct, in its order. */
enum { EFFECTIVE, PERMITTED, INHERITABLE };

static struct process {
	bool on; /* calls act on this struct, not on the process of the test */
	uint32_t uid[3], gid[3];
	int n_groups;
	uint32_t caps[2][SETS];
	uint64_t bounding;
	bool has_no_new_privs;
	/* What stays although it was dropped: an index, or NONE. */
	int kept_uid, kept_gid, kept_bounding, kept_caps; /* caps: 3 * word + set */
	bool keeps_groups, keeps_privs, keeps_way_to_uid, keeps_way_to_gid;
	/* The name of the call that fails, and its errno. */
	const char *failing;
	int error;
} p;

/* -1 with errno when the call of that name shall fail, else 0. */
static int outcome(const char *call)
{
	if (!p.failing || strcmp(p.failing, call) != 0)
		return 0;
	errno = p.error;
	return -1;
}

static bool has_cap(unsigned cap)
{
	return p.caps[cap / 32][EFFECTIVE] >> cap % 32 & 1;
}

static int set_ids(uint32_t ids[3], uint32_t id, int kept, bool may)
{
	if (!may) {
		errno = EPERM;
		return -1;
	}
	for (int i = 0; i < 3; i++)
		if (i != kept)
			ids[i] = id;
	return 0;
}

/* --- replacements of the C library's functions --- */

int setgroups(size_t n, const gid_t *groups)
{
	(void)groups;
	cr_assert_eq(n, 0);
	p.n_groups = p.keeps_groups ? p.n_groups : 0;
	return outcome("setgroups");
}

int getgroups(int n, gid_t *groups)
{
	(void)groups;
	cr_assert_eq(n, 0);
	return p.n_groups;
}

int setresuid(uid_t r, uid_t e, uid_t s)
{
	cr_assert(r == e && e == s);
	if (outcome("setresuid") < 0)
		return -1;
	return set_ids(p.uid, r, p.kept_uid, has_cap(CAP_SETUID) || p.keeps_way_to_uid);
}

int setresgid(gid_t r, gid_t e, gid_t s)
{
	cr_assert(r == e && e == s);
	if (outcome("setresgid") < 0)
		return -1;
	return set_ids(p.gid, r, p.kept_gid, has_cap(CAP_SETGID) || p.keeps_way_to_gid);
}

int getresuid(uid_t *r, uid_t *e, uid_t *s)
{
	*r = p.uid[0];
	*e = p.uid[1];
	*s = p.uid[2];
	return 0;
}

int getresgid(gid_t *r, gid_t *e, gid_t *s)
{
	*r = p.gid[0];
	*e = p.gid[1];
	*s = p.gid[2];
	return 0;
}

static int played_prctl(int op, unsigned long arg)
{
	switch (op) {
	case PR_SET_NO_NEW_PRIVS:
		p.has_no_new_privs = !p.keeps_privs;
		return outcome("no_new_privs");
	case PR_GET_NO_NEW_PRIVS:
		return p.has_no_new_privs;
	case PR_CAPBSET_DROP:
	case PR_CAPBSET_READ:
		if (arg >= CAPS) {
			errno = EINVAL;
			return -1;
		}
		if (op == PR_CAPBSET_READ)
			return (int)(p.bounding >> arg & 1);
		if ((int)arg != p.kept_bounding)
			p.bounding &= ~((uint64_t)1 << arg);
		return outcome("bounding");
	default:
		cr_assert_fail("prctl %d", op);
		return -1;
	}
}

int prctl(int op, ...)
{
	static int (*real)(int, ...);
	unsigned long arg[4];
	va_list ap;

	va_start(ap, op);
	for (int i = 0; i < 4; i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (p.on)
		return played_prctl(op, arg[0]);
	if (!real)
		real = (int (*)(int, ...))(uintptr_t)dlsym(RTLD_NEXT, "prctl");
	return real(op, arg[0], arg[1], arg[2], arg[3]);
}

static long played_capset(const struct __user_cap_data_struct *words)
{
	for (int i = 0; i < 2; i++) {
		const uint32_t sets[SETS] = { words[i].effective, words[i].permitted,
			words[i].inheritable };

		for (int set = 0; set < SETS; set++)
			if (SETS * i + set != p.kept_caps)
				p.caps[i][set] = sets[set];
			else
				p.caps[i][set] = 1U << 3;
	}
	return outcome("capset");
}

static long played_capget(struct __user_cap_data_struct *words)
{
	for (int i = 0; i < 2; i++)
		words[i] = (struct __user_cap_data_struct){ p.caps[i][EFFECTIVE],
			p.caps[i][PERMITTED], p.caps[i][INHERITABLE] };
	return outcome("capget");
}

long syscall(long nr, ...)
{
	static long (*real)(long, ...);
	unsigned long arg[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (p.on && nr == SYS_capset)
		return played_capset((void *)arg[1]);
	if (p.on && nr == SYS_capget)
		return played_capget((void *)arg[1]);
	if (p.on && nr == SYS_keyctl)
		return outcome("keyctl");
	if (!real)
		real = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	return real(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

/* --- root becomes another user --- */

static struct err e;

static void be_root(void)
{
	p = (struct process){ .n_groups = 2,
		.bounding = ((uint64_t)1 << CAPS) - 1,
		.kept_uid = NONE,
		.kept_gid = NONE,
		.kept_bounding = NONE,
		.kept_caps = NONE };
	for (int set = 0; set <= PERMITTED; set++) {
		p.caps[0][set] = UINT32_MAX;
		p.caps[1][set] = (1U << (CAPS - 32)) - 1;
	}
	e = (struct err){ "" };
}

TestSuite(jailer_ids, .init = be_root);

static int drop(uid_t uid, gid_t gid, bool in_user_ns)
{
	int r;

	p.on = true;
	r = ids_drop(uid, gid, in_user_ns, &e);
	p.on = false;
	return r;
}

static bool has_caps(void)
{
	uint32_t all = 0;

	for (int i = 0; i < 2; i++)
		for (int set = 0; set < SETS; set++)
			all |= p.caps[i][set];
	return all != 0;
}

static void expect_refused(const char *words)
{
	cr_expect_eq(drop(UID, GID, false), -EINVAL, "%s", words);
	cr_expect(strstr(e.text, words), "'%s' for '%s'", e.text, words);
	be_root();
}

Test(jailer_ids, leave_nothing_of_root)
{
	cr_assert_eq(drop(UID, GID, false), 0, "%s", e.text);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(p.uid[i], UID);
		cr_expect_eq(p.gid[i], GID);
	}
	cr_expect_eq(p.n_groups, 0);
	cr_expect_eq(p.bounding, 0);
	cr_expect_not(has_caps());
	cr_expect(p.has_no_new_privs);
}

Test(jailer_ids, do_not_start_a_jail_with_an_id_of_another)
{
	for (int i = 0; i < 3; i++) {
		p.kept_uid = i;
		expect_refused("the ids are not 1001:1002 after the drop");
		p.kept_gid = i;
		expect_refused("the ids are not 1001:1002 after the drop");
	}
}

Test(jailer_ids, do_not_start_a_jail_with_another_group)
{
	p.keeps_groups = true;
	expect_refused("supplementary groups are left");
}

Test(jailer_ids, do_not_start_a_jail_with_a_capability)
{
	for (int i = 0; i < 2 * SETS; i++) {
		p.kept_caps = i;
		expect_refused("capabilities are left after the drop");
	}
}

Test(jailer_ids, do_not_start_a_jail_that_can_gain_a_capability)
{
	static const int kept[] = { 0, CAP_SYS_ADMIN, 31, 32, CAPS - 1 };

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		p.kept_bounding = kept[i];
		expect_refused("can still be gained");
	}
}

Test(jailer_ids, do_not_start_a_jail_in_which_exec_gives_privileges)
{
	p.keeps_privs = true;
	expect_refused("exec can still give privileges");
}

Test(jailer_ids, do_not_start_a_jail_from_which_a_way_leads_back)
{
	p.keeps_way_to_uid = true;
	expect_refused("the ids could be changed");
	p.keeps_way_to_gid = true;
	expect_refused("the ids could be changed");
}

Test(jailer_ids, do_not_start_a_jail_when_a_step_fails)
{
	static const struct {
		const char *call, *words;
		int error;
	} steps[] = {
		{ "setgroups", "supplementary groups", EPERM },
		{ "keyctl", "session keyring", EDQUOT },
		{ "bounding", "cannot drop capability 0", EPERM },
		{ "setresgid", "cannot become group 1002", EAGAIN },
		{ "setresuid", "cannot become user 1001", EAGAIN },
		{ "capset", "cannot drop the capabilities", EPERM },
		{ "no_new_privs", "cannot set no_new_privs", EINVAL },
		{ "capget", "cannot read the capabilities", EPERM },
	};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		p.failing = steps[i].call;
		p.error = steps[i].error;
		cr_expect_eq(drop(UID, GID, false), -steps[i].error, "%s", p.failing);
		cr_expect(strstr(e.text, steps[i].words), "%s", e.text);
		be_root();
	}
}

Test(jailer_ids, keep_what_root_has_for_root_but_its_groups)
{
	cr_assert_eq(drop(0, 0, false), 0, "%s", e.text);
	cr_expect(has_caps());
	cr_expect_neq(p.bounding, 0);
	cr_expect_eq(p.n_groups, 0);
	cr_expect(p.has_no_new_privs);
	be_root();
	p.keeps_groups = true;
	cr_expect_eq(drop(0, 0, false), -EINVAL);
	be_root();
	p.keeps_privs = true;
	cr_expect_eq(drop(0, 0, false), -EINVAL);
}

/* Where setgroups is not allowed, the caller's groups stay. */
Test(jailer_ids, leave_no_capability_to_root_of_a_user_namespace)
{
	p.failing = "setgroups";
	p.error = EPERM;
	cr_assert_eq(drop(0, 0, true), 0, "%s", e.text);
	cr_expect_not(has_caps());
	cr_expect_eq(p.bounding, 0);
	cr_expect_eq(p.n_groups, 2);
	be_root();
	p.failing = "keyctl";
	p.error = EDQUOT;
	cr_expect_eq(drop(0, 0, true), 0, "%s", e.text);
}
