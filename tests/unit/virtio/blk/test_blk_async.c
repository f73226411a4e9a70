/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_async: a block device with many requests in flight, over an engine that keeps
 * them until the test completes them, and over the kernel's own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_blk.h"

TestSuite(blk_async, .init = fb_init, .fini = fb_fini, .timeout = 60);

Test(blk_async, has_many_requests_in_flight_and_starts_them_together)
{
	struct posted p[32];

	for (unsigned i = 0; i < 32; i++)
		p[i] = fb_post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	fb_notify();
	cr_assert_eq(fb_n_held, 32);
	cr_assert_eq(fb_n_submit_alls, 1);
	cr_assert_eq(fake_used_idx(&fb_drv), 0);
	cr_assert_eq(fake_irqs(fb_t), 0);
	while (fb_n_held > 0)
		fb_complete(0, 0);
	fb_batch();
	cr_assert_eq(fake_irqs(fb_t), 1);
	for (unsigned i = 0; i < 32; i++) {
		cr_assert_eq(fb_status(&p[i]), 0);
		cr_assert_eq(fb_first(&p[i]), i);
	}
	cr_assert_eq(fb_stats()->read_count, 32);
}

Test(blk_async, answers_in_the_order_of_completion)
{
	static const unsigned order[] = { 2, 0, 1, 0 }; /* requests 2, 0, 3, 1 */
	static const unsigned answers[] = { 2, 0, 3, 1 };
	struct posted p[4];
	uint32_t id, len;

	for (unsigned i = 0; i < 4; i++)
		p[i] = fb_post(VIRTIO_BLK_T_IN, 10 + i, 512, 0xff);
	fb_notify();
	for (unsigned i = 0; i < 4; i++) {
		fb_complete(order[i], 0);
		fb_batch();
		cr_assert(fake_take_used(&fb_drv, &id, &len));
		cr_assert_eq(id, p[answers[i]].head);
		cr_assert_eq(len, 513);
		cr_assert_eq(fb_first(&p[answers[i]]), 10 + answers[i]);
	}
	cr_assert_eq(fake_irqs(fb_t), 4);
}

Test(blk_async, fails_only_the_requests_that_the_disk_fails)
{
	struct posted a = fb_post(VIRTIO_BLK_T_OUT, 1, 512, 1),
		      b = fb_post(VIRTIO_BLK_T_OUT, 2, 512, 2),
		      c = fb_post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);

	fb_notify();
	fb_complete(0, -ENOSPC);
	fb_complete(1, -EIO);
	fb_complete(0, 0);
	fb_batch();
	cr_assert_eq(fb_status(&a), VIRTIO_BLK_S_IOERR);
	cr_assert_eq(fb_status(&b), VIRTIO_BLK_S_OK);
	cr_assert_eq(fb_status(&c), VIRTIO_BLK_S_IOERR);
	cr_assert_eq(fb_stats()->execute_fails, 2);
}

/* guest: the same descriptors again and again, so more requests than it has. */
Test(blk_async, bounds_what_is_in_flight)
{
	struct posted p = fb_post(VIRTIO_BLK_T_IN, 3, 512, 0xff);

	fb_notify();
	for (unsigned i = 0; i < 299; i++) {
		fake_offer(&fb_drv, p.head);
		if (i % 50 == 0)
			fb_notify();
	}
	for (unsigned i = 0; i < 5; i++)
		fb_notify();
	cr_assert_eq(fb_n_held, QUEUE_SIZE_MAX);
	cr_assert_gt(fb_stats()->io_engine_throttled_events, 0);
	cr_assert_gt(fb_stats()->remaining_reqs_count, 0);
	fb_complete(7, 0);
	fb_batch();
	cr_assert_eq(fb_n_held, QUEUE_SIZE_MAX - 1);
	fb_poll(0); /* no notification is needed */
	cr_assert_eq(fb_n_held, QUEUE_SIZE_MAX);
	for (unsigned i = 0; i < 10; i++) {
		while (fb_n_held > 0)
			fb_complete(0, 0);
		fb_batch();
		fb_poll(0);
	}
	cr_assert_eq(fake_used_idx(&fb_drv), 300);
	cr_assert_eq(fb_stats()->read_count, 300);
}

Test(blk_async, has_nothing_in_flight_when_paused_and_goes_on_when_resumed)
{
	struct posted a = fb_post(VIRTIO_BLK_T_IN, 5, 512, 0xff), b;

	fb_notify();
	mmio_pause(fb_t);
	cr_assert_eq(fb_n_held, 0);
	cr_assert_eq(fb_status(&a), 0);
	b = fb_post(VIRTIO_BLK_T_IN, 6, 512, 0xff);
	fb_notify();
	cr_assert_eq(fb_n_held, 0);
	mmio_resume(fb_t);
	fb_poll(0);
	cr_assert_eq(fb_n_held, 1);
	fb_complete(0, 0);
	fb_batch();
	cr_assert_eq(fb_status(&b), 0);
}

Test(blk_async, does_not_write_to_guest_memory_after_a_reset)
{
	struct posted p[8];
	uint8_t *memory = fake_at(&fb_drv, 0, FAKE_LOW_END), *before;

	for (unsigned i = 0; i < 8; i++)
		p[i] = fb_post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	fb_notify();
	cr_assert_eq(fb_n_held, 8);
	fake_set_reg(fb_t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(fb_n_held, 0);
	before = malloc(FAKE_LOW_END);
	memcpy(before, memory, FAKE_LOW_END);
	for (unsigned i = 0; i < 5; i++)
		fb_poll(5);
	cr_assert_arr_eq(memory, before, FAKE_LOW_END);
	free(before);
	fake_reboot(&fb_drv);
	fake_bring_up(fb_t, &fb_drv, (FB_BASIC | FB_WRITABLE | FB_FLUSH));
	p[0] = fb_post(VIRTIO_BLK_T_IN, 9, 512, 0xff);
	fb_notify();
	fb_complete(0, 0);
	cr_assert_eq(fb_first(&p[0]), 9);
}

Test(blk_async, discards_range_by_range)
{
	struct posted p =
		fb_post_ranges(VIRTIO_BLK_T_DISCARD, (uint64_t[]){ 8, 32 }, 2, 8);

	fb_notify();
	cr_assert_eq(fb_n_held, 1);
	cr_assert_eq(fb_held[0]->at, 4096);
	fb_complete(0, 0);
	cr_assert_eq(fb_n_held, 1);
	cr_assert_eq(fb_held[0]->at, 16384);
	cr_assert_eq(fb_status(&p), FB_STATUS_UNSET);
	fb_complete(0, 0);
	fb_batch();
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
}

Test(blk_async, discards_nothing_when_one_range_is_bad)
{
	struct posted p = fb_post_ranges(
		VIRTIO_BLK_T_DISCARD, (uint64_t[]){ 8, UINT64_MAX }, 2, 8);

	fb_notify();
	cr_assert_eq(fb_n_held, 0);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_IOERR);
	cr_assert_eq(fb_stats()->invalid_reqs_count, 1);
}

Test(blk_async, answers_what_is_in_flight_after_a_fault_and_serves_no_more)
{
	struct posted p = fb_post(VIRTIO_BLK_T_IN, 5, 512, 0xff);

	fake_offer(&fb_drv, 256); /* past the ring */
	fb_notify();
	cr_assert(fake_reg(fb_t, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	cr_assert_eq(fb_stats()->event_fails, 1);
	cr_assert_eq(fb_n_held, 1);
	fb_complete(0, 0);
	fb_batch();
	fb_poll(0);
	cr_assert_eq(fb_status(&p), 0);
	cr_assert_eq(fake_used_idx(&fb_drv), 1);
}

/* Each round writes 32 sectors and reads 32 that the round before wrote. */
Test(blk_async, moves_the_right_bytes_at_depth_64)
{
	struct posted w[32], r[32];

	fb_attach_real();
	for (unsigned round = 0; round < 100; round++) {
		unsigned to = round % 2 * 32, from = 32 - to;

		for (unsigned i = 0; i < 32; i++) {
			w[i] = fb_post(
				VIRTIO_BLK_T_OUT, to + i, 512, (uint8_t)(round + i));
			r[i] = fb_post(VIRTIO_BLK_T_IN, from + i, 512, 0xee);
		}
		fb_notify();
		fb_wait_used((uint16_t)((round + 1) * 64));
		for (unsigned i = 0; i < 32; i++) {
			uint8_t byte = (uint8_t)(round + i - 1);

			cr_assert_eq(fb_status(&w[i]), 0);
			cr_assert_eq(fb_status(&r[i]), 0);
			if (round > 0)
				cr_assert_eq(
					fb_first(&r[i]), byte * 0x0101010101010101u);
		}
		fb_drv.heap = FAKE_HEAP;
	}
	cr_assert_eq(fb_stats()->write_bytes, 100 * 32 * 512);
	cr_assert_gt(fb_stats()->read_agg.low, 0);
}

Test(blk_async, is_reset_under_load)
{
	fb_attach_real();
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 64; i++)
			(void)fb_post(
				i % 4 == 0 ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT, i,
				i % 4 == 0 ? 0 : 512, (uint8_t)round);
		fb_notify();
		fake_set_reg(fb_t, VIRTIO_MMIO_STATUS, 0);
		while (fake_reg(fb_t, VIRTIO_MMIO_STATUS) != 0)
			fb_poll(10);
		fake_reboot(&fb_drv);
		fb_poll(0);
		cr_assert_eq(fake_used_idx(&fb_drv), 0);
		fake_bring_up(fb_t, &fb_drv, (FB_BASIC | FB_WRITABLE | FB_FLUSH));
	}
}

static unsigned on_disk(uint64_t sector)
{
	int fd = open(fb_path, O_RDONLY | O_CLOEXEC);
	uint8_t byte;

	cr_assert_eq(pread(fd, &byte, 1, (off_t)sector * DISK_SECTOR), 1);
	close(fd);
	return byte;
}

Test(blk_async, changes_its_disk_under_load)
{
	static struct posted p[200];
	struct disk *next;

	fb_attach_real();
	for (unsigned i = 0; i < 200; i++)
		p[i] = fb_post(VIRTIO_BLK_T_OUT, i, 512, 0x77);
	fb_notify();
	cr_assert_eq(disk_open(fb_path, false, &next, NULL), 0);
	cr_assert_eq(disk_go_async(next, fb_loop, NULL), 0);
	while (!blk_hold(mmio_vdev(fb_t)))
		fb_poll(10);
	cr_assert_eq(blk_set_disk(mmio_vdev(fb_t), next), 0);
	blk_release(mmio_vdev(fb_t));
	fb_wait_used(200);
	for (unsigned i = 0; i < 200; i++) {
		cr_assert_eq(fb_status(&p[i]), 0);
		cr_assert_eq(on_disk(i), 0x77);
	}
}

Test(blk_async, tells_the_driver_of_another_disk)
{
	struct posted p = fb_post(VIRTIO_BLK_T_IN, 1, 512, 0xff);
	uint64_t capacity = 0;
	struct disk *next;

	fb_notify();
	cr_assert_eq(fb_n_held, 1);
	cr_assert_eq(truncate(fb_path, 1000 * 512), 0);
	next = fb_open_held();
	cr_assert(blk_hold(mmio_vdev(fb_t)));
	cr_assert_eq(fb_n_held, 0); /* the old one was drained */
	cr_assert_eq(blk_set_disk(mmio_vdev(fb_t), next), 0);
	blk_release(mmio_vdev(fb_t));
	fb_disk = next;
	cr_assert_eq(fb_status(&p), 0);
	for (unsigned i = 0; i < 8; i++)
		mmio_bus_ops()->read(
			fb_t, VIRTIO_MMIO_CONFIG + i, (uint8_t *)&capacity + i, 1);
	cr_assert_eq(capacity, 1000);
	cr_assert(
		fake_reg(fb_t, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	p = fb_post(VIRTIO_BLK_T_IN, 999, 512, 0xff);
	fb_notify();
	fb_complete(0, 0);
	cr_assert_eq(fb_status(&p), 0);
}

Test(blk_async, refuses_a_disk_of_the_other_kind)
{
	struct disk *next;

	cr_assert_eq(disk_open(fb_path, true, &next, NULL), 0);
	cr_assert(blk_hold(mmio_vdev(fb_t)));
	cr_assert_eq(blk_set_disk(mmio_vdev(fb_t), next), -EINVAL);
	blk_release(mmio_vdev(fb_t));
	(void)fb_post(VIRTIO_BLK_T_OUT, 1, 512, 0xff);
	fb_notify();
	cr_assert_eq(fb_n_held, 1);
}
