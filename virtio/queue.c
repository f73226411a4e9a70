/* SPDX-License-Identifier: Apache-2.0
 *
 * queue: see the header; section numbers are those of virtio 1.2. Nothing in guest
 * memory is trusted: an index or a descriptor is fetched once into a local variable, is
 * checked there, and is used from there. queue_start checks where the ring is, which
 * does not change until queue_reset.
 */
#include "virtio/queue.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "vmm/base/base.h"

/* The layout of the available and the used ring, in units of 16 bits: flags, idx,
 * entries, and at the end used_event or avail_event (2.7.6, 2.7.8). */
enum { RING_FLAGS, RING_IDX, RING_ENTRIES };
enum { USED_ENTRY_UNITS = sizeof(struct vring_used_elem) / sizeof(uint16_t) };

enum { ROOM_OF_COST_1 = 256 << 10 };

#define CHAIN_BYTES_MAX ((uint64_t)1 << 32) /* 2.7.5.2 */

static size_t used_bytes(const struct queue *q)
{
	return sizeof(uint16_t) * (RING_ENTRIES + 1) +
		sizeof(struct vring_used_elem) * q->size;
}

int queue_start(struct queue *q, struct guest_mem *mem, bool event_idx, bool indirect)
{
	size_t desc_len = sizeof(struct vring_desc) * q->size;
	size_t avail_len = sizeof(uint16_t) * (RING_ENTRIES + q->size + 1u);
	struct iovec desc, avail, used;

	/* guest: a bad size or alignment, or a ring outside its memory */
	if (q->size == 0 || q->size > QUEUE_SIZE_MAX || (q->size & (q->size - 1)) != 0)
		return -EPROTO;
	if (q->desc_gpa % VRING_DESC_ALIGN_SIZE != 0 ||
		q->avail_gpa % VRING_AVAIL_ALIGN_SIZE != 0 ||
		q->used_gpa % VRING_USED_ALIGN_SIZE != 0)
		return -EPROTO;
	if (guest_span(mem, q->desc_gpa, desc_len, GUEST_READ, &desc) < 0 ||
		guest_span(mem, q->avail_gpa, avail_len, GUEST_READ, &avail) < 0 ||
		guest_span(mem, q->used_gpa, used_bytes(q), GUEST_WRITE, &used) < 0)
		return -EPROTO;
	q->mem = mem;
	q->event_idx = event_idx;
	q->indirect = indirect;
	q->desc = desc.iov_base;
	q->avail = avail.iov_base;
	q->used = used.iov_base;
	q->asked = q->next_used;
	return 0;
}

void queue_reset(struct queue *q)
{
	*q = (struct queue){ .size = 0 };
}

static uint16_t avail_idx(const struct queue *q)
{
	return le16toh(guest_load16(&q->avail[RING_IDX]));
}

/* Marks the used ring, two pages at most, as dirty, before the device writes to it. The
 * span was valid in queue_start, so it is now. */
static void mark_used(struct queue *q)
{
	struct iovec same;
	int r = guest_span(q->mem, q->used_gpa, used_bytes(q), GUEST_WRITE, &same);

	(void)r; /* guest memory does not change its shape */
}

static struct vring_desc fetch_desc(const uint8_t *table, size_t i)
{
	struct vring_desc d;

	memcpy(&d, table + i * sizeof(d), sizeof(d));
	/* guest: the compiler may not fetch again what is checked in d */
	__asm__ volatile("" ::: "memory");
	d.addr = le64toh(d.addr);
	d.len = le32toh(d.len);
	d.flags = le16toh(d.flags);
	d.next = le16toh(d.next);
	return d;
}

/* A walk along a chain: in the ring's table of descriptors, and then perhaps in an
 * indirect one. */
struct walk {
	const uint8_t *table;
	size_t n; /* descriptors in the table */
	size_t i; /* the next one */
	unsigned hops; /* spans that the chain may still have */
	bool nested; /* table is an indirect one */
};

/* Continues the walk in the indirect table that d describes (2.7.5.3). The flag of d
 * that says device-writable is ignored, as 2.7.5.3.2 asks. The table may have more
 * descriptors than a chain may have spans: only the chain is limited. */
static int enter_indirect(struct queue *q, struct walk *w, const struct vring_desc *d)
{
	struct iovec table;

	/* guest: not negotiated, a table in a table, or a chain that goes on after it
	 */
	if (!q->indirect || w->nested || (d->flags & VRING_DESC_F_NEXT))
		return -EPROTO;
	/* guest: a table with part of a descriptor, or outside its memory */
	if (d->len == 0 || d->len % sizeof(struct vring_desc) != 0 ||
		guest_span(q->mem, d->addr, d->len, GUEST_READ, &table) < 0)
		return -EPROTO;
	w->table = table.iov_base;
	w->n = d->len / sizeof(struct vring_desc);
	w->i = 0;
	w->nested = true;
	return 0;
}

static int add_span(struct queue *q, struct chain *c, const struct vring_desc *d)
{
	bool wr = d->flags & VRING_DESC_F_WRITE;
	struct iovec *span = &c->iov[c->n_rd + c->n_wr];

	/* guest: readable after writable (2.7.4.2), or more bytes than 2.7.5.2 allows
	 */
	if ((!wr && c->n_wr > 0) ||
		d->len > CHAIN_BYTES_MAX - c->rd_bytes - c->wr_bytes)
		return -EPROTO;
	/* guest: nothing, or outside its memory */
	if (guest_span(q->mem, d->addr, d->len, wr ? GUEST_WRITE : GUEST_READ, span) <
		0)
		return -EPROTO;
	if (wr) {
		c->n_wr++;
		c->wr_bytes += d->len;
	} else {
		c->n_rd++;
		c->rd_bytes += d->len;
	}
	return 0;
}

static int read_chain(struct queue *q, uint16_t head, struct chain *c)
{
	struct walk w = {
		.table = q->desc, .n = q->size, .i = head, .hops = CHAIN_SPANS_MAX
	};

	c->head = head;
	c->n_rd = c->n_wr = c->at_rd = c->at_wr = 0;
	c->rd_bytes = c->wr_bytes = 0;
	for (;;) {
		struct vring_desc d;
		int r;

		if (w.i >= w.n)
			return -EPROTO; /* guest: a head or next past the table */
		d = fetch_desc(w.table, w.i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			r = enter_indirect(q, &w, &d);
			if (r < 0)
				return r;
			continue; /* at most once: tables do not nest */
		}
		if (w.hops-- == 0)
			return -EPROTO; /* guest: a loop, or a chain that is too long */
		r = add_span(q, c, &d);
		if (r < 0 || !(d.flags & VRING_DESC_F_NEXT))
			return r;
		w.i = d.next;
	}
}

int queue_pop(struct queue *q, struct chain *c)
{
	uint16_t ahead, head;
	int r;

	if (!q->desc)
		return 0;
	ahead = (uint16_t)(avail_idx(q) - q->last_avail);
	if (ahead == 0)
		return 0;
	if (ahead > q->size)
		return -EPROTO; /* guest: more entries than the ring has */
	head = le16toh(guest_load16(
		&q->avail[RING_ENTRIES + (q->last_avail & (q->size - 1))]));
	r = read_chain(q, head, c);
	if (r < 0)
		return r;
	q->last_avail++;
	return 1;
}

void queue_unpop(struct queue *q)
{
	q->last_avail--;
}

unsigned queue_left(const struct queue *q)
{
	uint16_t ahead = q->desc ? (uint16_t)(avail_idx(q) - q->last_avail) : 0;

	return MIN(ahead, q->size); /* guest: more entries than the ring has */
}

void queue_push(struct queue *q, uint16_t head, uint32_t written)
{
	const struct queue_used one = { head, written };

	queue_push_all(q, &one, 1);
}

void queue_push_all(struct queue *q, const struct queue_used *used, unsigned n)
{
	mark_used(q);
	for (unsigned i = 0; i < n; i++) {
		struct vring_used_elem elem = { .id = htole32(used[i].head),
			.len = htole32(used[i].written) };
		unsigned slot = q->next_used & (q->size - 1u);

		memcpy(&q->used[RING_ENTRIES + slot * USED_ENTRY_UNITS], &elem,
			sizeof(elem));
		q->next_used++;
	}
	guest_store16(&q->used[RING_IDX], htole16(q->next_used));
}

bool queue_wants_interrupt(struct queue *q)
{
	uint16_t asked = q->asked, event;

	q->asked = q->next_used;
	if (q->next_used == asked)
		return false;
	/* 2.7.7.2: the used index is visible before used_event or flags are read */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(le16toh(guest_load16(&q->avail[RING_FLAGS])) &
			VRING_AVAIL_F_NO_INTERRUPT);
	event = le16toh(guest_load16(&q->avail[RING_ENTRIES + q->size]));
	return vring_need_event(event, q->next_used, asked);
}

bool queue_want_notify(struct queue *q, bool on)
{
	if (!q->desc)
		return true;
	if (q->event_idx) {
		/* To turn them off nothing is written: the driver notifies when it
		 * passes avail_event, and that is behind it. */
		if (on) {
			mark_used(q);
			guest_store16(
				&q->used[RING_ENTRIES + q->size * USED_ENTRY_UNITS],
				htole16(q->last_avail));
		}
	} else {
		mark_used(q);
		guest_store16(&q->used[RING_FLAGS],
			htole16((uint16_t)(on ? 0 : VRING_USED_F_NO_NOTIFY)));
	}
	/* 2.7.10: the driver can see this before its index is read again */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return avail_idx(q) == q->last_avail;
}

uint16_t queue_await_more(struct queue *q)
{
	if (!q->desc)
		return 0;
	mark_used(q);
	if (q->event_idx)
		guest_store16(&q->used[RING_ENTRIES + q->size * USED_ENTRY_UNITS],
			htole16(avail_idx(q)));
	else
		guest_store16(&q->used[RING_FLAGS], 0);
	/* as in queue_want_notify: a chain added before this is counted here */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(avail_idx(q) - q->last_avail);
}

void queue_snap(struct queue *q, struct stream *s)
{
	stream_u16(s, &q->size);
	stream_bool(s, &q->ready);
	stream_u64(s, &q->desc_gpa);
	stream_u64(s, &q->avail_gpa);
	stream_u64(s, &q->used_gpa);
	stream_u16(s, &q->last_avail);
	stream_u16(s, &q->next_used);
	/* Without this, the reset of a device that was saved after a guest fault, and
	 * is therefore not started when it is loaded, would look for the driver's wish
	 * in a ring that it does not have. */
	if (s->loading)
		q->asked = q->next_used;
}

/* Cuts off the bytes of a list of n spans that a walk over it has passed, so that the
 * rest can be used in place. Returns the index of the first span that is not used up.
 */
static unsigned cut_passed(struct iovec *list, unsigned n, const struct spans *left)
{
	unsigned at = n - left->n;

	if (left->skip > 0) {
		list[at].iov_base = (uint8_t *)list[at].iov_base + left->skip;
		list[at].iov_len -= left->skip;
	}
	return at;
}

int chain_read(struct chain *c, void *dst, size_t n)
{
	struct spans s = chain_rd(c);

	if (n > c->rd_bytes)
		return -EPROTO;
	spans_read(&s, dst, n);
	/* guest: what was copied is not fetched again */
	__asm__ volatile("" ::: "memory");
	c->rd_bytes -= n;
	c->at_rd = cut_passed(c->iov, c->n_rd, &s);
	return 0;
}

int chain_skip(struct chain *c, size_t n)
{
	struct spans s = chain_rd(c);

	if (n > c->rd_bytes)
		return -EPROTO;
	spans_skip(&s, n);
	c->rd_bytes -= n;
	c->at_rd = cut_passed(c->iov, c->n_rd, &s);
	return 0;
}

int chain_write(struct chain *c, const void *src, size_t n)
{
	struct spans s = chain_wr(c);

	if (n > c->wr_bytes)
		return -EPROTO;
	spans_write(&s, src, n);
	c->wr_bytes -= n;
	c->at_wr = cut_passed(c->iov + c->n_rd, c->n_wr, &s);
	return 0;
}

uint64_t chain_rd_bytes(const struct chain *c)
{
	return c->rd_bytes;
}

uint64_t chain_wr_bytes(const struct chain *c)
{
	return c->wr_bytes;
}

unsigned chain_room_cost(const struct chain *c)
{
	return (unsigned)(chain_wr_bytes(c) / ROOM_OF_COST_1);
}

int chain_split_tail(struct chain *c, size_t n, struct iovec *out)
{
	struct iovec *last;

	if (c->at_wr == c->n_wr)
		return -EPROTO;
	last = &c->iov[c->n_rd + c->n_wr - 1];
	if (last->iov_len < n)
		return -EPROTO;
	last->iov_len -= n;
	*out = (struct iovec){ (uint8_t *)last->iov_base + last->iov_len, n };
	c->wr_bytes -= n;
	if (last->iov_len == 0)
		c->n_wr--;
	return 0;
}
