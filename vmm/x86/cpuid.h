/* SPDX-License-Identifier: Apache-2.0
 *
 * cpuid_x86: what the guest's CPUID says: the host's, as far as KVM supports it, made
 * the same on every start: hypervisor bit, topology and APIC ids, TSC-deadline timer,
 * brand string, no performance monitoring.
 */
#ifndef HUSK_X86_CPUID_H
#define HUSK_X86_CPUID_H

#include <linux/kvm.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum { CPUID_ENTRIES_MAX = 256 };

/* In the layout of KVM_GET_SUPPORTED_CPUID and KVM_SET_CPUID2: entry is what follows
 * head, which has an array of no size there. */
struct cpuid {
	union {
		struct kvm_cpuid2 head; /* head.nent entries are in use */
		struct {
			uint32_t in_head[2];
			struct kvm_cpuid_entry2 entry[CPUID_ENTRIES_MAX];
		};
	};
};

struct cpuid_topology {
	unsigned n_vcpus; /* 1 to VCPUS_MAX; even, or 1, with smt */
	bool smt; /* two threads a core */
};

/* Makes *c, which holds what KVM supports, fit vCPU `index` of the topology; that is
 * its APIC id too. Safe to call again for the next vCPU: only what differs between
 * vCPUs changes then. Vendor, model and KVM's own leaves stay. -EINVAL with text when
 * the table is full. */
MUST_CHECK int cpuid_normalise(
	struct cpuid *c, unsigned index, const struct cpuid_topology *t, struct err *e);

/* Where CPUID announces performance counters: leaves of Intel and of AMD, and the bits
 * of leaf 0x80000001. AMD's four old counters, of before that, are not announced. */
#define CPUID_COUNTERS 0xau
#define CPUID_COUNTERS_AMD 0x80000022u
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_EXT_ECX_COUNTERS (1u << 23 | 1u << 24 | 1u << 28)

/* Announces none, whatever the host has: unless a template asks for them, which is to
 * go with x86_kvm_disable_counters. Before or after cpuid_normalise. */
void cpuid_hide_counters(struct cpuid *c);

/* The entry of a leaf and subleaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *c, uint32_t leaf, uint32_t subleaf);

#endif
