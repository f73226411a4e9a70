/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_lock: whatever is asked of a running machine touches its devices with the
 * device lock held, because vCPU threads use them at the same time. This file has the
 * system calls that devices make in the C library's place: each notes whether the lock
 * was held.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_machine.h"
#include "virtio/net/kind.h"
#include "vmm/machine/internal.h"

/* Calls that a test may look at. */
enum { EPOLL = 1, CLOSE = 2, EVENTFD = 4, CLOCK = 8, KEYBOARD = 16 };

static struct machine *machine;
static struct fake_file disk, other;
static struct err e;
static unsigned watched; /* the calls that are looked at now */
static unsigned n_locked, n_unlocked; /* of those: with the lock held, and without */

static void note(unsigned call)
{
	if (!(watched & call))
		return;
	if (pthread_mutex_trylock(&fake_machine.lock) == EBUSY) {
		n_locked++;
		return;
	}
	pthread_mutex_unlock(&fake_machine.lock);
	n_unlocked++;
}

/* --- in the C library's place --- */

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	note(EPOLL);
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

int close(int fd)
{
	note(CLOSE);
	return (int)syscall(SYS_close, fd);
}

int eventfd_write(int fd, eventfd_t value)
{
	note(EVENTFD);
	return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	note(CLOCK);
	return (int)syscall(SYS_clock_gettime, id, ts);
}

/* --- the machine --- */

static void set_up(void)
{
	static const char sectors[4096];

	machine = fake_machine_create(NULL);
	disk = fake_file(sectors, 1024);
	other = fake_file(sectors, 4096);
	fake_machine_add_drive(machine, "a", disk.path, false);
	fake_machine_add_interface(machine, "eth0");
	fake_machine_enter(machine, MACHINE_RUNNING);
	fake_machine_drive(machine, 0);
	fake_machine_drive(machine, 1);
}

static void tear_down(void)
{
	watched = 0;
	fake_machine_destroy(machine);
	fake_file_close(&disk);
	fake_file_close(&other);
}

TestSuite(machine_lock, .init = set_up, .fini = tear_down, .timeout = 60);

static void watch(unsigned calls)
{
	n_locked = n_unlocked = 0;
	watched = calls;
}

static void expect_all_locked(void)
{
	watched = 0;
	cr_expect_gt(n_locked, 0, "nothing was seen");
	cr_expect_eq(n_unlocked, 0, "%u without the lock", n_unlocked);
	cr_expect_eq(pthread_mutex_trylock(&fake_machine.lock), 0, "it is held still");
	pthread_mutex_unlock(&fake_machine.lock);
}

static const struct limiter_patch slow = { true, true,
	{ .bandwidth = { 1000, 0, 100 }, .ops = { 10, 0, 100 } } };

static void patch_drive(const char *path, bool limits)
{
	cr_expect_eq(
		fake_machine_patch_drive(machine, "a", path, limits ? &slow : NULL, &e),
		0, "%s", e.text);
}

Test(machine_lock, is_held_while_a_drive_gets_another_file)
{
	watch(CLOSE | EVENTFD);
	patch_drive(other.path, false);
	expect_all_locked();
}

/* The clock is read for the turn in which the drive's requests are brought to an end,
 * and without the lock for how long that may take. */
Test(machine_lock, is_held_while_a_drives_requests_are_brought_to_an_end)
{
	watch(CLOCK);
	patch_drive(other.path, false);
	watched = 0;
	cr_expect_gt(n_locked, 0);
}

Test(machine_lock, is_held_while_a_drive_gets_other_limits)
{
	watch(CLOCK);
	patch_drive(NULL, true);
	expect_all_locked();
}

Test(machine_lock, is_held_while_an_interface_gets_other_limits)
{
	struct net_patch p = { .iface_id = strdup("eth0"), .rx = slow, .tx = slow };

	watch(CLOCK);
	cr_expect_eq(machine_patch_device(machine, &net_kind, &p, &e), 0, "%s", e.text);
	expect_all_locked();
	fields_fini(net_kind.patch.fields, &p);
}

Test(machine_lock, is_held_while_devices_are_paused_and_resumed)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(serial_create(fake_machine.loop, ends[0], STDERR_FILENO,
			     &machine->devices.serial, &e),
		0);
	watch(EPOLL); /* the console's input */
	cr_assert_eq(machine_pause(machine, &e), 0, "%s", e.text);
	expect_all_locked();
	watch(EVENTFD);
	machine_resume(machine);
	expect_all_locked();
	close(ends[0]);
	close(ends[1]);
}

static void on_keyboard(void *self)
{
	(void)self;
	note(KEYBOARD);
}

Test(machine_lock, is_held_while_keys_are_typed)
{
	static const uint8_t write_control = 0x60, interrupts = 1;
	const struct i8042_ops ops = { .irq = on_keyboard };
	struct i8042 *c = &machine->devices.i8042;

	i8042_init(c, &ops);
	i8042_bus_ops()->write(c, 4, &write_control, 1);
	i8042_bus_ops()->write(c, 0, &interrupts, 1);
	watch(KEYBOARD);
	cr_expect_eq(machine_send_ctrl_alt_del(machine, &e), 0, "%s", e.text);
	expect_all_locked();
}
