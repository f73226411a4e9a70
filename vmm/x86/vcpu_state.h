/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu_state: gives a vCPU its first state: CPUID, MSRs and registers. fd is the vCPU's
 * KVM descriptor. Call the functions in this order, before the vCPU runs, on the thread
 * that starts the machine.
 */
#ifndef HUSK_X86_VCPU_STATE_H
#define HUSK_X86_VCPU_STATE_H

#include "vmm/x86/cpu_template.h"
#include "vmm/x86/cpuid.h"
#include "vmm/x86/layout.h"

/* Sets what CPUID tells the guest. KVM's own features, too, are then only those that
 * *c announces, so that a guest cannot use what a template has hidden (from Linux 5.10
 * on). 0, or -errno with text. */
MUST_CHECK int vcpu_state_set_cpuid(int fd, const struct cpuid *c, struct err *e);

/* Changes the MSRs that the template names, if any. 0; -EINVAL with text that names the
 * MSR that KVM does not know, or the value that it refuses; or -errno with text. */
MUST_CHECK int vcpu_state_change_msrs(
	int fd, const struct cpu_template *t, struct err *e);

/* Sets MSRs, local APIC and registers as the boot protocol wants them. entry is NULL
 * for a vCPU other than the first, which waits for a start-up IPI. 0, or -errno with
 * text. */
MUST_CHECK int vcpu_state_set_boot(
	int fd, const struct x86_entry *entry, struct err *e);

#endif
