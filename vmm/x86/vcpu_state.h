/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu_state: what a vCPU has when it starts: CPUID, MSRs and registers, through its
 * KVM descriptor. To be called in this order, before the vCPU runs, by the thread that
 * starts the machine.
 */
#ifndef HUSK_X86_VCPU_STATE_H
#define HUSK_X86_VCPU_STATE_H

#include "vmm/x86/cpu_template.h"
#include "vmm/x86/cpuid.h"
#include "vmm/x86/layout.h"

/* 0, or -errno with text. */
MUST_CHECK int vcpu_state_set_cpuid(int fd, const struct cpuid *c, struct err *e);
/* Changes the MSRs that the template names, if any. -EINVAL with text that names the
 * MSR which KVM does not know, or the value that it refuses. */
MUST_CHECK int vcpu_state_change_msrs(
	int fd, const struct cpu_template *t, struct err *e);
/* Sets what the boot protocol wants; entry is NULL for a vCPU that waits for its
 * start-up IPI. 0, or -errno with text. */
MUST_CHECK int vcpu_state_set_boot(
	int fd, const struct x86_entry *entry, struct err *e);

#endif
