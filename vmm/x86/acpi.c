/* SPDX-License-Identifier: Apache-2.0
 *
 * acpi: the tables are made in one page on the stack and written once, the DSDT's
 * bytecode (AML, chapter 20) by a few emitters. The same plan gives the same bytes. The
 * plan is trusted. Numbers in comments are sections of the ACPI specification 6.4.
 */
#include "vmm/x86/acpi.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "vmm/legacy/power.h"

enum {
	TABLES_MAX = 4096, /* so that every package length fits into two bytes */
	TABLE_ALIGN = 16,
	RSDP_BYTES = 36, /* 5.2.5.3 */
	RSDP_BYTES_V1 = 20, /* what its first checksum covers */
	HEADER_BYTES = 36, /* 5.2.6 */
	HEADER_CHECKSUM = 9,
	FADT_BYTES = 276, /* 5.2.9, revision 6 */
	FACS_BYTES = 64, /* 5.2.10 */
	FACS_ALIGN = 64,
};

/* The bytes so far. Once something did not fit, nothing more is added. */
struct out {
	bool full;
	size_t n;
	uint8_t b[TABLES_MAX];
};

static void put(struct out *o, const void *data, size_t n)
{
	if (n > sizeof(o->b) - o->n)
		o->full = true;
	if (o->full)
		return;
	memcpy(o->b + o->n, data, n);
	o->n += n;
}

static void put8(struct out *o, uint8_t v)
{
	put(o, &v, 1);
}

static void put16(struct out *o, uint16_t v)
{
	put(o, &v, sizeof(v));
}

static void put32(struct out *o, uint32_t v)
{
	put(o, &v, sizeof(v));
}

static void put64(struct out *o, uint64_t v)
{
	put(o, &v, sizeof(v));
}

static void put_zeros(struct out *o, size_t n)
{
	static const uint8_t zeros[FADT_BYTES];

	assert(n <= sizeof(zeros));
	put(o, zeros, n);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n-- > 0)
		sum = (uint8_t)(sum - *p++);
	return sum;
}

/* Starts a table; returns its offset, for end_table. */
static size_t begin_table(struct out *o, const char signature[4], uint8_t revision)
{
	size_t at;

	put_zeros(o, (TABLE_ALIGN - o->n % TABLE_ALIGN) % TABLE_ALIGN);
	at = o->n;
	put(o, signature, 4);
	put32(o, 0); /* length: end_table */
	put8(o, revision);
	put8(o, 0); /* checksum: end_table */
	put(o, "HUSK  ", 6);
	put(o, "HUSKVM  ", 8);
	put32(o, 1); /* OEM revision */
	put(o, "HUSK", 4);
	put32(o, 1); /* creator revision */
	return at;
}

static void end_table(struct out *o, size_t at)
{
	uint32_t n = (uint32_t)(o->n - at);

	if (o->full)
		return;
	memcpy(o->b + at + 4, &n, sizeof(n));
	o->b[at + HEADER_CHECKSUM] = checksum(o->b + at, n);
}

/* AML. A package is a construct that starts with its own length (20.2.4), here always
 * in the two-byte form, which holds up to 4095. begin_* returns what end_* needs. */
enum {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_METHOD = 0x14,
	AML_EXT = 0x5b,
	AML_EXT_DEVICE = 0x82,
	AML_ROOT = 0x5c,
	AML_NOTIFY = 0x86,
};

static size_t begin_package(struct out *o, uint8_t op)
{
	put8(o, op);
	put16(o, 0);
	return o->n - 2;
}

static void end_package(struct out *o, size_t at)
{
	size_t n = o->n - at;

	if (o->full)
		return;
	o->b[at] = (uint8_t)(0x40 | (n & 0xf));
	o->b[at + 1] = (uint8_t)(n >> 4);
}

static size_t begin_device(struct out *o, const char name[4])
{
	size_t at;

	put8(o, AML_EXT);
	at = begin_package(o, AML_EXT_DEVICE);
	put(o, name, 4);
	return at;
}

static void put_integer(struct out *o, uint32_t v)
{
	if (v <= 1) {
		put8(o, v ? AML_ONE : AML_ZERO);
	} else if (v <= UINT8_MAX) {
		put8(o, AML_BYTE);
		put8(o, (uint8_t)v);
	} else {
		put8(o, AML_DWORD);
		put32(o, v);
	}
}

static void put_name(struct out *o, const char name[4])
{
	put8(o, AML_NAME);
	put(o, name, 4);
}

static void put_name_string(struct out *o, const char name[4], const char *value)
{
	put_name(o, name);
	put8(o, AML_STRING);
	put(o, value, strlen(value) + 1);
}

static void put_name_integer(struct out *o, const char name[4], uint32_t value)
{
	put_name(o, name);
	put_integer(o, value);
}

/* _HID as a compressed plug and play id (19.3.4, "EISA ID"): three letters of 5 bits
 * each, here "PNP", and four digits. */
static void put_hid_pnp(struct out *o, uint16_t digits)
{
	put_name(o, "_HID");
	put8(o, AML_DWORD);
	put8(o, 0x41);
	put8(o, 0xd0);
	put8(o, (uint8_t)(digits >> 8));
	put8(o, (uint8_t)digits);
}

/* Name (_CRS, Buffer (size) { descriptors, end tag }), made by begin_crs, some put_*
 * and end_crs. */
struct crs {
	size_t package, size;
};

static struct crs begin_crs(struct out *o)
{
	struct crs c;

	put_name(o, "_CRS");
	c.package = begin_package(o, AML_BUFFER);
	put8(o, AML_WORD);
	put16(o, 0);
	c.size = o->n - 2;
	return c;
}

static void end_crs(struct out *o, struct crs c)
{
	uint16_t n;

	put8(o, 0x79); /* end tag, 6.4.2.9 */
	put8(o, 0); /* its checksum: 0 means that there is none */
	n = (uint16_t)(o->n - c.size - 2);
	if (!o->full)
		memcpy(o->b + c.size, &n, sizeof(n));
	end_package(o, c.package);
}

static void put_memory(struct out *o, uint32_t start, uint32_t len)
{
	put8(o, 0x86); /* 32-bit fixed memory range, 6.4.3.4 */
	put16(o, 9);
	put8(o, 1); /* may be written */
	put32(o, start);
	put32(o, len);
}

static void put_ports(struct out *o, uint16_t start, uint8_t n)
{
	put8(o, 0x47); /* I/O port, 6.4.2.5 */
	put8(o, 1); /* decodes 16 bits */
	put16(o, start);
	put16(o, start);
	put8(o, 1);
	put8(o, n);
}

static void put_interrupt(struct out *o, uint32_t gsi)
{
	put8(o, 0x89); /* extended interrupt, 6.4.3.6 */
	put16(o, 6);
	put8(o, 0x03); /* consumer, edge, active high, exclusive */
	put8(o, 1);
	put32(o, gsi);
}

static void put_virtio(struct out *o, unsigned index, const struct boot_device *d)
{
	static const char digit[16] = "0123456789ABCDEF";
	char name[4] = { 'V', '0', digit[index >> 4 & 0xf], digit[index & 0xf] };
	size_t at = begin_device(o, name);
	struct crs c;

	put_name_string(o, "_HID", "LNRO0005"); /* what Linux's virtio_mmio takes */
	put_name_integer(o, "_UID", index);
	put_name_integer(o, "_CCA", 1); /* DMA is coherent */
	c = begin_crs(o);
	put_memory(o, (uint32_t)d->start, d->len);
	put_interrupt(o, d->gsi);
	end_crs(o, c);
	end_package(o, at);
}

/* Says where the 16 bytes are (Microsoft, "Virtual Machine Generation ID"). */
static void put_vmgenid(struct out *o)
{
	size_t at = begin_device(o, "VGEN"), package;

	put_name_string(o, "_HID", "VMGENCTR");
	put_name_string(o, "_CID", "VM_Gen_Counter");
	put_name_string(o, "_DDN", "VM_Gen_Counter");
	put_name(o, "ADDR");
	package = begin_package(o, AML_PACKAGE);
	put8(o, 2);
	put_integer(o, (uint32_t)X86_VMGENID_GPA);
	put_integer(o, (uint32_t)(X86_VMGENID_GPA >> 32));
	end_package(o, package);
	end_package(o, at);
}

/* The generic event device (5.6.9): its interrupt runs _EVT, which notifies VGEN. */
static void put_events(struct out *o)
{
	size_t at = begin_device(o, "GED0"), method;
	struct crs c;

	put_name_string(o, "_HID", "ACPI0013");
	put_name_integer(o, "_UID", 0);
	c = begin_crs(o);
	put_interrupt(o, X86_VMGENID_GSI);
	end_crs(o, c);
	method = begin_package(o, AML_METHOD);
	put(o, "_EVT", 4);
	put8(o, 0x09); /* one argument, serialized */
	put8(o, AML_NOTIFY);
	put(o, "VGEN", 4); /* is found in the enclosing scope */
	put_integer(o, 0x80); /* the generation has changed */
	end_package(o, method);
	end_package(o, at);
}

/* On a hardware-reduced machine Linux has only the ISA interrupts that ACPI names, so
 * without this COM1, which it knows by itself, would have none. */
static void put_console(struct out *o)
{
	size_t at = begin_device(o, "COM1");
	struct crs c;

	put_hid_pnp(o, 0x0501); /* 16550A */
	put_name_integer(o, "_UID", 1);
	c = begin_crs(o);
	put_ports(o, X86_COM1_PORT, 8);
	put_interrupt(o, X86_COM1_GSI);
	end_crs(o, c);
	end_package(o, at);
}

static void put_keyboard(struct out *o)
{
	size_t at = begin_device(o, "PS2K");
	struct crs c;

	put_hid_pnp(o, 0x0303); /* keyboard behind an i8042 */
	c = begin_crs(o);
	put_ports(o, X86_I8042_PORT, 1);
	put_ports(o, X86_I8042_PORT + 4, 1);
	put_interrupt(o, X86_KEYBOARD_GSI);
	end_crs(o, c);
	end_package(o, at);
}

/* To power off is a sleep state, S5 (7.4.2.6): what to write to the control registers.
 */
static void put_s5(struct out *o)
{
	size_t package;

	put_name(o, "_S5_");
	package = begin_package(o, AML_PACKAGE);
	put8(o, 2);
	put_integer(o, POWER_SLEEP_TYPE_S5);
	put_integer(o, POWER_SLEEP_TYPE_S5); /* for PM1b, which does not exist */
	end_package(o, package);
}

static gpa_t put_dsdt(struct out *o, const struct boot_plan *plan)
{
	size_t at = begin_table(o, "DSDT", 2), scope; /* 2: 64-bit integers */

	put_s5(o);
	scope = begin_package(o, AML_SCOPE);
	put8(o, AML_ROOT);
	put(o, "_SB_", 4);
	put_vmgenid(o);
	put_events(o);
	if (plan->has_console)
		put_console(o);
	if (plan->has_keyboard)
		put_keyboard(o);
	for (unsigned i = 0; i < plan->n_devices; i++)
		put_virtio(o, i, &plan->devices[i]);
	end_package(o, scope);
	end_table(o, at);
	return X86_ACPI_GPA + at;
}

/* A register at an I/O port (5.2.3.2). */
static void put_register(struct out *o, uint16_t port, uint8_t bits)
{
	enum { IO_SPACE = 1, BYTES_1 = 1, BYTES_2 = 2 };

	put8(o, IO_SPACE);
	put8(o, bits);
	put8(o, 0); /* bit offset */
	put8(o, bits == 8 ? BYTES_1 : BYTES_2);
	put64(o, port);
}

/* Zeros up to an offset in the table that began at `at`: the fields of hardware that
 * does not exist. */
static void put_zeros_to(struct out *o, size_t at, size_t offset)
{
	if (!o->full)
		put_zeros(o, offset - (o->n - at));
}

/* The FACS holds a lock that firmware and kernel share; here nothing ever takes it.
 * Hardware-reduced machines have none. */
static gpa_t put_facs(struct out *o)
{
	size_t at;

	put_zeros(o, (FACS_ALIGN - o->n % FACS_ALIGN) % FACS_ALIGN);
	at = o->n;
	put(o, "FACS", 4);
	put32(o, FACS_BYTES);
	put_zeros_to(o, at, 32);
	put8(o, 2); /* version */
	put_zeros_to(o, at, FACS_BYTES);
	return X86_ACPI_GPA + at;
}

/* The FADT's fields from offset 36 to 109, for a machine that is not hardware-reduced:
 * power management by the PM1 registers, without SMM, timer or general-purpose events.
 */
static void put_fixed_hardware(struct out *o, size_t at, gpa_t facs, gpa_t dsdt)
{
	put32(o, (uint32_t)facs);
	put32(o, (uint32_t)dsdt);
	put_zeros_to(o, at, 46);
	put16(o, X86_SCI_GSI);
	put_zeros_to(o, at, 56); /* SMI_CMD 0: the machine is always in ACPI mode */
	put32(o, X86_ACPI_PORT + POWER_PM1_EVENT);
	put32(o, 0); /* PM1b */
	put32(o, X86_ACPI_PORT + POWER_PM1_CONTROL);
	put_zeros_to(o, at, 88);
	put8(o, 4); /* bytes of PM1's status and enable */
	put8(o, 2); /* and of its control */
	put_zeros_to(o, at, 96);
	/* latencies above 100 and 1000 us: the processor has no C2 and no C3 */
	put16(o, 101);
	put16(o, 1001);
}

static void put_fadt_flags(struct out *o, const struct boot_plan *plan)
{
	enum {
		/* IA-PC boot architecture, 5.2.9.3 */
		HAS_8042 = 1 << 1,
		NO_VGA = 1 << 2,
		NO_MSI = 1 << 3,
		NO_ASPM = 1 << 4,
		NO_CMOS_RTC = 1 << 5, /* husk's has no interrupt, so no alarms */
		/* fixed features, 5.2.9 */
		WBINVD = 1 << 0,
		NO_POWER_BUTTON = 1 << 4,
		NO_SLEEP_BUTTON = 1 << 5,
		HAS_RESET_REGISTER = 1 << 10,
		HW_REDUCED = 1 << 20,
	};

	put16(o,
		(uint16_t)(NO_VGA | NO_MSI | NO_ASPM | NO_CMOS_RTC |
			(plan->has_keyboard ? HAS_8042 : 0)));
	put8(o, 0);
	put32(o,
		WBINVD | NO_POWER_BUTTON | NO_SLEEP_BUTTON | HAS_RESET_REGISTER |
			(plan->pics_only ? 0 : HW_REDUCED));
}

static gpa_t put_fadt(struct out *o, const struct boot_plan *plan, gpa_t dsdt)
{
	enum { RESET_VALUE = 0x06 }; /* a hard reset, by port 0xcf9 */
	gpa_t facs = plan->pics_only ? put_facs(o) : 0;
	size_t at = begin_table(o, "FACP", 6);

	if (plan->pics_only)
		put_fixed_hardware(o, at, facs, dsdt);
	put_zeros_to(o, at, 109);
	put_fadt_flags(o, plan);
	put_register(o, X86_RESET_PORT, 8);
	put8(o, RESET_VALUE);
	put_zeros_to(o, at, 131); /* Arm flags */
	put8(o, 4); /* minor version: 6.4 */
	put_zeros_to(o, at, 140);
	put64(o, dsdt);
	if (plan->pics_only) {
		put_register(o, X86_ACPI_PORT + POWER_PM1_EVENT, 32);
		put_zeros_to(o, at, 172);
		put_register(o, X86_ACPI_PORT + POWER_PM1_CONTROL, 16);
	}
	put_zeros_to(o, at, 244);
	put_register(o, X86_ACPI_PORT + POWER_SLEEP_CONTROL, 8);
	put_register(o, X86_ACPI_PORT + POWER_SLEEP_STATUS, 8);
	put(o, "HUSK    ", 8); /* hypervisor vendor */
	assert(o->full || o->n - at == FADT_BYTES);
	end_table(o, at);
	return X86_ACPI_GPA + at;
}

/* Line n is pin n. Lines up to 15 are edge-triggered and active high, as on ISA, and so
 * need no override; for those above the DSDT says the same. */
static gpa_t put_madt(struct out *o, unsigned n_vcpus, bool pics)
{
	enum { LAPIC = 0, IOAPIC = 1, LAPIC_NMI = 4, ENABLED = 1, ALL = 0xff };
	size_t at = begin_table(o, "APIC", 5);

	put32(o, X86_LAPIC_GPA);
	put32(o, pics); /* whether there is a pair of 8259 */
	for (unsigned i = 0; i < n_vcpus; i++) { /* 5.2.12.2 */
		put8(o, LAPIC);
		put8(o, 8);
		put8(o, (uint8_t)i); /* processor UID */
		put8(o, (uint8_t)i); /* APIC id */
		put32(o, ENABLED);
	}
	put8(o, IOAPIC); /* 5.2.12.3 */
	put8(o, 12);
	put8(o, (uint8_t)n_vcpus); /* id, as in the MP table */
	put8(o, 0);
	put32(o, X86_IOAPIC_GPA);
	put32(o, 0); /* its first line */
	put8(o, LAPIC_NMI); /* 5.2.12.7 */
	put8(o, 6);
	put8(o, ALL);
	put16(o, 0); /* polarity and trigger mode are the bus's */
	put8(o, 1); /* LINT1 */
	end_table(o, at);
	return X86_ACPI_GPA + at;
}

/* Fills the room that was left for the RSDP at the start. */
static void fill_rsdp(struct out *o, gpa_t xsdt)
{
	size_t n = o->n;

	o->n = 0;
	put(o, "RSD PTR ", 8);
	put8(o, 0); /* checksum, below */
	put(o, "HUSK  ", 6);
	put8(o, 2); /* revision */
	put32(o, 0); /* no RSDT */
	put32(o, RSDP_BYTES);
	put64(o, xsdt);
	put32(o, 0); /* extended checksum, below */
	assert(o->n == RSDP_BYTES);
	o->b[8] = checksum(o->b, RSDP_BYTES_V1);
	o->b[32] = checksum(o->b, RSDP_BYTES);
	o->n = n;
}

int acpi_write(struct guest_mem *mem, const struct boot_plan *plan)
{
	struct out o = { .n = 0 };
	gpa_t fadt, madt;
	size_t xsdt;

	put_zeros(&o, RSDP_BYTES); /* filled last */
	fadt = put_fadt(&o, plan, put_dsdt(&o, plan));
	madt = put_madt(&o, plan->n_vcpus, plan->pics_only);
	xsdt = begin_table(&o, "XSDT", 1);
	put64(&o, fadt);
	put64(&o, madt);
	end_table(&o, xsdt);
	if (o.full)
		return -ENOSPC;
	fill_rsdp(&o, X86_ACPI_GPA + xsdt);
	return guest_write(mem, X86_ACPI_GPA, o.b, o.n);
}
