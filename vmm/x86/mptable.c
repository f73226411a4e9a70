/* SPDX-License-Identifier: Apache-2.0
 *
 * mptable: the tables are made on the stack and written once. Numbers in comments are
 * sections of the MultiProcessor Specification 1.4.
 */
#include "vmm/x86/mptable.h"

#include <assert.h>
#include <string.h>

#include "vmm/x86/layout.h"

enum {
	ENTRY_CPU = 0,
	ENTRY_BUS = 1,
	ENTRY_IOAPIC = 2,
	ENTRY_IO_INT = 3,
	ENTRY_LOCAL_INT = 4,
	INT_VECTORED = 0,
	INT_NMI = 1,
	INT_EXT = 3,
	CPU_ENABLED = 1,
	CPU_BOOT = 2,
	CPU_SIGNATURE = 0x600, /* family 6; a kernel that cares asks CPUID */
	CPU_FEATURES = 0x201, /* APIC and FPU */
	LAPIC_VERSION = 0x14,
	IOAPIC_VERSION = 0x11, /* as KVM's own says */
	IOAPIC_ENABLED = 1,
	LAPIC_ALL = 0xff,
	ISA_BUS = 0,
	SPEC_1_4 = 4,
};

struct floating { /* 4.1 */
	char signature[4];
	uint32_t table;
	uint8_t paragraphs, spec, checksum, features[5];
};

struct header { /* 4.2 */
	char signature[4];
	uint16_t bytes;
	uint8_t spec, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_bytes, entries;
	uint32_t lapic;
	uint16_t extended_bytes;
	uint8_t extended_checksum, reserved;
};

struct cpu { /* 4.3.1 */
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features, reserved[2];
};

struct bus { /* 4.3.2 */
	uint8_t type, id;
	char name[6];
};

struct ioapic { /* 4.3.3 */
	uint8_t type, id, version, flags;
	uint32_t address;
};

struct interrupt { /* 4.3.4, 4.3.5; flags 0: polarity and trigger are the bus's */
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, bus_irq, to_apic, to_pin;
};

/* Two halves in the order of memory. The second is written right after the last CPU
 * that is used in the first. */
struct first_half {
	struct floating floating;
	struct header header;
	struct cpu cpu[VCPUS_MAX];
};

struct second_half {
	struct bus isa;
	struct ioapic ioapic;
	struct interrupt gsi[X86_GSIS];
	struct interrupt ext, nmi;
};

_Static_assert(sizeof(struct floating) == 16, "4.1");
_Static_assert(sizeof(struct header) == 44, "4.2");
_Static_assert(sizeof(struct cpu) == 20, "4.3.1");
_Static_assert(sizeof(struct first_half) + sizeof(struct second_half) <= KIB,
	"kernels search the first KiB of the EBDA");

/* The checksum byte of data, in which that byte is 0 now: it makes the sum of all bytes
 * 0. sum: 0, or the checksum of the part before. */
static uint8_t checksum(const void *data, size_t n, uint8_t sum)
{
	const uint8_t *p = data;

	while (n-- > 0)
		sum = (uint8_t)(sum - *p++);
	return sum;
}

static void fill_cpus(struct first_half *t, unsigned n_vcpus)
{
	for (unsigned i = 0; i < n_vcpus; i++)
		t->cpu[i] = (struct cpu){
			.type = ENTRY_CPU,
			.apic_id = (uint8_t)i,
			.apic_version = LAPIC_VERSION,
			.flags = (uint8_t)(CPU_ENABLED | (i == 0 ? CPU_BOOT : 0)),
			.signature = CPU_SIGNATURE,
			.features = CPU_FEATURES,
		};
}

static void fill_interrupts(struct second_half *t, uint8_t ioapic_id)
{
	t->isa = (struct bus){ ENTRY_BUS, ISA_BUS, { 'I', 'S', 'A', ' ', ' ', ' ' } };
	t->ioapic = (struct ioapic){
		.type = ENTRY_IOAPIC,
		.id = ioapic_id,
		.version = IOAPIC_VERSION,
		.flags = IOAPIC_ENABLED,
		.address = X86_IOAPIC_GPA,
	};
	/* ISA lines are edge-triggered and active high. Those past 15 are not on ISA,
	 * but naming them here gives Linux the same numbers as ACPI. */
	for (unsigned i = 0; i < X86_GSIS; i++)
		t->gsi[i] = (struct interrupt){ ENTRY_IO_INT, INT_VECTORED, 0, ISA_BUS,
			(uint8_t)i, ioapic_id, (uint8_t)i };
	t->ext = (struct interrupt){ ENTRY_LOCAL_INT, INT_EXT, 0, ISA_BUS, 0, 0, 0 };
	t->nmi = (struct interrupt){ ENTRY_LOCAL_INT, INT_NMI, 0, ISA_BUS, 0, LAPIC_ALL,
		1 };
}

int mptable_write(struct guest_mem *mem, unsigned n_vcpus)
{
	size_t first = offsetof(struct first_half, cpu) + n_vcpus * sizeof(struct cpu);
	size_t bytes = first - sizeof(struct floating) + sizeof(struct second_half);
	struct first_half a = {
		.floating = {
			.signature = { '_', 'M', 'P', '_' },
			.table = X86_MPTABLE_GPA + sizeof(struct floating),
			.paragraphs = 1,
			.spec = SPEC_1_4,
		},
		.header = {
			.signature = { 'P', 'C', 'M', 'P' },
			.bytes = (uint16_t)bytes,
			.spec = SPEC_1_4,
			.oem = { 'H', 'U', 'S', 'K', ' ', ' ', ' ', ' ' },
			.product = { 'M', 'I', 'C', 'R', 'O', 'V', 'M', ' ', ' ', ' ', ' ', ' ' },
			.entries = (uint16_t)(n_vcpus + 2 + X86_GSIS + 2),
			.lapic = X86_LAPIC_GPA,
		},
	};
	struct second_half b;
	int r;

	assert(n_vcpus >= 1 && n_vcpus <= VCPUS_MAX);
	fill_cpus(&a, n_vcpus);
	fill_interrupts(&b, (uint8_t)n_vcpus);
	a.floating.checksum = checksum(&a.floating, sizeof(a.floating), 0);
	a.header.checksum = checksum(&a.header, first - sizeof(a.floating), 0);
	a.header.checksum = checksum(&b, sizeof(b), a.header.checksum);
	r = guest_write(mem, X86_MPTABLE_GPA, &a, first);
	if (r == 0)
		r = guest_write(mem, X86_MPTABLE_GPA + first, &b, sizeof(b));
	/* Linux scans the first KiB of memory before the EBDA and maps every 16 bytes
	 * anew: the copy spares it 64 mappings (arch/x86/kernel/mpparse.c) */
	if (r == 0)
		r = guest_write(mem, 0, &a.floating, sizeof(a.floating));
	return r;
}
