/* SPDX-License-Identifier: Apache-2.0
 *
 * bus: which device answers at which port or guest physical address. A machine has one
 * bus for MMIO and, on x86, one for ports. Devices are added before the vCPUs run. The
 * vCPU threads make the accesses, with the device lock held, which the loop also holds
 * for its callbacks.
 */
#ifndef HUSK_CORE_BUS_H
#define HUSK_CORE_BUS_H

#include <pthread.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* What a device does on its bus; self is its own struct. Called with the device lock
 * held. An access is n bytes (1, 2, 4 or 8) at offset `at` from the device's start, and
 * lies within the device. */
struct bus_ops {
	const char *name;
	void (*read)(void *self, uint64_t at, void *data, size_t n);
	void (*write)(void *self, uint64_t at, const void *data, size_t n);
	/* Whether the vCPU has to wait before it goes on after a write. Returns -1 if
	 * not, else a borrowed descriptor, which becomes readable when it is worth
	 * asking again. NULL: it never waits. */
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
	} slot[BUS_SLOTS_MAX]; /* by ascending start */
};

/* lock: the device lock, borrowed. */
void bus_init(struct bus *b, pthread_mutex_t *lock);

/* Places a device at [start, start + len). Borrows ops and self. -EINVAL with text when
 * the range wraps or overlaps another device, or the bus is full. */
MUST_CHECK int bus_add(struct bus *b, uint64_t start, uint64_t len,
	const struct bus_ops *ops, void *self, struct err *e);

/* An access by the guest, on a vCPU's thread, without the device lock. Returns whether
 * one device answers for all of it. If none does, a read gives all ones and a write is
 * lost, as on a real bus. */
bool bus_read(struct bus *b, uint64_t addr, void *data, size_t n);
bool bus_write(struct bus *b, uint64_t addr, const void *data, size_t n);
/* After a write to addr, on the same thread: asks the device there whether it is busy.
 * Returns what bus_ops.busy does. */
int bus_busy(struct bus *b, uint64_t addr);

#endif
