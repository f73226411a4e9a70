/* SPDX-License-Identifier: Apache-2.0
 *
 * queue: the device's side of a split virtqueue (virtio 1.2, 2.7), with indirect
 * descriptors and EVENT_IDX. Everything in guest memory that makes up the ring is
 * checked here, once, so that a device sees only lists of valid spans. Used with the
 * device lock held.
 */
#ifndef HUSK_VIRTIO_QUEUE_H
#define HUSK_VIRTIO_QUEUE_H

#include "vmm/base/spans.h"
#include "vmm/codec/stream.h"
#include "vmm/core/guest_mem.h"

enum {
	QUEUE_SIZE_MAX = 256, /* entries of a ring; a power of two */
	/* Spans of a chain, which may have fewer or more than the ring has entries. The
	 * specification means the device's queue size (2.7.5.3.1), so Linux relies on
	 * QUEUE_SIZE_MAX even where the driver chose a smaller ring. */
	CHAIN_SPANS_MAX = QUEUE_SIZE_MAX,
};

struct queue {
	/* Set by the driver through the transport, which zeroes them on reset. */
	uint16_t size;
	bool ready;
	gpa_t desc_gpa, avail_gpa, used_gpa;

	/* From queue_start on. */
	struct guest_mem *mem;
	bool event_idx, indirect; /* negotiated features */
	const uint8_t *desc; /* spans of guest memory: checked once, in host form */
	uint16_t *avail, *used;
	uint16_t last_avail; /* next available entry to take */
	uint16_t next_used; /* next used entry to fill */
	uint16_t asked; /* next_used when queue_wants_interrupt was last asked */
};

/* A descriptor chain as two lists of spans of guest memory: rd for the device to read,
 * wr for it to write. Big (4 KiB): one per device, not on the stack. chain_read and
 * chain_write consume the lists from the front. */
struct chain {
	uint16_t head;
	unsigned n_rd, n_wr; /* spans in each list */
	unsigned at_rd, at_wr; /* first span of each not used up */
	uint64_t rd_bytes, wr_bytes; /* left in each */
	struct iovec iov[CHAIN_SPANS_MAX]; /* rd spans, then wr spans */
};

/* Checks the ring that the driver described: size a power of two up to QUEUE_SIZE_MAX,
 * alignment, full extent inside guest memory. 0 or -EPROTO. last_avail and next_used
 * stay: they are zero after queue_reset and the saved ones after a load. */
MUST_CHECK int queue_start(
	struct queue *q, struct guest_mem *mem, bool event_idx, bool indirect);

/* Back to the state before the driver came. */
void queue_reset(struct queue *q);

/* Takes the next available chain: 1 with *c filled, 0 when there is none or the queue
 * is not started, or -EPROTO: an available index too far ahead, a head or next past the
 * ring, a loop, a readable descriptor after a writable one, a span outside guest
 * memory, a zero length, more than 2^32 bytes in all, a bad indirect table, more than
 * CHAIN_SPANS_MAX spans, counting those of its indirect table. What is left in *c after
 * -EPROTO means nothing. */
MUST_CHECK int queue_pop(struct queue *q, struct chain *c);

/* Puts back the chain that queue_pop gave last, for a device that cannot serve it yet.
 */
void queue_unpop(struct queue *q);

/* Chains that queue_pop has yet to take, by the driver's word: 0 to size. */
unsigned queue_left(const struct queue *q);

/* Returns chain head to the driver with `written` bytes of it written by the device. */
void queue_push(struct queue *q, uint16_t head, uint32_t written);

/* The same for n chains, of which the driver sees all or none yet: for a frame that
 * lies in several (5.1.6.4). n is at most the queue's size. */
struct queue_used {
	uint16_t head;
	uint32_t written;
};
void queue_push_all(struct queue *q, const struct queue_used *used, unsigned n);

/* Whether the driver wants an interrupt for what was pushed since it was last asked. */
bool queue_wants_interrupt(struct queue *q);

/* Asks the driver for notifications (on) or says that the device looks by itself (off).
 * Returns whether the ring is empty: if it is not after on, the device must look again,
 * because no notification need come for what is there. */
bool queue_want_notify(struct queue *q, bool on);

/* Asks for a notification when the driver adds to the chains that wait already, which
 * stay; the number of those. */
uint16_t queue_await_more(struct queue *q);

/* Saves or loads what the driver set and the indices. A loaded queue is not started:
 * queue_start then checks it as it checks a driver's. */
void queue_snap(struct queue *q, struct stream *s);

/* Copies the next n readable bytes and consumes them. 0 or -EPROTO when fewer are left.
 */
MUST_CHECK int chain_read(struct chain *c, void *dst, size_t n);

/* Consumes the next n readable bytes, which were used in place. 0 or -EPROTO. */
MUST_CHECK int chain_skip(struct chain *c, size_t n);

/* Fills the next n writable bytes and consumes them. 0 or -EPROTO. */
MUST_CHECK int chain_write(struct chain *c, const void *src, size_t n);

/* Bytes left to read; bytes left to write. */
uint64_t chain_rd_bytes(const struct chain *c);
uint64_t chain_wr_bytes(const struct chain *c);

/* What its room to write costs a turn of the loop, beside the 1 of the chain itself:
 * the queue marks each page of it, and a guest may name the same gigabytes again and
 * again.
 */
unsigned chain_room_cost(const struct chain *c);

/* What is left to read or to write, in place: for readv, writev and their kind. Its
 * skip is 0. Borrowed from c, until it is consumed. */
static inline struct spans chain_rd(const struct chain *c)
{
	return (struct spans){ &c->iov[c->at_rd], c->n_rd - c->at_rd, 0 };
}

static inline struct spans chain_wr(const struct chain *c)
{
	return (struct spans){ &c->iov[c->n_rd + c->at_wr], c->n_wr - c->at_wr, 0 };
}

/* Takes the last n writable bytes off the chain's end into *out, such as the status
 * byte of a block request. 0, or -EPROTO when they are not one span or not there. */
MUST_CHECK int chain_split_tail(struct chain *c, size_t n, struct iovec *out);

#endif
