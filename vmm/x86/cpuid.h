/* SPDX-License-Identifier: Apache-2.0
 *
 * cpuid: what the CPUID instruction tells the guest. It is what KVM supports on this
 * host, with husk's topology and APIC ids, hypervisor bit, TSC-deadline timer and brand
 * string, and without performance monitoring, so that it is the same at every start.
 */
#ifndef HUSK_X86_CPUID_H
#define HUSK_X86_CPUID_H

#include <linux/kvm.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum { CPUID_ENTRIES_MAX = 256 };

/* The layout of KVM_GET_SUPPORTED_CPUID and KVM_SET_CPUID2: a head that is followed by
 * the entries. In struct kvm_cpuid2 these are an array without a size, so head shares
 * the storage here. */
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

/* Changes *c, which holds what KVM supports, to what vCPU `index` of the topology shall
 * see; `index` is its APIC id too. The same table may be used for one vCPU after the
 * other. Vendor, model and KVM's own leaves stay. -EINVAL with text when the table is
 * full. */
MUST_CHECK int cpuid_normalise(
	struct cpuid *c, unsigned index, const struct cpuid_topology *t, struct err *e);

/* Where CPUID announces performance counters: a leaf of Intel's, one of AMD's, and bits
 * of leaf 0x80000001. AMD's first four counters are announced nowhere. */
#define CPUID_COUNTERS 0xau
#define CPUID_COUNTERS_AMD 0x80000022u
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_EXT_ECX_COUNTERS (1u << 23 | 1u << 24 | 1u << 28)

/* Removes what announces performance counters. To be called, together with
 * x86_kvm_disable_counters, unless a template asks for counters; before or after
 * cpuid_normalise. */
void cpuid_hide_counters(struct cpuid *c);

/* The vendor's name in leaf 0, such as "GenuineIntel"; "" when there is no leaf 0. */
enum { CPUID_VENDOR_BYTES = 13 }; /* with the NUL */
void cpuid_read_vendor(struct cpuid *c, char name[static CPUID_VENDOR_BYTES]);

/* The entry of a leaf and subleaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *c, uint32_t leaf, uint32_t subleaf);

#endif
