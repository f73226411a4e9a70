/* SPDX-License-Identifier: Apache-2.0
 *
 * kvm: /dev/kvm and one VM of it: every KVM ioctl that is not about one vCPU
 * (Documentation/virt/kvm/api.rst). Set up on one thread, before the vCPUs run.
 */
#ifndef HUSK_CORE_KVM_H
#define HUSK_CORE_KVM_H

#include <linux/kvm.h>

#include "vmm/core/guest_mem.h"

struct kvm {
	int dev_fd; /* /dev/kvm */
	int vm_fd;
	size_t run_bytes; /* of a vCPU's shared page */
};

/* A capability that kvm_open asks for too, or one that it no longer asks for. */
struct kvm_cap_change {
	uint32_t cap; /* KVM_CAP_... */
	bool drop;
};

/* Opens /dev/kvm and checks version and capabilities, of which the first missing one is
 * named: what husk needs, as changed by the n changes, of which the last about a
 * capability counts. On failure *k is closed. */
MUST_CHECK int kvm_open(
	struct kvm *k, const struct kvm_cap_change *change, unsigned n, struct err *e);

/* Creates the VM with its interrupt controllers (8259s with all lines masked, IOAPIC,
 * local APICs) and its timer (8254 with port 0x61). scratch: four pages of the guest's
 * address space with neither memory nor a device, where KVM keeps what Intel's real
 * mode needs. */
MUST_CHECK int kvm_create_vm(struct kvm *k, gpa_t scratch, struct err *e);

/* Gives the guest no performance counters: KVM would give AMD's four old ones whatever
 * CPUID says. A kernel before 5.18 cannot be told, and one without counters need not
 * be: the machine goes on. Before the first vCPU. */
void kvm_disable_counters(const struct kvm *k);

/* Accepts a kvm that was never opened (all -1) or is half set up. */
void kvm_close(struct kvm *k);

/* Gives guest memory to the VM, a slot a range. log_dirty: KVM keeps a dirty log. */
MUST_CHECK int kvm_set_memory(
	struct kvm *k, struct guest_mem *mem, bool log_dirty, struct err *e);

/* Signalling fd raises GSI gsi as an edge; gsi < 24. */
MUST_CHECK int kvm_add_irqfd(struct kvm *k, int fd, unsigned gsi, struct err *e);

/* One edge of GSI gsi, now; for what is too rare for an irqfd. Any thread. */
void kvm_pulse_irq(const struct kvm *k, unsigned gsi);

/* A 4-byte guest write of value to addr signals fd, without leaving the kernel. */
MUST_CHECK int kvm_add_ioeventfd(
	struct kvm *k, int fd, gpa_t addr, uint32_t value, struct err *e);

/* A new vCPU's descriptor, for the caller to close. */
MUST_CHECK int kvm_create_vcpu(struct kvm *k, unsigned index, struct err *e);

/* What KVM_GET_SUPPORTED_CPUID says; room for out->nent entries. */
MUST_CHECK int kvm_supported_cpuid(
	const struct kvm *k, struct kvm_cpuid2 *out, struct err *e);

#endif
