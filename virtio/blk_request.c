/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_request: the requests of a block device (virtio 1.2, 5.2.6). Every field is the
 * guest's: a request that has a place for its status is answered with one, a chain that
 * has none is a fault. No framing is assumed (2.7.4). A request that the disk has not
 * finished lives on until its done is called, in any order.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>

#include "virtio/blk_parts.h"

static void release(struct request *req)
{
	req->next_free = req->blk->free;
	req->blk->free = req;
}

/* Answers a request: the last byte that the driver can write is its status (5.2.6). */
static void finish(struct request *req, uint8_t status, uint64_t data_written)
{
	*req->status = status;
	queue_push(
		&req->blk->dev.queue[0], req->chain.head, (uint32_t)data_written + 1);
	release(req);
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

/* guest: a range is up to 2 GiB, and the loop stands still for it */
static bool is_slow_discard(const struct request *req)
{
	return req->type == VIRTIO_BLK_T_DISCARD &&
		disk_discards_at_once(req->blk->disk);
}

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
		if (is_slow_discard(req))
			req->blk->later = req;
		else
			next_range(req);
		return;
	}
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		stats->read_count++;
		stats->read_bytes += io->len;
		agg_add(&stats->read_agg, clock_us() - req->started_us);
		finish(req, VIRTIO_BLK_S_OK, io->len);
		return;
	case VIRTIO_BLK_T_OUT:
		stats->write_count++;
		stats->write_bytes += io->len;
		agg_add(&stats->write_agg, clock_us() - req->started_us);
		break;
	case VIRTIO_BLK_T_FLUSH:
		stats->flush_count++;
		break;
	}
	finish(req, VIRTIO_BLK_S_OK, 0);
}

/* Reads sectors into what is left to write, or writes them from what is left to read.
 */
static uint8_t plan_transfer(struct request *req, uint64_t sector)
{
	struct blk *b = req->blk;
	bool in = req->type == VIRTIO_BLK_T_IN;
	uint64_t len = in ? chain_wr_bytes(&req->chain) : chain_rd_bytes(&req->chain);
	uint64_t other = in ? chain_rd_bytes(&req->chain) : chain_wr_bytes(&req->chain);

	/* guest: data in the wrong direction, none, part of a sector, or so much that
	 * all else would wait: spans overlap, so a small guest can ask for 4 GiB */
	if (other != 0 || len == 0 || len % DISK_SECTOR != 0 || len > BLK_DATA_MAX ||
		!is_in_disk(b, sector, len, &req->io.at) ||
		(!in && disk_is_read_only(b->disk)))
		return VIRTIO_BLK_S_IOERR;
	req->io.op = in ? DISK_READ : DISK_WRITE;
	req->io.len = len;
	req->io.iov = in ? chain_wr(&req->chain, &req->io.n_iov)
			 : chain_rd(&req->chain, &req->io.n_iov);
	return VIRTIO_BLK_S_OK;
}

static uint8_t plan_ranges(struct request *req)
{
	bool discard = req->type == VIRTIO_BLK_T_DISCARD;
	size_t one = sizeof(struct virtio_blk_discard_write_zeroes);
	uint64_t len = chain_rd_bytes(&req->chain);

	if (!vdev_has(&req->blk->dev,
		    discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return VIRTIO_BLK_S_UNSUPP;
	/* guest: no range, part of one, or more than the configuration allows */
	if (len == 0 || len % one != 0 ||
		len / one > (discard ? BLK_DISCARD_RANGES_MAX : 1))
		return VIRTIO_BLK_S_IOERR;
	req->ranges = (unsigned)(len / one);
	return VIRTIO_BLK_S_OK;
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
	req->blk->spent += is_slow_discard(req) ? BLK_TURN_COST : BLK_COST_SLOW;
	req->io.op = discard ? DISK_DISCARD : DISK_ZERO;
	req->io.unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	disk_submit(req->blk->disk, &req->io);
}

void blk_go_on(struct blk *b)
{
	next_range(TAKE(b->later));
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

/* What is wrong with a request, if anything, before it may cost or do something. */
static uint8_t plan(struct request *req, uint64_t sector)
{
	req->ranges = 0;
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return plan_transfer(req, sector);
	case VIRTIO_BLK_T_FLUSH:
		return vdev_has(&req->blk->dev, VIRTIO_BLK_F_FLUSH)
			? VIRTIO_BLK_S_OK
			: VIRTIO_BLK_S_UNSUPP;
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return plan_ranges(req);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

static void carry_out(struct request *req)
{
	struct blk *b = req->blk;

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		req->started_us = clock_us();
		disk_submit(b->disk, &req->io);
		break;
	case VIRTIO_BLK_T_FLUSH:
		b->spent += BLK_COST_SLOW;
		req->io.op = DISK_FLUSH;
		disk_submit(b->disk, &req->io);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(req);
		break;
	default:
		next_range(req);
		break;
	}
}

/* Serves the chain in req: BLK_SERVED, BLK_LATER, or -EPROTO when there is no way to
 * answer it. Only in the first case req is no longer the caller's. */
static int serve(struct request *req)
{
	struct blk *b = req->blk;
	struct virtio_blk_outhdr h;
	struct iovec status;
	uint64_t bytes = chain_rd_bytes(&req->chain) + chain_wr_bytes(&req->chain);
	uint8_t verdict;
	bool moves;

	/* guest: no status byte, or not even a header */
	if (chain_split_tail(&req->chain, sizeof(*req->status), &status) < 0 ||
		chain_read(&req->chain, &h, sizeof(h)) < 0)
		return -EPROTO;
	req->status = status.iov_base;
	req->type = le32toh(h.type);
	verdict = plan(req, le64toh(h.sector));
	moves = verdict == VIRTIO_BLK_S_OK &&
		(req->type == VIRTIO_BLK_T_IN || req->type == VIRTIO_BLK_T_OUT);
	if (!limiter_take(b->limiter, moves ? req->io.len : 0)) {
		b->stats.rate_limiter_throttled_events++;
		return BLK_LATER;
	}
	b->spent += 1 + bytes / BLK_COST_BYTES;
	if (verdict == VIRTIO_BLK_S_OK)
		carry_out(req);
	else
		refuse(req, verdict);
	return BLK_SERVED;
}

static void init(struct blk *b, struct request *req)
{
	req->blk = b;
	req->io.done = on_done;
	release(req);
}

void blk_requests_init(struct blk *b)
{
	b->n_requests = 1;
	init(b, &b->first);
}

void blk_requests_free(struct blk *b)
{
	while (b->free) {
		struct request *req = b->free;

		b->free = req->next_free;
		if (req != &b->first)
			free(req);
	}
	blk_requests_init(b);
}

/* A request that is not in use, or NULL: then some are, and their ends come. */
static struct request *acquire(struct blk *b)
{
	struct request *req = b->free;

	if (!req && b->n_requests < QUEUE_SIZE_MAX) {
		req = malloc(sizeof(*req));
		if (!req)
			return NULL;
		b->n_requests++;
		init(b, req);
	}
	if (req)
		b->free = req->next_free;
	return req;
}

int blk_serve_next(struct blk *b)
{
	struct queue *q = &b->dev.queue[0];
	struct request *req = acquire(b);
	int r;

	if (!req) {
		b->starved = true;
		b->stats.io_engine_throttled_events++;
		return BLK_LATER;
	}
	r = queue_pop(q, &req->chain);
	if (r > 0) {
		r = serve(req);
		if (r == BLK_LATER)
			queue_unpop(q);
	}
	if (r != BLK_SERVED)
		release(req);
	return r;
}
