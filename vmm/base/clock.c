/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/clock.h"

static struct timespec read_clock(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts); /* cannot fail for these clocks */
	return ts;
}

static uint64_t read_ns(clockid_t clock)
{
	struct timespec ts = read_clock(clock);

	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_us(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_cpu_us(void)
{
	return read_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

struct timespec clock_utc(void)
{
	return read_clock(CLOCK_REALTIME);
}
