/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_run: what is asked of a machine that runs: another file under a drive, a
 * pause, keys. Without KVM and vCPUs; but the last tests start a real guest that spins,
 * where /dev/kvm opens.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_machine.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/kind.h"
#include "virtio/net/kind.h"
#include "virtio/net/net.h"
#include "vmm/machine/internal.h"
#include "vmm/x86/kvm.h"

static struct machine *machine;
static struct fake_file disk, other;
static struct err e;

static void set_up(void)
{
	static const char sectors[4096];

	machine = fake_machine_create(NULL);
	disk = fake_file(sectors, 1024);
	other = fake_file(sectors, 4096);
}

static void tear_down(void)
{
	fake_machine_destroy(machine);
	fake_file_close(&disk);
	fake_file_close(&other);
}

TestSuite(machine_run, .init = set_up, .fini = tear_down, .timeout = 120);

static int patch(const char *id, const char *path)
{
	return fake_machine_patch_drive(machine, id, path, NULL, &e);
}

/* As the API does it: a busy machine may take its time. */
static int pause_it(void)
{
	int r;

	while ((r = machine_pause(machine, &e)) == -EINPROGRESS)
		cr_assert_eq(loop_poll(fake_machine.loop, 1), 0);
	return r;
}

static const struct blk_stats *stats(void)
{
	return blk_stats(machine->set[0].dev);
}

/* Sectors that the guest of the first drive sees. */
static uint64_t capacity(void)
{
	uint64_t sectors;

	fake_machine_read_config(machine, 0,
		offsetof(struct virtio_blk_config, capacity), &sectors,
		sizeof(sectors));
	return sectors;
}

/* --- a drive's file --- */

static void start_with_a_drive(void)
{
	fake_machine_add_drive(machine, "a", disk.path, false);
	fake_machine_enter(machine, MACHINE_RUNNING);
	fake_machine_drive(machine, 0);
	cr_assert_eq(capacity(), 2);
}

Test(machine_run, shows_the_guest_another_file_and_interrupts_it)
{
	start_with_a_drive();
	cr_expect_eq(patch("a", other.path), 0, "%s", e.text);
	cr_expect_eq(capacity(), 8);
	cr_expect_str_eq(fake_machine_drive_path(machine), other.path);
	cr_expect_eq(device_list_irqs(&machine->devices).config_updates, 1);
}

Test(machine_run, sees_a_file_of_another_size_under_the_same_path)
{
	start_with_a_drive();
	cr_assert_eq(ftruncate(disk.fd, 512 * 5 + 100), 0);
	cr_expect_eq(capacity(), 2);
	cr_expect_eq(patch("a", disk.path), 0, "%s", e.text);
	cr_expect_eq(capacity(), 5);
	cr_assert_eq(ftruncate(disk.fd, 0), 0);
	cr_expect_eq(patch("a", disk.path), 0, "%s", e.text);
	cr_expect_eq(capacity(), 0);
}

Test(machine_run, changes_a_drive_also_while_paused)
{
	start_with_a_drive();
	cr_assert_eq(pause_it(), 0);
	cr_expect_eq(patch("a", other.path), 0, "%s", e.text);
	cr_expect_eq(capacity(), 8);
	machine_resume(machine);
	cr_expect_eq(capacity(), 8);
}

Test(machine_run, keeps_a_drive_whose_change_fails)
{
	static const struct {
		const char *id, *path, *why;
		int r;
	} bad[] = {
		{ "a", "/nonexistent/d", "drive 'a'", -ENOENT },
		{ "a", "/tmp", "drive 'a'", -EISDIR },
		{ "a", "/dev/ptmx", "drive 'a'", -EINVAL },
		{ "a", NULL, "nothing to change", -EINVAL },
		{ "b", "/dev/null", "no drive 'b'", -EINVAL },
	};
	unsigned fds;

	start_with_a_drive();
	fds = fake_open_fds();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(
			patch(bad[i].id, bad[i].path), bad[i].r, "%zu: %s", i, e.text);
		cr_expect(strstr(e.text, bad[i].why), "%s", e.text);
		cr_expect_eq(capacity(), 2);
		cr_expect_str_eq(fake_machine_drive_path(machine), disk.path);
	}
	cr_expect_eq(device_list_irqs(&machine->devices).config_updates, 0);
	cr_expect_eq(fake_open_fds(), fds);
}

Test(machine_run, opens_the_new_file_for_what_the_old_one_was)
{
	fake_machine_add_drive(machine, "w", disk.path, false);
	fake_machine_add_drive(machine, "r", disk.path, true);
	fake_machine_enter(machine, MACHINE_RUNNING);
	/* this program's file: it runs, and so cannot be written */
	cr_expect_eq(patch("w", "/proc/self/exe"), -ETXTBSY);
	cr_expect_eq(patch("r", "/proc/self/exe"), 0, "%s", e.text);
}

Test(machine_run, closes_the_file_that_a_drive_had)
{
	unsigned fds;

	start_with_a_drive();
	fds = fake_open_fds();
	for (int i = 0; i < 5; i++) {
		cr_expect_eq(patch("a", i % 2 ? disk.path : other.path), 0);
		cr_expect_eq(capacity(), i % 2 ? 2 : 8);
	}
	cr_expect_eq(fake_open_fds(), fds);
}

/* --- limits --- */

static const struct limiter_patch slow = { true, true,
	{ .bandwidth = { 1000, 0, 100 }, .ops = { 10, 0, 100 } } };

static int patch_all(const char *path)
{
	return fake_machine_patch_drive(machine, "a", path, &slow, &e);
}

Test(machine_run, changes_file_and_limits_of_a_drive_or_nothing)
{
	const struct drive_cfg *now;
	unsigned fds;

	start_with_a_drive();
	now = machine_device(machine, &blk_kind, 0);
	fds = fake_open_fds();
	cr_expect_eq(patch_all("/nonexistent/d"), -ENOENT);
	cr_expect_eq(capacity(), 2);
	cr_expect_str_eq(now->path_on_host, disk.path);
	cr_expect_eq(now->rate_limiter.ops.size, 0);
	cr_expect_eq(blk_limiter(machine->set[0].dev).ops.size, 0);
	cr_expect_eq(device_list_irqs(&machine->devices).config_updates, 0);
	cr_expect_eq(fake_open_fds(), fds);
	cr_expect_eq(patch_all(other.path), 0, "%s", e.text);
	cr_expect_eq(capacity(), 8);
	cr_expect_str_eq(now->path_on_host, other.path);
	cr_expect_eq(now->rate_limiter.ops.size, 10);
	cr_expect_eq(blk_limiter(machine->set[0].dev).bandwidth.size, 1000);
}

/* What a drive was asked to change to, and not how many parts of it were changed. */
Test(machine_run, counts_each_change_of_a_drive_once)
{
	start_with_a_drive();
	cr_expect_eq(patch_all("/nonexistent/d"), -ENOENT);
	cr_expect_eq(stats()->update_count, 0);
	cr_expect_eq(stats()->update_fails, 1);
	cr_expect_eq(patch("a", NULL), -EINVAL);
	cr_expect_eq(stats()->update_fails, 2);
	cr_expect_eq(patch_all(other.path), 0, "%s", e.text);
	cr_expect_eq(stats()->update_count, 1);
	cr_expect_eq(patch("a", disk.path), 0, "%s", e.text);
	cr_expect_eq(patch("b", disk.path), -EINVAL);
	cr_expect_eq(stats()->update_count, 2);
	cr_expect_eq(stats()->update_fails, 2);
}

Test(machine_run, changes_both_limits_of_an_interface)
{
	struct net_patch p = { .iface_id = strdup("eth0"), .rx = slow, .tx = slow };
	const struct net_cfg *now;

	fake_machine_add_interface(machine, "eth0");
	fake_machine_enter(machine, MACHINE_RUNNING);
	now = machine_device(machine, &net_kind, 0);
	cr_expect_eq(machine_patch_device(machine, &net_kind, &p, &e), 0, "%s", e.text);
	cr_expect_eq(now->rx.ops.size, 10);
	cr_expect_eq(now->tx.bandwidth.size, 1000);
	cr_expect_eq(net_rx_limiter(machine->set[0].dev).bandwidth.size, 1000);
	cr_expect_eq(net_tx_limiter(machine->set[0].dev).ops.size, 10);
	fields_fini(net_kind.patch.fields, &p);
}

/* --- a kind of device that is made of its settings alone --- */

struct plain_cfg {
	bool is_on;
};

static const struct field plain_rows[] = {
	{ .name = "is_on", .type = FIELD_BOOL, FIELD_AT(struct plain_cfg, is_on) },
};
static const struct fields plain_fields = FIELDS("plain", plain_rows);
static const struct device_kind plain_kind = {
	.what = "plain device",
	.cfg = { .fields = &plain_fields, .bytes = sizeof(struct plain_cfg) },
};

Test(machine_run, keeps_and_replaces_settings_of_a_device_without_a_backend)
{
	const struct plain_cfg *now;

	for (unsigned i = 0; i < 3; i++) {
		struct plain_cfg c = { .is_on = i == 2 };

		cr_assert_eq(machine_put_device(machine, &plain_kind, &c, &e), 0, "%s",
			e.text);
	}
	now = machine_device(machine, &plain_kind, 0);
	cr_assert(now && now->is_on);
	cr_assert_null(machine_device(machine, &plain_kind, 1));
}

/* --- pause and keys --- */

Test(machine_run, is_paused_and_goes_on_as_often_as_asked)
{
	start_with_a_drive();
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(pause_it(), 0);
		cr_expect_eq(pause_it(), 0);
		cr_expect_eq(machine_state(machine), MACHINE_PAUSED);
		machine_resume(machine);
		machine_resume(machine);
		cr_expect_eq(machine_state(machine), MACHINE_RUNNING);
	}
}

Test(machine_run, types_what_the_guest_has_room_for)
{
	int r = 0, times = 0;

	fake_machine_enter(machine, MACHINE_RUNNING);
	while ((r = machine_send_ctrl_alt_del(machine, &e)) == 0)
		cr_assert_lt(++times, 16);
	cr_expect_eq(r, -EBUSY);
	cr_expect_geq(times, 1);
	cr_expect(strstr(e.text, "has not read"), "%s", e.text);
}

/* --- with KVM --- */

/* A guest of that code, with one drive. */
static void start_guest(const void *code, size_t n)
{
	struct machine_cfg cfg = MACHINE_CFG_DEFAULT;
	struct kvm kvm;

	if (x86_kvm_open(&kvm, NULL, 0, &e) < 0)
		cr_skip_test("%s", e.text);
	kvm_close(&kvm);
	cfg.mem_size_mib = 16;
	cfg.vcpu_count = 2; /* the second waits for its start-up IPI */
	cr_assert_eq(machine_set_config(machine, &cfg, &e), 0, "%s", e.text);
	fake_machine_set_kernel(machine, code, n);
	fake_machine_add_drive(machine, "a", disk.path, false);
	cr_assert_eq(machine_start(machine, &e), 0, "%s", e.text);
}

Test(machine_run, pauses_a_guest_that_spins_and_one_vcpu_that_waits)
{
	static const uint8_t spins[] = { 0xeb, 0xfe };

	start_guest(spins, sizeof(spins));
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(pause_it(), 0, "%s", e.text);
		cr_expect_eq(machine_state(machine), MACHINE_PAUSED);
		machine_resume(machine);
	}
	cr_expect_eq(patch("a", other.path), 0, "%s", e.text);
	cr_expect_eq(capacity(), 8);
	cr_assert_eq(pause_it(), 0);
	machine_stop(machine);
	cr_expect_eq(machine_exit_status(machine), 0);
	cr_expect_eq(fake_machine.n_ended, 0);
}

Test(machine_run, tells_once_that_a_guest_reset_itself)
{
	/* mov $0xfe, %al; out %al, $0x64; and again */
	static const uint8_t resets[] = { 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfa };

	start_guest(resets, sizeof(resets));
	for (int i = 0; fake_machine.n_ended == 0 && i < 200; i++)
		cr_assert_eq(loop_poll(fake_machine.loop, 100), 0);
	cr_expect_eq(fake_machine.n_ended, 1);
	cr_expect_eq(machine_exit_status(machine), 0);
	cr_assert_eq(pause_it(), 0, "%s", e.text);
	machine_resume(machine);
	cr_assert_eq(loop_poll(fake_machine.loop, 0), 0);
	cr_expect_eq(fake_machine.n_ended, 1);
}
