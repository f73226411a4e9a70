/* SPDX-License-Identifier: Apache-2.0
 *
 * phases: when husk reached each step of its start, from the launcher's exec to the
 * guest's init. The thread that reaches a step marks it; any thread may read.
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

/* The time (clock_us) of each phase, or 0 when it was not reached. Relaxed atomics. */
struct phases {
	uint64_t at_us[PHASE_COUNT];
};

/* Notes that the phase is reached now. A phase that is marked already keeps its time.
 */
void phase_mark(struct phases *p, enum phase phase);

/* Forgets this phase and those after it, because the start failed and may be tried
 * again. */
void phase_forget_from(struct phases *p, enum phase phase);

/* Microseconds from PHASE_PROCESS_START to the phase, or 0 when it was not reached. */
uint64_t phase_us(const struct phases *p, enum phase phase);

/* The phase's name in the log, such as "memory_ready"; static. */
const char *phase_name(enum phase phase);

#endif
