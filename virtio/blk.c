/* SPDX-License-Identifier: Apache-2.0
 *
 * blk: the block device (virtio 1.2, 5.2) over a disk. Loop thread, device lock held.
 * Every field of a request is the guest's: a request that has a place for its status is
 * answered with one, a chain that has none is a fault. No framing is assumed (2.7.4).
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/devices.h"

enum {
	BLK_SEG_MAX = QUEUE_SIZE_MAX - 2, /* a header and a status beside the data */
	BLK_DISCARD_SECTORS_MAX = 1 << 22, /* of one range: 2 GiB */
	BLK_DISCARD_RANGES_MAX = 16,
	BLK_DISCARD_ALIGN_SECTORS = 8, /* a block of most file systems */
	/* May have to be written by hand before anything else is served: 16 MiB. */
	BLK_ZERO_SECTORS_MAX = 1 << 15,
	/* What a turn may cost: a request costs 1, as much again for so many bytes, and
	 * more where the host may take long. */
	BLK_TURN_COST = QUEUE_SIZE_MAX,
	BLK_COST_BYTES = 256 << 10,
	BLK_COST_SLOW = 32,
	/* Of one request: a whole turn. Linux asks for 4 MiB at most by itself. */
	BLK_DATA_MAX = BLK_TURN_COST * BLK_COST_BYTES,
};

/* One request, from queue_pop to queue_push. */
struct request {
	struct disk_req io; /* its done gets back here */
	struct blk *blk;
	struct chain chain;
	uint8_t *status; /* in guest memory, written once */
	uint32_t type;
	uint64_t cost; /* of its turn */
	unsigned ranges; /* of a discard or write-zeroes, still to come */
};

struct blk {
	struct vdev dev;
	struct disk *disk;
	struct blk_stats stats;
	struct request req; /* one at a time, while the disk is synchronous */
};

static struct blk *blk_of(struct vdev *v)
{
	return container_of(v, struct blk, dev);
}

static uint64_t feature_bit(unsigned feature)
{
	return (uint64_t)1 << feature;
}

/* What the driver may know of the disk: capacity, limits (5.2.4). */
static void set_config(struct blk *b)
{
	struct virtio_blk_config c = {
		.capacity = htole64(disk_bytes(b->disk) / DISK_SECTOR),
		.seg_max = htole32(BLK_SEG_MAX),
		.blk_size = htole32(DISK_SECTOR),
	};

	if (!disk_is_read_only(b->disk)) {
		c.max_discard_sectors = htole32(BLK_DISCARD_SECTORS_MAX);
		c.max_discard_seg = htole32(BLK_DISCARD_RANGES_MAX);
		c.discard_sector_alignment = htole32(BLK_DISCARD_ALIGN_SECTORS);
		c.max_write_zeroes_sectors = htole32(BLK_ZERO_SECTORS_MAX);
		c.max_write_zeroes_seg = htole32(1);
		c.write_zeroes_may_unmap = 1;
	}
	b->dev.config_len =
		offsetof(struct virtio_blk_config, max_secure_erase_sectors);
	memcpy(b->dev.config, &c, b->dev.config_len);
}

/* Answers a request: the last byte that the driver can write is its status (5.2.6). */
static void finish(struct request *req, uint8_t status, uint64_t data_written)
{
	*req->status = status;
	queue_push(
		&req->blk->dev.queue[0], req->chain.head, (uint32_t)data_written + 1);
}

/* For what the driver should not have asked. */
static void refuse(struct request *req, uint8_t status)
{
	req->blk->stats.invalid_reqs_count++;
	finish(req, status, 0);
}

static bool is_in_disk(
	const struct blk *b, uint64_t sector, uint64_t bytes, uint64_t *at)
{
	uint64_t end;

	/* guest: no I/O past the disk, and no sum that wraps */
	return mul_ok(sector, (uint64_t)DISK_SECTOR, at) && add_ok(*at, bytes, &end) &&
		end <= disk_bytes(b->disk);
}

static void next_range(struct request *req);

static void on_done(struct disk_req *io, int result)
{
	struct request *req = container_of(io, struct request, io);
	struct blk_stats *stats = &req->blk->stats;

	if (result < 0) {
		stats->execute_fails++;
		finish(req, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	if (req->ranges > 0) {
		next_range(req);
		return;
	}
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		stats->read_count++;
		stats->read_bytes += io->len;
		finish(req, VIRTIO_BLK_S_OK, io->len);
		return;
	case VIRTIO_BLK_T_OUT:
		stats->write_count++;
		stats->write_bytes += io->len;
		break;
	case VIRTIO_BLK_T_FLUSH:
		stats->flush_count++;
		break;
	}
	finish(req, VIRTIO_BLK_S_OK, 0);
}

/* Reads sectors into what is left to write, or writes them from what is left to read.
 */
static void transfer(struct request *req, uint64_t sector)
{
	struct blk *b = req->blk;
	bool in = req->type == VIRTIO_BLK_T_IN;
	uint64_t len = in ? chain_wr_bytes(&req->chain) : chain_rd_bytes(&req->chain);
	uint64_t other = in ? chain_rd_bytes(&req->chain) : chain_wr_bytes(&req->chain);

	/* guest: data in the wrong direction, none, part of a sector, or so much that
	 * all else would wait: spans overlap, so a small guest can ask for 4 GiB */
	if (other != 0 || len == 0 || len % DISK_SECTOR != 0 || len > BLK_DATA_MAX ||
		!is_in_disk(b, sector, len, &req->io.at) ||
		(!in && disk_is_read_only(b->disk))) {
		refuse(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->io.op = in ? DISK_READ : DISK_WRITE;
	req->io.len = len;
	req->io.iov = in ? chain_wr(&req->chain, &req->io.n_iov)
			 : chain_rd(&req->chain, &req->io.n_iov);
	disk_submit(b->disk, &req->io);
}

/* Starts the next range of a discard or write-zeroes; on_done comes back here. */
static void next_range(struct request *req)
{
	bool discard = req->type == VIRTIO_BLK_T_DISCARD;
	struct virtio_blk_discard_write_zeroes range;
	uint32_t sectors, flags,
		known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	req->ranges--;
	if (chain_read(&req->chain, &range, sizeof(range)) < 0) {
		refuse(req, VIRTIO_BLK_S_IOERR); /* counted before, so it is there */
		return;
	}
	sectors = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	if (flags & ~known) {
		refuse(req, VIRTIO_BLK_S_UNSUPP); /* 5.2.6.2 */
		return;
	}
	req->io.len = (uint64_t)sectors * DISK_SECTOR;
	/* guest: longer than the configuration allows, or past the disk */
	if (sectors > (discard ? BLK_DISCARD_SECTORS_MAX : BLK_ZERO_SECTORS_MAX) ||
		!is_in_disk(
			req->blk, le64toh(range.sector), req->io.len, &req->io.at)) {
		refuse(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->cost += BLK_COST_SLOW;
	req->io.op = discard ? DISK_DISCARD : DISK_ZERO;
	req->io.unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	disk_submit(req->blk->disk, &req->io);
}

static void change_ranges(struct request *req)
{
	bool discard = req->type == VIRTIO_BLK_T_DISCARD;
	size_t one = sizeof(struct virtio_blk_discard_write_zeroes);
	uint64_t len = chain_rd_bytes(&req->chain);

	if (!vdev_has(&req->blk->dev,
		    discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES)) {
		refuse(req, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	/* guest: no range, part of one, or more than the configuration allows */
	if (len == 0 || len % one != 0 ||
		len / one > (discard ? BLK_DISCARD_RANGES_MAX : 1)) {
		refuse(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->ranges = (unsigned)(len / one);
	next_range(req);
}

static void flush(struct request *req)
{
	if (!vdev_has(&req->blk->dev, VIRTIO_BLK_F_FLUSH)) {
		refuse(req, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	req->cost += BLK_COST_SLOW;
	req->io.op = DISK_FLUSH;
	disk_submit(req->blk->disk, &req->io);
}

static void get_id(struct request *req)
{
	char serial[DISK_SERIAL_BYTES];

	disk_serial(req->blk->disk, serial);
	if (chain_write(&req->chain, serial, sizeof(serial)) < 0)
		refuse(req, VIRTIO_BLK_S_IOERR); /* guest: no room for 20 bytes */
	else
		finish(req, VIRTIO_BLK_S_OK, sizeof(serial));
}

/* Serves the chain in req. 0, or -EPROTO when there is no way to answer it. */
static int serve(struct request *req)
{
	struct virtio_blk_outhdr h;
	struct iovec status;
	uint64_t bytes = chain_rd_bytes(&req->chain) + chain_wr_bytes(&req->chain);

	/* guest: no status byte, or not even a header */
	if (chain_split_tail(&req->chain, sizeof(*req->status), &status) < 0 ||
		chain_read(&req->chain, &h, sizeof(h)) < 0)
		return -EPROTO;
	req->status = status.iov_base;
	req->type = le32toh(h.type);
	req->cost = 1 + bytes / BLK_COST_BYTES;
	req->ranges = 0;
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		transfer(req, le64toh(h.sector));
		break;
	case VIRTIO_BLK_T_FLUSH:
		flush(req);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(req);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		change_ranges(req);
		break;
	default:
		refuse(req, VIRTIO_BLK_S_UNSUPP);
		break;
	}
	return 0;
}

/* Serves until the ring is empty (0) or the turn is used up (1), or -EPROTO. */
static int serve_turn(struct blk *b, struct queue *q)
{
	uint64_t spent = 0;
	int r;

	do {
		(void)queue_want_kicks(q, false); /* emptiness is seen by popping */
		while ((r = queue_pop(q, &b->req.chain)) > 0) {
			r = serve(&b->req);
			if (r < 0)
				return r;
			/* guest: a ring that is never empty must not keep the loop */
			spent += b->req.cost;
			if (spent >= BLK_TURN_COST)
				return 1;
		}
		if (r < 0)
			return r;
	} while (!queue_want_kicks(q, true));
	if (spent == 0)
		b->stats.no_avail_buffer++;
	return 0;
}

static int blk_kick(struct vdev *v, unsigned q)
{
	struct blk *b = blk_of(v);
	int r;

	b->stats.queue_event_count++;
	r = serve_turn(b, &v->queue[q]);
	vdev_notify(v, q); /* once for all, also for those before a fault */
	return r;
}

static void blk_start(struct vdev *v)
{
	(void)v; /* the queue says all */
}

static void blk_drain(struct vdev *v)
{
	disk_drain(blk_of(v)->disk);
}

static int blk_snap(struct vdev *v, struct snap *s)
{
	struct blk *b = blk_of(v);
	bool read_only = disk_is_read_only(b->disk);
	uint64_t bytes = disk_bytes(b->disk);

	(void)snap_begin(s, "BLK ", 1); /* one version so far */
	snap_u64(s, &bytes);
	snap_bool(s, &read_only);
	snap_end(s);
	/* The capacity is the file's of today; the driver is told when it differs. */
	if (bytes != disk_bytes(b->disk))
		vdev_config_changed(v);
	return snap_check(s, read_only == disk_is_read_only(b->disk));
}

static void blk_destroy(struct vdev *v)
{
	struct blk *b = blk_of(v);

	disk_close(b->disk);
	free(b);
}

static const struct vdev_ops blk_ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.n_queues = 1,
	.start = blk_start,
	.kick = blk_kick,
	.drain = blk_drain,
	.snap = blk_snap,
	.destroy = blk_destroy,
};

static void free_blk(struct blk *b)
{
	if (b)
		blk_destroy(&b->dev);
}
DEFINE_AUTO(struct blk *, free_blk);

int blk_create(const char *id, struct disk *disk, bool flush_offered, struct vdev **out,
	struct err *e)
{
	AUTO(disk_close) struct disk *owned = disk;
	AUTO(free_blk) struct blk *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_code(e, -ENOMEM, "drive '%s'", id);
	b->disk = TAKE(owned);
	r = vdev_init(&b->dev, &blk_ops, id, e);
	if (r < 0)
		return r;
	b->req.blk = b;
	b->req.io.done = on_done;
	b->dev.features =
		feature_bit(VIRTIO_BLK_F_SEG_MAX) | feature_bit(VIRTIO_BLK_F_BLK_SIZE);
	if (flush_offered)
		b->dev.features |= feature_bit(VIRTIO_BLK_F_FLUSH);
	if (disk_is_read_only(disk))
		b->dev.features |= feature_bit(VIRTIO_BLK_F_RO);
	else
		b->dev.features |= feature_bit(VIRTIO_BLK_F_DISCARD) |
			feature_bit(VIRTIO_BLK_F_WRITE_ZEROES);
	set_config(b);
	*out = &TAKE(b)->dev;
	return 0;
}

void blk_set_disk(struct vdev *v, struct disk *disk)
{
	struct blk *b = blk_of(v);

	disk_drain(b->disk);
	disk_close(b->disk);
	b->disk = disk;
	set_config(b);
	vdev_config_changed(v);
}

struct blk_stats *blk_stats(struct vdev *v)
{
	return &blk_of(v)->stats;
}
