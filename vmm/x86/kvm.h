/* SPDX-License-Identifier: Apache-2.0
 *
 * x86_kvm: what only VMs of this architecture have of KVM: the PC's interrupt
 * controllers and timer, performance counters, CPUID. The rest is vmm/core/kvm.h. On
 * one thread, before the vCPUs run.
 */
#ifndef HUSK_X86_KVM_H
#define HUSK_X86_KVM_H

#include "vmm/core/kvm.h"

/* kvm_open, which also looks for the capabilities that a PC needs. */
MUST_CHECK int x86_kvm_open(
	struct kvm *k, const struct kvm_cap_change *change, unsigned n, struct err *e);

/* kvm_create_vm, and then the VM's interrupt controllers (8259s with all lines masked,
 * IOAPIC, local APICs) and its timer (8254 with port 0x61). KVM keeps what Intel's real
 * mode needs at X86_KVM_SCRATCH_GPA. -errno with text; k is the caller's to close. */
MUST_CHECK int x86_kvm_create_vm(struct kvm *k, struct err *e);

/* Gives the guest no performance counters: KVM would give it AMD's four old ones
 * whatever CPUID says. Kernels before 5.18 cannot do that; the machine goes on with
 * them. Before the first vCPU. */
void x86_kvm_disable_counters(const struct kvm *k);

/* Fills *out with the CPUID leaves that KVM supports on this host. The caller has set
 * out->nent to the number of entries that there is room for. -errno with text. */
MUST_CHECK int x86_kvm_supported_cpuid(
	const struct kvm *k, struct kvm_cpuid2 *out, struct err *e);

#endif
