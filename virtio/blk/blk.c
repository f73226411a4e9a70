/* SPDX-License-Identifier: Apache-2.0
 *
 * blk: the block device (virtio 1.2, 5.2) over a disk: its configuration, its turns,
 * its saved state, and changes while it runs. Its requests are in request.c. Device
 * lock held.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/blk/internal.h"
#include "vmm/base/clock.h"

enum {
	BLK_SEG_MAX = CHAIN_SPANS_MAX - 2, /* without those of header and status */
	BLK_DISCARD_ALIGN_SECTORS = 8, /* 4 KiB, a block of most file systems */
};

DEFINE_VDEV(blk);

/* Sets what the driver can read: capacity and limits (5.2.4). */
static void set_config(struct blk *b)
{
	struct virtio_blk_config c = {
		.capacity = htole64(disk_bytes(b->disk) / DISK_SECTOR),
		.seg_max = htole32(BLK_SEG_MAX),
		.blk_size = htole32(DISK_SECTOR),
	};

	if (!disk_is_read_only(b->disk)) {
		c.max_discard_sectors = htole32(BLK_DISCARD_SECTORS_MAX);
		c.max_discard_seg = htole32(BLK_RANGES_MAX);
		c.discard_sector_alignment = htole32(BLK_DISCARD_ALIGN_SECTORS);
		c.max_write_zeroes_sectors = htole32(BLK_ZERO_SECTORS_MAX);
		c.max_write_zeroes_seg = htole32(1);
		c.write_zeroes_may_unmap = 1;
	}
	b->dev.config_len =
		offsetof(struct virtio_blk_config, max_secure_erase_sectors);
	memcpy(b->dev.config, &c, b->dev.config_len);
}

static bool is_turn_over(const struct blk *b)
{
	return b->spent >= BLK_TURN_COST;
}

/* Serves requests. 0: the ring is empty, or the next request has to wait; 1: the turn's
 * budget is spent; or -EPROTO. */
static int serve_turn(struct blk *b, struct queue *q)
{
	int r;

	blk_go_on(b);
	if (b->later || is_turn_over(b))
		return 1;
	if (b->is_held)
		return 0;
	do {
		(void)queue_want_notify(q, false); /* a pop shows whether it is empty */
		while ((r = blk_serve_next(b)) == BLK_SERVED)
			/* guest: a ring that is never empty must not keep the loop */
			if (is_turn_over(b))
				return 1;
		if (r < 0)
			return r;
		if (r == BLK_LATER)
			return 0; /* it is tried again without a notification */
	} while (!queue_want_notify(q, true));
	if (b->spent == 0)
		b->stats.no_avail_buffer++;
	return 0;
}

static void begin_turn(struct blk *b)
{
	b->spent = 0;
	b->turn_us = clock_us();
	b->in_turn = true;
}

static int take_turn(struct blk *b, struct queue *q)
{
	int r;

	b->starved = b->is_draining = false;
	begin_turn(b);
	r = serve_turn(b, q);
	b->in_turn = false;
	disk_submit_all(b->disk);
	return r;
}

static int blk_notify(struct vdev *v, unsigned q)
{
	struct blk *b = blk_of(v);
	int r;

	b->stats.queue_event_count++;
	r = take_turn(b, &v->queue[q]);
	vdev_interrupt(v, q); /* one for all, also for those before a fault */
	b->stats.remaining_reqs_count += queue_left(&v->queue[q]);
	if (r < 0)
		b->stats.event_fails++;
	/* A starved device waits for a request in flight to end. If all have ended
	 * already, in submit_all, another turn is needed. */
	return r == 0 && b->starved && b->has_room ? 1 : r;
}

/* The disk has completed requests outside of a turn. */
static void on_batch(void *self)
{
	struct blk *b = self;

	vdev_interrupt(&b->dev, 0);
	if (b->starved)
		vdev_serve_again(&b->dev, 0);
}

/* The request that the limiter refused can go now. */
static void on_ready(void *self)
{
	struct blk *b = self;

	b->stats.rate_limiter_event_count++;
	vdev_serve_again(&b->dev, 0);
}

static void blk_start(struct vdev *v)
{
	(void)v; /* there is no state but the queue's */
}

/* What is in flight ends: no more than BLK_IN_FLIGHT_MAX, because a larger request goes
 * back into the ring after its step. */
static int blk_drain(struct vdev *v)
{
	struct blk *b = blk_of(v);
	int fd;

	b->is_draining = true;
	blk_settle(b);
	fd = disk_drain(b->disk);
	vdev_interrupt(v, 0);
	if (fd < 0)
		blk_requests_free(b);
	return fd;
}

static int blk_snap(struct vdev *v, struct stream *s)
{
	struct blk *b = blk_of(v);
	bool read_only = disk_is_read_only(b->disk);
	uint64_t bytes = disk_bytes(b->disk);
	int r;

	(void)stream_begin(s, "BLK ", 1); /* one version so far */
	stream_u64(s, &bytes);
	stream_bool(s, &read_only);
	r = limiter_snap(b->limiter, s);
	stream_end(s);
	/* The capacity is that of the file today. The driver is told if it differs. */
	if (bytes != disk_bytes(b->disk))
		vdev_config_changed(v);
	return stream_check(s, r == 0 && read_only == disk_is_read_only(b->disk));
}

static void blk_destroy(struct vdev *v)
{
	struct blk *b = blk_of(v);

	limiter_destroy(b->limiter);
	disk_close(b->disk);
	blk_requests_free(b);
	free(b);
}

static void *blk_counted(struct vdev *v)
{
	return &blk_of(v)->stats;
}

const struct vdev_ops blk_ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.n_queues = 1,
	.start = blk_start,
	.notify = blk_notify,
	.drain = blk_drain,
	.snap = blk_snap,
	.stats = blk_counted,
	.counters = &blk_counters,
	.destroy = blk_destroy,
};

static void use_disk(struct blk *b, struct disk *disk)
{
	b->disk = disk;
	disk_on_batch(disk, on_batch, b);
	set_config(b);
}

static uint64_t features(const struct disk *disk, bool flush)
{
	uint64_t f =
		feature_bit(VIRTIO_BLK_F_SEG_MAX) | feature_bit(VIRTIO_BLK_F_BLK_SIZE);

	if (flush)
		f |= feature_bit(VIRTIO_BLK_F_FLUSH);
	if (disk_is_read_only(disk))
		return f | feature_bit(VIRTIO_BLK_F_RO);
	return f | feature_bit(VIRTIO_BLK_F_DISCARD) |
		feature_bit(VIRTIO_BLK_F_WRITE_ZEROES);
}

int blk_create(const char *id, struct disk *disk, bool flush, struct loop *loop,
	const struct limiter_cfg *limits, struct vdev **out, struct err *e)
{
	AUTO(disk_close) struct disk *owned = disk;
	AUTO(blk_free) struct blk *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_code(e, -ENOMEM, "drive '%s'", id);
	blk_requests_init(b);
	use_disk(b, TAKE(owned));
	r = vdev_init(&b->dev, &blk_ops, id, e);
	if (r == 0)
		r = limiter_create(loop, limits, on_ready, b, &b->limiter, e);
	if (r < 0)
		return r;
	b->dev.features = features(disk, flush);
	*out = &TAKE(b)->dev;
	return 0;
}

bool blk_hold(struct vdev *v)
{
	struct blk *b = blk_of(v);

	b->is_held = true;
	begin_turn(b); /* a turn of its own: notifications may not be served now */
	blk_go_on(b);
	b->in_turn = false;
	(void)disk_drain(b->disk); /* in_flight shows when it is done */
	vdev_interrupt(v, 0);
	return b->in_flight == 0;
}

void blk_release(struct vdev *v)
{
	struct blk *b = blk_of(v);

	b->is_held = false;
	vdev_serve_again(v, 0);
}

int blk_set_disk(struct vdev *v, struct disk *disk)
{
	AUTO(disk_close) struct disk *owned = disk;
	struct blk *b = blk_of(v);

	assert(b->is_held && b->in_flight == 0);
	if (disk_is_read_only(disk) != disk_is_read_only(b->disk))
		return -EINVAL;
	disk_close(b->disk);
	use_disk(b, TAKE(owned));
	vdev_config_changed(v);
	return 0;
}

void blk_patch_limiter(struct vdev *v, const struct limiter_patch *p)
{
	limiter_patch(blk_of(v)->limiter, p);
}

struct limiter_cfg blk_limiter(const struct vdev *v)
{
	return limiter_cfg(blk_of(v)->limiter);
}

struct blk_stats *blk_stats(struct vdev *v)
{
	return &blk_of(v)->stats;
}
