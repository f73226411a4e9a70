/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_parts: what a block device is made of, shared by blk.c (the device) and
 * blk_request.c (its requests). Not for other files.
 */
#ifndef HUSK_VIRTIO_BLK_INTERNAL_H
#define HUSK_VIRTIO_BLK_INTERNAL_H

#include "virtio/blk/blk.h"

enum {
	BLK_DISCARD_SECTORS_MAX = 1 << 22, /* of one range: 2 GiB */
	BLK_RANGES_MAX = 16, /* of a discard; a write-zeroes has one */
	/* May have to be written by hand before anything else is served: 16 MiB. */
	BLK_ZERO_SECTORS_MAX = 1 << 15,

	/* What a turn of the loop may cost: a request costs 1, as much again for so
	 * many bytes, and more where the host may take long. */
	BLK_TURN_COST = 256,
	BLK_COST_BYTES = 256 << 10,
	BLK_COST_SLOW = 32,
	BLK_REQUESTS_MAX = QUEUE_SIZE_MAX, /* in flight: as many as the ring holds */
	/* A turn also ends after this time, if its requests are done at once. */
	BLK_TURN_US = 10 * 1000,

	/* The disk gets a request in steps of so many bytes at most. Between two steps
	 * that are done at once a turn can end; and between any two the device can stop
	 * the request when it is drained. */
	BLK_STEP_AT_ONCE = 256 << 10,
	BLK_STEP = 1 << 20,
	BLK_STEP_DISCARD = 64 << 20,

	/* What the requests of a drive that are in flight may weigh together: bytes
	 * that are moved or zeroed count in full, those of discards by this part, and a
	 * flush as the host threads that it may keep busy. A request that weighs more
	 * by itself is in flight alone. */
	BLK_IN_FLIGHT_MAX = 16 << 20,
	BLK_DISCARD_WEIGHT = 128,
	BLK_FLUSH_WEIGHT = 2 << 20,
};

/* Bytes of the disk that a request is about. */
struct blk_range {
	uint64_t at, len;
	bool unmap; /* of a write-zeroes */
};

/* One request, from queue_pop to queue_push. */
struct request {
	struct disk_req io; /* the step under way; its done gets back here */
	struct blk *blk;
	struct request *next; /* in one of the lists of struct blk */
	uint64_t started_us;
	uint8_t *status; /* in guest memory, written once */
	uint32_t type;
	uint16_t taken; /* the queue's last_avail after it was taken */
	uint64_t weight;
	/* A transfer has one range, a flush and a GET_ID have none. */
	unsigned n_ranges, range_at; /* the one that comes next or is under way */
	uint64_t range_done; /* bytes of that one which earlier steps were about */
	struct blk_range range[BLK_RANGES_MAX];
	bool is_submitting; /* disk_submit has not returned yet, */
	bool is_back; /* but done has been called, */
	int result; /* with this */
	struct chain chain;
};

struct blk {
	struct vdev dev;
	struct disk *disk;
	struct limiter *limiter;
	struct blk_stats stats;
	bool in_turn;
	uint64_t spent; /* cost of this turn so far */
	uint64_t turn_us; /* when it began */
	uint64_t in_flight; /* weight of all requests that are */
	bool is_draining; /* what can be put back into the ring is */
	bool is_held; /* requests in flight go on, and no others are taken */
	/* Requests whose next step is done at once, for the next turn. */
	struct request *later, **last_later;
	/* The last turn ended for want of a struct request, or of room in flight; and
	 * whether a request has been answered since. */
	bool starved, has_room;
	/* Those not in use. A synchronous disk needs one, the first; an asynchronous
	 * one more, with their number in flight, up to BLK_REQUESTS_MAX. */
	struct request *free;
	unsigned n_requests;
	struct request first;
};

/* What came of looking for a request to serve; or -EPROTO. */
enum { BLK_NONE, BLK_SERVED, BLK_LATER };

/* Takes the next request off the ring and serves it, or starts to. BLK_LATER: there is
 * one that has to wait, for the limiter or, then the device is starved, for others. */
MUST_CHECK int blk_serve_next(struct blk *b);

/* The next steps of requests that wait for a turn, as far as this turn goes. */
void blk_go_on(struct blk *b);

/* While draining: puts those requests back into the ring, or finishes them. */
void blk_settle(struct blk *b);

/* The first request, as part of the device's construction; the memory of all others,
 * while none is in flight. */
void blk_requests_init(struct blk *b);
void blk_requests_free(struct blk *b);

extern const struct vdev_ops blk_ops;

#endif
