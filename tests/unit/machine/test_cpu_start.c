/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine's CPU template, from the settings to the ioctls of its start: which
 * template counts, in what order a vCPU gets CPUID, MSRs and boot state, and what is
 * refused.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_kvm.h"
#include "tests/unit/fakes/fake_machine.h"

enum { VCPUS = 2, CALLS_MAX = 64, MSRS = 300 };
enum { MISC_ENABLE = 0x1a0, MTRR_DEF_TYPE = 0x2ff, ARCH_CAPABILITIES = 0x10a };

/* --- KVM --- */

/* What happened at a vCPU, in order. */
struct call {
	unsigned vcpu;
	unsigned long request;
	uint32_t n_msrs;
};

static struct {
	struct call call[CALLS_MAX];
	unsigned n_calls;
	struct cpuid cpuid[VCPUS];
	/* each vCPU knows these MSRs */
	uint32_t addr[MSRS];
	uint64_t value[VCPUS][MSRS];
	unsigned n_msrs;
	uint32_t refused_msr; /* cannot be written */
	bool get_msrs_fails;
	uint32_t missing_cap, asked_cap[32];
	unsigned n_asked;
} kvm;

static uint64_t *find_msr(unsigned vcpu, uint32_t addr)
{
	for (unsigned i = 0; i < kvm.n_msrs; i++)
		if (kvm.addr[i] == addr)
			return &kvm.value[vcpu][i];
	return NULL;
}

static int move_msrs(unsigned vcpu, struct kvm_msrs *m, bool write)
{
	if (m->nmsrs >= 256 || (!write && kvm.get_msrs_fails)) {
		errno = E2BIG;
		return -1;
	}
	for (uint32_t i = 0; i < m->nmsrs; i++) {
		uint64_t *value = find_msr(vcpu, m->entries[i].index);

		if (!value || (write && m->entries[i].index == kvm.refused_msr))
			return (int)i;
		if (write)
			*value = m->entries[i].data;
		else
			m->entries[i].data = *value;
	}
	return (int)m->nmsrs;
}

static int check_extension(uint32_t cap)
{
	cr_assert_lt(kvm.n_asked, ARRAY_LEN(kvm.asked_cap));
	kvm.asked_cap[kvm.n_asked++] = cap;
	return cap != kvm.missing_cap;
}

static bool answer(int vcpu, unsigned long request, void *arg, int *r)
{
	struct kvm_cpuid2 *cpuid = arg;
	struct kvm_msrs *msrs = arg;
	bool moves = request == KVM_GET_MSRS || request == KVM_SET_MSRS;

	if (vcpu == FAKE_KVM_VM) {
		if (request != KVM_CHECK_EXTENSION)
			return false;
		*r = check_extension((uint32_t)(uintptr_t)arg);
		return true;
	}
	if (request == KVM_RUN)
		return false;
	cr_assert_lt(kvm.n_calls, CALLS_MAX);
	kvm.call[kvm.n_calls++] =
		(struct call){ (unsigned)vcpu, request, moves ? msrs->nmsrs : 0 };
	if (moves)
		*r = move_msrs((unsigned)vcpu, msrs, request == KVM_SET_MSRS);
	if (request == KVM_SET_CPUID2)
		memcpy(&kvm.cpuid[vcpu], cpuid,
			sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]));
	return moves;
}

FAKE_KVM

static void knows_msr(uint32_t addr, uint64_t first, uint64_t second)
{
	cr_assert_lt(kvm.n_msrs, MSRS);
	kvm.addr[kvm.n_msrs] = addr;
	kvm.value[0][kvm.n_msrs] = first;
	kvm.value[1][kvm.n_msrs++] = second;
}

static void has(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx,
	uint32_t ecx, uint32_t edx)
{
	fake_kvm.host.entry[fake_kvm.host.head.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = leaf == 7 || leaf == 0xd,
		.eax = eax,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx,
	};
}

/* --- the machine --- */

static struct machine *machine;
static struct err e;

static void set_config(bool given, enum cpu_template_id id)
{
	struct machine_cfg cfg = MACHINE_CFG_DEFAULT;

	cfg.vcpu_count = VCPUS;
	cfg.cpu_template = id;
	cfg.cpu_template_given = given;
	cr_assert_eq(machine_set_config(machine, &cfg, &e), 0, "%s", e.text);
}

static void set_up(void)
{
	kvm.missing_cap = UINT32_MAX;
	fake_kvm.answer = answer;
	has(0, 0, 0x10, 0x756e6547, 0x6c65746e, 0x49656e69); /* GenuineIntel */
	has(1, 0, 0x50657, 0, ~0u, ~0u);
	has(7, 0, 0, ~0u, ~0u, ~0u);
	has(0xd, 0, 0x2ff, 0, 0, 0);
	has(0xd, 1, 0xf, 0, 0, 0);
	has(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	has(0x80000008, 0, 0x3934, 0x200, 0, 0);
	knows_msr(MISC_ENABLE, 0x850089, 0x850089);
	knows_msr(MTRR_DEF_TYPE, 0, 0);
	knows_msr(ARCH_CAPABILITIES, 0xffffffffffffffff, 0x1);
	machine = fake_machine_create(NULL);
	fake_machine_set_kernel(machine, "", 0);
	set_config(false, CPU_TEMPLATE_NONE);
}

static void tear_down(void)
{
	fake_machine_destroy(machine);
}

TestSuite(cpu_start, .init = set_up, .fini = tear_down);

static void *copy_of(const void *from, size_t n)
{
	void *to = n > 0 ? malloc(n) : NULL;

	if (to)
		memcpy(to, from, n);
	return to;
}

/* Gives the machine a template of its own; arrays are copied to the heap. */
static void set_own(const struct cpu_template *from)
{
	struct cpu_template t = *from;

	t.name = "cpu-config";
	t.cpuid = copy_of(from->cpuid, from->n_cpuid * sizeof(*from->cpuid));
	t.msr = copy_of(from->msr, from->n_msrs * sizeof(*from->msr));
	t.cap = copy_of(from->cap, from->n_caps * sizeof(*from->cap));
	cr_assert_eq(machine_set_cpu_config(machine, &t, &e), 0, "%s", e.text);
	cr_assert(!t.name && !t.cpuid && !t.msr && !t.cap, "taken over");
}

static void set_own_msrs(const struct msr_change *msr, unsigned n)
{
	set_own(&(struct cpu_template){ .n_msrs = n, .msr = msr });
}

static void start(void)
{
	cr_assert_eq(machine_start(machine, &e), 0, "%s", e.text);
}

static void expect_no_start(const char *why)
{
	cr_assert_eq(machine_start(machine, &e), -EINVAL);
	cr_assert_str_eq(e.text, why);
}

static unsigned count_calls(unsigned long request)
{
	unsigned n = 0;

	for (unsigned i = 0; i < kvm.n_calls; i++)
		n += kvm.call[i].request == request;
	return n;
}

static bool hides_avx512(void)
{
	return !(cpuid_find(&kvm.cpuid[0], 7, 0)->ebx & 1u << 16);
}

Test(cpu_start, without_a_template_no_msr_is_read)
{
	start();
	cr_assert_eq(count_calls(KVM_GET_MSRS), 0);
	cr_assert_eq(count_calls(KVM_SET_MSRS), VCPUS, "the boot state");
	cr_assert(!hides_avx512());
}

Test(cpu_start, a_template_without_changes_costs_nothing_either)
{
	set_own(&(struct cpu_template){ 0 });
	start();
	cr_assert_eq(count_calls(KVM_GET_MSRS), 0);
	cr_assert_eq(count_calls(KVM_SET_MSRS), VCPUS);
	cr_assert(!hides_avx512());
}

Test(cpu_start, each_vcpu_gets_cpuid_then_msrs_then_the_boot_state)
{
	static const unsigned long order[] = { KVM_ENABLE_CAP, KVM_SET_CPUID2,
		KVM_GET_MSRS, KVM_SET_MSRS, KVM_SET_MSRS };
	unsigned at = 0;

	set_config(true, CPU_TEMPLATE_T2S);
	start();
	for (unsigned v = 0; v < VCPUS; v++) {
		while (at < kvm.n_calls && kvm.call[at].vcpu != v)
			at++;
		cr_assert_leq(at + ARRAY_LEN(order), kvm.n_calls);
		for (size_t i = 0; i < ARRAY_LEN(order); i++) {
			cr_assert_eq(kvm.call[at + i].vcpu, v);
			cr_assert_eq(kvm.call[at + i].request, order[i]);
		}
	}
	for (unsigned v = 0; v < VCPUS; v++)
		cr_assert_eq(*find_msr(v, ARCH_CAPABILITIES), 0x04080c4c);
	cr_assert(hides_avx512());
}

Test(cpu_start, every_vcpu_has_the_templates_cpuid_and_its_own_id)
{
	set_config(true, CPU_TEMPLATE_T2);
	start();
	for (unsigned v = 0; v < VCPUS; v++) {
		cr_assert_eq(cpuid_find(&kvm.cpuid[v], 7, 0)->ebx & 0xffefda14, 0x200);
		cr_assert_eq(cpuid_find(&kvm.cpuid[v], 1, 0)->eax, 0x306f2);
		cr_assert_eq(cpuid_find(&kvm.cpuid[v], 1, 0)->ebx >> 24, v);
		cr_assert(cpuid_find(&kvm.cpuid[v], 1, 0)->ecx & 1u << 31);
	}
	cr_assert_eq(count_calls(KVM_GET_MSRS), 0, "T2 has none");
}

Test(cpu_start, msrs_are_changed_from_what_each_vcpu_has)
{
	static const struct msr_change msr[] = {
		{ .addr = 0x8b, .clear = 0xf0, .set = 0x0f00000000000000 },
		{ .addr = 0xc0011029, .clear = UINT64_MAX, .set = UINT64_MAX },
	};

	knows_msr(0x8b, 0xffff, 0x1234);
	knows_msr(0xc0011029, 7, 0);
	set_own_msrs(msr, 2);
	start();
	cr_assert_eq(*find_msr(0, 0x8b), 0x0f0000000000ff0f);
	cr_assert_eq(*find_msr(1, 0x8b), 0x0f00000000001204);
	cr_assert_eq(*find_msr(0, 0xc0011029), UINT64_MAX);
	cr_assert_eq(*find_msr(1, 0xc0011029), UINT64_MAX);
}

Test(cpu_start, the_boot_state_has_the_last_word_on_msrs)
{
	static const struct msr_change msr[] = {
		{ .addr = MISC_ENABLE, .clear = 1, .set = 0x40000 },
		{ .addr = MTRR_DEF_TYPE, .clear = UINT64_MAX },
	};

	set_own_msrs(msr, 2);
	start();
	for (unsigned v = 0; v < VCPUS; v++) {
		cr_assert_eq(*find_msr(v, MISC_ENABLE), 1);
		cr_assert_eq(*find_msr(v, MTRR_DEF_TYPE), 0x806);
	}
}

Test(cpu_start, as_many_msrs_as_a_template_has_at_most)
{
	static struct msr_change msr[MSR_CHANGES_MAX];

	for (uint32_t i = 0; i < ARRAY_LEN(msr); i++) {
		msr[i] = (struct msr_change){ .addr = 0x4000 + i, .set = i };
		knows_msr(0x4000 + i, 0x10000, 0x20000);
	}
	set_own_msrs(msr, ARRAY_LEN(msr));
	start();
	for (uint32_t i = 0; i < ARRAY_LEN(msr); i++) {
		cr_assert_eq(*find_msr(0, 0x4000 + i), 0x10000 + i);
		cr_assert_eq(*find_msr(1, 0x4000 + i), 0x20000 + i);
	}
	cr_assert_gt(count_calls(KVM_GET_MSRS), VCPUS, "KVM takes less than 256");
}

Test(cpu_start, names_the_msr_that_the_host_does_not_have)
{
	static struct msr_change msr[70];

	for (uint32_t i = 0; i < ARRAY_LEN(msr); i++)
		msr[i].addr = 0x4000 + i;
	for (uint32_t i = 0; i + 1 < ARRAY_LEN(msr); i++)
		knows_msr(0x4000 + i, 0, 0);
	set_own_msrs(msr, ARRAY_LEN(msr));
	expect_no_start("cpu-config: MSR 0x4045 is not supported on this host");
}

Test(cpu_start, names_the_value_that_kvm_refuses)
{
	kvm.refused_msr = ARCH_CAPABILITIES;
	set_config(true, CPU_TEMPLATE_T2S);
	expect_no_start("cpu_template T2S: KVM refuses 0x4080c4c for MSR 0x10a");
}

Test(cpu_start, says_when_kvm_gives_no_msrs_at_all)
{
	kvm.get_msrs_fails = true;
	set_config(true, CPU_TEMPLATE_T2CL);
	cr_assert_eq(machine_start(machine, &e), -E2BIG);
	cr_assert_str_eq(
		e.text, "cpu_template T2CL: KVM_GET_MSRS: Argument list too long");
}

Test(cpu_start, a_leaf_that_is_missing_is_found_before_a_vcpu_is_made)
{
	static const struct cpuid_change odd = { .leaf = 0x4fffffff };

	set_own(&(struct cpu_template){ .n_cpuid = 1, .cpuid = &odd });
	expect_no_start("cpu-config: CPUID leaf 0x4fffffff subleaf 0 is not supported "
			"on this host");
	cr_assert_eq(kvm.n_calls, 0);
}

Test(cpu_start, after_a_refused_template_another_start_is_legal)
{
	set_config(true, CPU_TEMPLATE_T2A);
	expect_no_start(
		"cpu_template T2A is for AMD processors; this host is GenuineIntel");
	set_config(true, CPU_TEMPLATE_NONE);
	start();
	cr_assert(!hides_avx512());
}

/* --- which one counts --- */

static const struct cpuid_change no_sha = {
	.leaf = 7, .flags = 1, .ebx = { .clear = 1u << 29 }
};
static const struct cpu_template own = { .n_cpuid = 1, .cpuid = &no_sha };

static bool hides_sha(void)
{
	return !(cpuid_find(&kvm.cpuid[0], 7, 0)->ebx & 1u << 29);
}

static bool is_haswell(void)
{
	return cpuid_find(&kvm.cpuid[0], 1, 0)->eax == 0x306f2;
}

Test(cpu_start, a_cpu_config_takes_the_place_of_a_cpu_template)
{
	set_config(true, CPU_TEMPLATE_T2);
	set_own(&own);
	start();
	cr_assert(hides_sha() && !is_haswell());
}

Test(cpu_start, a_cpu_template_takes_the_place_of_a_cpu_config)
{
	set_own(&own);
	set_config(true, CPU_TEMPLATE_T2);
	start();
	cr_assert(is_haswell());
}

Test(cpu_start, none_clears_a_cpu_config_and_a_cpu_template)
{
	set_config(true, CPU_TEMPLATE_T2);
	set_own(&own);
	set_config(true, CPU_TEMPLATE_NONE);
	start();
	cr_assert(!hides_sha() && !is_haswell());
}

Test(cpu_start, a_configuration_without_cpu_template_keeps_either)
{
	set_own(&own);
	set_config(false, CPU_TEMPLATE_T2);
	start();
	cr_assert(hides_sha() && !is_haswell());
}

Test(cpu_start, a_configuration_without_cpu_template_keeps_the_one_before)
{
	set_config(true, CPU_TEMPLATE_T2);
	set_config(false, CPU_TEMPLATE_NONE);
	start();
	cr_assert(hides_avx512());
}

Test(cpu_start, a_refused_configuration_keeps_the_cpu_config)
{
	struct machine_cfg bad = MACHINE_CFG_DEFAULT;

	set_own(&own);
	bad.vcpu_count = 0;
	bad.cpu_template_given = true;
	cr_assert_eq(machine_set_config(machine, &bad, &e), -EINVAL);
	start();
	cr_assert(hides_sha() && !is_haswell());
}

Test(cpu_start, the_last_cpu_config_counts)
{
	set_own(&own);
	set_own(&(struct cpu_template){ 0 });
	start();
	cr_assert(!hides_avx512() && !hides_sha());
}

/* --- capabilities --- */

static bool is_asked(uint32_t cap)
{
	for (unsigned i = 0; i < kvm.n_asked; i++)
		if (kvm.asked_cap[i] == cap)
			return true;
	return false;
}

static void set_caps(const struct kvm_cap_change *cap, unsigned n)
{
	set_own(&(struct cpu_template){ .n_caps = n, .cap = cap });
}

Test(cpu_start, asks_for_the_capabilities_that_are_added)
{
	static const struct kvm_cap_change add[] = { { .cap = 121 }, { .cap = 4001 } };

	set_caps(add, 2);
	kvm.missing_cap = 4001;
	expect_no_start("/dev/kvm: capability 4001, which is asked for, is missing");
	cr_assert(is_asked(121) && is_asked(KVM_CAP_IRQFD));
	kvm.missing_cap = UINT32_MAX;
	start();
}

Test(cpu_start, does_not_ask_for_a_capability_that_is_dropped)
{
	static const struct kvm_cap_change drop = { .cap = KVM_CAP_IRQFD,
		.drop = true };

	kvm.missing_cap = KVM_CAP_IRQFD;
	expect_no_start("/dev/kvm: capability KVM_CAP_IRQFD (32) is missing");
	set_caps(&drop, 1);
	kvm.n_asked = 0;
	start();
	cr_assert(!is_asked(KVM_CAP_IRQFD) && is_asked(KVM_CAP_IOEVENTFD));
}

Test(cpu_start, the_last_change_of_a_capability_counts)
{
	static const struct kvm_cap_change change[] = {
		{ .cap = 4001 },
		{ .cap = 4001, .drop = true },
		{ .cap = KVM_CAP_IRQFD, .drop = true },
		{ .cap = KVM_CAP_IRQFD },
	};

	set_caps(change, 4);
	start();
	cr_assert(!is_asked(4001) && is_asked(KVM_CAP_IRQFD));
}
