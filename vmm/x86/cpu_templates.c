/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_templates: husk's own templates, as the bits that each clears or sets. The bits
 * are described in the Intel SDM, volume 2, CPUID (SDM), and the AMD APM, volume 3,
 * appendix E (APM); those of IA32_ARCH_CAPABILITIES in the SDM, volume 4, table 2-2.
 *
 *   C3    Ivy Bridge, on any later Intel processor
 *   T2    Haswell, on any later Intel processor
 *   T2S   T2 for snapshots that move between hosts: every host also shows the same list
 *         of processor bugs, that of the host with most of them
 *   T2CL  T2 on Cascade Lake and later, with the instructions that T2A has
 *   T2A   the same instructions on AMD Milan
 */
#include <assert.h>

#include "vmm/x86/cpu_template.h"

#define BIT(n) (1u << (n))
#define BIT64(n) (1ull << (n))

/* Leaf 1, EAX: stepping 3:0, model 7:4 and 19:16, family 11:8 and 27:20, type 13:12. */
#define CPUID_1_EAX_VERSION 0x0fff3fffu
#define VERSION_IVY_BRIDGE_EP 0x306e4u /* family 6, model 0x3e, stepping 4 */
#define VERSION_HASWELL_EP 0x306f2u /* family 6, model 0x3f, stepping 2 */

/* Leaf 1 (SDM, tables 3-10 and 3-11). */
#define CPUID_1_ECX_DTES64 BIT(2)
#define CPUID_1_ECX_MONITOR BIT(3)
#define CPUID_1_ECX_DS_CPL BIT(4)
#define CPUID_1_ECX_VMX BIT(5)
#define CPUID_1_ECX_SMX BIT(6)
#define CPUID_1_ECX_EIST BIT(7)
#define CPUID_1_ECX_TM2 BIT(8)
#define CPUID_1_ECX_CNXT_ID BIT(10)
#define CPUID_1_ECX_SDBG BIT(11)
#define CPUID_1_ECX_FMA BIT(12)
#define CPUID_1_ECX_XTPR BIT(14)
#define CPUID_1_ECX_PDCM BIT(15)
#define CPUID_1_ECX_DCA BIT(18)
#define CPUID_1_ECX_MOVBE BIT(22)
#define CPUID_1_EDX_MCE BIT(7)
#define CPUID_1_EDX_MTRR BIT(12)
#define CPUID_1_EDX_PSN BIT(18)
#define CPUID_1_EDX_DS BIT(21)
#define CPUID_1_EDX_ACPI BIT(22)
#define CPUID_1_EDX_SS BIT(27)
#define CPUID_1_EDX_TM BIT(29)
#define CPUID_1_EDX_IA64 BIT(30) /* no longer in the SDM */
#define CPUID_1_EDX_PBE BIT(31)

/* Leaf 7, subleaf 0 (SDM, table 3-8; APM, E.3.6). */
#define CPUID_7_EBX_SGX BIT(2)
#define CPUID_7_EBX_BMI1 BIT(3)
#define CPUID_7_EBX_HLE BIT(4)
#define CPUID_7_EBX_AVX2 BIT(5)
#define CPUID_7_EBX_BMI2 BIT(8)
#define CPUID_7_EBX_ERMS BIT(9)
#define CPUID_7_EBX_INVPCID BIT(10)
#define CPUID_7_EBX_RTM BIT(11)
#define CPUID_7_EBX_RDT_M BIT(12)
#define CPUID_7_EBX_MPX BIT(14)
#define CPUID_7_EBX_RDT_A BIT(15)
#define CPUID_7_EBX_AVX512F BIT(16)
#define CPUID_7_EBX_AVX512DQ BIT(17)
#define CPUID_7_EBX_RDSEED BIT(18)
#define CPUID_7_EBX_ADX BIT(19)
#define CPUID_7_EBX_AVX512_IFMA BIT(21)
#define CPUID_7_EBX_PCOMMIT BIT(22) /* no longer in the SDM; AMD's RDPID */
#define CPUID_7_EBX_CLFLUSHOPT BIT(23)
#define CPUID_7_EBX_CLWB BIT(24)
#define CPUID_7_EBX_PT BIT(25)
#define CPUID_7_EBX_AVX512PF BIT(26)
#define CPUID_7_EBX_AVX512ER BIT(27)
#define CPUID_7_EBX_AVX512CD BIT(28)
#define CPUID_7_EBX_SHA BIT(29)
#define CPUID_7_EBX_AVX512BW BIT(30)
#define CPUID_7_EBX_AVX512VL BIT(31)
#define CPUID_7_ECX_AVX512_VBMI BIT(1)
#define CPUID_7_ECX_UMIP BIT(2)
#define CPUID_7_ECX_PKU BIT(3)
#define CPUID_7_ECX_OSPKE BIT(4)
#define CPUID_7_ECX_AVX512_VBMI2 BIT(6)
#define CPUID_7_ECX_GFNI BIT(8)
#define CPUID_7_ECX_VAES BIT(9)
#define CPUID_7_ECX_VPCLMULQDQ BIT(10)
#define CPUID_7_ECX_AVX512_VNNI BIT(11)
#define CPUID_7_ECX_AVX512_BITALG BIT(12)
#define CPUID_7_ECX_AVX512_VPOPCNTDQ BIT(14)
#define CPUID_7_ECX_LA57 BIT(16)
#define CPUID_7_ECX_RDPID BIT(22)
#define CPUID_7_ECX_SGX_LC BIT(30)
#define CPUID_7_EDX_AVX512_4VNNIW BIT(2)
#define CPUID_7_EDX_AVX512_4FMAPS BIT(3)
#define CPUID_7_EDX_FSRM BIT(4)
#define CPUID_7_EDX_AVX512_VP2INTERSECT BIT(8)

/* Leaf 0xd: the parts of XCR0 in subleaf 0, what XSAVE can do in subleaf 1. */
#define CPUID_D0_EAX_MPX (BIT(3) | BIT(4))
#define CPUID_D0_EAX_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define CPUID_D0_EAX_PKRU BIT(9)
#define CPUID_D1_EAX_XSAVEC BIT(1)
#define CPUID_D1_EAX_XGETBV1 BIT(2)
#define CPUID_D1_EAX_XSAVES BIT(3)

/* Leaves 0x80000001 and 0x80000008 (APM, E.4.2 and E.4.7). Intel has the same bits. */
#define CPUID_X1_ECX_SVM BIT(2)
#define CPUID_X1_ECX_LZCNT BIT(5)
#define CPUID_X1_ECX_SSE4A BIT(6)
#define CPUID_X1_ECX_MISALIGN_SSE BIT(7)
#define CPUID_X1_ECX_PREFETCHW BIT(8)
#define CPUID_X1_ECX_MONITORX BIT(29)
#define CPUID_X1_EDX_MMX_EXT BIT(22)
#define CPUID_X1_EDX_MMX BIT(23)
#define CPUID_X1_EDX_FXSR BIT(24)
#define CPUID_X1_EDX_FFXSR BIT(25)
#define CPUID_X1_EDX_PAGE_1G BIT(26)
#define CPUID_X8_EBX_CLZERO BIT(0)
#define CPUID_X8_EBX_RSTR_FP_ERR_PTRS BIT(2)
#define CPUID_X8_EBX_WBNOINVD BIT(9)
#define CPUID_X8_EBX_IBRS_PREFERRED BIT(18)
#define CPUID_X8_EBX_IBRS_SAME_MODE BIT(19)
#define CPUID_X8_EBX_NO_EFER_LMSLE BIT(20)

#define MSR_ARCH_CAPABILITIES 0x10au
#define ARCH_RSBA BIT64(2)
#define ARCH_SKIP_L1DFL_VMENTRY BIT64(3)
#define ARCH_IF_PSCHANGE_MC_NO BIT64(6)
#define ARCH_MCU_CONTROL BIT64(9)
#define ARCH_MISC_PACKAGE_CTLS BIT64(10)
#define ARCH_ENERGY_FILTERING_CTL BIT64(11)
#define ARCH_DOITM BIT64(12)
#define ARCH_RESERVED_16 BIT64(16)
#define ARCH_FB_CLEAR_CTRL BIT64(18)
#define ARCH_RRSBA BIT64(19)
#define ARCH_BHI_NO BIT64(20)
#define ARCH_XAPIC_DISABLE_STATUS BIT64(21)
#define ARCH_RESERVED_22 BIT64(22)
#define ARCH_OVERCLOCKING_STATUS BIT64(23)
#define ARCH_GDS_CTRL BIT64(25)
#define ARCH_GDS_NO BIT64(26)
#define ARCH_RESERVED_HIGH (~0ull << 29)

/* --- what several templates share --- */

#define ALWAYS_1_EDX (CPUID_1_EDX_MCE | CPUID_1_EDX_MTRR)

#define NOT_1_ECX                                                         \
	(CPUID_1_ECX_DTES64 | CPUID_1_ECX_MONITOR | CPUID_1_ECX_DS_CPL |  \
		CPUID_1_ECX_VMX | CPUID_1_ECX_TM2 | CPUID_1_ECX_CNXT_ID | \
		CPUID_1_ECX_SDBG | CPUID_1_ECX_XTPR | CPUID_1_ECX_PDCM)
#define NOT_1_EDX                                                               \
	(CPUID_1_EDX_PSN | CPUID_1_EDX_DS | CPUID_1_EDX_ACPI | CPUID_1_EDX_SS | \
		CPUID_1_EDX_TM | CPUID_1_EDX_PBE)

/* What neither Ivy Bridge nor Haswell has, and what no guest shall have. */
#define NOT_7_EBX                                                                     \
	(CPUID_7_EBX_SGX | CPUID_7_EBX_HLE | CPUID_7_EBX_RTM | CPUID_7_EBX_RDT_M |    \
		CPUID_7_EBX_MPX | CPUID_7_EBX_RDT_A | CPUID_7_EBX_AVX512F |           \
		CPUID_7_EBX_AVX512DQ | CPUID_7_EBX_RDSEED | CPUID_7_EBX_ADX |         \
		CPUID_7_EBX_AVX512_IFMA | CPUID_7_EBX_CLFLUSHOPT | CPUID_7_EBX_CLWB | \
		CPUID_7_EBX_PT | CPUID_7_EBX_AVX512PF | CPUID_7_EBX_AVX512ER |        \
		CPUID_7_EBX_AVX512CD | CPUID_7_EBX_SHA | CPUID_7_EBX_AVX512BW |       \
		CPUID_7_EBX_AVX512VL)
#define NOT_7_ECX                                                                     \
	(CPUID_7_ECX_AVX512_VBMI | CPUID_7_ECX_UMIP | CPUID_7_ECX_PKU |               \
		CPUID_7_ECX_OSPKE | CPUID_7_ECX_AVX512_VNNI |                         \
		CPUID_7_ECX_AVX512_VPOPCNTDQ | CPUID_7_ECX_LA57 | CPUID_7_ECX_RDPID | \
		CPUID_7_ECX_SGX_LC)
#define NOT_7_EDX (CPUID_7_EDX_AVX512_4VNNIW | CPUID_7_EDX_AVX512_4FMAPS)

/* Haswell's leaves 1 and 7, for all templates whose name begins with T2. */
#define HASWELL_LEAF_1                                                                 \
	{                                                                              \
		.leaf = 1,                                                             \
		.eax = { .clear = CPUID_1_EAX_VERSION, .set = VERSION_HASWELL_EP },    \
		.ecx = { .clear = NOT_1_ECX | CPUID_1_ECX_SMX | CPUID_1_ECX_EIST |     \
				CPUID_1_ECX_DCA },                                     \
		.edx = { .clear = NOT_1_EDX | CPUID_1_EDX_IA64, .set = ALWAYS_1_EDX }, \
	}
#define HASWELL_LEAF_7                                                                \
	{                                                                             \
		.leaf = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,                  \
		.ebx = { .clear = NOT_7_EBX | CPUID_7_EBX_PCOMMIT,                    \
			.set = CPUID_7_EBX_ERMS },                                    \
		.ecx = { .clear = NOT_7_ECX | CPUID_7_ECX_AVX512_VBMI2 |              \
				CPUID_7_ECX_GFNI | CPUID_7_ECX_VAES |                 \
				CPUID_7_ECX_VPCLMULQDQ | CPUID_7_ECX_AVX512_BITALG }, \
		.edx = { .clear = NOT_7_EDX | CPUID_7_EDX_FSRM |                      \
				CPUID_7_EDX_AVX512_VP2INTERSECT },                    \
	}

/* x87, SSE and AVX state only, and plain XSAVE to save it. */
#define PLAIN_XSAVE_STATE                                                            \
	{                                                                            \
		.leaf = 0xd, .subleaf = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, \
		.eax = { .clear = CPUID_D0_EAX_MPX | CPUID_D0_EAX_AVX512 |           \
				CPUID_D0_EAX_PKRU },                                 \
	}
#define PLAIN_XSAVE                                                                  \
	{                                                                            \
		.leaf = 0xd, .subleaf = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, \
		.eax = { .clear = CPUID_D1_EAX_XSAVEC | CPUID_D1_EAX_XGETBV1 |       \
				CPUID_D1_EAX_XSAVES },                               \
	}
#define NO_WBNOINVD                                                          \
	{                                                                    \
		.leaf = 0x80000008, .ebx = {.clear = CPUID_X8_EBX_WBNOINVD } \
	}

/* --- the templates --- */

static const struct cpuid_change c3_cpuid[] = {
	{
		.leaf = 1,
		.eax = { .clear = CPUID_1_EAX_VERSION, .set = VERSION_IVY_BRIDGE_EP },
		.ecx = { .clear = NOT_1_ECX | CPUID_1_ECX_FMA | CPUID_1_ECX_MOVBE },
		.edx = { .clear = NOT_1_EDX, .set = ALWAYS_1_EDX },
	},
	{
		.leaf = 7,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.ebx = { .clear = NOT_7_EBX | CPUID_7_EBX_BMI1 | CPUID_7_EBX_AVX2 |
				CPUID_7_EBX_BMI2 | CPUID_7_EBX_INVPCID },
		.ecx = { .clear = NOT_7_ECX },
		.edx = { .clear = NOT_7_EDX },
	},
	PLAIN_XSAVE_STATE,
	PLAIN_XSAVE,
	{
		.leaf = 0x80000001,
		.ecx = { .clear = CPUID_X1_ECX_LZCNT | CPUID_X1_ECX_PREFETCHW },
		.edx = { .clear = CPUID_X1_EDX_PAGE_1G },
	},
};

/* T2 and T2S. */
static const struct cpuid_change t2_cpuid[] = {
	HASWELL_LEAF_1,
	HASWELL_LEAF_7,
	PLAIN_XSAVE_STATE,
	PLAIN_XSAVE,
	{
		.leaf = 0x80000001,
		.ecx = { .clear = CPUID_X1_ECX_PREFETCHW | CPUID_X1_ECX_MONITORX },
		.edx = { .clear = CPUID_X1_EDX_PAGE_1G },
	},
	NO_WBNOINVD,
};

static const struct cpuid_change t2cl_cpuid[] = {
	HASWELL_LEAF_1,
	HASWELL_LEAF_7,
	PLAIN_XSAVE_STATE,
	PLAIN_XSAVE,
	{
		.leaf = 0x80000001,
		.ecx = { .clear = CPUID_X1_ECX_SSE4A | CPUID_X1_ECX_MISALIGN_SSE |
				CPUID_X1_ECX_PREFETCHW | CPUID_X1_ECX_MONITORX },
		.edx = { .clear = CPUID_X1_EDX_MMX_EXT | CPUID_X1_EDX_MMX |
				CPUID_X1_EDX_FXSR | CPUID_X1_EDX_FFXSR |
				CPUID_X1_EDX_PAGE_1G },
	},
	NO_WBNOINVD,
};

static const struct cpuid_change t2a_cpuid[] = {
	HASWELL_LEAF_1,
	HASWELL_LEAF_7,
	PLAIN_XSAVE_STATE,
	PLAIN_XSAVE,
	{
		.leaf = 0x80000001,
		.ecx = { .clear = CPUID_X1_ECX_SVM | CPUID_X1_ECX_SSE4A |
				CPUID_X1_ECX_MISALIGN_SSE | CPUID_X1_ECX_PREFETCHW |
				CPUID_X1_ECX_MONITORX },
		.edx = { .clear = CPUID_X1_EDX_MMX_EXT | CPUID_X1_EDX_FFXSR |
				CPUID_X1_EDX_PAGE_1G },
	},
	{
		.leaf = 0x80000008,
		.ebx = { .clear = CPUID_X8_EBX_CLZERO | CPUID_X8_EBX_WBNOINVD,
			.set = CPUID_X8_EBX_RSTR_FP_ERR_PTRS |
				CPUID_X8_EBX_IBRS_PREFERRED |
				CPUID_X8_EBX_IBRS_SAME_MODE |
				CPUID_X8_EBX_NO_EFER_LMSLE },
	},
};

/* Skylake's own list, with the bugs that were found in all later processors. */
static const struct msr_change t2s_msrs[] = {
	{
		.addr = MSR_ARCH_CAPABILITIES,
		.clear = ~0ull,
		.set = ARCH_RSBA | ARCH_SKIP_L1DFL_VMENTRY | ARCH_IF_PSCHANGE_MC_NO |
			ARCH_MISC_PACKAGE_CTLS | ARCH_ENERGY_FILTERING_CTL |
			ARCH_RRSBA | ARCH_GDS_NO,
	},
};

/* The bits that say which bugs the host does not have stay. Cleared are controls that a
 * guest does not get, and bits without a meaning yet. */
static const struct msr_change t2cl_msrs[] = {
	{
		.addr = MSR_ARCH_CAPABILITIES,
		.clear = ARCH_MCU_CONTROL | ARCH_MISC_PACKAGE_CTLS |
			ARCH_ENERGY_FILTERING_CTL | ARCH_DOITM | ARCH_RESERVED_16 |
			ARCH_FB_CLEAR_CTRL | ARCH_BHI_NO | ARCH_XAPIC_DISABLE_STATUS |
			ARCH_RESERVED_22 | ARCH_OVERCLOCKING_STATUS | ARCH_GDS_CTRL |
			ARCH_RESERVED_HIGH,
	},
};

#define CPUID(table) .cpuid = (table), .n_cpuid = ARRAY_LEN(table)
#define MSRS(table) .msr = (table), .n_msrs = ARRAY_LEN(table)

/* clang-format off */
static const struct cpu_template templates[CPU_TEMPLATES] = {
	[CPU_TEMPLATE_NONE] = { .name = "cpu_template None" },
	[CPU_TEMPLATE_C3] = { .name = "cpu_template C3", .vendor = CPU_VENDOR_INTEL,
		CPUID(c3_cpuid) },
	[CPU_TEMPLATE_T2] = { .name = "cpu_template T2", .vendor = CPU_VENDOR_INTEL,
		CPUID(t2_cpuid) },
	[CPU_TEMPLATE_T2S] = { .name = "cpu_template T2S", .vendor = CPU_VENDOR_INTEL,
		CPUID(t2_cpuid), MSRS(t2s_msrs) },
	[CPU_TEMPLATE_T2CL] = { .name = "cpu_template T2CL", .vendor = CPU_VENDOR_INTEL,
		CPUID(t2cl_cpuid), MSRS(t2cl_msrs) },
	[CPU_TEMPLATE_T2A] = { .name = "cpu_template T2A", .vendor = CPU_VENDOR_AMD,
		CPUID(t2a_cpuid) },
};
/* clang-format on */

const struct cpu_template *cpu_template_find(enum cpu_template_id id)
{
	assert(id < CPU_TEMPLATES);
	return &templates[id];
}
