/* SPDX-License-Identifier: Apache-2.0
 *
 * kvm: /dev/kvm and one VM of it: the KVM ioctls that are neither about one vCPU nor of
 * one architecture (Documentation/virt/kvm/api.rst; for the latter see vmm/x86/kvm.h).
 * Set up on one thread, before the vCPUs run.
 */
#ifndef HUSK_CORE_KVM_H
#define HUSK_CORE_KVM_H

#include <linux/kvm.h>

#include "vmm/core/guest_mem.h"

struct kvm {
	int dev_fd; /* /dev/kvm */
	int vm_fd;
	size_t run_bytes; /* of the run area that KVM shares with husk for each vCPU */
};

/* A capability of KVM that husk cannot do without. */
struct kvm_need {
	uint32_t cap; /* KVM_CAP_... */
	const char *name; /* for the message that it is missing */
};

/* A row of a list of those, which { 0, NULL } ends. */
#define KVM_NEED(cap)     \
	{                 \
		cap, #cap \
	}

/* What a user's CPU template changes of what husk needs: it adds a capability, or drops
 * one. */
struct kvm_cap_change {
	uint32_t cap; /* KVM_CAP_... */
	bool drop;
};

/* Opens /dev/kvm and checks that it has the right version and every capability that is
 * needed: on any architecture, in arch_needs, and as the n changes say (of two about
 * one capability, the later wins). -errno with text, which names the first that is
 * missing; *k is then closed. */
MUST_CHECK int kvm_open(struct kvm *k, const struct kvm_need *arch_needs,
	const struct kvm_cap_change *change, unsigned n, struct err *e);

/* Creates an empty VM. -errno with text. */
MUST_CHECK int kvm_create_vm(struct kvm *k, struct err *e);

/* Closes both descriptors. A kvm that was never opened (both -1), or has no VM yet, is
 * fine. */
void kvm_close(struct kvm *k);

/* Gives guest memory to the VM, one slot for each range. log_dirty: KVM keeps a log of
 * the pages that the guest writes. -errno with text. */
MUST_CHECK int kvm_set_memory(
	struct kvm *k, struct guest_mem *mem, bool log_dirty, struct err *e);

/* Binds fd, an eventfd, to an interrupt line of the guest (GSI): each signal of fd
 * raises an edge on it, in the kernel. fd stays the caller's. -errno with text. */
MUST_CHECK int kvm_add_irqfd(struct kvm *k, int fd, unsigned gsi, struct err *e);

/* Raises one edge on an interrupt line, now; for what is too rare for an irqfd. Any
 * thread. */
void kvm_pulse_irq(const struct kvm *k, unsigned gsi);

/* Binds fd, an eventfd, to a guest address: a write of 4 bytes to addr that has this
 * value signals fd, and does not leave the kernel. fd stays the caller's. -errno with
 * text. */
MUST_CHECK int kvm_add_ioeventfd(
	struct kvm *k, int fd, gpa_t addr, uint32_t value, struct err *e);

/* Creates vCPU `index`. Returns its descriptor, for the caller to close, or -errno with
 * text. */
MUST_CHECK int kvm_create_vcpu(struct kvm *k, unsigned index, struct err *e);

#endif
