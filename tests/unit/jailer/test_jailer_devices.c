/* SPDX-License-Identifier: Apache-2.0
 *
 * jailer devices: a node is given to the jail's user only when it is the one that the
 * jailer has just made. To need no privileges, this file replaces the C library's
 * mknodat, fstat, fstatvfs and fchownat, over real files in a directory under /tmp.
 */
#include "jailer/devices.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "tests/unit/fakes/fake_file.h"

enum { NODES = 4, USERFAULTFD_MINOR = 125, ID = 1234 };

/* What an attacker does to a node as soon as it is made. */
enum change { NOTHING, A_FILE, A_FIFO, OTHER_NUMBER, SECOND_LINK };

static struct {
	enum change change;
	unsigned changed; /* the node, from 0 on */
	unsigned long mount_flags;
	unsigned n_made, n_given;
	dev_t number[NODES];
	bool on;
} fake;

static struct fake_dir dir;
static struct jail_dirs dirs;
static struct err err;

/* --- replacements of the C library's functions --- */

int mknodat(int at, const char *name, mode_t mode, dev_t number)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	cr_assert_eq(mode, S_IFCHR | 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	fake.number[fake.n_made++] = number;
	return 0;
}

int fstat(int fd, struct stat *st)
{
	enum change change = fake.n_made == fake.changed + 1 ? fake.change : NOTHING;

	if (fstatat(fd, "", st, AT_EMPTY_PATH) < 0)
		return -1;
	if (!fake.on || change == A_FILE)
		return 0;
	st->st_mode = (change == A_FIFO ? S_IFIFO : S_IFCHR) | 0600;
	st->st_rdev = fake.number[fake.n_made - 1] + (change == OTHER_NUMBER);
	st->st_nlink = change == SECOND_LINK ? 2 : 1;
	return 0;
}

int fstatvfs(int fd, struct statvfs *st)
{
	(void)fd;
	*st = (struct statvfs){ .f_flag = fake.mount_flags };
	return 0;
}

int fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags)
{
	(void)fd;
	cr_assert_str_eq(name, "");
	cr_assert_eq(flags, AT_EMPTY_PATH);
	cr_assert_eq(uid, ID);
	cr_assert_eq(gid, ID + 1);
	fake.n_given++;
	return 0;
}

/* --- the jail --- */

static void set_up(void)
{
	dir = fake_dir();
	dirs.dev = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dirs.dev, 0);
	cr_assert_eq(mkdirat(dirs.dev, "net", 0700), 0);
	dirs.net = openat(dirs.dev, "net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dirs.net, 0);
}

static void tear_down(void)
{
	fake.on = false;
	close(dirs.net);
	close(dirs.dev);
	fake_dir_remove(&dir);
}

TestSuite(jailer_devices, .init = set_up, .fini = tear_down);

static int make(enum change change, unsigned changed, struct err *warning)
{
	const struct devices d = { .misc_userfaultfd = USERFAULTFD_MINOR };
	int r;

	memset(&fake, 0, sizeof(fake));
	fake.change = change;
	fake.changed = changed;
	fake.on = true;
	*warning = (struct err){ "" };
	r = devices_make(&d, &dirs, ID, ID + 1, warning, &err);
	fake.on = false;
	return r;
}

Test(jailer_devices, are_made_with_their_numbers_and_given_to_the_user)
{
	struct err warning;

	cr_assert_eq(make(NOTHING, 0, &warning), 0, "%s", err.text);
	cr_expect_str_eq(warning.text, "");
	cr_expect_eq(fake.n_given, NODES);
	cr_expect_eq(fake.number[DEVICE_TUN], makedev(10, 200));
	cr_expect_eq(fake.number[DEVICE_KVM], makedev(10, 232));
	cr_expect_eq(fake.number[DEVICE_URANDOM], makedev(1, 9));
	cr_expect_eq(fake.number[DEVICE_USERFAULTFD], makedev(10, USERFAULTFD_MINOR));
	cr_expect_eq(faccessat(dirs.net, "tun", F_OK, 0), 0);
	cr_expect_eq(faccessat(dirs.dev, "kvm", F_OK, 0), 0);
}

/* The directory belongs to the jail's user by then. */
static void expect_refused(enum change change)
{
	struct err warning;

	cr_assert_eq(make(change, DEVICE_KVM, &warning), -EINVAL);
	cr_expect_str_eq(err.text, "/dev/kvm in the jail was replaced");
	cr_expect_eq(fake.n_given, DEVICE_KVM, "the other file was given away");
}

Test(jailer_devices, give_nobody_a_file_in_a_nodes_place)
{
	expect_refused(A_FILE);
}

Test(jailer_devices, give_nobody_another_kind_of_node)
{
	expect_refused(A_FIFO);
}

Test(jailer_devices, give_nobody_another_device)
{
	expect_refused(OTHER_NUMBER);
}

Test(jailer_devices, give_nobody_a_node_that_has_another_name_too)
{
	expect_refused(SECOND_LINK);
}

Test(jailer_devices, warn_of_a_random_source_that_was_replaced_and_go_on)
{
	struct err warning;

	cr_assert_eq(make(OTHER_NUMBER, DEVICE_URANDOM, &warning), 0, "%s", err.text);
	cr_expect_str_eq(warning.text, "/dev/urandom in the jail was replaced");
	cr_expect_eq(fake.n_given, NODES - 1);
}

Test(jailer_devices, are_not_made_where_nobody_could_open_them)
{
	const struct devices d = { .misc_userfaultfd = USERFAULTFD_MINOR };
	struct err warning;

	memset(&fake, 0, sizeof(fake));
	fake.mount_flags = ST_NODEV;
	cr_assert_eq(devices_make(&d, &dirs, ID, ID + 1, &warning, &err), -EINVAL);
	cr_expect(strstr(err.text, "nodev"), "%s", err.text);
	cr_expect_eq(fake.n_made, 0);
}
