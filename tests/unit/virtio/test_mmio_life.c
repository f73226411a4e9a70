/* SPDX-License-Identifier: Apache-2.0
 *
 * mmio: notifications, guest faults, reset, pause and snapshots, with the toy device.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/unit/fakes/toy_device.h"
#include "vmm/base/log.h"

static struct toy toy;
static struct mmio *t;

static void set_up(void)
{
	log_set_level(LOG_OFF);
	toy_init(&toy);
	t = toy.t;
}

static void tear_down(void)
{
	toy_fini(&toy);
}

TestSuite(mmio_life, .init = set_up, .fini = tear_down);

static uint32_t status(void)
{
	return fake_reg(t, VIRTIO_MMIO_STATUS);
}

static bool needs_reset(void)
{
	return status() & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void bring_up(void)
{
	fake_bring_up(t, &toy.drv, TOY_TRANSPORT);
	cr_assert_eq(toy.starts, 1);
}

/* As KVM does for an ioeventfd. */
static void notify(unsigned q)
{
	uint64_t one = 1;

	cr_assert_eq(write(mmio_notify_fd(t, q), &one, sizeof(one)), sizeof(one));
	toy_poll(&toy);
}

Test(mmio_life, serves_notifications_by_eventfd_and_by_register)
{
	bring_up();
	notify(0);
	cr_assert_eq(toy.notifications[0], 1);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0], 2);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0], 2);
}

Test(mmio_life, ignores_notifications_before_driver_ok)
{
	notify(0);
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	fake_set_queue(t, 0, &toy.drv);
	notify(0);
	cr_assert_eq(toy.notifications[0], 0);
	cr_assert_eq(mmio_faults(t), 0);
}

Test(mmio_life, ignores_notifications_of_queues_that_are_not_there)
{
	bring_up();
	notify(1); /* never made ready */
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, 2);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0] + toy.notifications[1], 0);
	cr_assert_eq(mmio_faults(t), 0);
}

Test(mmio_life, calls_again_a_device_that_has_work_left)
{
	bring_up();
	toy.notify_result = 1;
	notify(0);
	cr_assert_eq(toy.notifications[0], 1);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0], 2);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0], 2);
}

Test(mmio_life, needs_a_reset_after_a_guest_fault)
{
	bring_up();
	toy.notify_result = -EPROTO;
	notify(0);
	cr_assert(needs_reset());
	cr_assert_eq(mmio_faults(t), 1);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	cr_assert_eq(fake_irqs(t), 1);
	vdev_fault(mmio_vdev(t)); /* told once */
	cr_assert_eq(mmio_faults(t), 1);
	cr_assert_eq(fake_irqs(t), 0);
}

Test(mmio_life, serves_nothing_and_does_not_spin_while_it_needs_a_reset)
{
	uint64_t count;

	bring_up();
	vdev_fault(mmio_vdev(t));
	notify(0);
	cr_assert_eq(toy.notifications[0], 0);
	cr_assert_eq(read(mmio_notify_fd(t, 0), &count, sizeof(count)), -1);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, status() | VIRTIO_CONFIG_S_FAILED);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0xf);
	cr_assert(needs_reset());
}

Test(mmio_life, works_again_after_the_reset)
{
	bring_up();
	vdev_fault(mmio_vdev(t));
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(status(), 0);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	fake_bring_up(t, &toy.drv, TOY_TRANSPORT);
	cr_assert_not(needs_reset());
	notify(0);
	cr_assert_eq(toy.notifications[0], 1);
	vdev_fault(mmio_vdev(t));
	cr_assert_eq(mmio_faults(t), 2);
}

Test(mmio_life, drains_on_reset_and_forgets_the_queues)
{
	bring_up();
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(toy.drains, 1);
	cr_assert_eq(mmio_vdev(t)->queue[0].size, 0);
	cr_assert_null(mmio_vdev(t)->queue[0].desc);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_READY), 0);
	notify(0);
	cr_assert_eq(toy.notifications[0], 0);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(toy.drains, 1);
}

Test(mmio_life, takes_a_bad_ring_for_a_guest_fault_and_does_not_start)
{
	struct fake_driver odd = toy.drv;

	odd.size = 7;
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	fake_set_queue(t, 0, &odd);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0xf);
	cr_assert(needs_reset());
	cr_assert_eq(toy.starts, 0);
	cr_assert_eq(fake_irqs(t), 1);
	notify(0);
	cr_assert_eq(toy.notifications[0], 0);
}

Test(mmio_life, takes_a_size_that_does_not_fit_16_bits_for_a_fault)
{
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NUM, 0x10008);
	cr_assert_eq(mmio_vdev(t)->queue[0].size, 0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_READY, 1);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0xf);
	cr_assert(needs_reset());
}

Test(mmio_life, is_unharmed_by_garbage_in_every_register)
{
	uint32_t value = 12345;

	for (unsigned i = 0; i < 200000; i++) {
		value = value * 1664525 + 1013904223;
		fake_set_reg(
			t, (value >> 8) % 0x200 & ~3u, value * 2654435761u >> (i % 32));
		(void)fake_reg(t, (value >> 12) % 0x200 & ~3u);
		if (i % 64 == 0)
			toy_poll(&toy);
	}
	fake_bring_up(t, &toy.drv, TOY_TRANSPORT);
	cr_assert_eq(status(), 0xf);
}

Test(mmio_life, keeps_notifications_that_come_while_it_is_paused)
{
	bring_up();
	mmio_pause(t);
	cr_assert_eq(toy.drains, 1);
	notify(0);
	cr_assert_eq(toy.notifications[0], 0);
	mmio_resume(t);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0], 1);
}

Test(mmio_life, raises_a_pending_interrupt_again_on_resume)
{
	bring_up();
	mmio_vdev(t)->transport->interrupt(mmio_vdev(t));
	(void)fake_irqs(t);
	mmio_pause(t);
	mmio_resume(t);
	cr_assert_eq(fake_irqs(t), 1);
}

Test(mmio_life, destroys_the_device_with_itself)
{
	bring_up();
	mmio_destroy(toy.t);
	cr_assert_eq(toy.drains, 1);
	cr_assert_eq(toy.destroys, 1);
	toy.t = NULL;
}

/* Saves the toy as it is. */
static void save(struct stream *s)
{
	mmio_pause(t);
	stream_init_save(s);
	cr_assert_eq(mmio_snap(t, s), 0);
	cr_assert_eq(stream_finish(s), 0);
}

/* Loads into a transport that has just been created, over the same guest memory. */
static int load(const void *buf, size_t n)
{
	struct guest_mem *mem = toy.drv.mem;
	struct stream s;
	int r;

	mmio_destroy(toy.t);
	loop_destroy(toy.loop);
	toy_init(&toy);
	guest_mem_destroy(toy.drv.mem);
	toy.drv.mem = mem;
	mmio_destroy(toy.t);
	cr_assert_eq(mmio_create(&toy.dev, mem, toy.loop, &toy.t, NULL), 0);
	t = toy.t;
	mmio_pause(t);
	stream_init_load(&s, buf, n);
	r = mmio_snap(t, &s);
	return r < 0 ? r : stream_finish(&s);
}

Test(mmio_life, survives_a_snapshot)
{
	struct stream s;

	bring_up();
	mmio_vdev(t)->transport->interrupt(mmio_vdev(t));
	vdev_config_changed(mmio_vdev(t));
	toy.saved = 77;
	save(&s);
	toy.saved = 0;
	cr_assert_eq(load(s.buf, s.len), 0);
	cr_assert_eq(status(), 0xf);
	cr_assert_eq(toy.saved, 77);
	cr_assert_eq(toy.starts, 1);
	cr_assert_eq(toy.drains, 1); /* still until it is resumed */
	cr_assert_eq(mmio_vdev(t)->acked, TOY_TRANSPORT);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	mmio_resume(t);
	cr_assert_eq(fake_irqs(t), 1);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0], 1);
	stream_fini(&s);
}

Test(mmio_life, survives_a_snapshot_half_way_through_negotiation)
{
	struct stream s;

	fake_set_reg(t, VIRTIO_MMIO_STATUS, 3);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	save(&s);
	cr_assert_eq(load(s.buf, s.len), 0);
	cr_assert_eq(toy.starts, 0);
	mmio_resume(t);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0xb);
	cr_assert_eq(status(), 0xb);
	stream_fini(&s);
}

Test(mmio_life, stays_faulted_over_a_snapshot)
{
	struct stream s;

	bring_up();
	vdev_fault(mmio_vdev(t));
	save(&s);
	cr_assert_eq(load(s.buf, s.len), 0);
	cr_assert(needs_reset());
	cr_assert_eq(toy.starts, 0);
	mmio_resume(t);
	toy_poll(&toy);
	cr_assert_eq(toy.notifications[0], 0);
	stream_fini(&s);
}

/* Where in the stream: section header, then id, status, isr, generation, three
 * selectors, features, and queue 0: size, ready, desc. */
enum { AT_ID = 12, AT_STATUS = 16, AT_FEATURES = 40, AT_SIZE = 48, AT_DESC = 51 };

/* Loads with one byte changed and the checksum right again. */
static int load_changed(const struct stream *s, size_t at, uint8_t value)
{
	uint8_t *copy = malloc(s->len);
	uint64_t sum;
	int r;

	memcpy(copy, s->buf, s->len);
	copy[at] = value;
	sum = XXH64(copy, s->len - sizeof(sum), 0);
	memcpy(copy + s->len - sizeof(sum), &sum, sizeof(sum));
	r = load(copy, s->len);
	free(copy);
	return r;
}

Test(mmio_life, refuses_a_snapshot_that_makes_no_sense_and_is_reset_then)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{ AT_ID, 1 }, /* another device */
		{ AT_STATUS, 0x0e }, /* no ACKNOWLEDGE */
		{ AT_STATUS, 0x1f }, /* a bit that does not exist */
		{ AT_FEATURES, 0x08 }, /* a feature that is not offered */
		{ AT_FEATURES + 4, 0 }, /* no VERSION_1 */
		{ AT_SIZE, 7 }, { AT_SIZE + 1, 0x80 },
		{ AT_SIZE + 2, 2 }, /* ready neither false nor true */
		{ AT_DESC, 1 }, /* not aligned */
		{ AT_DESC + 7, 0x80 }, /* outside guest memory */
	};
	struct stream s;

	bring_up();
	save(&s);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_eq(load_changed(&s, bad[i].at, bad[i].value), -EBADMSG,
			"case %u", i);
		cr_assert_eq(status(), 0, "case %u", i);
		cr_assert_eq(toy.starts, 0, "case %u", i);
		cr_assert_eq(mmio_vdev(t)->queue[0].size, 0, "case %u", i);
	}
	cr_assert_eq(load_changed(&s, AT_ID, TOY_ID), 0);
	stream_fini(&s);
}

Test(mmio_life, is_unharmed_by_any_byte_of_a_snapshot)
{
	struct stream s;

	bring_up();
	save(&s);
	for (size_t at = 0; at + 8 < s.len; at++) {
		(void)load_changed(&s, at, 0xff);
		mmio_resume(t);
		toy_poll(&toy);
	}
	stream_fini(&s);
}

/* --- a device that still has something in flight --- */

enum { SOME_FD = 99 }; /* never waited for */

static void be_in_flight(void)
{
	bring_up();
	toy.in_flight = true;
	toy.in_flight_fd = SOME_FD;
}

static int busy(void)
{
	return mmio_bus_ops()->busy(t);
}

Test(mmio_life, is_in_the_old_status_until_the_reset_is_complete)
{
	uint32_t before;

	be_in_flight();
	before = status();
	cr_assert_lt(busy(), 0);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(status(), before);
	cr_assert_eq(busy(), SOME_FD);
	toy.in_flight = false;
	cr_assert_lt(busy(), 0);
	cr_assert_eq(status(), 0);
	cr_assert_eq(toy.dev.queue[0].size, 0);
}

/* guest: neither register writes nor notifications reach a device during its reset */
Test(mmio_life, takes_nothing_until_the_reset_is_complete)
{
	be_in_flight();
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NUM, 1);
	notify(0);
	cr_assert_eq(toy.notifications[0], 0);
	cr_assert_eq(toy.dev.queue[0].size, 8);
	toy.in_flight = false;
	cr_assert_eq(status(), 0);
	fake_bring_up(t, &toy.drv, TOY_TRANSPORT);
	notify(0);
	cr_assert_eq(toy.notifications[0], 1);
}

Test(mmio_life, completes_a_reset_with_the_first_write_after_it)
{
	be_in_flight();
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	toy.in_flight = false;
	fake_set_reg(t, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	cr_assert_eq(status(), VIRTIO_CONFIG_S_ACKNOWLEDGE);
}

Test(mmio_life, completes_a_reset_in_a_pause)
{
	be_in_flight();
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(mmio_pause(t), SOME_FD);
	toy.in_flight = false;
	cr_assert_lt(mmio_pause(t), 0);
	cr_assert_eq(status(), 0);
	mmio_resume(t);
}

Test(mmio_life, is_drained_once_by_a_pause)
{
	be_in_flight();
	cr_assert_eq(mmio_pause(t), SOME_FD);
	toy.in_flight = false;
	for (unsigned i = 0; i < 5; i++)
		cr_assert_lt(mmio_pause(t), 0);
	cr_assert_eq(toy.drains, 2);
	mmio_resume(t);
	cr_assert_lt(mmio_pause(t), 0);
	cr_assert_eq(toy.drains, 3);
}
