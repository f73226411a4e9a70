/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_parts: what a block device is made of, shared by blk.c (the device) and
 * blk_request.c (its requests). Not for other files.
 */
#ifndef HUSK_BLK_PARTS_H
#define HUSK_BLK_PARTS_H

#include "virtio/devices.h"

enum {
	BLK_DISCARD_SECTORS_MAX = 1 << 22, /* of one range: 2 GiB */
	BLK_DISCARD_RANGES_MAX = 16,
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
	struct request *next_free;
	uint64_t started_us;
	uint8_t *status; /* in guest memory, written once */
	uint32_t type;
	unsigned ranges; /* of a discard or write-zeroes, still to come */
	struct chain chain;
};

struct blk {
	struct vdev dev;
	struct disk *disk;
	struct limiter *limiter;
	struct blk_stats stats;
	uint64_t spent; /* cost of this turn so far */
	struct request *later; /* a discard whose next range is for the next turn */
	bool starved; /* the last turn ended for want of a struct request */
	/* Those not in use. A synchronous disk needs one, the first; an asynchronous
	 * one more, with their number in flight, up to QUEUE_SIZE_MAX. */
	struct request *free;
	unsigned n_requests;
	struct request first;
};

/* What came of looking for a request to serve; or -EPROTO. */
enum { BLK_NONE, BLK_SERVED, BLK_LATER };

/* Takes the next request off the ring and serves it, or starts to. BLK_LATER: there is
 * one that has to wait, for the limiter or, then the device is starved, for others. */
MUST_CHECK int blk_serve_next(struct blk *b);

/* The next range of b->later; that may be set again then. */
void blk_go_on(struct blk *b);

/* The first request, as part of the device's construction; the memory of all others,
 * while none is in flight. */
void blk_requests_init(struct blk *b);
void blk_requests_free(struct blk *b);

#endif
