/* SPDX-License-Identifier: Apache-2.0
 *
 * internal: the struct of a block device, shared by blk.c (the device) and request.c
 * (its requests). Device lock held.
 */
#ifndef HUSK_VIRTIO_BLK_INTERNAL_H
#define HUSK_VIRTIO_BLK_INTERNAL_H

#include "virtio/blk/blk.h"

enum {
	BLK_DISCARD_SECTORS_MAX = 1 << 22, /* of one range: 2 GiB */
	BLK_RANGES_MAX = 16, /* of a discard; a write-zeroes has one */
	/* Of a write-zeroes: 16 MiB. Where the host has no faster way they are written
	 * as zeroes, and nothing else is served meanwhile. */
	BLK_ZERO_SECTORS_MAX = 1 << 15,

	/* The budget of a turn. A request costs 1. A flush, a discard or a
	 * write-zeroes, which may take the host long, costs BLK_COST_SLOW on top, and
	 * any other request 1 for each BLK_COST_BYTES bytes of its chain. */
	BLK_TURN_COST = 256,
	BLK_COST_BYTES = 256 << 10,
	BLK_COST_SLOW = 32,
	/* A turn whose requests are done at once also ends after this time. */
	BLK_TURN_US = 10 * 1000,

	/* The disk gets a request in steps of at most so many bytes. A turn can end
	 * between two steps that are done at once, and a drain can stop a request
	 * between any two. */
	BLK_STEP_AT_ONCE = 256 << 10,
	BLK_STEP = 1 << 20,
	BLK_STEP_DISCARD = 64 << 20,

	/* Limits on what a drive has in flight: the number of requests, and their
	 * weight together. A byte that is moved or zeroed weighs 1, 128 bytes of a
	 * discard weigh 1, and a flush weighs as much as 2 MiB, since it may keep
	 * several threads of the host busy. A request that weighs more than the limit
	 * is in flight alone. */
	BLK_REQUESTS_MAX = QUEUE_SIZE_MAX,
	BLK_IN_FLIGHT_MAX = 16 << 20,
	BLK_DISCARD_WEIGHT = 128,
	BLK_FLUSH_WEIGHT = 2 << 20,
};

/* A range of the disk, in bytes. */
struct blk_range {
	uint64_t at, len;
	bool unmap; /* of a write-zeroes */
};

/* One request, from queue_pop to queue_push. */
struct request {
	struct disk_req io; /* the step under way */
	struct blk *blk;
	struct request *next; /* in `free` or `later` of struct blk */
	uint64_t started_us;
	uint8_t *status; /* in guest memory; written once */
	uint32_t type; /* VIRTIO_BLK_T_… */
	uint16_t taken; /* the queue's last_avail after it was taken */
	uint64_t weight;
	/* A transfer has one range, a flush and a GET_ID have none. */
	unsigned n_ranges;
	unsigned range_at; /* the range that is under way, or comes next */
	uint64_t range_done; /* bytes of that range that earlier steps have served */
	struct blk_range range[BLK_RANGES_MAX];
	bool is_submitting; /* disk_submit has not returned yet */
	bool is_back; /* the step is done, */
	int result; /* with this result */
	struct chain chain;
};

struct blk {
	struct vdev dev;
	struct disk *disk;
	struct limiter *limiter;
	struct blk_stats stats;
	bool in_turn;
	uint64_t spent; /* the cost of this turn so far */
	uint64_t turn_us; /* when it began */
	uint64_t in_flight; /* the weight of all requests in flight */
	bool is_draining; /* requests go back into the ring where that is possible */
	bool is_held; /* no more requests are taken (blk_hold) */
	/* Requests whose next step is done at once, but in another turn. */
	struct request *later, **last_later;
	bool starved; /* the last turn ended because a limit on flight was reached, */
	bool has_room; /* and a request has been answered since */
	/* Those not in use. There is always the first, which is enough for a
	 * synchronous disk. Others are allocated as an asynchronous one needs them. */
	struct request *free;
	unsigned n_requests;
	struct request first;
};

enum {
	BLK_NONE, /* the ring is empty */
	BLK_SERVED, /* a request was answered, or is in flight */
	BLK_LATER, /* a request has to wait, and is still in the ring */
};

/* Takes the next request off the ring and serves it, or starts to. One of the above, or
 * -EPROTO. A request waits for the limiter, or for others in flight; then the device is
 * starved. */
MUST_CHECK int blk_serve_next(struct blk *b);

/* Serves the requests in `later` until the turn's budget is spent. */
void blk_go_on(struct blk *b);

/* While draining: puts the requests in `later` back into the ring, or finishes them. */
void blk_settle(struct blk *b);

/* Sets up the first request, in the device's constructor. */
void blk_requests_init(struct blk *b);
/* Frees all others, while none is in flight. */
void blk_requests_free(struct blk *b);

extern const struct vdev_ops blk_ops;

#endif
