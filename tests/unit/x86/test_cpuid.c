/* SPDX-License-Identifier: Apache-2.0
 *
 * cpuid: how cpuid_normalise changes tables such as KVM gives on Intel and AMD hosts.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/x86/cpuid.h"

enum { INDEXED = KVM_CPUID_FLAG_SIGNIFCANT_INDEX };

static struct cpuid c;
static struct err e;

static void has(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx,
	uint32_t ecx, uint32_t edx)
{
	cr_assert_lt(c.head.nent, CPUID_ENTRIES_MAX);
	c.entry[c.head.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0x8000001d
			? INDEXED
			: 0,
		.eax = eax,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx,
	};
}

static void has_brand(const char *brand)
{
	char b[48] = { 0 };
	uint32_t r[12];

	memcpy(b, brand, strlen(brand));
	memcpy(r, b, sizeof(r));
	for (uint32_t i = 0; i < 3; i++)
		has(0x80000002 + i, 0, r[4 * i], r[4 * i + 1], r[4 * i + 2],
			r[4 * i + 3]);
}

static void has_common(void)
{
	has(1, 0, 0x50657, 0x55100842, 0x7ffefbff, 0xffffffff);
	has(5, 0, 64, 64, 3, 0x20);
	has(6, 0, 0x77, 2, 9, 1);
	has(7, 0, 1, 0xffffffff, 0xffffffff, 0xffffffff);
	has(7, 1, 0xffffffff, 0, 0, 0);
	has(0xb, 0, 1, 2, 0x100, 77);
	has(0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	has(0x40000001, 0, 0x01007efb, 0, 0, 0);
}

static void intel(const char *brand)
{
	c.head.nent = 0;
	has(0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	has_common();
	has(4, 0, 0xfc004121, 0x02c0003f, 63, 0); /* L1 data */
	has(4, 1, 0xfc004122, 0x01c0003f, 63, 0); /* L1 code */
	has(4, 2, 0xfc004143, 0x04c0003f, 2047, 0); /* L2 */
	has(4, 3, 0xfc07c163, 0x0540003f, 40959, 4); /* L3 */
	has(4, 4, 0, 0, 0, 0);
	has(0xa, 0, 0x07300404, 0, 0, 0x603);
	has(0x14, 0, 1, 0xf, 7, 0);
	has(0x1f, 0, 1, 2, 0x100, 77);
	has(0x1f, 1, 6, 40, 0x201, 77);
	has(0x80000000, 0, 0x80000008, 0, 0, 0);
	has(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	has_brand(brand);
	has(0x80000008, 0, 0x3934, 0, 0, 0);
}

static void amd(void)
{
	c.head.nent = 0;
	has(0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65);
	has_common();
	has(0x80000000, 0, 0x80000022, 0, 0, 0);
	has(0x80000001, 0, 0x830f10, 0x40000000, 0xffffffff, 0x2fd3fbff);
	has_brand("AMD EPYC 7742 64-Core Processor");
	has(0x80000008, 0, 0x3030, 0x1007, 0x707f, 0);
	has(0x8000001b, 0, 0x3ff, 0, 0, 0);
	has(0x8000001d, 0, 0x4121, 0x1c0003f, 63, 0);
	has(0x8000001d, 1, 0x4122, 0x1c0003f, 63, 0);
	has(0x8000001d, 2, 0x4143, 0x1c0003f, 1023, 2);
	has(0x8000001d, 3, 0x1c163, 0x3c0003f, 16383, 1);
	has(0x8000001d, 4, 0, 0, 0, 0);
	has(0x8000001e, 0, 99, 99, 99, 0);
	has(0x80000022, 0, 1, 6, 0, 0);
}

static void normalise(unsigned index, unsigned n_vcpus, bool smt)
{
	const struct cpuid_topology t = { n_vcpus, smt };

	e.text[0] = '\0';
	cr_assert_eq(cpuid_normalise(&c, index, &t, &e), 0, "%s", e.text);
}

static struct kvm_cpuid_entry2 leaf(uint32_t function, uint32_t index)
{
	struct kvm_cpuid_entry2 *x = cpuid_find(&c, function, index);

	return x ? *x : (struct kvm_cpuid_entry2){ 0 };
}

static const char *brand(void)
{
	static char b[49];

	for (uint32_t i = 0; i < 3; i++)
		memcpy(b + 16 * i, &cpuid_find(&c, 0x80000002 + i, 0)->eax, 16);
	return b;
}

static uint32_t bits(uint32_t reg, unsigned high, unsigned low)
{
	return reg << (31 - high) >> (31 - high) >> low;
}

Test(cpuid, says_that_there_is_a_hypervisor_and_a_deadline_timer)
{
	intel("");
	normalise(0, 1, false);
	cr_assert(leaf(1, 0).ecx & 1u << 31);
	cr_assert(leaf(1, 0).ecx & 1u << 24);
	amd();
	normalise(0, 1, false);
	cr_assert(leaf(1, 0).ecx & 1u << 31);
	cr_assert(leaf(1, 0).ecx & 1u << 24);
}

Test(cpuid, keeps_the_vendor_the_model_and_kvms_leaves)
{
	intel("");
	normalise(0, 4, true);
	cr_assert_eq(leaf(0, 0).ebx, 0x756e6547);
	cr_assert_eq(leaf(1, 0).eax, 0x50657);
	cr_assert_eq(leaf(0x40000000, 0).ebx, 0x4b4d564b);
	cr_assert_eq(leaf(0x40000001, 0).eax, 0x01007efb);
	cr_assert_eq(leaf(0x80000008, 0).eax, 0x3934);
}

Test(cpuid, leaf_1_has_the_apic_id_and_the_package_for_1_to_32_vcpus)
{
	for (unsigned n = 1; n <= 32; n++) {
		intel("");
		for (unsigned i = 0; i < n; i++) {
			unsigned ids;

			normalise(i, n, false);
			ids = bits(leaf(1, 0).ebx, 23, 16);
			cr_assert_eq(bits(leaf(1, 0).ebx, 31, 24), i);
			cr_assert(ids >= n && ids < 2 * n && (ids & (ids - 1)) == 0);
			cr_assert_eq(bits(leaf(1, 0).ebx, 15, 8), 8);
			cr_assert_eq(bits(leaf(1, 0).ebx, 7, 0), 0x42);
			cr_assert_eq(bits(leaf(1, 0).edx, 28, 28), n > 1);
		}
	}
}

/* Checks leaf 0xb of vCPU i among n, on a processor of that many threads a core. */
static void expect_topology(unsigned i, unsigned n, unsigned threads)
{
	struct kvm_cpuid_entry2 thread = leaf(0xb, 0), core = leaf(0xb, 1);

	cr_assert_eq(thread.flags, INDEXED);
	cr_assert_eq(core.flags, INDEXED);
	cr_assert_eq(thread.ecx, 0x100);
	cr_assert_eq(core.ecx, 0x201);
	cr_assert_eq(thread.ebx, threads);
	cr_assert_eq(core.ebx, n);
	cr_assert_eq(thread.edx, i);
	cr_assert_eq(core.edx, i);
	cr_assert_eq(1u << thread.eax, threads);
	cr_assert_geq(1u << core.eax, n);
	cr_assert_eq(i >> core.eax, 0, "one package");
}

Test(cpuid, leaf_b_has_one_package_for_1_to_32_vcpus)
{
	for (unsigned n = 1; n <= 32; n++)
		for (unsigned vendor = 0; vendor < 2; vendor++) {
			vendor ? amd() : intel("");
			for (unsigned i = 0; i < n; i++) {
				normalise(i, n, false);
				expect_topology(i, n, 1);
			}
			if (n % 2)
				continue;
			vendor ? amd() : intel("");
			for (unsigned i = 0; i < n; i++) {
				normalise(i, n, true);
				expect_topology(i, n, 2);
			}
		}
}

Test(cpuid, one_vcpu_has_no_second_thread_even_with_smt)
{
	intel("");
	normalise(0, 1, true);
	expect_topology(0, 1, 1);
	cr_assert_eq(bits(leaf(4, 0).eax, 25, 14), 0);
}

Test(cpuid, the_hosts_topology_is_gone)
{
	intel("");
	has(0xb, 1, 6, 40, 0x201, 77);
	has(0xb, 2, 0, 0, 2, 77);
	has(0x80000026, 0, 1, 2, 0x100, 77);
	normalise(1, 2, false);
	cr_assert_null(cpuid_find(&c, 0xb, 2));
	cr_assert_null(cpuid_find(&c, 0x1f, 0));
	cr_assert_null(cpuid_find(&c, 0x1f, 1));
	cr_assert_null(cpuid_find(&c, 0x80000026, 0));
	expect_topology(1, 2, 1);
}

Test(cpuid, a_processor_without_leaf_b_gets_none)
{
	intel("");
	cpuid_find(&c, 0, 0)->eax = 0xa;
	cpuid_find(&c, 0xb, 0)->function = 0x3;
	normalise(0, 2, false);
	cr_assert_null(cpuid_find(&c, 0xb, 0));
}

Test(cpuid, intels_caches_belong_to_a_core_or_the_package)
{
	intel("");
	normalise(0, 8, true);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(bits(leaf(4, i).eax, 25, 14), 1);
	cr_assert_eq(bits(leaf(4, 3).eax, 25, 14), 7);
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(bits(leaf(4, i).eax, 31, 26), 3);
	cr_assert_eq(leaf(4, 4).eax, 0);
	cr_assert_eq(leaf(4, 3).ecx, 40959, "its size stays");
	cr_assert_eq(leaf(4, 0).eax & 0x3fff, 0x4121 & 0x3fff);
	intel("");
	normalise(0, 8, false);
	cr_assert_eq(bits(leaf(4, 0).eax, 25, 14), 0);
	cr_assert_eq(bits(leaf(4, 3).eax, 31, 26), 7);
}

Test(cpuid, amds_caches_belong_to_a_core_or_the_package)
{
	amd();
	normalise(0, 8, true);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(bits(leaf(0x8000001d, i).eax, 25, 14), 1);
	cr_assert_eq(bits(leaf(0x8000001d, 3).eax, 25, 14), 7);
	cr_assert_eq(bits(leaf(0x8000001d, 3).eax, 31, 26), 0, "reserved");
	cr_assert_eq(leaf(0x8000001d, 4).eax, 0);
}

Test(cpuid, amds_own_leaves_have_the_topology)
{
	for (unsigned smt = 0; smt < 2; smt++) {
		amd();
		for (unsigned i = 0; i < 6; i++) {
			normalise(i, 6, smt);
			cr_assert_eq(bits(leaf(0x80000008, 0).ecx, 7, 0), 5);
			cr_assert_eq(bits(leaf(0x80000008, 0).ecx, 15, 12), 3);
			cr_assert_eq(leaf(0x8000001e, 0).eax, i);
			cr_assert_eq(leaf(0x8000001e, 0).ebx, smt << 8 | i >> smt);
			cr_assert_eq(leaf(0x8000001e, 0).ecx, 0);
			cr_assert(leaf(0x80000001, 0).ecx & 1 << 22);
			cr_assert(leaf(0x80000001, 0).ecx & 1 << 1);
		}
	}
	amd();
	normalise(0, 1, false);
	cr_assert(!(leaf(0x80000001, 0).ecx & 1 << 1));
}

Test(cpuid, nothing_traces_what_runs)
{
	intel("");
	normalise(0, 2, false);
	cr_assert_null(cpuid_find(&c, 0x14, 0));
	cr_assert_eq(leaf(1, 0).ecx & (1 << 2 | 1 << 15), 0);
	cr_assert_eq(leaf(1, 0).edx & 1 << 21, 0);
	cr_assert_eq(leaf(7, 0).ebx & 1 << 25, 0);
	cr_assert_eq(leaf(7, 0).edx & 1 << 19, 0);
	cr_assert_eq(leaf(7, 1).eax & 1 << 8, 0);
	amd();
	normalise(0, 2, false);
	cr_assert_null(cpuid_find(&c, 0x8000001b, 0));
	cr_assert_eq(leaf(0x80000001, 0).ecx & (1 << 10 | 1 << 27), 0);
}

enum { AMD_COUNTERS = 1 << 23 | 1 << 24 | 1 << 28 };

Test(cpuid, no_counters_are_announced_where_they_are_hidden)
{
	for (int after = 0; after <= 1; after++) {
		intel("");
		if (after)
			normalise(0, 2, false);
		cpuid_hide_counters(&c);
		if (!after)
			normalise(0, 2, false);
		cr_assert_null(cpuid_find(&c, 0xa, 0));
	}
	amd();
	cpuid_hide_counters(&c);
	cr_assert_null(cpuid_find(&c, 0x80000022, 0));
	cr_assert_eq(leaf(0x80000001, 0).ecx, 0xffffffff & ~(uint32_t)AMD_COUNTERS);
}

Test(cpuid, counters_that_are_asked_for_stay)
{
	intel("");
	normalise(0, 2, false);
	cr_assert_eq(leaf(0xa, 0).eax, 0x07300404);
	amd();
	normalise(0, 2, false);
	cr_assert_eq(leaf(0x80000022, 0).eax, 1);
	cr_assert_eq(leaf(0x80000001, 0).ecx & AMD_COUNTERS, AMD_COUNTERS);
}

Test(cpuid, no_instruction_waits_unseen_by_the_host)
{
	amd();
	normalise(0, 2, false);
	cr_assert_eq(leaf(1, 0).ecx & 1 << 3, 0);
	cr_assert_eq(leaf(7, 0).ecx & 1 << 5, 0);
	cr_assert_eq(leaf(0x80000001, 0).ecx & 1 << 29, 0);
	cr_assert_null(cpuid_find(&c, 5, 0));
}

Test(cpuid, power_management_is_the_hosts)
{
	struct kvm_cpuid_entry2 x;

	intel("");
	normalise(0, 2, false);
	x = leaf(6, 0);
	cr_assert(x.eax == 4 && x.ebx == 0 && x.ecx == 0 && x.edx == 0);
}

Test(cpuid, intels_brand_keeps_the_frequency_only)
{
	static const char *const names[][2] = {
		{ "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz",
			"Intel(R) Xeon(R) Processor @ 2.90GHz" },
		{ "Intel(R) Xeon(R) Processor", "Intel(R) Xeon(R) Processor" },
		{ "Intel(R) Xeon(R) Processor @ 2.9GHz",
			"Intel(R) Xeon(R) Processor @ 2.9GHz" },
		{ "GHz", "Intel(R) Xeon(R) Processor" },
		{ "1234567890123456789012345678901234567890123GHz!!",
			"Intel(R) Xeon(R) Processor" },
		{ "", "Intel(R) Xeon(R) Processor" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		intel(names[i][0]);
		normalise(0, 2, false);
		normalise(1, 2, false);
		cr_assert_str_eq(brand(), names[i][1]);
	}
}

Test(cpuid, amds_brand_is_the_same_on_every_host)
{
	amd();
	normalise(0, 2, false);
	cr_assert_str_eq(brand(), "AMD EPYC");
}

Test(cpuid, another_vendor_keeps_its_brand)
{
	intel("ZHAOXIN KaiXian @ 2.70GHz");
	memcpy(&cpuid_find(&c, 0, 0)->ebx, "Cent", 4);
	normalise(0, 2, false);
	cr_assert_str_eq(brand(), "ZHAOXIN KaiXian @ 2.70GHz");
	cr_assert(leaf(1, 0).ecx & 1u << 31);
}

Test(cpuid, the_second_vcpu_differs_in_its_ids_only)
{
	static struct cpuid first, fresh;

	amd();
	normalise(0, 4, true);
	first = c;
	normalise(3, 4, true);
	fresh = c;
	amd();
	normalise(3, 4, true);
	cr_assert_eq(memcmp(&fresh, &c, sizeof(c)), 0, "the way there does not matter");
	normalise(0, 4, true);
	cr_assert_eq(memcmp(&first, &c, sizeof(c)), 0);
}

Test(cpuid, refuses_a_full_table)
{
	const struct cpuid_topology t = { 2, false };

	amd();
	while (c.head.nent < CPUID_ENTRIES_MAX)
		c.entry[c.head.nent++] = (struct kvm_cpuid_entry2){ .function = 2 };
	/* the leaves that were removed made room, so fill it again */
	cr_assert_eq(cpuid_normalise(&c, 0, &t, &e), 0);
	cpuid_find(&c, 0xb, 1)->function = 2;
	while (c.head.nent < CPUID_ENTRIES_MAX)
		c.entry[c.head.nent++] = (struct kvm_cpuid_entry2){ .function = 2 };
	cr_assert_eq(cpuid_normalise(&c, 0, &t, &e), -EINVAL);
	cr_assert_str_eq(e.text, "CPUID: no room for leaf 0xb among 256 entries");
}

Test(cpuid, an_empty_table_stays_empty)
{
	c.head.nent = 0;
	normalise(0, 1, false);
	cr_assert_eq(c.head.nent, 0);
}
