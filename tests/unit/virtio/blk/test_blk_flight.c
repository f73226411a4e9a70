/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_flight: how much of a guest's requests is in flight at a time, and that a disk
 * that does not answer delays no reset, no pause, no change, and no callback of the
 * loop.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_blk.h"

enum { ROOM = 16 << 20, PIECE = 1 << 20 };

static void set_up(void)
{
	fb_init();
	cr_assert_eq(truncate(fb_path, 300 << 20), 0);
	fb_attach(fb_open_held(), (struct limiter_cfg){ .ops.size = 0 });
}

TestSuite(blk_flight, .init = set_up, .fini = fb_fini, .timeout = 60);

static uint64_t held_bytes(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < fb_n_held; i++)
		sum += fb_held[i]->len;
	return sum;
}

/* guest: 256 requests of 4 MiB each, one head named again and again */
Test(blk_flight, is_bounded_in_bytes)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_IN, 0, 512 << 10, 8);

	for (unsigned i = 1; i < 256; i++)
		fake_offer(&fb_drv, p.head);
	for (unsigned i = 0; i < 5; i++)
		fb_notify();
	cr_assert_leq(held_bytes(), ROOM);
	cr_assert_eq(fb_n_held, ROOM / (4 << 20));
	cr_assert_gt(fb_stats()->io_engine_throttled_events, 0);
	for (unsigned rounds = 0; fb_n_held > 0; rounds++) {
		cr_assert_lt(rounds, 2000);
		cr_assert_leq(held_bytes(), ROOM);
		fb_complete(0, 0);
		fb_batch();
		fb_notify();
	}
	cr_assert_eq(fake_used_idx(&fb_drv), 256);
	cr_assert_eq(fb_stats()->read_bytes, (uint64_t)256 * (4 << 20));
}

Test(blk_flight, counts_zeroing_and_flushes_and_discards)
{
	static const uint64_t at[16];
	unsigned n;

	for (unsigned i = 0; i < 8; i++)
		(void)fb_post_ranges(VIRTIO_BLK_T_WRITE_ZEROES, at, 1, 1 << 15);
	fb_notify();
	cr_assert_eq(fb_n_held, 1, "16 MiB");
	while (fake_used_idx(&fb_drv) < 8) {
		fb_complete_all();
		fb_notify();
	}
	for (unsigned i = 0; i < 100; i++)
		(void)fb_post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	fb_notify();
	cr_assert_leq(fb_n_held, 16);
	while (fake_used_idx(&fb_drv) < 108) {
		fb_complete_all();
		fb_notify();
	}
	for (unsigned i = 0; i < 100; i++)
		(void)fb_post_ranges(VIRTIO_BLK_T_DISCARD, at, 16, 1 << 19);
	fb_notify();
	n = fb_n_held;
	cr_assert_leq(n, 2);
	while (fake_used_idx(&fb_drv) < 208) {
		cr_assert_leq(fb_n_held, 2);
		fb_complete_all();
		fb_notify();
	}
}

Test(blk_flight, does_not_hold_small_requests_back)
{
	for (unsigned i = 0; i < 200; i++)
		(void)fb_post(VIRTIO_BLK_T_IN, i, 512, 0);
	fb_notify();
	cr_assert_eq(fb_n_held, 200);
}

/* No limit is announced for a request: it is served in steps, alone. */
Test(blk_flight, has_a_huge_request_in_steps_and_alone)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_IN, 8, 512 << 10, 250), q;
	uint64_t at = 8 * 512, len = 250 * (512 << 10);
	uint32_t id, used;

	q = fb_post(VIRTIO_BLK_T_IN, 3, 512, 0xff);
	fb_notify();
	while (at < 8 * 512 + len) {
		cr_assert_eq(fb_n_held, 1);
		cr_assert_eq(fb_held[0]->at, at);
		cr_assert_leq(fb_held[0]->len, PIECE);
		at += fb_held[0]->len;
		fb_complete(0, 0);
		fb_batch();
		if (at < 8 * 512 + len)
			fb_notify();
	}
	cr_assert_eq(fb_n_held, 0);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert(fake_take_used(&fb_drv, &id, &used));
	cr_assert_eq(used, len + 1);
	fb_poll(0); /* no notification is needed */
	cr_assert_eq(fb_n_held, 1);
	fb_complete(0, 0);
	cr_assert_eq(fb_first(&q), 3);
}

Test(blk_flight, fails_a_huge_request_with_its_first_step_that_fails)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_OUT, 0, 512 << 10, 100);

	fb_notify();
	fb_complete(0, 0);
	fb_complete(0, -ENOSPC);
	cr_assert_eq(fb_n_held, 0);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_IOERR);
	cr_assert_eq(fb_stats()->execute_fails, 1);
}

static uint32_t status_register(void)
{
	return fake_reg(fb_t, VIRTIO_MMIO_STATUS);
}

static int busy(void)
{
	return mmio_bus_ops()->busy(fb_t);
}

/* virtio 1.2, 2.4.1: the driver reads a status of 0 when the reset is complete. */
Test(blk_flight, is_reset_when_nothing_is_in_flight_any_more)
{
	struct posted p = fb_post(VIRTIO_BLK_T_IN, 5, 512, 0xff);

	fb_is_quick = false;
	fb_notify();
	cr_assert_lt(busy(), 0);
	fake_set_reg(fb_t, VIRTIO_MMIO_STATUS, 0); /* and comes back */
	cr_assert_neq(status_register(), 0);
	cr_assert_eq(busy(), FB_HELD_FD);
	/* guest: goes on as if it were complete */
	fake_set_reg(fb_t, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	fb_notify();
	cr_assert_eq(fb_n_held, 1);
	fb_complete(0, 0);
	fb_batch();
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert_lt(busy(), 0);
	cr_assert_eq(status_register(), 0);
	fake_reboot(&fb_drv);
	fake_bring_up(fb_t, &fb_drv, (FB_BASIC | FB_WRITABLE | FB_FLUSH));
	p = fb_post(VIRTIO_BLK_T_IN, 9, 512, 0xff);
	fb_notify();
	fb_complete(0, 0);
	cr_assert_eq(fb_first(&p), 9);
}

/* A driver that only polls the register sees the end of the reset too. */
Test(blk_flight, completes_a_reset_when_the_status_is_read)
{
	(void)fb_post(VIRTIO_BLK_T_IN, 5, 512, 0xff);
	fb_is_quick = false;
	fb_notify();
	fake_set_reg(fb_t, VIRTIO_MMIO_STATUS, 0);
	for (unsigned i = 0; i < 10; i++)
		cr_assert_neq(status_register(), 0);
	fb_is_quick = true; /* the disk has answered, and nobody has looked */
	cr_assert_eq(status_register(), 0);
}

Test(blk_flight, waits_for_one_step_of_a_huge_request_when_it_is_reset)
{
	(void)fb_post_many(VIRTIO_BLK_T_IN, 0, 512 << 10, 250);
	fb_is_quick = false;
	fb_notify();
	fake_set_reg(fb_t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_neq(status_register(), 0);
	fb_complete(0, 0);
	cr_assert_eq(fb_n_held, 0);
	cr_assert_eq(status_register(), 0);
}

Test(blk_flight, is_paused_when_nothing_is_in_flight_any_more)
{
	struct posted p = fb_post(VIRTIO_BLK_T_IN, 5, 512, 0xff);

	fb_is_quick = false;
	fb_notify();
	cr_assert_eq(mmio_pause(fb_t), FB_HELD_FD);
	cr_assert_eq(mmio_pause(fb_t), FB_HELD_FD);
	(void)fb_post(VIRTIO_BLK_T_IN, 6, 512, 0xff);
	fb_notify();
	cr_assert_eq(fb_n_held, 1);
	fb_complete(0, 0);
	fb_batch();
	cr_assert_lt(mmio_pause(fb_t), 0);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	mmio_resume(fb_t);
	fb_poll(0);
	cr_assert_eq(fb_n_held, 1);
}

Test(blk_flight, goes_on_when_a_pause_is_given_up)
{
	struct posted p = fb_post(VIRTIO_BLK_T_IN, 5, 512, 0xff), q;

	fb_is_quick = false;
	fb_notify();
	cr_assert_eq(mmio_pause(fb_t), FB_HELD_FD);
	q = fb_post(VIRTIO_BLK_T_IN, 6, 512, 0xff);
	mmio_resume(fb_t);
	fb_poll(0);
	cr_assert_eq(fb_n_held, 2);
	fb_complete_all();
	cr_assert_eq(fb_first(&p), 5);
	cr_assert_eq(fb_first(&q), 6);
}

/* A huge request goes back into the ring unchanged, so a snapshot saves it as one that
 * was never taken. */
Test(blk_flight, begins_a_huge_request_again_after_a_pause)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_IN, 0, 512 << 10, 100);

	fb_is_quick = false;
	fb_notify();
	for (unsigned i = 0; i < 7; i++)
		fb_complete(0, 0);
	cr_assert_eq(mmio_pause(fb_t), FB_HELD_FD);
	fb_complete(0, 0);
	cr_assert_eq(fb_n_held, 0);
	cr_assert_lt(mmio_pause(fb_t), 0);
	cr_assert_eq(queue_left(&mmio_vdev(fb_t)->queue[0]), 1);
	cr_assert_eq(fb_status(&p), FB_STATUS_UNSET);
	mmio_resume(fb_t);
	fb_poll(0);
	cr_assert_eq(fb_n_held, 1);
	cr_assert_eq(fb_held[0]->at, 0);
	for (unsigned n = 0; fb_n_held > 0; n++) {
		cr_assert_lt(n, 100);
		fb_complete(0, 0);
	}
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert_eq(fake_used_idx(&fb_drv), 1);
	cr_assert_eq(fb_stats()->read_count, 1);
}

/* Only the request that was taken last can go back; those before it are completed. */
Test(blk_flight, ends_requests_in_steps_that_others_follow)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_IN, 0, 512 << 10, 8),
		      q = fb_post(VIRTIO_BLK_T_IN, 9, 512, 0xff);

	fb_is_quick = false;
	fb_notify();
	cr_assert_eq(fb_n_held, 2);
	cr_assert_eq(mmio_pause(fb_t), FB_HELD_FD);
	for (unsigned n = 0; fb_n_held > 0; n++) {
		cr_assert_lt(n, 5);
		fb_complete(0, 0);
	}
	cr_assert_lt(mmio_pause(fb_t), 0);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert_eq(fb_first(&q), 9);
	cr_assert_eq(queue_left(&mmio_vdev(fb_t)->queue[0]), 0);
}

Test(blk_flight, keeps_its_disk_while_requests_to_it_are_in_flight)
{
	struct vdev *v = mmio_vdev(fb_t);
	struct posted q;

	(void)fb_post(VIRTIO_BLK_T_IN, 5, 512, 0xff);
	fb_is_quick = false;
	fb_notify();
	cr_assert_not(blk_hold(v));
	q = fb_post(VIRTIO_BLK_T_IN, 6, 512, 0xff);
	fb_notify();
	cr_assert_eq(fb_n_held, 1, "no more are taken");
	cr_assert_not(blk_hold(v));
	fb_complete(0, 0);
	fb_batch();
	cr_assert(blk_hold(v));
	blk_release(v);
	fb_poll(0);
	fb_complete(0, 0);
	cr_assert_eq(fb_first(&q), 6);
}

static void on_timer(void *self, uint32_t events)
{
	(void)events;
	++*(unsigned *)self;
}

/* A callback like the API's: served while a drain waits, and while the lock is held. */
Test(blk_flight, leaves_the_loop_to_others_while_it_drains)
{
	unsigned n_served = 0;
	struct loop_source api = {
		.fn = on_timer, .self = &n_served, .unlocked = true
	};
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	api.fd = ends[0];
	(void)fb_post_many(VIRTIO_BLK_T_IN, 0, 512 << 10, 250);
	fb_is_quick = false;
	fb_notify();
	cr_assert_eq(loop_add(fb_loop, &api, 1), 0);
	fake_set_reg(fb_t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(busy(), FB_HELD_FD);
	cr_assert_eq(pthread_mutex_lock(&fb_lock), 0); /* a vCPU's thread has it */
	fb_poll(0);
	cr_assert_eq(n_served, 1);
	cr_assert_eq(pthread_mutex_unlock(&fb_lock), 0);
	loop_remove(fb_loop, &api);
	close(ends[0]);
	close(ends[1]);
	fb_complete(0, 0);
}
