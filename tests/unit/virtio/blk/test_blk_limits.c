/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_limits: what the rate limiter of a block device charges, and when requests that
 * it held back go on.
 */
#include <criterion/criterion.h>
#include <linux/virtio_blk.h>

#include "tests/unit/fakes/fake_blk.h"
#include "tests/unit/fakes/fake_stream.h"
#include "vmm/base/clock.h"

TestSuite(blk_limits, .init = fb_init, .fini = fb_fini, .timeout = 60);

Test(blk_limits, serves_as_many_operations_as_it_may)
{
	fb_attach_limited(0, 3, FB_LONG_MS);
	for (unsigned i = 0; i < 2; i++)
		(void)fb_post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 3);
	cr_assert_gt(fb_stats()->rate_limiter_throttled_events, 0);
	cr_assert_geq(fb_stats()->remaining_reqs_count, 2);
	for (unsigned i = 0; i < 10; i++)
		fb_notify(); /* changes nothing */
	cr_assert_eq(fake_used_idx(&fb_drv), 3);
	cr_assert_eq(fb_stats()->rate_limiter_event_count, 0);
}

Test(blk_limits, charges_no_bytes_where_none_are_moved)
{
	fb_attach_limited(1024, 0, FB_LONG_MS);
	for (unsigned i = 0; i < 20; i++) {
		(void)fb_post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
		(void)fb_post(VIRTIO_BLK_T_GET_ID, 0, 20, 0);
		(void)fb_post_ranges(VIRTIO_BLK_T_DISCARD, (uint64_t[]){ 8, 16 }, 2, 8);
	}
	(void)fb_post(
		VIRTIO_BLK_T_IN, 5000, 4096, 0); /* past the disk: moves nothing */
	(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0);
	(void)fb_post(VIRTIO_BLK_T_OUT, 0, 512, 0);
	(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0);
	for (unsigned i = 0; i < 10; i++)
		fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 63);
}

/* Two requests of 4 KiB, whatever writes them. */
Test(blk_limits, charges_zeroing_by_its_length)
{
	fb_attach_limited(8192, 0, FB_LONG_MS);
	(void)fb_post_ranges(VIRTIO_BLK_T_WRITE_ZEROES, (uint64_t[]){ 8 }, 1, 8);
	(void)fb_post(VIRTIO_BLK_T_OUT, 0, 4096, 0);
	(void)fb_post_ranges(VIRTIO_BLK_T_WRITE_ZEROES, (uint64_t[]){ 8 }, 1, 1);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 2);
}

Test(blk_limits, charges_an_operation_for_each_range_of_a_discard)
{
	fb_attach_limited(0, 3, FB_LONG_MS);
	(void)fb_post_ranges(VIRTIO_BLK_T_DISCARD, (uint64_t[]){ 8, 16 }, 2, 8);
	(void)fb_post_ranges(VIRTIO_BLK_T_DISCARD, (uint64_t[]){ 8, 16 }, 2, 8);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 1);
	(void)fb_post_ranges(VIRTIO_BLK_T_DISCARD, (uint64_t[]){ 8 }, 1, 8);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 1, "in their order");
}

/* A request that has to be begun again, or that waits for room, is charged once. */
Test(blk_limits, charges_nothing_to_what_waits_for_room)
{
	struct limiter_cfg limits = { .ops = { 3, 0, FB_LONG_MS } };

	cr_assert_eq(truncate(fb_path, 64 << 20), 0);
	fb_attach(fb_open_held(), limits);
	(void)fb_post_many(VIRTIO_BLK_T_OUT, 0, 256 << 10, 64); /* all the room */
	(void)fb_post(VIRTIO_BLK_T_OUT, 0, 512, 0);
	(void)fb_post(VIRTIO_BLK_T_OUT, 0, 512, 0);
	for (unsigned i = 0; i < 5; i++)
		fb_notify();
	while (fb_n_held > 0) {
		fb_complete_all();
		fb_notify();
	}
	cr_assert_eq(fake_used_idx(&fb_drv), 3);
	cr_assert_eq(fb_stats()->rate_limiter_throttled_events, 0);
}

/* 40 operations at 10 in 20 ms, the first 10 at once. */
Test(blk_limits, goes_on_by_itself_when_the_limiter_allows)
{
	uint64_t start = clock_us(), took;

	fb_attach_limited(0, 10, 20);
	for (unsigned i = 0; i < 40; i++)
		(void)fb_post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	fb_notify();
	fb_wait_used(40);
	took = clock_us() - start;
	cr_assert_geq(took, 60000);
	cr_assert_lt(took, 1000000);
	cr_assert_gt(fb_stats()->rate_limiter_event_count, 0);
}

Test(blk_limits, is_limited_again_after_a_reset)
{
	fb_attach_limited(0, 2, FB_LONG_MS);
	for (unsigned i = 0; i < 3; i++)
		(void)fb_post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 2);
	fake_reboot(&fb_drv);
	fake_bring_up(fb_t, &fb_drv, (FB_BASIC | FB_WRITABLE | FB_FLUSH));
	(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 0);
}

Test(blk_limits, is_told_of_new_limits_while_it_waits)
{
	struct limiter_patch p = { .has_ops = true, .to.ops = { 5, 0, FB_LONG_MS } };

	fb_attach_limited(0, 2, FB_LONG_MS);
	for (unsigned i = 0; i < 9; i++)
		(void)fb_post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 2);
	blk_patch_limiter(mmio_vdev(fb_t), &p);
	cr_assert_eq(blk_limiter(mmio_vdev(fb_t)).ops.size, 5);
	fb_wait_used(7);
	p.to.ops.size = 0;
	blk_patch_limiter(mmio_vdev(fb_t), &p);
	fb_wait_used(9);
}

Test(blk_limits, keeps_its_limits_in_a_snapshot)
{
	struct fake_stream f;

	fb_attach_limited(0, 3, FB_LONG_MS);
	(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	fb_notify();
	mmio_pause(fb_t);
	cr_assert_eq(mmio_snap(fb_t, fake_save(&f)), 0);
	mmio_resume(fb_t);
	mmio_pause(fb_t);
	cr_assert_eq(fake_loaded(&f, mmio_snap(fb_t, fake_load(&f))), 0);
	mmio_resume(fb_t);
	(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	(void)fb_post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	fb_notify();
	fb_poll(0);
	cr_assert_eq(fake_used_idx(&fb_drv), 3);
	cr_assert_eq(blk_limiter(mmio_vdev(fb_t)).ops.size, 3);
}
