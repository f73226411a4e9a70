/* SPDX-License-Identifier: Apache-2.0
 *
 * boot_timer: a page of MMIO (X86_BOOT_TIMER_GPA) into which the guest's init writes
 * 123 to report that it runs (contract, 1.2, --boot-timer). husk then logs the time
 * since the start. On a vCPU's thread, with the device lock held.
 */
#ifndef HUSK_LEGACY_BOOT_TIMER_H
#define HUSK_LEGACY_BOOT_TIMER_H

#include "vmm/base/phases.h"
#include "vmm/core/bus.h"

enum { BOOT_TIMER_BYTES = 4096 };

struct boot_timer {
	struct phases *phases; /* borrowed; marks PHASE_GUEST_INIT */
	/* clock_us and clock_cpu_us when the machine was asked to start */
	uint64_t started_us, started_cpu_us;
};

const struct bus_ops *boot_timer_bus_ops(void); /* self is the struct boot_timer */

#endif
