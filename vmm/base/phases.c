/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/phases.h"

#include "vmm/base/clock.h"

static const char *const phase_names[PHASE_COUNT] = {
	[PHASE_PROCESS_START] = "process_start",
	[PHASE_MAIN] = "main",
	[PHASE_ARGUMENTS_READ] = "arguments_read",
	[PHASE_API_READY] = "api_ready",
	[PHASE_CONFIGURED] = "configured",
	[PHASE_MEMORY_READY] = "memory_ready",
	[PHASE_KERNEL_LOADED] = "kernel_loaded",
	[PHASE_VCPU_READY] = "vcpu_ready",
	[PHASE_FIRST_RUN] = "first_run",
	[PHASE_GUEST_INIT] = "guest_init",
};

void phase_mark(struct phases *p, enum phase phase)
{
	if (__atomic_load_n(&p->at_us[phase], __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&p->at_us[phase], clock_us(), __ATOMIC_RELAXED);
}

void phase_forget_from(struct phases *p, enum phase phase)
{
	for (unsigned i = phase; i < PHASE_COUNT; i++)
		__atomic_store_n(&p->at_us[i], 0, __ATOMIC_RELAXED);
}

uint64_t phase_us(const struct phases *p, enum phase phase)
{
	uint64_t at = __atomic_load_n(&p->at_us[phase], __ATOMIC_RELAXED);
	uint64_t start = p->at_us[PHASE_PROCESS_START]; /* before other threads */

	return at > start ? at - start : 0;
}

const char *phase_name(enum phase phase)
{
	return phase_names[phase];
}
