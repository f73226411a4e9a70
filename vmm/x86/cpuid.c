/* SPDX-License-Identifier: Apache-2.0
 *
 * cpuid: see the header. Leaves are described in the Intel SDM, volume 2, CPUID (SDM),
 * and the AMD APM, volume 3, appendix E (APM). The table comes from KVM, which is
 * trusted but may lack any leaf; a leaf that is not there is not added.
 */
#include "vmm/x86/cpuid.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum reg { EAX, EBX, ECX, EDX };

enum {
	LEAF_FEATURES = 1,
	LEAF_CACHE = 4,
	LEAF_TOPOLOGY = 0xb,
	LEAF_TOPOLOGY_V2 = 0x1f,
	TOPOLOGY_LEVELS = 2, /* subleaves of 0xb: threads of a core, cores */
};

#define LEAF_EXT_FEATURES CPUID_EXT_FEATURES
#define LEAF_BRAND 0x80000002u
#define LEAF_SIZES 0x80000008u
#define LEAF_AMD_CACHE 0x8000001du
#define LEAF_AMD_TOPOLOGY 0x8000001eu

#define BIT(n) (1u << (n))
#define ALL 0xffffffffu

enum vendor { VENDOR_OTHER, VENDOR_INTEL, VENDOR_AMD };

/* Bits that are set or cleared alike for every machine and vCPU. */
struct rule {
	uint32_t leaf, subleaf;
	enum reg reg;
	uint32_t set, clear;
};

static const struct rule rules[] = {
	/* Hypervisor: without it a guest does not look for kvm-clock. TSC-deadline: the
	 * timer is part of KVM's local APIC, but KVM does not announce it by itself. */
	{ 1, 0, ECX, BIT(31) | BIT(24), 0 },
	/* MONITOR and MWAIT: a guest that waits in them would keep the processor from
	 * others without the host's knowledge, so KVM makes them no-ops. */
	{ 1, 0, ECX, 0, BIT(3) },
	/* UMWAIT and TPAUSE (WAITPKG), MONITORX: the same, from user mode. */
	{ 7, 0, ECX, 0, BIT(5) },
	{ LEAF_EXT_FEATURES, 0, ECX, 0, BIT(29) },
	/* Power management: turbo, energy bias and hardware P-states are the host's
	 * business. ARAT stays: the APIC timer does not stop. */
	{ 6, 0, EAX, 0, ~BIT(2) },
	{ 6, 0, EBX, 0, ALL },
	{ 6, 0, ECX, 0, ALL },
	{ 6, 0, EDX, 0, ALL },
	/* Nested virtualisation, VMX and SVM: it would open much of KVM to the guest,
	 * and has state that no snapshot holds. */
	{ 1, 0, ECX, 0, BIT(5) },
	{ LEAF_EXT_FEATURES, 0, ECX, 0, BIT(2) },
	/* Performance monitoring: it shows one guest what another does, and has state
	 * that no snapshot holds. Here debug store (DTES64, DS), PDCM, processor trace,
	 * last branch records (ARCH_LBR), and the bit that announces leaf 0x23. */
	{ 1, 0, ECX, 0, BIT(2) | BIT(15) },
	{ 1, 0, EDX, 0, BIT(21) },
	{ 7, 0, EBX, 0, BIT(25) },
	{ 7, 0, EDX, 0, BIT(19) },
	{ 7, 1, EAX, 0, BIT(8) },
	/* Likewise AMD's IBS and PerfTsc. */
	{ LEAF_EXT_FEATURES, 0, ECX, 0, BIT(10) | BIT(27) },
};

/* What cpuid_hide_counters hides: AMD's PerfCtrExtCore, PerfCtrExtNB, PerfCtrExtLLC. */
static const struct rule counter_rules[] = {
	{ LEAF_EXT_FEATURES, 0, ECX, 0, CPUID_EXT_ECX_COUNTERS },
};
static const uint32_t counter_leaves[] = { CPUID_COUNTERS, CPUID_COUNTERS_AMD };

/* Leaves that are removed with all their subleaves. A guest reads 0 for them. */
static const uint32_t removed[] = {
	5, /* MONITOR and MWAIT */
	0x14, /* processor trace */
	0x1c, /* last branch records */
	LEAF_TOPOLOGY_V2, /* 0xb says the same, and one is enough */
	0x23, /* performance monitoring, continued */
	0x8000001b, /* IBS */
	0x8000000a, /* SVM */
	0x80000026, /* AMD's extended topology, which is that of the host */
};

struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *c, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < c->head.nent; i++) {
		struct kvm_cpuid_entry2 *x = &c->entry[i];

		if (x->function == leaf && x->index == subleaf)
			return x;
	}
	return NULL;
}

static uint32_t *find_reg(struct kvm_cpuid_entry2 *x, enum reg reg)
{
	uint32_t *const at[] = { &x->eax, &x->ebx, &x->ecx, &x->edx };

	return at[reg];
}

/* Puts value into bits [low, high] of *reg. */
static void set_bits(uint32_t *reg, unsigned high, unsigned low, uint32_t value)
{
	uint32_t mask = (ALL >> (31 - high)) & (ALL << low);

	*reg = (*reg & ~mask) | (value << low & mask);
}

/* How many bits it takes to tell n numbers apart. */
static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

static unsigned threads_per_core(const struct cpuid_topology *t)
{
	return t->smt && t->n_vcpus > 1 ? 2 : 1;
}

/* SDM and APM, leaf 0: the name is in EBX, EDX, ECX. */
void cpuid_read_vendor(struct cpuid *c, char name[static CPUID_VENDOR_BYTES])
{
	const struct kvm_cpuid_entry2 *x = cpuid_find(c, 0, 0);

	memset(name, 0, CPUID_VENDOR_BYTES);
	if (!x)
		return;
	memcpy(name, &x->ebx, 4);
	memcpy(name + 4, &x->edx, 4);
	memcpy(name + 8, &x->ecx, 4);
}

static enum vendor find_vendor(struct cpuid *c)
{
	char name[CPUID_VENDOR_BYTES];

	cpuid_read_vendor(c, name);
	if (strcmp(name, "GenuineIntel") == 0)
		return VENDOR_INTEL;
	if (strcmp(name, "AuthenticAMD") == 0 || strcmp(name, "HygonGenuine") == 0)
		return VENDOR_AMD;
	return VENDOR_OTHER;
}

static bool is_removed(
	const struct kvm_cpuid_entry2 *x, const uint32_t *leaves, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (x->function == leaves[i])
			return true;
	return x->function == LEAF_TOPOLOGY && x->index >= TOPOLOGY_LEVELS;
}

static void remove_leaves(struct cpuid *c, const uint32_t *leaves, size_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->head.nent; i++)
		if (!is_removed(&c->entry[i], leaves, n))
			c->entry[kept++] = c->entry[i];
	c->head.nent = kept;
}

static void apply_rules(struct cpuid *c, const struct rule *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct rule *rule = &list[i];
		struct kvm_cpuid_entry2 *x = cpuid_find(c, rule->leaf, rule->subleaf);
		uint32_t *reg = x ? find_reg(x, rule->reg) : NULL;

		if (reg)
			*reg = (*reg & ~rule->clear) | rule->set;
	}
}

/* SDM and APM, leaf 1: EBX has the initial APIC id, how many ids a package has, and the
 * size of a cache line in units of 8 bytes; EDX 28 (HTT) makes the second valid. */
static void fill_features(
	struct cpuid *c, unsigned index, const struct cpuid_topology *t)
{
	struct kvm_cpuid_entry2 *x = cpuid_find(c, LEAF_FEATURES, 0);

	if (!x)
		return;
	set_bits(&x->ebx, 31, 24, index);
	set_bits(&x->ebx, 23, 16, 1u << bits_for(t->n_vcpus));
	set_bits(&x->ebx, 15, 8, 8);
	set_bits(&x->edx, 28, 28, t->n_vcpus > 1);
}

/* Finds or adds a subleaf of the topology leaf. */
static struct kvm_cpuid_entry2 *need_topology(struct cpuid *c, uint32_t subleaf)
{
	struct kvm_cpuid_entry2 *x = cpuid_find(c, LEAF_TOPOLOGY, subleaf);

	if (x)
		return x;
	if (c->head.nent >= CPUID_ENTRIES_MAX)
		return NULL;
	x = &c->entry[c->head.nent++];
	*x = (struct kvm_cpuid_entry2){ .function = LEAF_TOPOLOGY, .index = subleaf };
	return x;
}

/* SDM, leaf 0xb: subleaf 0 describes the threads of a core, subleaf 1 the cores of the
 * package. Each has the number of bits by which to shift an x2APIC id to get the next
 * level's, and the number of vCPUs of its level. KVM itself answers that further
 * subleaves are invalid. */
static int fill_topology(
	struct cpuid *c, unsigned index, const struct cpuid_topology *t, struct err *e)
{
	enum { LEVEL_SMT = 1, LEVEL_CORE = 2 };
	const struct kvm_cpuid_entry2 *basic = cpuid_find(c, 0, 0);

	if (!basic || basic->eax < LEAF_TOPOLOGY)
		return 0;
	for (uint32_t i = 0; i < TOPOLOGY_LEVELS; i++) {
		unsigned n = i == 0 ? threads_per_core(t) : t->n_vcpus;
		struct kvm_cpuid_entry2 *x = need_topology(c, i);

		if (!x)
			return err_bad(e,
				"CPUID: no room for leaf 0xb among %d entries",
				CPUID_ENTRIES_MAX);
		x->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		x->eax = bits_for(n);
		x->ebx = n;
		x->ecx = i | (i == 0 ? LEVEL_SMT : LEVEL_CORE) * 0x100u;
		x->edx = index;
	}
	return 0;
}

/* SDM, leaf 4; APM, leaf 0x8000001d, which is the same but for EAX 31:26. Caches of
 * level 1 and 2 belong to a core, those above to the package. */
static void fill_caches(struct cpuid *c, uint32_t leaf, const struct cpuid_topology *t)
{
	unsigned threads = threads_per_core(t);

	for (uint32_t i = 0; i < c->head.nent; i++) {
		struct kvm_cpuid_entry2 *x = &c->entry[i];
		unsigned type = x->eax & 0x1f, level = x->eax >> 5 & 7;

		if (x->function != leaf || type == 0)
			continue;
		set_bits(&x->eax, 25, 14, (level <= 2 ? threads : t->n_vcpus) - 1);
		if (leaf == LEAF_CACHE)
			set_bits(&x->eax, 31, 26, t->n_vcpus / threads - 1);
	}
}

/* APM, leaves 0x80000001, 0x80000008 and 0x8000001e: the number of threads, the width
 * of an APIC id, and the place of this vCPU. There is one node. */
static void fill_amd(struct cpuid *c, unsigned index, const struct cpuid_topology *t)
{
	unsigned threads = threads_per_core(t);
	struct kvm_cpuid_entry2 *x = cpuid_find(c, LEAF_SIZES, 0);

	if (x) {
		x->ecx = t->n_vcpus - 1;
		set_bits(&x->ecx, 15, 12, bits_for(t->n_vcpus));
	}
	x = cpuid_find(c, LEAF_AMD_TOPOLOGY, 0);
	if (x) {
		x->eax = index;
		x->ebx = index / threads | (threads - 1) << 8;
		x->ecx = 0;
		x->edx = 0;
	}
	fill_caches(c, LEAF_AMD_CACHE, t);
	if (x && (x = cpuid_find(c, LEAF_EXT_FEATURES, 0))) {
		set_bits(&x->ecx, 1, 1, t->n_vcpus > 1); /* CmpLegacy, as HTT */
		set_bits(&x->ecx, 22, 22, 1); /* has leaves 0x8000001d and 0x8000001e */
	}
}

enum { BRAND_BYTES = 48 };

/* Copies the frequency of the host's brand string, as " @ 2.90GHz", if it has one. */
static void copy_frequency(const char *host, char *out, size_t n)
{
	const char *unit = strstr(host, "GHz"), *start = unit;

	while (start && start > host &&
		((start[-1] >= '0' && start[-1] <= '9') || start[-1] == '.'))
		start--;
	if (start < unit && unit - start <= 5)
		(void)snprintf(out, n, " @ %.*s", (int)(unit + 3 - start), start);
}

/* Leaves 0x80000002 to 4. Every processor of a vendor gets the same name, so that
 * guests see one processor on all hosts of a fleet. Intel's frequency stays, because
 * some guests read it there. */
static void fill_brand(struct cpuid *c, enum vendor vendor)
{
	char brand[BRAND_BYTES + 1] = { 0 }, frequency[16] = { 0 };
	struct kvm_cpuid_entry2 *x[3];

	for (unsigned i = 0; i < ARRAY_LEN(x); i++) {
		x[i] = cpuid_find(c, LEAF_BRAND + i, 0);
		if (!x[i])
			return;
		memcpy(brand + (size_t)16 * i, &x[i]->eax, 16);
	}
	if (vendor == VENDOR_OTHER)
		return;
	if (vendor == VENDOR_INTEL)
		copy_frequency(brand, frequency, sizeof(frequency));
	memset(brand, 0, sizeof(brand));
	(void)snprintf(brand, sizeof(brand), "%s%s",
		vendor == VENDOR_INTEL ? "Intel(R) Xeon(R) Processor" : "AMD EPYC",
		frequency); /* always fits */
	for (size_t i = 0; i < ARRAY_LEN(x); i++)
		memcpy(&x[i]->eax, brand + 16 * i, 16);
}

void cpuid_hide_counters(struct cpuid *c)
{
	remove_leaves(c, counter_leaves, ARRAY_LEN(counter_leaves));
	apply_rules(c, counter_rules, ARRAY_LEN(counter_rules));
}

int cpuid_normalise(
	struct cpuid *c, unsigned index, const struct cpuid_topology *t, struct err *e)
{
	enum vendor vendor = find_vendor(c);

	assert(index < t->n_vcpus);
	remove_leaves(c, removed, ARRAY_LEN(removed));
	apply_rules(c, rules, ARRAY_LEN(rules));
	fill_features(c, index, t);
	if (vendor == VENDOR_INTEL)
		fill_caches(c, LEAF_CACHE, t);
	if (vendor == VENDOR_AMD)
		fill_amd(c, index, t);
	fill_brand(c, vendor);
	return fill_topology(c, index, t, e);
}
