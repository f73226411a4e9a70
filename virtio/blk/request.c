/* SPDX-License-Identifier: Apache-2.0
 *
 * request: the requests of a block device (virtio 1.2, 5.2.6). Every field is the
 * guest's. A chain without a header and a status byte is a guest fault; any other
 * request is answered by its status, however wrong it is. How the bytes are divided
 * into descriptors does not matter (2.7.4). A request goes to the disk step by step,
 * and is in flight until its last step is done. Requests end in any order.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>

#include "virtio/blk/internal.h"
#include "vmm/base/clock.h"

static void put_free(struct request *req)
{
	req->next = req->blk->free;
	req->blk->free = req;
}

/* Takes a request out of flight. */
static void release(struct request *req)
{
	req->blk->in_flight -= req->weight;
	req->blk->has_room = true;
	put_free(req);
}

/* Answers a request: the last byte that the driver can write is its status (5.2.6). */
static void finish(struct request *req, uint8_t status, uint64_t data_written)
{
	*req->status = status;
	queue_push(
		&req->blk->dev.queue[0], req->chain.head, (uint32_t)data_written + 1);
	release(req);
}

/* Answers a request that makes no sense. */
static void refuse(struct request *req, uint8_t status)
{
	req->blk->stats.invalid_reqs_count++;
	finish(req, status, 0);
}

static void finish_done(struct request *req)
{
	struct blk_stats *stats = &req->blk->stats;
	uint64_t read = 0;

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		read = req->range[0].len;
		stats->read_count++;
		stats->read_bytes += read;
		latency_add(&stats->read_agg, clock_us() - req->started_us);
		break;
	case VIRTIO_BLK_T_OUT:
		stats->write_count++;
		stats->write_bytes += req->range[0].len;
		latency_add(&stats->write_agg, clock_us() - req->started_us);
		break;
	case VIRTIO_BLK_T_FLUSH:
		stats->flush_count++;
		break;
	}
	finish(req, VIRTIO_BLK_S_OK, read);
}

/* --- steps --- */

static uint64_t step_max(const struct request *req)
{
	if (req->io.op == DISK_DISCARD)
		return BLK_STEP_DISCARD;
	return disk_is_at_once(req->blk->disk, &req->io) ? BLK_STEP_AT_ONCE : BLK_STEP;
}

/* Makes req->io the next step. False when there is none. Steps end at multiples of
 * their size on the disk, so that they do not split blocks of the host. */
static bool next_step(struct request *req)
{
	const struct blk_range *range;
	struct disk_req *io = &req->io;
	uint64_t max;

	while (req->range_at < req->n_ranges &&
		req->range_done == req->range[req->range_at].len) {
		req->range_at++;
		req->range_done = 0;
	}
	if (req->range_at == req->n_ranges)
		return false;
	range = &req->range[req->range_at];
	io->unmap = range->unmap;
	io->at = range->at + req->range_done;
	max = step_max(req);
	io->len = MIN(range->len - req->range_done, max - io->at % max);
	return true;
}

/* guest: such a discard may stop the loop for long, whatever its length */
static bool is_slow_discard(const struct request *req)
{
	return req->io.op == DISK_DISCARD && disk_discards_slowly(req->blk->disk);
}

static bool is_turn_over(const struct blk *b)
{
	return b->spent >= BLK_TURN_COST;
}

/* Ends the turn if it has taken too long. guest: a slow disk must not keep the loop */
static void look_at_clock(struct blk *b)
{
	if (b->in_turn && clock_us() - b->turn_us > BLK_TURN_US)
		b->spent = MAX(b->spent, BLK_TURN_COST);
}

/* Submits the step in req->io. Returns whether it is done already. */
static bool submit(struct request *req)
{
	struct blk *b = req->blk;
	bool at_once = disk_is_at_once(b->disk, &req->io);

	if (is_slow_discard(req))
		b->spent += BLK_TURN_COST;
	req->is_back = false;
	req->is_submitting = true;
	disk_submit(b->disk, &req->io);
	req->is_submitting = false;
	if (at_once && req->is_back)
		look_at_clock(b);
	return req->is_back;
}

/* Only the request that was taken last can go back into the ring. */
static bool can_go_back(const struct request *req)
{
	return req->blk->is_draining && req->taken == req->blk->dev.queue[0].last_avail;
}

/* Puts a request back into the ring. Steps that are done will be done again. */
static void go_back(struct request *req)
{
	queue_unpop(&req->blk->dev.queue[0]);
	release(req);
}

/* Leaves the next step to another turn. */
static void put_off(struct request *req)
{
	struct blk *b = req->blk;

	req->next = NULL;
	*b->last_later = req;
	b->last_later = &req->next;
	if (!b->in_turn && !b->is_draining)
		vdev_serve_again(&b->dev, 0);
}

/* A step is done. Returns whether the next one is in req->io, to be submitted now. If
 * not, the request was answered or put aside. */
static bool is_to_go_on(struct request *req)
{
	struct blk *b = req->blk;

	if (req->result < 0) {
		b->stats.execute_fails++;
		finish(req, VIRTIO_BLK_S_IOERR, 0);
		return false;
	}
	req->range_done += req->io.len;
	if (req->io.op == DISK_READ || req->io.op == DISK_WRITE)
		disk_go_past(&req->io);
	if (req->io.op == DISK_FLUSH || !next_step(req)) {
		finish_done(req);
		return false;
	}
	if (can_go_back(req)) {
		go_back(req);
		return false;
	}
	if (!disk_is_at_once(b->disk, &req->io) || b->is_draining)
		return true;
	if (!b->in_turn || is_turn_over(b)) {
		put_off(req);
		return false;
	}
	b->spent += 1;
	return true;
}

/* Submits steps until one is in flight, or the request is answered or put aside. */
static void run(struct request *req)
{
	while (submit(req) && is_to_go_on(req))
		;
}

static void on_done(struct disk_req *io, int result)
{
	struct request *req = container_of(io, struct request, io);

	req->result = result;
	req->is_back = true;
	if (!req->is_submitting && is_to_go_on(req))
		run(req);
}

static struct request *take_later(struct blk *b)
{
	struct request *req = b->later;

	b->later = req->next;
	if (!b->later)
		b->last_later = &b->later;
	return req;
}

void blk_go_on(struct blk *b)
{
	while (b->later && !is_turn_over(b)) {
		b->spent += 1;
		run(take_later(b));
	}
}

void blk_settle(struct blk *b)
{
	while (b->later) {
		struct request *req = take_later(b);

		if (can_go_back(req))
			go_back(req);
		else
			run(req);
	}
}

/* --- checks, and what a request asks for --- */

static bool is_in_disk(
	const struct blk *b, uint64_t sector, uint64_t bytes, uint64_t *at)
{
	uint64_t end;

	/* guest: no I/O past the disk, and no sum that wraps */
	return mul_ok(sector, (uint64_t)DISK_SECTOR, at) && add_ok(*at, bytes, &end) &&
		end <= disk_bytes(b->disk);
}

/* A read fills all bytes of the chain that can be written, and a write takes all that
 * can be read. guest: spans may overlap, so that a small guest can ask for 4 GiB; such
 * a request has many steps. */
static uint8_t plan_transfer(struct request *req, uint64_t sector)
{
	struct blk *b = req->blk;
	bool in = req->type == VIRTIO_BLK_T_IN;
	uint64_t len = in ? chain_wr_bytes(&req->chain) : chain_rd_bytes(&req->chain);
	uint64_t other = in ? chain_rd_bytes(&req->chain) : chain_wr_bytes(&req->chain);
	uint64_t at;

	/* guest: data in the wrong direction, none, or part of a sector */
	if (other != 0 || len == 0 || len % DISK_SECTOR != 0 ||
		!is_in_disk(b, sector, len, &at) || (!in && disk_is_read_only(b->disk)))
		return VIRTIO_BLK_S_IOERR;
	req->range[0] = (struct blk_range){ .at = at, .len = len };
	req->n_ranges = 1;
	req->weight = len;
	req->io.op = in ? DISK_READ : DISK_WRITE;
	req->io.data = in ? chain_wr(&req->chain) : chain_rd(&req->chain);
	return VIRTIO_BLK_S_OK;
}

/* Reads and checks the next range of a discard or write-zeroes. */
static uint8_t plan_range(struct request *req)
{
	bool discard = req->type == VIRTIO_BLK_T_DISCARD;
	struct blk_range *range = &req->range[req->n_ranges];
	uint32_t known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	struct virtio_blk_discard_write_zeroes r;
	uint32_t sectors, flags;

	if (chain_read(&req->chain, &r, sizeof(r)) < 0)
		return VIRTIO_BLK_S_IOERR; /* cannot be: plan_ranges has counted */
	sectors = le32toh(r.num_sectors);
	flags = le32toh(r.flags);
	if (flags & ~known)
		return VIRTIO_BLK_S_UNSUPP; /* 5.2.6.2 */
	range->len = (uint64_t)sectors * DISK_SECTOR;
	range->unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	/* guest: longer than the configuration allows, or past the disk */
	if (sectors > (discard ? BLK_DISCARD_SECTORS_MAX : BLK_ZERO_SECTORS_MAX) ||
		!is_in_disk(req->blk, le64toh(r.sector), range->len, &range->at))
		return VIRTIO_BLK_S_IOERR;
	req->weight += discard ? range->len / BLK_DISCARD_WEIGHT : range->len;
	req->n_ranges++;
	return VIRTIO_BLK_S_OK;
}

/* All ranges are checked before the first is served. */
static uint8_t plan_ranges(struct request *req)
{
	bool discard = req->type == VIRTIO_BLK_T_DISCARD;
	size_t one = sizeof(struct virtio_blk_discard_write_zeroes);
	uint64_t len = chain_rd_bytes(&req->chain);
	uint8_t verdict = VIRTIO_BLK_S_OK;

	if (!vdev_has(&req->blk->dev,
		    discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return VIRTIO_BLK_S_UNSUPP;
	/* guest: no range, part of one, or more than the configuration allows */
	if (len == 0 || len % one != 0 || len / one > (discard ? BLK_RANGES_MAX : 1))
		return VIRTIO_BLK_S_IOERR;
	req->io.op = discard ? DISK_DISCARD : DISK_ZERO;
	while (verdict == VIRTIO_BLK_S_OK && req->n_ranges < len / one)
		verdict = plan_range(req);
	return verdict;
}

static uint8_t plan_flush(struct request *req)
{
	if (!vdev_has(&req->blk->dev, VIRTIO_BLK_F_FLUSH))
		return VIRTIO_BLK_S_UNSUPP;
	req->io.op = DISK_FLUSH;
	req->weight = BLK_FLUSH_WEIGHT;
	return VIRTIO_BLK_S_OK;
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

/* Checks a request before it does or is charged anything, and sets its ranges, its
 * weight and the operation. Returns the status with which to refuse it, or S_OK. */
static uint8_t plan(struct request *req, uint64_t sector)
{
	req->n_ranges = req->range_at = 0;
	req->range_done = req->weight = 0;
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return plan_transfer(req, sector);
	case VIRTIO_BLK_T_FLUSH:
		return plan_flush(req);
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return plan_ranges(req);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

static uint64_t cost(const struct request *req)
{
	uint64_t bytes = chain_rd_bytes(&req->chain) + chain_wr_bytes(&req->chain);

	switch (req->type) {
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return 1 + BLK_COST_SLOW;
	}
	return 1 + bytes / BLK_COST_BYTES;
}

static void carry_out(struct request *req)
{
	req->started_us = clock_us();
	if (req->type == VIRTIO_BLK_T_GET_ID)
		get_id(req);
	else if (req->type == VIRTIO_BLK_T_FLUSH || next_step(req))
		run(req);
	else
		finish_done(req); /* ranges of no bytes */
}

/* Whether the limiter lets a request go. It charges an operation, and the bytes that
 * are read, written or zeroed. A discard moves no bytes but may be dear for the host,
 * so it is charged an operation for each range. What a flush writes was charged when it
 * was written. */
static bool is_let_go(struct request *req)
{
	struct blk *b = req->blk;
	bool moves = req->n_ranges > 0 && req->type != VIRTIO_BLK_T_DISCARD;

	if (limiter_take_many(
		    b->limiter, MAX(req->n_ranges, 1u), moves ? req->range[0].len : 0))
		return true;
	b->stats.rate_limiter_throttled_events++;
	return false;
}

/* Whether one more request of this weight may be in flight. guest: husk waits for what
 * is in flight, so a guest may not queue any amount */
static bool has_room(struct blk *b, uint64_t weight)
{
	if (b->in_flight == 0 ||
		(b->in_flight <= BLK_IN_FLIGHT_MAX &&
			weight <= BLK_IN_FLIGHT_MAX - b->in_flight))
		return true;
	b->starved = true;
	b->has_room = false;
	b->stats.io_engine_throttled_events++;
	return false;
}

/* Serves the chain in req: BLK_SERVED, BLK_LATER, or -EPROTO when it cannot be
 * answered. After BLK_SERVED, req is no longer the caller's. */
static int serve(struct request *req)
{
	struct blk *b = req->blk;
	struct virtio_blk_outhdr h;
	struct iovec status;
	uint8_t verdict;

	/* guest: no status byte, or not even a header */
	if (chain_split_tail(&req->chain, sizeof(*req->status), &status) < 0 ||
		chain_read(&req->chain, &h, sizeof(h)) < 0)
		return -EPROTO;
	req->status = status.iov_base;
	req->type = le32toh(h.type);
	b->spent += cost(req);
	verdict = plan(req, le64toh(h.sector));
	if (verdict != VIRTIO_BLK_S_OK)
		req->weight = req->n_ranges = 0; /* it will only be answered */
	if (!has_room(b, req->weight) || !is_let_go(req))
		return BLK_LATER;
	b->in_flight += req->weight;
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
	put_free(req);
}

void blk_requests_init(struct blk *b)
{
	b->n_requests = 1;
	b->later = NULL;
	b->last_later = &b->later;
	init(b, &b->first);
}

void blk_requests_free(struct blk *b)
{
	while (b->free) {
		struct request *req = b->free;

		b->free = req->next;
		if (req != &b->first)
			free(req);
	}
	blk_requests_init(b);
}

/* A request that is not in use. NULL: all are in flight, or there is no memory for more
 * than those that are. */
static struct request *acquire(struct blk *b)
{
	struct request *req = b->free;

	if (!req && b->n_requests < BLK_REQUESTS_MAX) {
		req = malloc(sizeof(*req));
		if (!req)
			return NULL;
		b->n_requests++;
		init(b, req);
	}
	if (req)
		b->free = req->next;
	return req;
}

int blk_serve_next(struct blk *b)
{
	struct queue *q = &b->dev.queue[0];
	struct request *req = acquire(b);
	int r;

	if (!req) {
		b->starved = true;
		b->has_room = false;
		b->stats.io_engine_throttled_events++;
		return BLK_LATER;
	}
	r = queue_pop(q, &req->chain);
	if (r > 0) {
		req->taken = q->last_avail;
		r = serve(req);
		if (r == BLK_LATER)
			queue_unpop(q);
	}
	if (r != BLK_SERVED)
		put_free(req);
	return r;
}
