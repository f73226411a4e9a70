/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_turns: how a block device whose requests are served at once shares the loop with
 * others: within a request, between requests, and over discards on a block device.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_blk.h"

enum { BIG = 512 << 10 };

static const uint64_t places[] = { 0, 8, 16 };

static void set_up(void)
{
	fb_init();
	cr_assert_eq(truncate(fb_path, 130 << 20), 0);
	fb_attach_limited(0, 0, 0);
}

TestSuite(blk_turns, .init = set_up, .fini = fb_fini, .timeout = 60);

/* 64 MiB are a whole turn's work; no limit is announced to the driver. */
Test(blk_turns, writes_more_than_64_mib_in_one_request)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_OUT, 1, BIG, 250);
	uint64_t last = 0x1122334455667788, word;
	uint8_t byte;
	int fd;

	memcpy(fake_at(&fb_drv, p.data + BIG - 512, 8), &last, sizeof(last));
	memset(fake_at(&fb_drv, p.data, 512), 0x5a, 512);
	fb_notify();
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert_eq(fb_stats()->write_bytes, (uint64_t)250 * BIG);
	fd = open(fb_path, O_RDONLY | O_CLOEXEC);
	for (off_t i = 0; i < 250; i++) {
		cr_assert_eq(pread(fd, &byte, 1, 512 + i * BIG), 1);
		cr_assert_eq(byte, 0x5a, "%jd", (intmax_t)i);
		cr_assert_eq(pread(fd, &word, 8, (i + 1) * BIG), 8);
		cr_assert_eq(word, last, "%jd", (intmax_t)i);
	}
	close(fd);
}

Test(blk_turns, reads_more_than_64_mib_in_one_request)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_IN, 0, BIG, 250);
	uint64_t last = 0x1122334455667788;
	int fd = open(fb_path, O_WRONLY | O_CLOEXEC);
	uint32_t id, used;

	cr_assert_eq(pwrite(fd, &last, 8, (off_t)250 * BIG - 512), 8);
	close(fd);
	fb_notify();
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert(fake_take_used(&fb_drv, &id, &used));
	cr_assert_eq(used, 250 * BIG + 1);
	memcpy(&last, fake_at(&fb_drv, p.data + BIG - 512, 8), 8);
	cr_assert_eq(last, 0x1122334455667788);
}

Test(blk_turns, leaves_the_loop_to_others_within_a_request)
{
	struct posted p = fb_post_many(VIRTIO_BLK_T_OUT, 0, BIG, 250);
	unsigned turns = 1;

	fb_notify_once();
	cr_assert_eq(fake_used_idx(&fb_drv), 0);
	for (; fb_has_notify(); turns++)
		fb_poll(0);
	cr_assert_geq(turns, 2);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert_eq(fake_used_idx(&fb_drv), 1);
}

/* Slow requests use up the turn; the rest is served in the loop's next turns. */
Test(blk_turns, leaves_the_loop_to_others_before_the_ring_is_empty)
{
	unsigned turns = 1;

	for (unsigned i = 0; i < 30; i++)
		(void)fb_post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	fb_notify_once();
	cr_assert_lt(fake_used_idx(&fb_drv), 30);
	for (; fb_has_notify(); turns++)
		fb_poll(0);
	cr_assert_geq(turns, 4);
	cr_assert_eq(fake_used_idx(&fb_drv), 30);
	cr_assert_eq(fake_used_flags(&fb_drv), 0); /* asks for notifications again */
}

/* --- a slow disk --- */

static unsigned delay_us, n_reads;

/* Replaces the C library's function. */
ssize_t preadv(int fd, const struct iovec *iov, int n, off_t at)
{
	n_reads++;
	if (delay_us > 0)
		usleep(delay_us);
	return n == 1 ? pread(fd, iov->iov_base, iov->iov_len, at) : -1;
}

/* guest: small requests that take long keep the loop no longer than large ones */
Test(blk_turns, end_after_a_request_that_took_long)
{
	for (unsigned i = 0; i < 8; i++)
		(void)fb_post(VIRTIO_BLK_T_IN, i, 512, 0);
	delay_us = 15000;
	for (unsigned i = 1; i <= 8; i++) {
		fb_notify_once();
		cr_assert_eq(n_reads, i);
	}
	cr_assert_eq(fake_used_idx(&fb_drv), 8);
}

Test(blk_turns, end_after_a_step_that_took_long)
{
	struct posted p = fb_post(VIRTIO_BLK_T_IN, 0, BIG, 0);

	delay_us = 15000;
	fb_notify_once();
	cr_assert_eq(n_reads, 1);
	cr_assert_eq(fake_used_idx(&fb_drv), 0);
	cr_assert(fb_has_notify());
	fb_poll(0);
	cr_assert_eq(n_reads, 2);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
}

/* --- discards on a block device, which the loop waits for --- */

static unsigned n_ioctls; /* which the file in its place does not know */

/* Replaces the C library's function. */
int ioctl(int fd, unsigned long op, ...)
{
	(void)fd;
	(void)op;
	n_ioctls++;
	return 0;
}

static void attach_block_device(void)
{
	struct disk *d;

	cr_assert_eq(disk_open(fb_path, false, &d, NULL), 0);
	d->is_block = true;
	fb_attach(d, (struct limiter_cfg){ .ops.size = 0 });
}

static struct posted post_discard(unsigned n)
{
	return fb_post_ranges(VIRTIO_BLK_T_DISCARD, places, n, 8);
}

Test(blk_turns, discard_one_range_of_a_block_device)
{
	struct posted p;

	attach_block_device();
	p = post_discard(3);
	(void)post_discard(1);
	fb_notify_once();
	for (unsigned i = 1; i <= 4; i++) {
		cr_assert_eq(n_ioctls, i);
		cr_assert_eq(fake_used_idx(&fb_drv), i < 3 ? 0 : i - 2);
		fb_poll(0);
	}
	cr_assert_eq(n_ioctls, 4);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
	cr_assert_eq(fake_used_flags(&fb_drv), 0);
}

Test(blk_turns, discard_a_part_of_a_long_range)
{
	struct posted p;

	attach_block_device();
	p = fb_post_ranges(VIRTIO_BLK_T_DISCARD, places + 1, 1, 128 << 11);
	fb_notify_once();
	for (unsigned i = 1; i <= 3; i++) {
		cr_assert_eq(n_ioctls, i, "to 64 MiB, to 128, and 8 sectors");
		cr_assert_eq(fake_used_idx(&fb_drv), i == 3);
		fb_poll(0);
	}
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
}

/* A request that has not ended goes back into the ring, so a pause need not wait. */
Test(blk_turns, begin_a_discard_again_after_a_pause)
{
	struct posted p;

	attach_block_device();
	p = post_discard(3);
	fb_notify_once();
	cr_assert_eq(n_ioctls, 1);
	cr_assert_lt(mmio_pause(fb_t), 0);
	cr_assert_eq(n_ioctls, 1);
	cr_assert_eq(fake_used_idx(&fb_drv), 0);
	mmio_resume(fb_t);
	fb_notify();
	cr_assert_eq(n_ioctls, 4);
	cr_assert_eq(fake_used_idx(&fb_drv), 1);
	cr_assert_eq(fb_status(&p), VIRTIO_BLK_S_OK);
}

Test(blk_turns, finish_a_discard_on_the_disk_that_it_was_for)
{
	struct disk *next;

	attach_block_device();
	(void)post_discard(3);
	(void)post_discard(1);
	fb_notify_once();
	cr_assert_not(blk_hold(mmio_vdev(fb_t)));
	cr_assert(blk_hold(mmio_vdev(fb_t)));
	cr_assert_eq(n_ioctls, 3);
	cr_assert_eq(fake_used_idx(&fb_drv), 1);
	for (unsigned i = 0; i < 3; i++)
		fb_notify_once();
	cr_assert_eq(n_ioctls, 3, "nothing else is taken meanwhile");
	cr_assert_eq(disk_open(fb_path, false, &next, NULL), 0);
	cr_assert_eq(blk_set_disk(mmio_vdev(fb_t), next), 0);
	blk_release(mmio_vdev(fb_t));
	fb_poll(0);
	cr_assert_eq(fake_used_idx(&fb_drv), 2);
	cr_assert_eq(n_ioctls, 3);
}
