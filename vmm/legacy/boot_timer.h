/* SPDX-License-Identifier: Apache-2.0
 *
 * boot_timer: the page at X86_BOOT_TIMER_GPA into which a guest's init writes 123 to
 * say that it runs (contract, 1.2, --boot-timer). On a vCPU thread, device lock held.
 */
#ifndef HUSK_LEGACY_BOOT_TIMER_H
#define HUSK_LEGACY_BOOT_TIMER_H

#include "vmm/base/phases.h"
#include "vmm/core/bus.h"

enum { BOOT_TIMER_BYTES = 4096 };

struct boot_timer {
	struct phases *phases; /* borrowed; marks PHASE_GUEST_INIT */
	/* CLOCK_MONOTONIC and the process's CPU time when the machine was told to start
	 */
	uint64_t started_us, started_cpu_us;
};

const struct bus_ops *boot_timer_bus_ops(void); /* self is the struct boot_timer */

#endif
