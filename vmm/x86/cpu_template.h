/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_template: changes that a machine makes to what its guest sees of the processor,
 * so that guests of one fleet see the same on different hosts: the user's own
 * (contract, 3.5) or one of husk's (3.10). Pure data and its application to a CPUID
 * table; the MSRs are vcpu_state.c's. Any thread.
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

/* What a template may have, at most. */
enum {
	CPUID_CHANGES_MAX = 256,
	MSR_CHANGES_MAX = 256,
	KVM_CAP_CHANGES_MAX = 64,
};

/* A bit in both is set. */
struct cpuid_bits {
	uint32_t clear, set;
};

struct cpuid_change {
	uint32_t leaf, subleaf;
	uint32_t flags; /* the entry's from then on: KVM_CPUID_FLAG_... */
	struct cpuid_bits eax, ebx, ecx, edx;
};

struct msr_change {
	uint32_t addr;
	uint64_t clear, set; /* a bit in both is set */
};

/* No leaf and subleaf, and no MSR, is there twice. All zero: no template. */
struct cpu_template {
	const char *name; /* for messages; of static storage */
	enum cpu_vendor vendor; /* that the host must be of */
	unsigned n_cpuid, n_msrs, n_caps;
	const struct cpuid_change *cpuid;
	const struct msr_change *msr;
	const struct kvm_cap_change *cap; /* for x86_kvm_open */
};

/* One of husk's: static, not for cpu_template_fini. NONE has no changes. */
const struct cpu_template *cpu_template_find(enum cpu_template_id id);

/* Frees the arrays, which are of the heap, and makes it no template. */
void cpu_template_fini(struct cpu_template *t);

/* Whether it announces performance counters to the guest, by setting bits where CPUID
 * does so: husk then does not take them away. */
bool cpu_template_wants_counters(const struct cpu_template *t);

/* Changes *c, which holds what KVM supports on this host; before cpuid_normalise, which
 * has the last word. The vendor and the brand string stay the host's. -EINVAL with text
 * when the host is another vendor's, or names the leaf and subleaf that KVM does not
 * support; then *c is changed in part. Doing it again changes nothing. */
MUST_CHECK int cpu_template_apply(
	const struct cpu_template *t, struct cpuid *c, struct err *e);

#endif
