/* SPDX-License-Identifier: Apache-2.0
 *
 * jailer cgroup: what a setting may look like, and which mount it is for.
 * tests/system/jail makes real groups.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "jailer/cgroup.h"
#include "jailer/devices.h"

static struct err e;

Test(jailer_cgroup, takes_a_setting_apart)
{
	struct cgroup_property p;

	cr_assert_eq(cgroup_parse_property("hugetlb.2MB.max=4 8,x", &p, &e), 0);
	cr_expect_str_eq(p.file, "hugetlb.2MB.max");
	cr_expect_str_eq(p.controller, "hugetlb");
	cr_expect_str_eq(p.value, "4 8,x");
}

Test(jailer_cgroup, refuses_what_is_not_one_assignment)
{
	static const char *const bad[] = { "", "cpu.shares",
		"cpu.shares=", "cpu.shares=1=2", "cpu.shares==", "=", "=1" };
	struct cgroup_property p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(
			cgroup_parse_property(bad[i], &p, &e), -EINVAL, "%s", bad[i]);
}

Test(jailer_cgroup, refuses_what_is_not_a_controllers_file)
{
	static const char *const bad[] = { "cpu=1", ".shares=1", "cpu.=1", ".=1",
		"..=1", "/cpu.shares=1", "../cpu.shares=1", "./cpu.shares=1",
		"cpu./../x=1", "cpu.a/../b=1", "cpu.x/y=1", "cpu=a.b" };
	struct cgroup_property p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(
			cgroup_parse_property(bad[i], &p, &e), -EINVAL, "%s", bad[i]);
}

Test(jailer_cgroup, refuses_a_name_that_is_too_long)
{
	struct cgroup_property p;
	char text[NAME_MAX + 4];

	memset(text, 'x', sizeof(text));
	memcpy(text, "cpu.", 4);
	(void)strcpy(text + NAME_MAX + 1, "=1");
	cr_expect_eq(cgroup_parse_property(text, &p, &e), -EINVAL);
	(void)strcpy(text + NAME_MAX, "=1");
	cr_expect_eq(cgroup_parse_property(text, &p, &e), 0);
	cr_expect_eq(strlen(p.file), NAME_MAX);
}

static char mounts[] = "proc /proc proc rw,cpu 0 0\n"
		       "cgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw,nsdelegate 0 0\n"
		       "cgroup2 /second cgroup2 rw 0 0\n"
		       "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
		       "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n"
		       "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n";

static int find(char *text, unsigned version, const char *controller, char *path)
{
	FILE *f = fmemopen(text, strlen(text), "r");
	int r;

	cr_assert_not_null(f);
	r = cgroup_find_mount(f, version, controller, path);
	(void)fclose(f);
	return r;
}

Test(jailer_cgroup, finds_the_mount_of_a_version_1_controller)
{
	char path[PATH_MAX];

	cr_assert_eq(find(mounts, 1, "cpuset", path), 0);
	cr_expect_str_eq(path, "/sys/fs/cgroup/cpuset");
	cr_assert_eq(find(mounts, 1, "cpuacct", path), 0);
	cr_expect_str_eq(path, "/sys/fs/cgroup/cpu,cpuacct");
}

Test(jailer_cgroup, finds_no_mount_by_a_part_of_a_controllers_name)
{
	char path[PATH_MAX];

	cr_expect_eq(find(mounts, 1, "cp", path), -ENOENT);
	cr_expect_eq(find(mounts, 1, "set", path), -ENOENT);
	cr_expect_eq(find(mounts, 1, "memory", path), -ENOENT);
}

Test(jailer_cgroup, finds_the_first_version_2_mount_and_its_spaces)
{
	char path[PATH_MAX];

	cr_assert_eq(find(mounts, 2, NULL, path), 0);
	cr_expect_str_eq(path, "/sys/fs/cgroup/uni fied");
}

Test(jailer_cgroup, finds_nothing_where_there_is_none)
{
	char only[] = "proc /proc proc rw 0 0\n";
	char path[PATH_MAX];

	cr_expect_eq(find(only, 1, "cpu", path), -ENOENT);
	cr_expect_eq(find(only, 2, NULL, path), -ENOENT);
}

Test(jailer_devices, finds_a_minor_number)
{
	char text[] = "258 vsock\n 56 userfaultfd\n232 kvm\n";
	static const struct {
		const char *name;
		int minor;
	} cases[] = { { "userfaultfd", 56 }, { "kvm", 232 }, { "userfault", -1 },
		{ "tun", -1 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		FILE *f = fmemopen(text, strlen(text), "r");

		cr_assert_not_null(f);
		cr_expect_eq(devices_find_minor(f, cases[i].name), cases[i].minor, "%s",
			cases[i].name);
		(void)fclose(f);
	}
}
