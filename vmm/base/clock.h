/* SPDX-License-Identifier: Apache-2.0
 *
 * clock: what time it is. These clocks exist on every Linux, so that reading one cannot
 * fail. No state; any thread, and signal handlers too.
 */
#ifndef HUSK_BASE_CLOCK_H
#define HUSK_BASE_CLOCK_H

#include <time.h>

#include "vmm/base/base.h"

#define NS_PER_S ((uint64_t)1000000000)

/* CLOCK_MONOTONIC, in nanoseconds and in microseconds. */
uint64_t clock_ns(void);
uint64_t clock_us(void);

/* Microseconds of CPU time that all threads of the process have used. */
uint64_t clock_cpu_us(void);

/* CLOCK_REALTIME: the host's time of day, as seconds since 1970 in UTC. */
struct timespec clock_utc(void);

#endif
