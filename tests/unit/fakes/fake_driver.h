/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_driver: a guest without KVM: guest memory, the driver's side of one split ring
 * in it, and the register accesses of a driver of the MMIO transport. It can do
 * everything right, and every field can be set to anything. Failures of its own end the
 * test.
 */
#ifndef HUSK_FAKE_DRIVER_H
#define HUSK_FAKE_DRIVER_H

#include "virtio/mmio.h"

/* Memory: 1 MiB at 0, a hole, 1 MiB at 4 MiB. The rings are in the first page of the
 * second piece and what follows; the heap is in the first piece, from 64 KiB on. */
enum {
	FAKE_LOW_END = 1 << 20,
	FAKE_HIGH = 4 << 20,
	FAKE_HIGH_END = 5 << 20,
	FAKE_DESC = FAKE_HIGH,
	FAKE_AVAIL = FAKE_HIGH + 0x10000,
	FAKE_USED = FAKE_HIGH + 0x20000,
	FAKE_HEAP = 0x10000,
};

/* The bit of feature number f. */
#define FAKE_FEATURE(f) ((uint64_t)1 << (f))

struct fake_driver {
	struct guest_mem *mem;
	uint16_t size;
	gpa_t heap; /* next free byte */
	uint16_t next_desc, avail_idx, used_idx;
};

/* A piece of a chain to post. */
struct fake_span {
	gpa_t at;
	uint32_t len;
	bool wr; /* for the device to write */
};

void fake_init(struct fake_driver *d, uint16_t size);
void fake_fini(struct fake_driver *d);

/* Forgets all rings and the heap, as a guest that boots again. */
void fake_reboot(struct fake_driver *d);

/* The driver's own view of its memory: marks nothing dirty. */
void *fake_at(struct fake_driver *d, gpa_t at, size_t n);

/* n bytes on a 16 byte boundary, filled with `fill`. */
gpa_t fake_alloc(struct fake_driver *d, size_t n, uint8_t fill);

/* A queue over the driver's ring, not started. */
struct queue fake_queue(const struct fake_driver *d);

/* Writes a descriptor at `at`: number i of the ring's is at FAKE_DESC + 16 * i. */
void fake_set_desc(struct fake_driver *d, gpa_t at, gpa_t addr, uint32_t len,
	uint16_t flags, uint16_t next);

/* Makes descriptor head available; nothing about it is checked. */
void fake_offer(struct fake_driver *d, uint16_t head);

/* Posts a chain of n spans and returns its head. */
uint16_t fake_post(struct fake_driver *d, const struct fake_span *spans, unsigned n);

/* The same by an indirect table; *table is where it is, when table is not NULL. */
uint16_t fake_post_indirect(
	struct fake_driver *d, const struct fake_span *spans, unsigned n, gpa_t *table);

/* Takes the next used entry; false when there is none. */
bool fake_take_used(struct fake_driver *d, uint32_t *id, uint32_t *len);

/* Fields of the rings: flags, idx; the events after the entries. */
void fake_set_avail_flags(struct fake_driver *d, uint16_t value);
void fake_set_avail_idx(struct fake_driver *d, uint16_t value);
void fake_set_used_event(struct fake_driver *d, uint16_t value);
uint16_t fake_used_flags(struct fake_driver *d);
uint16_t fake_used_idx(struct fake_driver *d);
uint16_t fake_avail_event(struct fake_driver *d);

/* Register accesses as the bus makes them. */
uint32_t fake_reg(struct mmio *t, uint64_t at);
void fake_set_reg(struct mmio *t, uint64_t at, uint32_t value);

/* Initialisation as far as FEATURES_OK (3.1.1, steps 1 to 6), accepting exactly
 * `features`. Returns whether the device agreed. */
bool fake_negotiate(struct mmio *t, uint64_t features);
/* Describes the driver's ring to queue q and makes it ready. */
void fake_set_queue(struct mmio *t, unsigned q, const struct fake_driver *d);
/* All of it, one queue, to DRIVER_OK. */
void fake_bring_up(struct mmio *t, const struct fake_driver *d, uint64_t features);

/* How often the interrupt's eventfd was signalled since it was last asked. */
uint64_t fake_irqs(struct mmio *t);

#endif
