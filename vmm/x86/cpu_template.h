/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_template: changes to what a guest sees of the processor, so that guests of one
 * fleet see the same on different hosts. A template is the user's own (contract, 3.5)
 * or one of husk's (3.10). This module applies it to a CPUID table; vcpu_state.c
 * applies it to MSRs. Pure data; any thread.
 */
#ifndef HUSK_X86_CPU_TEMPLATE_H
#define HUSK_X86_CPU_TEMPLATE_H

#include "vmm/core/kvm.h"

struct cpuid;

/* Husk's own, by the names that cpu_template has in the API. */
enum cpu_template_id {
	CPU_TEMPLATE_NONE,
	CPU_TEMPLATE_C3,
	CPU_TEMPLATE_T2,
	CPU_TEMPLATE_T2S,
	CPU_TEMPLATE_T2CL,
	CPU_TEMPLATE_T2A,
	CPU_TEMPLATES,
};

enum cpu_vendor { CPU_VENDOR_ANY, CPU_VENDOR_INTEL, CPU_VENDOR_AMD };

/* How many changes of each kind a template may have. */
enum {
	CPUID_CHANGES_MAX = 256,
	MSR_CHANGES_MAX = 256,
	KVM_CAP_CHANGES_MAX = 64,
};

/* A bit that is in both is set. */
struct cpuid_bits {
	uint32_t clear, set;
};

struct cpuid_change {
	uint32_t leaf, subleaf;
	uint32_t flags; /* replaces the entry's: KVM_CPUID_FLAG_... */
	struct cpuid_bits eax, ebx, ecx, edx;
};

struct msr_change {
	uint32_t addr;
	uint64_t clear, set; /* a bit that is in both is set */
};

/* Each leaf and subleaf, and each MSR, is named once at most. All zero: no template. */
struct cpu_template {
	const char *name; /* for messages; static storage */
	enum cpu_vendor vendor; /* which the host must have */
	unsigned n_cpuid, n_msrs, n_caps;
	const struct cpuid_change *cpuid;
	const struct msr_change *msr;
	const struct kvm_cap_change *cap; /* for x86_kvm_open */
};

/* One of husk's own, in static storage: not for cpu_template_fini. NONE changes
 * nothing.
 */
const struct cpu_template *cpu_template_find(enum cpu_template_id id);

/* Frees the arrays of a user's template, which are on the heap, and zeroes *t. */
void cpu_template_fini(struct cpu_template *t);

/* Whether the template announces performance counters to the guest, by setting bits
 * where CPUID does so. husk then does not hide them. */
bool cpu_template_wants_counters(const struct cpu_template *t);

/* Changes *c, which holds what KVM supports on this host. Call it before
 * cpuid_normalise, whose changes come on top. Vendor and brand string stay the host's.
 * -EINVAL when the host is another vendor's, or does not support a leaf, with text that
 * says which; *c is then changed in part. To apply it again changes nothing. */
MUST_CHECK int cpu_template_apply(
	const struct cpu_template *t, struct cpuid *c, struct err *e);

#endif
