/* SPDX-License-Identifier: Apache-2.0
 *
 * latency: how long something took: the sum since the start, and the shortest and the
 * longest since latency_restart. One thread adds while another may read and restart:
 * the members are relaxed atomics. A time that is added during a restart may be missing
 * from the extremes of a period, but never from the sum.
 */
#ifndef HUSK_BASE_LATENCY_H
#define HUSK_BASE_LATENCY_H

#include "vmm/base/base.h"

/* Begins as zeroes. */
struct latency {
	uint64_t sum_us, max_us;
	uint64_t low; /* the shortest + 1, or 0 when nothing was added yet */
};

static inline void latency_add(struct latency *a, uint64_t us)
{
	uint64_t low = __atomic_load_n(&a->low, __ATOMIC_RELAXED);

	__atomic_store_n(&a->sum_us, a->sum_us + us, __ATOMIC_RELAXED);
	if (us > __atomic_load_n(&a->max_us, __ATOMIC_RELAXED))
		__atomic_store_n(&a->max_us, us, __ATOMIC_RELAXED);
	if (low == 0 || us < low - 1)
		__atomic_store_n(&a->low, us + 1, __ATOMIC_RELAXED);
}

/* Begins a period, which has no extremes yet. */
static inline void latency_restart(struct latency *a)
{
	__atomic_store_n(&a->low, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&a->max_us, 0, __ATOMIC_RELAXED);
}

#endif
