/* SPDX-License-Identifier: Apache-2.0
 *
 * limit_cpu: for tests of loops that wrong code would never leave. Such a test then
 * fails after seconds of processor time, on a busy machine too, instead of spinning.
 */
#ifndef HUSK_LIMIT_CPU_H
#define HUSK_LIMIT_CPU_H

#include <criterion/criterion.h>
#include <sys/resource.h>

enum { CPU_SECONDS_MAX = 10 };

/* From now on this process, which runs one test, is killed when it has used the
 * processor for CPU_SECONDS_MAX. */
static inline void limit_cpu_time(void)
{
	const struct rlimit l = { CPU_SECONDS_MAX, CPU_SECONDS_MAX };

	cr_assert_eq(setrlimit(RLIMIT_CPU, &l), 0);
}

#endif
