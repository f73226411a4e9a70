/* SPDX-License-Identifier: Apache-2.0
 *
 * await: counters that one thread of a test counts up while another one reads them.
 */
#ifndef HUSK_AWAIT_H
#define HUSK_AWAIT_H

#include <criterion/criterion.h>
#include <time.h>

enum { AWAIT_MS = 20000 };

static inline unsigned load(const unsigned *n)
{
	return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

static inline void add(unsigned *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_ACQ_REL);
}

/* Sleeps for 1 ms. */
static inline void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	(void)nanosleep(&ms, NULL);
}

/* Waits until the counter is at least that. After AWAIT_MS the test fails. */
static inline void await(const unsigned *n, unsigned least)
{
	for (int ms = 0; load(n) < least; ms++) {
		cr_assert_lt(ms, AWAIT_MS);
		nap();
	}
}

#endif
