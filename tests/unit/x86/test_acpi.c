/* SPDX-License-Identifier: Apache-2.0
 *
 * acpi: the tables as a guest finds them, from the RSDP on. HUSK_ACPI_DUMP=DIR also
 * writes each table to DIR/SIGNATURE.dat, for iasl -d.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_kernel.h"
#include "tests/unit/fakes/fake_table.h"
#include "vmm/x86/acpi.h"

static uint8_t room[X86_ACPI_END - X86_ACPI_GPA];

static const struct boot_device devices[] = {
	{ X86_MMIO_GPA, 0x1000, 6 },
	{ X86_MMIO_GPA + 0x1000, 0x1000, 7 },
	{ X86_MMIO_GPA + 0x2000, 0x1000, 23 },
};

static struct boot_plan plan_of(unsigned n_vcpus)
{
	return (struct boot_plan){
		.n_vcpus = n_vcpus,
		.devices = devices,
		.n_devices = ARRAY_LEN(devices),
	};
}

static void write_tables(const struct boot_plan *plan)
{
	struct guest_mem *mem = fake_memory(4 * MIB);

	cr_assert_eq(acpi_write(mem, plan), 0);
	cr_assert_eq(guest_read(mem, X86_ACPI_GPA, room, sizeof(room)), 0);
	guest_mem_destroy(mem);
}

static void dump(const uint8_t *table, size_t n)
{
	const char *dir = getenv("HUSK_ACPI_DUMP");
	char path[256];
	FILE *f;

	if (!dir)
		return;
	(void)snprintf(path, sizeof(path), "%s/%.4s.dat", dir, (const char *)table);
	f = fopen(path, "w");
	cr_assert(f && fwrite(table, 1, n, f) == n && fclose(f) == 0);
}

/* The table at a guest address, whose length and checksum are checked. */
static const uint8_t *table_at(uint64_t at, const char *signature)
{
	const uint8_t *p = room + (at - X86_ACPI_GPA);

	cr_assert(at > X86_ACPI_GPA && at % 16 == 0 && at < X86_ACPI_END - 36);
	cr_assert_arr_eq(p, signature, 4);
	cr_assert_leq(at + le(p + 4, 4), X86_ACPI_END);
	cr_assert_eq(sum(p, le(p + 4, 4)), 0);
	dump(p, le(p + 4, 4));
	return p;
}

static const uint8_t *xsdt(void)
{
	return table_at(le(room + 24, 8), "XSDT");
}

static const uint8_t *fadt(void)
{
	return table_at(le(xsdt() + 36, 8), "FACP");
}

static const uint8_t *madt(void)
{
	return table_at(le(xsdt() + 44, 8), "APIC");
}

static const uint8_t *dsdt(void)
{
	return table_at(le(fadt() + 140, 8), "DSDT");
}

/* Whether the DSDT has these bytes exactly once. */
static unsigned dsdt_count(const void *bytes, size_t n)
{
	const uint8_t *p = dsdt(), *end = p + le(p + 4, 4);
	unsigned found = 0;

	for (; p + n <= end; p++)
		found += memcmp(p, bytes, n) == 0;
	return found;
}

Test(acpi, every_sum_is_zero_for_1_to_32_vcpus)
{
	for (unsigned n = 1; n <= 32; n++) {
		struct boot_plan plan = plan_of(n);

		write_tables(&plan);
		cr_assert_arr_eq(room, "RSD PTR ", 8);
		cr_assert_eq(room[15], 2);
		cr_assert_eq(le(room + 20, 4), 36);
		cr_assert_eq(sum(room, 20), 0);
		cr_assert_eq(sum(room, 36), 0);
		cr_assert_eq(le(xsdt() + 4, 4), 36 + 2 * 8);
		fadt();
		madt();
		dsdt();
	}
}

Test(acpi, the_same_plan_gives_the_same_bytes)
{
	struct boot_plan plan = plan_of(4);
	static uint8_t first[sizeof(room)];

	write_tables(&plan);
	memcpy(first, room, sizeof(room));
	write_tables(&plan);
	cr_assert_arr_eq(first, room, sizeof(room));
}

Test(acpi, the_fadt_is_hardware_reduced)
{
	struct boot_plan plan = plan_of(1);
	const uint8_t *p;

	write_tables(&plan);
	p = fadt();
	cr_assert_eq(p[8], 6);
	cr_assert_eq(le(p + 4, 4), 276);
	cr_assert_eq(le(p + 112, 4), 1u << 20 | 1 << 10 | 1 << 5 | 1 << 4 | 1);
	for (unsigned i = 36; i < 109; i++)
		cr_assert_eq(p[i], 0, "no fixed hardware");
	for (unsigned i = 148; i < 244; i++)
		cr_assert_eq(p[i], 0, "no fixed hardware");
	cr_assert_eq(le(p + 109, 2), 0x3c, "no 8042, VGA, MSI, ASPM, RTC");
	plan.has_keyboard = true;
	write_tables(&plan);
	cr_assert_eq(le(fadt() + 109, 2), 0x3e);
}

/* Checks a register of some width at an I/O port. */
static void expect_register(const uint8_t *p, uint8_t bits, uint16_t port)
{
	const uint8_t head[] = { 1, bits, 0, bits == 8 ? 1 : 2 };

	cr_assert_arr_eq(p, head, sizeof(head));
	cr_assert_eq(le(p + 4, 8), port);
}

Test(acpi, names_how_to_reset_and_to_power_off)
{
	struct boot_plan plan = plan_of(1);

	write_tables(&plan);
	expect_register(fadt() + 116, 8, 0xcf9);
	cr_assert_eq(fadt()[128], 0x06);
	expect_register(fadt() + 244, 8, 0x606);
	expect_register(fadt() + 256, 8, 0x607);
	cr_assert_eq(dsdt_count("\x08_S5_\x12\x47\x00\x02\x0a\x05\x0a\x05", 13), 1);
}

Test(acpi, has_fixed_hardware_and_8259s_where_the_ioapic_is_not_used)
{
	struct boot_plan plan = plan_of(2);
	const uint8_t *p, *facs;

	plan.pics_only = true;
	write_tables(&plan);
	p = fadt();
	cr_assert_eq(le(p + 112, 4), 1u << 10 | 1 << 5 | 1 << 4 | 1, "not reduced");
	cr_assert_eq(le(p + 46, 2), 3, "an interrupt that no device has");
	cr_assert_eq(le(p + 40, 4), le(p + 140, 8));
	cr_assert_eq(le(p + 56, 4), 0x600);
	cr_assert_eq(le(p + 64, 4), 0x604);
	cr_assert(p[88] == 4 && p[89] == 2);
	cr_assert(le(p + 96, 2) > 100 && le(p + 98, 2) > 1000, "no C2 and C3");
	expect_register(p + 148, 32, 0x600);
	expect_register(p + 172, 16, 0x604);
	expect_register(p + 116, 8, 0xcf9);
	cr_assert_eq(le(p + 36, 4) % 64, 0);
	facs = room + (le(p + 36, 4) - X86_ACPI_GPA);
	cr_assert_arr_eq(facs, "FACS", 4);
	cr_assert_eq(le(facs + 4, 4), 64);
	cr_assert_eq(facs[32], 2);
	cr_assert_eq(le(madt() + 40, 4), 1, "PCAT_COMPAT");
}

Test(acpi, the_madt_has_each_vcpu_the_ioapic_and_nmi)
{
	for (unsigned n = 1; n <= 32; n++) {
		struct boot_plan plan = plan_of(n);
		const uint8_t *p;

		write_tables(&plan);
		p = madt();
		cr_assert_eq(le(p + 4, 4), 44 + n * 8 + 12 + 6);
		cr_assert_eq(le(p + 36, 4), 0xfee00000);
		cr_assert_eq(le(p + 40, 4), 0);
		p += 44;
		for (unsigned i = 0; i < n; i++, p += 8) {
			const uint8_t lapic[8] = { 0, 8, (uint8_t)i, (uint8_t)i, 1 };

			cr_assert_arr_eq(p, lapic, 8);
		}
		cr_assert(p[0] == 1 && p[1] == 12 && p[2] == n);
		cr_assert_eq(le(p + 4, 4), 0xfec00000);
		cr_assert_eq(le(p + 8, 4), 0);
		cr_assert_arr_eq(p + 12, "\x04\x06\xff\0\0\x01", 6);
	}
}

Test(acpi, the_dsdt_has_each_device_with_its_memory_and_interrupt)
{
	struct boot_plan plan = plan_of(1);

	write_tables(&plan);
	cr_assert_eq(dsdt_count("_HID\x0dLNRO0005", 14), 3);
	for (unsigned i = 0; i < ARRAY_LEN(devices); i++) {
		uint8_t crs[23] = { 0x86, 9, 0, 1, [12] = 0x89, 6, 0, 3, 1,
			(uint8_t)devices[i].gsi, [21] = 0x79 };
		uint32_t start = (uint32_t)devices[i].start;

		memcpy(crs + 4, &start, 4);
		memcpy(crs + 8, &devices[i].len, 4);
		cr_assert_eq(dsdt_count(crs, sizeof(crs)), 1);
	}
}

Test(acpi, the_generation_id_has_its_address_and_event)
{
	struct boot_plan plan = plan_of(1);

	write_tables(&plan);
	cr_assert_eq(dsdt_count("_HID\x0dVMGENCTR", 14), 1);
	cr_assert_eq(dsdt_count("_CID\x0dVM_Gen_Counter", 20), 1);
	cr_assert_eq(dsdt_count("ADDR\x12\x49\x00\x02\x0c\x00\xf0\x0d\x00\x00", 14), 1);
	cr_assert_eq(dsdt_count("_HID\x0d"
				"ACPI0013",
			     14),
		1);
	cr_assert_eq(dsdt_count("_EVT\x09\x86VGEN\x0a\x80", 12), 1);
}

Test(acpi, console_and_keyboard_are_there_when_the_machine_has_them)
{
	struct boot_plan plan = plan_of(1);
	const uint8_t com1[] = { 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x89, 6, 0, 3, 1, 4 };
	const uint8_t ps2k[] = { 0x47, 1, 0x60, 0, 0x60, 0, 1, 1, 0x47, 1, 0x64, 0 };

	write_tables(&plan);
	cr_assert_eq(dsdt_count(com1, sizeof(com1)), 0);
	cr_assert_eq(dsdt_count(ps2k, sizeof(ps2k)), 0);
	plan.has_console = plan.has_keyboard = true;
	write_tables(&plan);
	cr_assert_eq(dsdt_count(com1, sizeof(com1)), 1);
	cr_assert_eq(dsdt_count(ps2k, sizeof(ps2k)), 1);
}

Test(acpi, holds_a_device_on_every_line)
{
	struct boot_plan plan = plan_of(32);
	struct boot_device all[X86_DEVICE_GSI_LAST - X86_DEVICE_GSI_FIRST + 1];

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		all[i] = (struct boot_device){ X86_MMIO_GPA + i * 0x1000, 0x1000,
			X86_DEVICE_GSI_FIRST + i };
	plan.devices = all;
	plan.n_devices = ARRAY_LEN(all);
	plan.has_console = plan.has_keyboard = true;
	write_tables(&plan);
	cr_assert_eq(dsdt_count("_HID\x0dLNRO0005", 14), ARRAY_LEN(all));
	plan.pics_only = true;
	write_tables(&plan);
	cr_assert_eq(dsdt_count("_HID\x0dLNRO0005", 14), ARRAY_LEN(all));
}

Test(acpi, refuses_more_than_fits_and_memory_that_is_too_small)
{
	static const struct boot_device many[100];
	struct boot_plan plan = plan_of(1);
	struct guest_mem *mem = fake_memory(4 * MIB);

	plan.devices = many;
	plan.n_devices = ARRAY_LEN(many);
	cr_assert_eq(acpi_write(mem, &plan), -ENOSPC);
	guest_mem_destroy(mem);
	mem = fake_memory(512 * KIB);
	plan = plan_of(1);
	cr_assert_eq(acpi_write(mem, &plan), -EFAULT);
	guest_mem_destroy(mem);
}
