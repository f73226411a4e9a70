/* SPDX-License-Identifier: Apache-2.0
 *
 * bus: which device answers at which port or guest physical address. One bus for ports,
 * one for MMIO. Devices are added before the vCPUs run; accesses come from vCPU threads
 * and are made under the device lock, which the loop holds for its callbacks too.
 */
#ifndef HUSK_CORE_BUS_H
#define HUSK_CORE_BUS_H

#include <pthread.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* One access of n bytes (1, 2, 4 or 8) at offset `at` from the device's start; it never
 * reaches over the device's end. Called with the device lock held. */
struct bus_ops {
	const char *name;
	void (*read)(void *self, uint64_t at, void *data, size_t n);
	void (*write)(void *self, uint64_t at, const void *data, size_t n);
	/* Whether a vCPU has to wait before it goes on after a write: -1, or a
	 * descriptor, borrowed, that is readable when it is worth asking again. NULL:
	 * never. */
	int (*busy)(void *self);
};

enum { BUS_SLOTS_MAX = 32 };

struct bus {
	pthread_mutex_t *lock;
	unsigned n;
	struct bus_slot {
		uint64_t start, len;
		const struct bus_ops *ops;
		void *self;
	} slot[BUS_SLOTS_MAX]; /* ascending */
};

void bus_init(struct bus *b, pthread_mutex_t *lock);

/* Places a device at [start, start + len). -EINVAL with text when that overlaps another
 * or wraps, or the bus is full. Borrows ops and self. */
MUST_CHECK int bus_add(struct bus *b, uint64_t start, uint64_t len,
	const struct bus_ops *ops, void *self, struct err *e);

/* Any vCPU thread. Where no device answers for the whole access, a read gives all ones
 * and a write goes nowhere, as on a real bus. Returns whether one answered. */
bool bus_read(struct bus *b, uint64_t addr, void *data, size_t n);
bool bus_write(struct bus *b, uint64_t addr, const void *data, size_t n);
/* After a write to addr, on the same thread: what the busy of the device there says, or
 * -1. */
int bus_busy(struct bus *b, uint64_t addr);

#endif
