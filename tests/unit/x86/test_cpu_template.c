/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_template: how a template changes a CPUID table such as KVM gives, register by
 * register for husk's own templates, and which templates are refused.
 */
#include "vmm/x86/cpu_template.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/x86/cpuid.h"

enum { INDEXED = KVM_CPUID_FLAG_SIGNIFCANT_INDEX };

static struct cpuid c, before;
static struct err e;

static void has(uint32_t leaf, uint32_t subleaf, uint32_t flags, uint32_t value)
{
	cr_assert_lt(c.head.nent, CPUID_ENTRIES_MAX);
	c.entry[c.head.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = flags,
		.eax = value,
		.ebx = value,
		.ecx = value,
		.edx = value,
	};
}

/* A host that has every bit, or none, in the leaves that templates change. */
static void host(const char *vendor, uint32_t value)
{
	c.head.nent = 0;
	has(0, 0, 0, 0x20);
	memcpy(&c.entry[0].ebx, vendor, 4);
	memcpy(&c.entry[0].edx, vendor + 4, 4);
	memcpy(&c.entry[0].ecx, vendor + 8, 4);
	has(1, 0, 0, value);
	has(7, 0, INDEXED, value);
	has(7, 1, INDEXED, value);
	has(0xd, 0, INDEXED, value);
	has(0xd, 1, INDEXED, value);
	has(0xd, 2, INDEXED, value);
	has(0x80000000, 0, 0, 0x80000022);
	has(0x80000001, 0, 0, value);
	for (uint32_t i = 2; i <= 4; i++)
		has(0x80000000 + i, 0, 0, 0x20202020);
	has(0x80000008, 0, 0, value);
	before = c;
}

static void apply(const struct cpu_template *t)
{
	e.text[0] = '\0';
	cr_assert_eq(cpu_template_apply(t, &c, &e), 0, "%s", e.text);
}

static void expect_refused(const struct cpu_template *t, const char *why)
{
	cr_expect_eq(cpu_template_apply(t, &c, &e), -EINVAL);
	cr_expect_str_eq(e.text, why);
}

/* The bits of a register that a template decides, and their value; reg 0 is EAX. */
struct decided {
	uint32_t leaf, subleaf;
	unsigned reg;
	uint32_t mask, value;
};

#define HASWELL                                                                  \
	{ 1, 0, 0, 0x0fff3fff, 0x000306f2 }, { 1, 0, 2, 0x0004cdfc, 0 },         \
		{ 1, 0, 3, 0xe8641080, 0x1080 }, { 7, 0, 1, 0xffefda14, 0x200 }, \
		{ 7, 0, 2, 0x40415f5e, 0 }, { 7, 0, 3, 0x11c, 0 },               \
		{ 0xd, 0, 0, 0x2f8, 0 },                                         \
	{                                                                        \
		0xd, 1, 0, 0xe, 0                                                \
	}

static const struct decided c3[] = {
	{ 1, 0, 0, 0x0fff3fff, 0x000306e4 },
	{ 1, 0, 2, 0x0040dd3c, 0 },
	{ 1, 0, 3, 0xa8641080, 0x1080 },
	{ 7, 0, 1, 0xffafdd3c, 0 },
	{ 7, 0, 2, 0x4041481e, 0 },
	{ 7, 0, 3, 0xc, 0 },
	{ 0xd, 0, 0, 0x2f8, 0 },
	{ 0xd, 1, 0, 0xe, 0 },
	{ 0x80000001, 0, 2, 0x120, 0 },
	{ 0x80000001, 0, 3, 0x04000000, 0 },
	{ 0 },
};

static const struct decided t2[] = {
	HASWELL,
	{ 0x80000001, 0, 2, 0x20000100, 0 },
	{ 0x80000001, 0, 3, 0x04000000, 0 },
	{ 0x80000008, 0, 1, 0x200, 0 },
	{ 0 },
};

static const struct decided t2cl[] = {
	HASWELL,
	{ 0x80000001, 0, 2, 0x200001c0, 0 },
	{ 0x80000001, 0, 3, 0x07c00000, 0 },
	{ 0x80000008, 0, 1, 0x200, 0 },
	{ 0 },
};

static const struct decided t2a[] = {
	HASWELL,
	{ 0x80000001, 0, 2, 0x200001c4, 0 },
	{ 0x80000001, 0, 3, 0x06400000, 0 },
	{ 0x80000008, 0, 1, 0x001c0205, 0x001c0004 },
	{ 0 },
};

static const struct {
	enum cpu_template_id id;
	const char *vendor;
	const struct decided *decided;
} own[] = {
	{ CPU_TEMPLATE_C3, "GenuineIntel", c3 },
	{ CPU_TEMPLATE_T2, "GenuineIntel", t2 },
	{ CPU_TEMPLATE_T2S, "GenuineIntel", t2 },
	{ CPU_TEMPLATE_T2CL, "GenuineIntel", t2cl },
	{ CPU_TEMPLATE_T2A, "AuthenticAMD", t2a },
};

static void expect_decided(const struct decided *d, const char *name)
{
	for (uint32_t i = 0; i < c.head.nent; i++) {
		const uint32_t *now = &c.entry[i].eax, *was = &before.entry[i].eax;

		for (unsigned reg = 0; reg < 4; reg++) {
			uint32_t expected = was[reg];

			for (const struct decided *at = d; at->mask; at++)
				if (at->leaf == c.entry[i].function &&
					at->subleaf == c.entry[i].index &&
					at->reg == reg)
					expected = (expected & ~at->mask) | at->value;
			cr_expect_eq(now[reg], expected,
				"%s: leaf %#x subleaf %#x register %u: %#x", name,
				c.entry[i].function, c.entry[i].index, reg, now[reg]);
		}
	}
}

Test(cpu_template, each_of_husks_decides_its_bits_and_no_other)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		const struct cpu_template *t = cpu_template_find(own[i].id);

		for (unsigned ones = 0; ones < 2; ones++) {
			host(own[i].vendor, ones ? ~0u : 0);
			apply(t);
			expect_decided(own[i].decided, t->name);
		}
	}
}

Test(cpu_template, husks_keep_the_flags_that_kvm_gives)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		host(own[i].vendor, ~0u);
		apply(cpu_template_find(own[i].id));
		for (uint32_t n = 0; n < c.head.nent; n++)
			cr_expect_eq(c.entry[n].flags, before.entry[n].flags);
	}
}

Test(cpu_template, t2_hides_avx512_sgx_and_tsx)
{
	uint32_t ebx;

	host("GenuineIntel", ~0u);
	apply(cpu_template_find(CPU_TEMPLATE_T2));
	ebx = cpuid_find(&c, 7, 0)->ebx;
	cr_assert_eq(ebx & (1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31), 0);
	cr_assert_eq(ebx & 1 << 2, 0);
	cr_assert_eq(ebx & (1 << 4 | 1 << 11), 0);
	cr_assert(ebx & 1 << 5, "AVX2 stays");
	cr_assert_eq(cpuid_find(&c, 0xd, 0)->eax & 0xe0, 0, "nor is there its state");
}

Test(cpu_template, t2s_has_the_same_list_of_bugs_everywhere)
{
	const struct cpu_template *t = cpu_template_find(CPU_TEMPLATE_T2S);

	cr_assert_eq(t->n_msrs, 1);
	cr_assert_eq(t->msr[0].addr, 0x10a);
	cr_assert_eq(t->msr[0].clear, UINT64_MAX);
	cr_assert_eq(t->msr[0].set, 0x04080c4c);
}

Test(cpu_template, t2cl_tells_which_bugs_the_host_does_not_have)
{
	const struct cpu_template *t = cpu_template_find(CPU_TEMPLATE_T2CL);

	cr_assert_eq(t->n_msrs, 1);
	cr_assert_eq(t->msr[0].addr, 0x10a);
	cr_assert_eq(t->msr[0].clear, 0xffffffffe2f51e00);
	cr_assert_eq(t->msr[0].set, 0);
}

Test(cpu_template, the_others_have_no_msrs)
{
	static const enum cpu_template_id ids[] = { CPU_TEMPLATE_NONE, CPU_TEMPLATE_C3,
		CPU_TEMPLATE_T2, CPU_TEMPLATE_T2A };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		cr_assert_eq(cpu_template_find(ids[i])->n_msrs, 0);
}

Test(cpu_template, done_again_changes_nothing)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		host(own[i].vendor, 0x55555555);
		apply(cpu_template_find(own[i].id));
		cr_assert_neq(memcmp(&c, &before, sizeof(c)), 0);
		before = c;
		apply(cpu_template_find(own[i].id));
		cr_assert_eq(memcmp(&c, &before, sizeof(c)), 0);
	}
}

Test(cpu_template, none_changes_nothing_on_any_host)
{
	host("SomebodyElse", 0x55555555);
	apply(cpu_template_find(CPU_TEMPLATE_NONE));
	cr_assert_eq(memcmp(&c, &before, sizeof(c)), 0);
	c.head.nent = 0;
	apply(cpu_template_find(CPU_TEMPLATE_NONE));
	cr_assert_eq(c.head.nent, 0);
}

Test(cpu_template, husks_are_for_one_vendor)
{
	host("AuthenticAMD", ~0u);
	expect_refused(cpu_template_find(CPU_TEMPLATE_T2),
		"cpu_template T2 is for Intel processors; this host is AuthenticAMD");
	expect_refused(cpu_template_find(CPU_TEMPLATE_C3),
		"cpu_template C3 is for Intel processors; this host is AuthenticAMD");
	host("GenuineIntel", ~0u);
	expect_refused(cpu_template_find(CPU_TEMPLATE_T2A),
		"cpu_template T2A is for AMD processors; this host is GenuineIntel");
	host("HygonGenuine", ~0u);
	expect_refused(cpu_template_find(CPU_TEMPLATE_T2A),
		"cpu_template T2A is for AMD processors; this host is HygonGenuine");
	cr_assert_eq(memcmp(&c, &before, sizeof(c)), 0);
	c.head.nent = 0;
	expect_refused(cpu_template_find(CPU_TEMPLATE_T2S),
		"cpu_template T2S is for Intel processors; this host is of no known vendor");
}

Test(cpu_template, names_the_leaf_that_the_host_does_not_have)
{
	static const struct cpuid_change odd = { .leaf = 7, .subleaf = 9 };
	static const struct cpu_template t = {
		.name = "mine", .n_cpuid = 1, .cpuid = &odd
	};

	host("AuthenticAMD", 0);
	expect_refused(
		&t, "mine: CPUID leaf 0x7 subleaf 0x9 is not supported on this host");
	cpuid_find(&c, 0xd, 1)->function = 0xe;
	expect_refused(cpu_template_find(CPU_TEMPLATE_T2A),
		"cpu_template T2A: CPUID leaf 0xd subleaf 0x1 is not supported on this host");
}

Test(cpu_template, the_users_own_changes_every_register_and_the_flags)
{
	static const struct cpuid_change one = {
		.leaf = 7,
		.subleaf = 1,
		.flags = 6,
		.eax = { .clear = 0xff, .set = 0xf00 },
		.ebx = { .clear = 0xff00 },
		.ecx = { .set = 0xff0000 },
		.edx = { .clear = 0xffffffff, .set = 0x12345678 },
	};
	static const struct cpu_template t = {
		.name = "mine", .n_cpuid = 1, .cpuid = &one
	};
	const struct kvm_cpuid_entry2 *x;

	host("SomebodyElse", 0x55555555);
	apply(&t);
	x = cpuid_find(&c, 7, 1);
	cr_assert_eq(x->flags, 6);
	cr_assert_eq(x->eax, 0x55555f00);
	cr_assert_eq(x->ebx, 0x55550055);
	cr_assert_eq(x->ecx, 0x55ff5555);
	cr_assert_eq(x->edx, 0x12345678);
}

Test(cpu_template, the_vendor_and_the_brand_stay_the_hosts)
{
#define ALL                            \
	{                              \
		.clear = ~0u, .set = 5 \
	}
	static const struct cpuid_change change[] = {
		{ .leaf = 0, .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL },
		{ .leaf = 0x80000002, .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL },
		{ .leaf = 0x80000004, .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL },
		{ .leaf = 0x80000000, .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL },
	};
#undef ALL
	static const struct cpu_template t = {
		.name = "mine", .n_cpuid = ARRAY_LEN(change), .cpuid = change
	};

	host("GenuineIntel", 0);
	apply(&t);
	cr_assert_eq(cpuid_find(&c, 0, 0)->eax, 5, "how many leaves is not the vendor");
	cr_assert_eq(cpuid_find(&c, 0, 0)->ebx, cpuid_find(&before, 0, 0)->ebx);
	cr_assert_eq(cpuid_find(&c, 0, 0)->ecx, cpuid_find(&before, 0, 0)->ecx);
	cr_assert_eq(cpuid_find(&c, 0, 0)->edx, cpuid_find(&before, 0, 0)->edx);
	for (uint32_t i = 2; i <= 4; i++)
		cr_assert_eq(memcmp(cpuid_find(&c, 0x80000000 + i, 0),
				     cpuid_find(&before, 0x80000000 + i, 0),
				     sizeof(struct kvm_cpuid_entry2)),
			0);
	cr_assert_eq(cpuid_find(&c, 0x80000000, 0)->ebx, 5);
}

Test(cpu_template, normalisation_has_the_last_word)
{
	/* clears the hypervisor bit; sets MONITOR, VMX and an APIC id */
	static const struct cpuid_change one = {
		.leaf = 1,
		.ebx = { .clear = 0xff000000, .set = 0x7f000000 },
		.ecx = { .clear = 1u << 31 | 1u << 24, .set = 1u << 3 | 1u << 5 },
	};
	static const struct cpu_template t = {
		.name = "mine", .n_cpuid = 1, .cpuid = &one
	};
	const struct cpuid_topology topology = { 2, false };
	const struct kvm_cpuid_entry2 *x;

	host("GenuineIntel", 0);
	apply(&t);
	cr_assert_eq(cpuid_find(&c, 1, 0)->ebx >> 24, 0x7f);
	cr_assert_eq(cpuid_normalise(&c, 1, &topology, &e), 0);
	x = cpuid_find(&c, 1, 0);
	cr_assert_eq(x->ebx >> 24, 1);
	cr_assert(x->ecx & 1u << 31 && x->ecx & 1u << 24);
	cr_assert_eq(x->ecx & (1u << 3 | 1u << 5), 0);
}

Test(cpu_template, normalisation_keeps_what_a_template_hides)
{
	const struct cpuid_topology topology = { 2, false };

	host("GenuineIntel", ~0u);
	apply(cpu_template_find(CPU_TEMPLATE_T2));
	cr_assert_eq(cpuid_normalise(&c, 0, &topology, &e), 0);
	cr_assert_eq(cpuid_find(&c, 7, 0)->ebx & 0xffefda14, 0x200);
	cr_assert_eq(cpuid_find(&c, 1, 0)->eax & 0x0fff3fff, 0x306f2);
	host("AuthenticAMD", ~0u);
	apply(cpu_template_find(CPU_TEMPLATE_T2A));
	cr_assert_eq(cpuid_normalise(&c, 0, &topology, &e), 0);
	cr_assert_eq(cpuid_find(&c, 0x80000001, 0)->ecx & 0x200001c4, 0);
	cr_assert_eq(cpuid_find(&c, 0x80000008, 0)->ebx & 0x001c0205, 0x001c0004);
}

Test(cpu_template, asks_for_counters_by_announcing_them)
{
	static const struct cpuid_change asks[] = {
		{ .leaf = 0xa, .eax = { .set = 2 } },
		{ .leaf = 0xa, .edx = { .clear = ~0u, .set = 3 } },
		{ .leaf = 0x80000022, .ebx = { .set = 6 } },
		{ .leaf = 0x80000001, .ecx = { .set = 1u << 23 } },
	};
	static const struct cpuid_change does_not[] = {
		{ .leaf = 0xa, .eax = { .clear = ~0u } },
		{ .leaf = 0x80000001, .ecx = { .clear = 1u << 23, .set = 1 } },
		{ .leaf = 0x80000001, .edx = { .set = 1u << 23 } },
		{ .leaf = 1, .eax = { .set = ~0u } },
	};

	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		const struct cpuid_change both[] = { does_not[i], asks[i] };
		struct cpu_template t = { .n_cpuid = 2, .cpuid = both };

		cr_expect(cpu_template_wants_counters(&t), "change %zu", i);
		t.n_cpuid = 1;
		cr_expect_not(cpu_template_wants_counters(&t), "change %zu", i);
	}
	for (int id = CPU_TEMPLATE_NONE; id < CPU_TEMPLATES; id++)
		cr_expect_not(cpu_template_wants_counters(
			cpu_template_find((enum cpu_template_id)id)));
}

Test(cpu_template, fini_makes_it_no_template_and_takes_none)
{
	struct cpu_template t = { .name = "mine",
		.n_cpuid = 1,
		.n_msrs = 1,
		.n_caps = 1,
		.cpuid = calloc(1, sizeof(struct cpuid_change)),
		.msr = calloc(1, sizeof(struct msr_change)),
		.cap = calloc(1, sizeof(struct kvm_cap_change)) };

	cpu_template_fini(&t);
	cr_assert(!t.name && !t.cpuid && !t.msr && !t.cap);
	cr_assert_eq(t.n_cpuid + t.n_msrs + t.n_caps, 0);
	cpu_template_fini(&t);
}
