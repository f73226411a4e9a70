/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/cpu_template.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/x86/cpuid.h"

#define LEAF_VENDOR 0u
#define LEAF_BRAND_FIRST 0x80000002u
#define LEAF_BRAND_LAST 0x80000004u

static const struct {
	const char *id; /* in CPUID */
	const char *name; /* for people */
} vendors[] = {
	[CPU_VENDOR_INTEL] = { "GenuineIntel", "Intel" },
	[CPU_VENDOR_AMD] = { "AuthenticAMD", "AMD" },
};

void cpu_template_fini(struct cpu_template *t)
{
	free((void *)t->cpuid);
	free((void *)t->msr);
	free((void *)t->cap);
	*t = (struct cpu_template){ 0 };
}

static int check_vendor(const struct cpu_template *t, struct cpuid *c, struct err *e)
{
	char host[CPUID_VENDOR_BYTES];

	if (t->vendor == CPU_VENDOR_ANY)
		return 0;
	cpuid_read_vendor(c, host);
	if (strcmp(host, vendors[t->vendor].id) == 0)
		return 0;
	return err_bad(e, "%s is for %s processors; this host is %s", t->name,
		vendors[t->vendor].name, host[0] != '\0' ? host : "of no known vendor");
}

static void change(uint32_t *reg, struct cpuid_bits bits)
{
	*reg = (*reg & ~bits.clear) | bits.set;
}

/* Puts back vendor and brand. A guest that is told another vendor would expect errata
 * and MSRs that the processor does not have. */
static void keep_identity(
	struct kvm_cpuid_entry2 *x, const struct kvm_cpuid_entry2 *host)
{
	bool is_brand =
		x->function >= LEAF_BRAND_FIRST && x->function <= LEAF_BRAND_LAST;

	if (is_brand)
		x->eax = host->eax;
	if (is_brand || x->function == LEAF_VENDOR) {
		x->ebx = host->ebx;
		x->ecx = host->ecx;
		x->edx = host->edx;
	}
}

bool cpu_template_wants_counters(const struct cpu_template *t)
{
	for (unsigned i = 0; i < t->n_cpuid; i++) {
		const struct cpuid_change *to = &t->cpuid[i];
		uint32_t any = to->eax.set | to->ebx.set | to->ecx.set | to->edx.set;

		if ((to->leaf == CPUID_COUNTERS || to->leaf == CPUID_COUNTERS_AMD) &&
			any != 0)
			return true;
		if (to->leaf == CPUID_EXT_FEATURES &&
			(to->ecx.set & CPUID_EXT_ECX_COUNTERS) != 0)
			return true;
	}
	return false;
}

int cpu_template_apply(const struct cpu_template *t, struct cpuid *c, struct err *e)
{
	int r = check_vendor(t, c, e);

	for (unsigned i = 0; r == 0 && i < t->n_cpuid; i++) {
		const struct cpuid_change *to = &t->cpuid[i];
		struct kvm_cpuid_entry2 *x = cpuid_find(c, to->leaf, to->subleaf);
		struct kvm_cpuid_entry2 host;

		if (!x)
			return err_bad(e,
				"%s: CPUID leaf %#x subleaf %#x is not supported on this host",
				t->name, to->leaf, to->subleaf);
		host = *x;
		x->flags = to->flags;
		change(&x->eax, to->eax);
		change(&x->ebx, to->ebx);
		change(&x->ecx, to->ecx);
		change(&x->edx, to->edx);
		keep_identity(x, &host);
	}
	return r;
}
