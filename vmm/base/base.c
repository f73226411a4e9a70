/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/base.h"

#include <time.h>

#include "vmm/base/utf8.h"

bool is_instance_id(const char *id)
{
	return utf8_is_id(id, '-', 64);
}

static uint64_t read_us(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts); /* cannot fail for these clocks */
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

uint64_t cpu_us(void)
{
	return read_us(CLOCK_PROCESS_CPUTIME_ID);
}
