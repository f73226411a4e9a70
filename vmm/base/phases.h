/* SPDX-License-Identifier: Apache-2.0
 *
 * phases: when a start of husk reached which of its steps, from the launcher's exec to
 * the guest's init. Each is marked by the thread that reaches it, and read by any.
 */
#ifndef HUSK_BASE_PHASES_H
#define HUSK_BASE_PHASES_H

#include "vmm/base/base.h"

enum phase {
	PHASE_PROCESS_START, /* the launcher's --start-time-us, else main */
	PHASE_MAIN, /* first line of main */
	PHASE_ARGUMENTS_READ,
	PHASE_API_READY,
	PHASE_CONFIGURED,
	PHASE_MEMORY_READY,
	PHASE_KERNEL_LOADED, /* with initrd, tables and command line */
	PHASE_VCPU_READY,
	PHASE_FIRST_RUN, /* just before the first KVM_RUN */
	PHASE_GUEST_INIT, /* the guest wrote the boot timer */
	PHASE_COUNT,
};

/* CLOCK_MONOTONIC microseconds of each phase, 0 when not reached: relaxed atomics. */
struct phases {
	uint64_t at_us[PHASE_COUNT];
};

/* Notes the moment, once: later calls for the same phase change nothing. */
void phase_mark(struct phases *p, enum phase phase);

/* Forgets that phase and all after it, for a start that is tried again. */
void phase_forget_from(struct phases *p, enum phase phase);

/* Microseconds from process start to the phase, or 0 when not reached. */
uint64_t phase_us(const struct phases *p, enum phase phase);

const char *phase_name(enum phase phase);

#endif
