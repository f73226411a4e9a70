/* SPDX-License-Identifier: Apache-2.0
 *
 * queue: the device's side of a split virtqueue (virtio 1.2, 2.7), with indirect
 * descriptors and EVENT_IDX. It checks everything that it reads from the ring, so that
 * a device sees only lists of spans that lie in guest memory. Device lock held.
 */
#ifndef HUSK_VIRTIO_QUEUE_H
#define HUSK_VIRTIO_QUEUE_H

#include "vmm/base/spans.h"
#include "vmm/codec/stream.h"
#include "vmm/core/guest_mem.h"

enum {
	QUEUE_SIZE_MAX = 256, /* entries of a ring; a power of two */
	/* Spans of a chain at most. A driver counts on the device's queue size (virtio
	 * 1.2, 2.7.5.3.1), and Linux does so even where it chose a smaller ring. */
	CHAIN_SPANS_MAX = QUEUE_SIZE_MAX,
};

struct queue {
	/* What the driver wrote to the transport's registers; 0 after a reset. */
	uint16_t size;
	bool ready;
	gpa_t desc_gpa, avail_gpa, used_gpa;

	/* Set by queue_start. */
	struct guest_mem *mem;
	bool event_idx, indirect; /* negotiated features */
	/* The ring's three parts, in guest memory. desc NULL: not started. */
	const uint8_t *desc;
	uint16_t *avail, *used;
	uint16_t last_avail; /* next available entry to take */
	uint16_t next_used; /* next used entry to fill */
	uint16_t asked; /* next_used when queue_wants_interrupt was last asked */
};

/* A descriptor chain as two lists of spans of guest memory: rd is for the device to
 * read, wr for it to write. chain_read, chain_skip and chain_write consume the lists
 * from the front. It takes 4 KiB: keep it in the device's struct, not on the stack. */
struct chain {
	uint16_t head;
	unsigned n_rd, n_wr; /* spans in each list */
	unsigned at_rd, at_wr; /* the first span of each that is not used up */
	uint64_t rd_bytes, wr_bytes; /* left in each list */
	struct iovec iov[CHAIN_SPANS_MAX]; /* rd spans, then wr spans */
};

/* Checks the ring that the driver described, and starts the queue. 0, or -EPROTO when
 * the size is not a power of two up to QUEUE_SIZE_MAX, or a part of the ring is not
 * aligned or not all in guest memory. last_avail and next_used are kept: they are 0
 * after queue_reset, and the saved ones after a load. */
MUST_CHECK int queue_start(
	struct queue *q, struct guest_mem *mem, bool event_idx, bool indirect);

/* Forgets all that the driver set, and the indices. */
void queue_reset(struct queue *q);

/* Takes the next available chain. Returns 1 with *c filled; 0 when there is none, or
 * the queue is not started; or -EPROTO, with *c undefined, for any of these: an
 * available index too far ahead, a head or a next past its table, a loop, more than
 * CHAIN_SPANS_MAX spans (those of an indirect table count), a readable descriptor after
 * a writable one, a span that is empty or not in guest memory, more than 2^32 bytes in
 * all, a bad indirect table. */
MUST_CHECK int queue_pop(struct queue *q, struct chain *c);

/* Puts back the chain that queue_pop took last, for a device that cannot serve it yet.
 * n calls put back the last n. */
void queue_unpop(struct queue *q);

/* How many chains the driver says are there for queue_pop: 0 to size. */
unsigned queue_left(const struct queue *q);

/* Returns the chain that begins at head to the driver. written: the bytes that the
 * device has written to it. */
void queue_push(struct queue *q, uint16_t head, uint32_t written);

/* The same for n chains in one step, so that the driver sees all or none of them: for a
 * frame that lies in several (virtio 1.2, 5.1.6.4). n is at most the queue's size. */
struct queue_used {
	uint16_t head;
	uint32_t written;
};
void queue_push_all(struct queue *q, const struct queue_used *used, unsigned n);

/* Whether the driver wants an interrupt for what was pushed since the last call. */
bool queue_wants_interrupt(struct queue *q);

/* Tells the driver whether the device wants notifications. Returns whether the ring is
 * empty. If it is not although notifications were just turned on, the device must look
 * again: for what is there already, none may come. */
bool queue_want_notify(struct queue *q, bool on);

/* Asks for a notification when the driver adds a chain to those that are in the ring
 * now, which the device leaves there. Returns how many those are. */
uint16_t queue_await_more(struct queue *q);

/* Saves or loads what the driver set, and the indices. A loaded queue is not started:
 * queue_start checks it first, as it checks a driver's. */
void queue_snap(struct queue *q, struct stream *s);

/* Copies the next n readable bytes to dst and consumes them. 0, or -EPROTO when fewer
 * are left. */
MUST_CHECK int chain_read(struct chain *c, void *dst, size_t n);

/* Consumes the next n readable bytes, which the device has used in place. 0, or -EPROTO
 * when fewer are left. */
MUST_CHECK int chain_skip(struct chain *c, size_t n);

/* Copies n bytes from src to the next writable ones and consumes those. 0, or -EPROTO
 * when fewer are left. */
MUST_CHECK int chain_write(struct chain *c, const void *src, size_t n);

/* How many bytes are left to read, and to write. */
uint64_t chain_rd_bytes(const struct chain *c);
uint64_t chain_wr_bytes(const struct chain *c);

/* The cost of taking a chain that comes on top of the 1 for the chain itself: 1 for
 * each 256 KiB to write. queue_pop marks each of their pages as dirty, and a guest may
 * name the same gigabytes again and again. A device adds this where the bytes that it
 * then writes are not counted instead. */
unsigned chain_room_cost(const struct chain *c);

/* What is left to read, and to write, for use in place, as by readv and writev. skip is
 * 0. The list is c's own, and valid until more of it is consumed. */
static inline struct spans chain_rd(const struct chain *c)
{
	return (struct spans){ &c->iov[c->at_rd], c->n_rd - c->at_rd, 0 };
}

static inline struct spans chain_wr(const struct chain *c)
{
	return (struct spans){ &c->iov[c->n_rd + c->at_wr], c->n_wr - c->at_wr, 0 };
}

/* Takes the last n writable bytes off the end of the chain and returns them in *out,
 * such as the status byte of a block request. 0, or -EPROTO when there are fewer, or
 * they lie in several spans. */
MUST_CHECK int chain_split_tail(struct chain *c, size_t n, struct iovec *out);

#endif
