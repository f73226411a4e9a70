/* SPDX-License-Identifier: Apache-2.0
 *
 * boot: what guest memory holds after boot_load, as the boot protocols ask, and what
 * boot_load refuses.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_kernel.h"
#include "vmm/codec/cmdline.h"
#include "vmm/x86/boot.h"

enum { E820_RAM = 1, E820_RESERVED = 2 };

static struct fake_image img;
static struct guest_mem *mem;
static struct x86_entry entry;
static struct boot_params zero_page;
static struct err e;

/* A vmlinux of one segment, which is at 2 MiB and occupies mem_bytes. */
static struct boot_plan elf_plan(uint64_t mem_bytes)
{
	const struct fake_segment s = { 2 * MIB, 0x3000, mem_bytes, 0x1000 };

	fake_elf(&img, &s, 1)->e_entry = 2 * MIB + 0x40;
	return (struct boot_plan){
		.kernel_fd = fake_fd(img.bytes, img.len),
		.initrd_fd = -1,
		.kernel_path = "/kernel",
		.initrd_path = "/initrd",
		.cmdline = "console=ttyS0 pci=off",
		.n_vcpus = 2,
		.vmgenid = { 1, 2, 3, [15] = 16 },
	};
}

static struct boot_plan bzimage_plan(void)
{
	struct boot_plan plan = elf_plan(MIB);

	fake_bzimage(&img, 0x4000);
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	return plan;
}

static int load(const struct boot_plan *plan, uint64_t mem_bytes)
{
	struct guest_range ranges[GUEST_RANGES_MAX];
	unsigned n = boot_layout(mem_bytes, ranges);
	int r;

	guest_mem_destroy(mem);
	cr_assert_eq(guest_mem_create(ranges, n, GUEST_PAGES_NONE, &mem, &e), 0);
	r = boot_load(plan, mem, &entry, &e);
	cr_assert_eq(
		guest_read(mem, X86_ZERO_PAGE_GPA, &zero_page, sizeof(zero_page)), 0);
	return r;
}

static void loads(const struct boot_plan *plan, uint64_t mem_bytes)
{
	e.text[0] = '\0';
	cr_assert_eq(load(plan, mem_bytes), 0, "%s", e.text);
}

static void refused(const struct boot_plan *plan, uint64_t mem_bytes, const char *text)
{
	cr_assert_lt(load(plan, mem_bytes), 0);
	cr_assert(strstr(e.text, text), "'%s' does not say '%s'", e.text, text);
}

static void expect_range(struct guest_range r, gpa_t start, uint64_t len)
{
	cr_assert_eq(r.start, start);
	cr_assert_eq(r.len, len);
}

Test(boot, memory_up_to_3_gib_is_one_range)
{
	struct guest_range r[GUEST_RANGES_MAX];

	cr_assert_eq(boot_layout(128 * MIB, r), 1);
	expect_range(r[0], 0, 128 * MIB);
	cr_assert_eq(boot_layout(3 * GIB, r), 1);
	expect_range(r[0], 0, 3 * GIB);
}

Test(boot, memory_beyond_3_gib_goes_on_at_4_gib)
{
	struct guest_range r[GUEST_RANGES_MAX];

	cr_assert_eq(boot_layout(3 * GIB + MIB, r), 2);
	expect_range(r[0], 0, 3 * GIB);
	expect_range(r[1], 4 * GIB, MIB);
	cr_assert_eq(boot_layout(64 * GIB, r), 2);
	expect_range(r[1], 4 * GIB, 61 * GIB);
}

static void expect_e820(unsigned i, gpa_t start, gpa_t end, uint32_t type)
{
	const struct boot_e820_entry *x = &zero_page.e820_table[i];

	cr_assert_lt(i, zero_page.e820_entries);
	cr_assert(x->addr == start && x->size == end - start && x->type == type,
		"entry %u: %llx + %llx, %u", i, x->addr, x->size, x->type);
}

Test(boot, e820_has_low_memory_and_reserves_the_rest_below_1_mib)
{
	struct boot_plan plan = elf_plan(MIB);

	loads(&plan, 128 * MIB);
	cr_assert_eq(zero_page.e820_entries, 3);
	expect_e820(0, 0, 0x9fc00, E820_RAM);
	expect_e820(1, 0x9fc00, MIB, E820_RESERVED);
	expect_e820(2, MIB, 128 * MIB, E820_RAM);
}

Test(boot, e820_leaves_the_hole_out)
{
	struct boot_plan plan = elf_plan(MIB);

	loads(&plan, 4 * GIB);
	cr_assert_eq(zero_page.e820_entries, 4);
	expect_e820(2, MIB, 3 * GIB, E820_RAM);
	expect_e820(3, 4 * GIB, 5 * GIB, E820_RAM);
}

Test(boot, an_elf_starts_at_its_entry_with_the_zero_page)
{
	struct boot_plan plan = elf_plan(MIB);
	const struct setup_header *h = &zero_page.hdr;
	char cmdline[64];

	loads(&plan, 128 * MIB);
	cr_assert_eq(entry.rip, 2 * MIB + 0x40);
	cr_assert(!entry.is_pvh);
	cr_assert_eq(entry.params, X86_ZERO_PAGE_GPA);
	cr_assert_eq(h->type_of_loader, 0xff);
	cr_assert_eq(h->boot_flag, 0xaa55);
	cr_assert_eq(h->header, 0x53726448);
	cr_assert_geq(h->version, 0x020c);
	cr_assert_eq(h->cmd_line_ptr, X86_CMDLINE_GPA);
	cr_assert_eq(h->ramdisk_size, 0);
	cr_assert_eq(zero_page.acpi_rsdp_addr, X86_ACPI_GPA);
	cr_assert_eq(zero_page.sentinel, 0);
	cr_assert_eq(
		guest_read(mem, X86_CMDLINE_GPA, cmdline, strlen(plan.cmdline) + 1), 0);
	cr_assert_str_eq(cmdline, plan.cmdline);
}

Test(boot, a_bzimage_finds_its_own_setup_header_in_the_zero_page)
{
	struct boot_plan plan = bzimage_plan();
	struct setup_header was;

	memcpy(&was, img.bytes + 0x1f1, sizeof(was));
	loads(&plan, 128 * MIB);
	cr_assert_eq(entry.rip, 16 * MIB + 0x200);
	cr_assert_eq(zero_page.hdr.type_of_loader, 0xff);
	cr_assert_eq(zero_page.hdr.cmd_line_ptr, X86_CMDLINE_GPA);
	zero_page.hdr.type_of_loader = was.type_of_loader;
	zero_page.hdr.cmd_line_ptr = was.cmd_line_ptr;
	cr_assert_arr_eq(&zero_page.hdr, &was, sizeof(was));
}

Test(boot, setup_data_of_the_file_is_not_passed_on)
{
	struct boot_plan plan = bzimage_plan();
	struct setup_header *h = fake_bzimage(&img, 0x4000);

	h->setup_data = 0x1234;
	h->loadflags |= CAN_USE_HEAP;
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	loads(&plan, 128 * MIB);
	cr_assert_eq(zero_page.hdr.setup_data, 0);
	cr_assert_eq(zero_page.hdr.loadflags, LOADED_HIGH);
}

Test(boot, the_gdt_is_flat_with_the_selectors_of_the_protocol)
{
	struct boot_plan plan = elf_plan(MIB);
	uint64_t gdt[X86_GDT_BYTES / 8];

	loads(&plan, 128 * MIB);
	cr_assert_eq(guest_read(mem, X86_GDT_GPA, gdt, sizeof(gdt)), 0);
	cr_assert_eq(gdt[0], 0);
	cr_assert_eq(gdt[0x10 / 8], 0x00af9b000000ffff);
	cr_assert_eq(gdt[0x18 / 8], 0x00cf93000000ffff);
}

/* The physical address to which the page tables translate one, or 1 for none. */
static gpa_t translate(gpa_t at)
{
	enum { PRESENT_WRITABLE = 3, BIG = 0x80 };
	gpa_t table = X86_PML4_GPA;

	for (unsigned shift = 39; shift >= 21; shift -= 9) {
		uint64_t x;

		cr_assert_eq(
			guest_read(mem, table + (at >> shift) % 512 * 8, &x, 8), 0);
		if ((x & PRESENT_WRITABLE) != PRESENT_WRITABLE)
			return 1;
		cr_assert_eq(!!(x & BIG), shift == 21);
		table = x & ~0xfffull;
	}
	return table + at % (2 * MIB);
}

Test(boot, all_below_4_gib_is_mapped_onto_itself)
{
	struct boot_plan plan = elf_plan(MIB);

	loads(&plan, 128 * MIB);
	for (gpa_t at = 0; at < 4 * GIB; at += 2 * MIB)
		cr_assert_eq(translate(at + 0x123), at + 0x123);
	cr_assert_eq(translate(4 * GIB), 1);
	cr_assert_eq(translate(1ull << 39), 1);
}

Test(boot, refuses_a_kernel_above_the_hole)
{
	const struct fake_segment s = { 4 * GIB, 0x1000, 0x1000, 0x1000 };
	struct boot_plan plan = elf_plan(MIB);

	fake_elf(&img, &s, 1);
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	refused(&plan, 8 * GIB, "kernel '/kernel': reaches to 0x100001000");
}

Test(boot, a_restart_through_the_bios_resets_through_the_i8042)
{
	static const uint8_t code[] = { 0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd };
	struct boot_plan plan = elf_plan(MIB);
	uint8_t got[sizeof(code)];

	loads(&plan, 128 * MIB);
	cr_assert_eq(guest_read(mem, 0xffff0, got, sizeof(got)), 0);
	cr_assert_arr_eq(got, code, sizeof(code));
}

Test(boot, the_generation_id_lies_where_acpi_says)
{
	struct boot_plan plan = elf_plan(MIB);
	uint8_t got[16];

	loads(&plan, 128 * MIB);
	cr_assert_eq(guest_read(mem, X86_VMGENID_GPA, got, sizeof(got)), 0);
	cr_assert_arr_eq(got, plan.vmgenid, sizeof(got));
}

static void give_initrd(struct boot_plan *plan, size_t n)
{
	for (size_t i = 0; i < n; i++)
		img.bytes[i] = fake_byte(9, i);
	plan->initrd_fd = fake_fd(img.bytes, n);
}

static void expect_initrd(gpa_t at, size_t n)
{
	static uint8_t got[FAKE_IMAGE_MAX];

	cr_assert_eq(zero_page.hdr.ramdisk_size, n);
	cr_assert_eq(
		zero_page.hdr.ramdisk_image, at, "%x", zero_page.hdr.ramdisk_image);
	cr_assert_eq(guest_read(mem, at, got, n), 0);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(got[i], fake_byte(9, i));
}

/* Bytes of an initrd that does not fit between 1 MiB and the kernel at 2 MiB. */
enum { BIG = MIB + 3 * 4096 };

Test(boot, a_big_initrd_ends_with_low_memory)
{
	struct boot_plan plan = elf_plan(MIB);

	give_initrd(&plan, BIG - 5);
	loads(&plan, 128 * MIB);
	expect_initrd(128 * MIB - BIG, BIG - 5);
	loads(&plan, 8 * GIB);
	expect_initrd(3 * GIB - BIG, BIG - 5);
	plan.how = KERNEL_MAP;
	loads(&plan, 128 * MIB);
	expect_initrd(128 * MIB - BIG, BIG - 5);
}

Test(boot, a_small_initrd_lies_below_the_kernel)
{
	struct boot_plan plan = elf_plan(MIB);

	give_initrd(&plan, 10000);
	loads(&plan, 128 * MIB);
	expect_initrd(MIB, 10000);
	give_initrd(&plan, MIB);
	loads(&plan, 128 * MIB);
	expect_initrd(MIB, MIB);
	give_initrd(&plan, MIB + 1);
	loads(&plan, 128 * MIB);
	expect_initrd(128 * MIB - MIB - 4096, MIB + 1);
}

Test(boot, the_initrd_lies_where_the_kernel_takes_it)
{
	struct boot_plan plan = bzimage_plan();

	fake_bzimage(&img, 0x4000)->initrd_addr_max = 0x37ffffff;
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	give_initrd(&plan, BIG);
	loads(&plan, 2 * GIB);
	expect_initrd(0x38000000 - BIG, BIG);
}

Test(boot, an_initrd_that_fits_nowhere_else_lies_below_the_kernel)
{
	struct boot_plan plan = bzimage_plan(); /* from 16 MiB on */

	give_initrd(&plan, BIG);
	loads(&plan, 17 * MIB + BIG);
	expect_initrd(17 * MIB, BIG);
	loads(&plan, 16 * MIB + BIG);
	expect_initrd(MIB, BIG);
	fake_bzimage(&img, 0x4000)->initrd_addr_max = 3 * MIB;
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	give_initrd(&plan, BIG);
	loads(&plan, 128 * MIB);
	expect_initrd(MIB, BIG);
	cr_assert_eq(ftruncate(plan.initrd_fd, 15 * MIB), 0);
	refused(&plan, 128 * MIB, "do not fit below the kernel");
}

Test(boot, an_initrd_may_fill_all_that_the_kernel_leaves)
{
	struct boot_plan plan = elf_plan(2 * MIB - BIG);

	give_initrd(&plan, BIG);
	loads(&plan, 4 * MIB);
	expect_initrd(4 * MIB - BIG, BIG);
	give_initrd(&plan, BIG + 1);
	refused(&plan, 4 * MIB, "initrd '/initrd': 1060865 bytes do not fit");
	plan = elf_plan(2 * MIB - BIG + 1);
	give_initrd(&plan, BIG);
	refused(&plan, 4 * MIB, "initrd '/initrd': 1060864 bytes do not fit");
	plan = elf_plan(2 * MIB - BIG + 1);
	give_initrd(&plan, BIG - 1); /* fits, but not on a page boundary */
	refused(&plan, 4 * MIB, "initrd '/initrd': 1060863 bytes do not fit");
}

Test(boot, refuses_an_initrd_larger_than_memory)
{
	struct boot_plan plan = elf_plan(MIB);

	give_initrd(&plan, 1);
	cr_assert_eq(ftruncate(plan.initrd_fd, (off_t)(5 * GIB)), 0);
	refused(&plan, 128 * MIB, "initrd '/initrd': 5368709120 bytes do not fit");
	refused(&plan, 8 * GIB, "initrd '/initrd': 5368709120 bytes do not fit");
}

Test(boot, refuses_an_initrd_that_the_kernel_takes_nowhere)
{
	struct boot_plan plan = bzimage_plan();

	fake_bzimage(&img, 0x4000)->initrd_addr_max = 0;
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	give_initrd(&plan, 100);
	refused(&plan, 128 * MIB,
		"initrd '/initrd': 100 bytes do not fit below the kernel, which lies "
		"from 0x1000000 to 0x1008000, nor above it up to 0x0");
}

Test(boot, refuses_an_initrd_that_is_empty_or_no_file)
{
	struct boot_plan plan = elf_plan(MIB);

	give_initrd(&plan, 0);
	refused(&plan, 128 * MIB, "initrd '/initrd': empty");
	plan.initrd_fd = open("/", O_RDONLY | O_CLOEXEC);
	refused(&plan, 128 * MIB, "initrd '/initrd': not a regular file");
	plan.initrd_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	refused(&plan, 128 * MIB, "initrd '/initrd': cannot load");
}

Test(boot, names_the_kernel_that_it_refuses)
{
	struct boot_plan plan = elf_plan(MIB);

	plan.kernel_fd = fake_fd("hello", 5);
	refused(&plan, 128 * MIB,
		"kernel '/kernel': neither an ELF file nor a bzImage");
	plan = elf_plan(4 * MIB);
	refused(&plan, 4 * MIB,
		"kernel '/kernel': segment 0: 4194304 bytes at 0x200000 lie outside "
		"the 4 MiB of guest memory");
}

Test(boot, refuses_every_kernel_when_memory_is_tiny)
{
	struct boot_plan plan = elf_plan(MIB);

	refused(&plan, MIB, "lie outside the 1 MiB of guest memory");
}

Test(boot, refuses_a_command_line_longer_than_the_kernel_takes)
{
	struct boot_plan plan = bzimage_plan();
	char line[CMDLINE_BYTES + 1];

	memset(line, 'a', sizeof(line));
	line[CMDLINE_BYTES] = '\0';
	plan.cmdline = line;
	refused(&plan, 128 * MIB,
		"command line: 2048 characters, the kernel takes 2047");
	line[CMDLINE_BYTES - 1] = '\0';
	loads(&plan, 128 * MIB);
	fake_bzimage(&img, 0x4000)->cmdline_size = 100;
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	line[101] = '\0';
	refused(&plan, 128 * MIB, "command line: 101 characters, the kernel takes 100");
	line[100] = '\0';
	loads(&plan, 128 * MIB);
}

/* --- PVH --- */

/* The kernel of elf_plan with a PVH note. Its e_entry is a virtual address. */
static struct boot_plan pvh_plan(void)
{
	const struct fake_segment s[] = { { 2 * MIB, 0x3000, MIB, 0x1000 },
		{ 0, 0, 0, 0 } };
	struct boot_plan plan = elf_plan(MIB);

	fake_elf(&img, s, 2)->e_entry = 0xffffffff80200040;
	fake_pvh_note(&img, 1, 2 * MIB + 0x40);
	plan.kernel_fd = fake_fd(img.bytes, img.len);
	return plan;
}

static uint64_t number(gpa_t at, size_t bytes)
{
	uint64_t n = 0;

	cr_assert_eq(guest_read(mem, at, &n, bytes), 0);
	return n;
}

Test(boot, a_pvh_kernel_starts_with_the_start_info)
{
	struct boot_plan plan = pvh_plan();
	char cmdline[64];

	loads(&plan, 128 * MIB);
	cr_assert(entry.is_pvh);
	cr_assert_eq(entry.rip, 2 * MIB + 0x40);
	cr_assert_eq(number(entry.params, 4), 0x336ec578); /* magic */
	cr_assert_eq(number(entry.params + 4, 4), 1); /* version */
	cr_assert_eq(number(entry.params + 8, 4), 0); /* flags */
	cr_assert_eq(number(entry.params + 12, 4), 0); /* modules */
	cr_assert_eq(number(entry.params + 16, 8), 0);
	cr_assert_eq(guest_read(mem, number(entry.params + 24, 8), cmdline,
			     strlen(plan.cmdline) + 1),
		0);
	cr_assert_str_eq(cmdline, plan.cmdline);
	cr_assert_eq(
		number(number(entry.params + 32, 8), 8), 0x2052545020445352, "RSD PTR");
	cr_assert_eq(number(entry.params + 52, 4), 0); /* reserved */
}

Test(boot, the_memory_map_of_pvh_is_that_of_e820)
{
	struct boot_plan plan = elf_plan(MIB);
	gpa_t map;

	loads(&plan, 4 * GIB);
	cr_assert(!entry.is_pvh);
	struct boot_params linux_page = zero_page;

	plan = pvh_plan();
	loads(&plan, 4 * GIB);
	map = number(entry.params + 40, 8);
	cr_assert_eq(number(entry.params + 48, 4), linux_page.e820_entries);
	for (unsigned i = 0; i < linux_page.e820_entries; i++, map += 24) {
		const struct boot_e820_entry *x = &linux_page.e820_table[i];

		cr_assert_eq(number(map, 8), x->addr);
		cr_assert_eq(number(map + 8, 8), x->size);
		cr_assert_eq(number(map + 16, 4), x->type);
		cr_assert_eq(number(map + 20, 4), 0);
	}
}

Test(boot, the_initrd_is_the_one_module_of_pvh)
{
	struct boot_plan plan = pvh_plan();
	gpa_t module;

	give_initrd(&plan, BIG);
	loads(&plan, 128 * MIB);
	cr_assert_eq(number(entry.params + 12, 4), 1);
	module = number(entry.params + 16, 8);
	cr_assert_eq(number(module, 8), 128 * MIB - BIG);
	cr_assert_eq(number(module + 8, 8), BIG);
	cr_assert_eq(number(module + 16, 8), 0);
	cr_assert_eq(number(128 * MIB - BIG + 77, 1), fake_byte(9, 77));
}

Test(boot, the_gdt_of_pvh_has_32_bit_code)
{
	struct boot_plan plan = pvh_plan();

	loads(&plan, 128 * MIB);
	cr_assert_eq(number(X86_GDT_GPA + 0x08, 8), 0x00008b0000000067);
	cr_assert_eq(number(X86_GDT_GPA + 0x10, 8), 0x00cf9b000000ffff);
	cr_assert_eq(number(X86_GDT_GPA + 0x18, 8), 0x00cf93000000ffff);
}

Test(boot, the_platform_tables_are_there_for_1_to_32_vcpus)
{
	struct boot_plan plan = elf_plan(MIB);
	char mp[4], rsdp[8];

	for (plan.n_vcpus = 1; plan.n_vcpus <= VCPUS_MAX; plan.n_vcpus++) {
		loads(&plan, 128 * MIB);
		cr_assert_eq(guest_read(mem, X86_MPTABLE_GPA, mp, sizeof(mp)), 0);
		cr_assert_arr_eq(mp, "_MP_", 4);
		cr_assert_eq(guest_read(mem, X86_ACPI_GPA, rsdp, sizeof(rsdp)), 0);
		cr_assert_arr_eq(rsdp, "RSD PTR ", 8);
	}
}

Test(boot, refuses_more_devices_than_the_tables_hold)
{
	struct boot_plan plan = elf_plan(MIB);
	struct boot_device many[200] = { { 0 } };

	plan.devices = many;
	plan.n_devices = ARRAY_LEN(many);
	refused(&plan, 128 * MIB, "boot structures: No space left on device");
}
