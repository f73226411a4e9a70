/* SPDX-License-Identifier: Apache-2.0
 *
 * config: what a field table cannot say about a setting.
 */
#include "virtio/blk/kind.h"
#include "virtio/vsock/kind.h"
#include "vmm/machine/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "virtio/virtio.h"

static struct err e;

static int machine(uint32_t vcpus, uint64_t mib, bool smt, uint32_t pages)
{
	struct machine_cfg c = { .vcpu_count = vcpus,
		.mem_size_mib = mib,
		.smt = smt,
		.huge_pages = pages };

	return config_check_machine(&c, &e);
}

Test(config, takes_the_default_machine)
{
	struct machine_cfg c = MACHINE_CFG_DEFAULT;

	cr_assert_eq(config_check_machine(&c, &e), 0);
	cr_assert_eq(c.vcpu_count, 1);
	cr_assert_eq(c.mem_size_mib, 128);
	cr_assert_not(c.smt);
	cr_assert_not(c.track_dirty_pages);
	cr_assert_eq(c.huge_pages, GUEST_PAGES_NONE);
}

Test(config, takes_1_to_32_vcpus)
{
	for (uint32_t n = 1; n <= 32; n++)
		cr_expect_eq(machine(n, 128, false, 0), 0, "%u", n);
	cr_expect_eq(machine(0, 128, false, 0), -EINVAL);
	cr_expect(strstr(e.text, "vcpu_count 0"), "%s", e.text);
	cr_expect_eq(machine(33, 128, false, 0), -EINVAL);
	cr_expect(strstr(e.text, "vcpu_count 33"), "%s", e.text);
	cr_expect_eq(machine(UINT32_MAX, 128, false, 0), -EINVAL);
}

Test(config, takes_one_or_an_even_number_of_vcpus_with_smt)
{
	for (uint32_t n = 1; n <= 32; n++)
		cr_expect_eq(machine(n, 128, true, 0),
			n == 1 || n % 2 == 0 ? 0 : -EINVAL, "%u", n);
	(void)machine(3, 128, true, 0);
	cr_expect(strstr(e.text, "vcpu_count 3 is odd"), "%s", e.text);
}

Test(config, refuses_no_memory_and_impossible_memory)
{
	static const uint64_t bad[] = { 0, UINT64_MAX, UINT64_MAX / MIB, 1ull << 43,
		(1ull << 44) + 128 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(machine(1, bad[i], false, 0), -EINVAL, "%zu", i);
		cr_expect(strstr(e.text, "mem_size_mib"), "%s", e.text);
	}
	cr_expect_eq(machine(1, (1ull << 43) - 1, false, 0), 0, "fails at the start");
}

Test(config, takes_odd_memory_only_without_huge_pages)
{
	cr_expect_eq(machine(1, 129, false, GUEST_PAGES_NONE), 0);
	cr_expect_eq(machine(1, 129, false, GUEST_PAGES_2M), -EINVAL);
	cr_expect_eq(machine(1, 129, false, GUEST_PAGES_TRANSPARENT), -EINVAL);
	cr_expect(strstr(e.text, "mem_size_mib 129 is odd"), "%s", e.text);
	cr_expect_eq(machine(1, 130, false, GUEST_PAGES_2M), 0);
	cr_expect_eq(machine(1, 130, false, GUEST_PAGES_TRANSPARENT), 0);
}

static int drive(const char *id, const char *path)
{
	struct drive_cfg c = { .drive_id = (char *)(uintptr_t)id,
		.path_on_host = (char *)(uintptr_t)path };

	return kind_check(&blk_kind, &c, &e);
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

Test(config, takes_a_drive_of_letters_digits_and_underscores)
{
	cr_assert_eq(drive("r", "/x"), 0);
	cr_assert_eq(drive("Root_fs_0", "/x"), 0);
	cr_assert_eq(drive(SIXTY SIXTY SIXTY, "/x"), 0);
	cr_assert_eq(drive("диск_1", "/x"), 0);
	cr_assert_eq(drive("磁盘", "/x"), 0);
}

Test(config, takes_names_up_to_what_a_device_holds)
{
	char id[VDEV_ID_MAX + 2];

	memset(id, 'n', sizeof(id));
	id[VDEV_ID_MAX + 1] = '\0';
	cr_assert_eq(drive(id, "/x"), -EINVAL);
	id[VDEV_ID_MAX] = '\0';
	cr_assert_eq(drive(id, "/x"), 0);
}

Test(config, refuses_a_drive_of_another_name)
{
	static const char *const bad[] = { "", "a-b", "a b", "a/b", "..", "a\n", "\xc3",
		"a\xe2\x80\x93z", "\xf0\x9f\x92\xbe" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(drive(bad[i], "/x"), -EINVAL, "%s", bad[i]);
		cr_expect(strstr(e.text, "drive_id"), "%s", e.text);
	}
}

Test(config, refuses_a_drive_without_a_path)
{
	cr_assert_eq(drive("root", NULL), -EINVAL);
	cr_assert(strstr(e.text, "'root'") && strstr(e.text, "path_on_host"), "%s",
		e.text);
}

Test(config, gives_settings_back_and_takes_empty_ones)
{
	struct boot_cfg boot = { strdup("k"), strdup("i"), strdup("a"), true };
	struct drive_cfg disk = { .drive_id = strdup("d"),
		.path_on_host = strdup("p"),
		.partuuid = strdup("u") };
	struct serial_cfg serial = { .serial_out_path = strdup("s") };

	for (int i = 0; i < 2; i++) {
		fields_fini(&boot_cfg_fields, &boot);
		fields_fini(blk_kind.cfg.fields, &disk);
		fields_fini(&serial_cfg_fields, &serial);
	}
	cr_assert_null(boot.kernel_image_path);
	cr_assert_null(disk.drive_id);
	cr_assert_null(serial.serial_out_path);
}

Test(config, knows_a_vsock_that_cannot_be)
{
	char path[128];
	struct vsock_cfg c = { .guest_cid = 3, .uds_path = path };

	memset(path, 'a', sizeof(path));
	path[107] = '\0';
	cr_assert_eq(kind_check(&vsock_kind, &c, &e), 0);
	path[107] = 'a';
	path[108] = '\0';
	cr_assert_eq(kind_check(&vsock_kind, &c, &e), -EINVAL);
	cr_assert_not_null(strstr(e.text, "108 bytes"), "%s", e.text);
	path[0] = '\0';
	cr_assert_eq(kind_check(&vsock_kind, &c, &e), -EINVAL);
	path[0] = 'a';
	path[1] = '\0';
	for (uint32_t cid = 0; cid < 5; cid++) {
		c.guest_cid = cid;
		cr_assert_eq(kind_check(&vsock_kind, &c, &e), cid < 3 ? -EINVAL : 0);
	}
	c.guest_cid = UINT32_MAX;
	cr_assert_eq(kind_check(&vsock_kind, &c, &e), -EINVAL);
	cr_assert_not_null(strstr(e.text, "4294967295"), "%s", e.text);
	c.guest_cid = UINT32_MAX - 1;
	cr_assert_eq(kind_check(&vsock_kind, &c, &e), 0);
}
