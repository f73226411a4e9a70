/* SPDX-License-Identifier: Apache-2.0
 *
 * boot: see the header. Start-up is the product, so only what the kernel's entry needs
 * is written, and no zeros: some 10 pages below 1 MiB beside the files. The plan is
 * trusted, because vmm/machine/config.c checked it; the files are not.
 */
#include "vmm/x86/boot.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "vmm/boot/kernel_file.h"
#include "vmm/codec/cmdline.h"
#include "vmm/x86/acpi.h"
#include "vmm/x86/mptable.h"
#include "vmm/x86/pvh.h"

enum {
	E820_RAM = 1,
	E820_RESERVED = 2,
	LOADER_UNDEFINED = 0xff, /* type_of_loader of a loader without a number */
	BOOT_FLAG = 0xaa55,
	HEADER_MAGIC = 0x53726448, /* "HdrS" */
	HEADER_VERSION = 0x020f,
};

unsigned boot_layout(
	uint64_t mem_bytes, struct guest_range out[static GUEST_RANGES_MAX])
{
	out[0] = (struct guest_range){ 0, MIN(mem_bytes, X86_HOLE_GPA) };
	if (mem_bytes <= X86_HOLE_GPA)
		return 1;
	out[1] = (struct guest_range){ X86_HOLE_END, mem_bytes - X86_HOLE_GPA };
	return 2;
}

static int load_kernel(const struct boot_plan *plan, struct guest_mem *mem,
	struct kernel_image *out, struct err *e)
{
	int r = kernel_load(plan->kernel_fd, X86_HIGH_GPA, plan->how, mem, out, e);

	/* guest: its page tables end at 4 GiB, and the initrd comes after it */
	if (r == 0 && out->end > X86_HOLE_GPA)
		r = err_bad(e, "reaches to 0x%llx, past the memory below 0x%llx",
			(unsigned long long)out->end, (unsigned long long)X86_HOLE_GPA);
	if (r < 0)
		return err_add(e, r, "kernel '%s'", plan->kernel_path);
	return 0;
}

/* The lowest page from which n bytes fit below the kernel, or 0. */
static gpa_t place_below(const struct kernel_image *k, gpa_t roof, uint64_t n)
{
	roof = MIN(MIN(k->start, roof), k->initrd_max + 1);
	return roof > X86_HIGH_GPA && n <= roof - X86_HIGH_GPA ? X86_HIGH_GPA : 0;
}

/* The highest page from which n bytes fit above the kernel, or 0. */
static gpa_t place_above(
	const struct guest_mem *mem, const struct kernel_image *k, uint64_t n)
{
	gpa_t floor = MAX(k->end, X86_HIGH_GPA);
	gpa_t roof =
		round_down(MIN(kernel_low_end(mem), k->initrd_max + 1), PAGE_BYTES);

	/* guest: k->end and initrd_max come from the file, so no sum may wrap */
	if (roof < floor || n > roof - floor)
		return 0;
	roof = round_down(roof - n, PAGE_BYTES);
	return roof >= floor ? roof : 0;
}

/* Where to put an initrd of n bytes; 0 when it fits nowhere. The first choice is the
 * first 2 MiB, which have small pages: that spares zeroing a huge page before the guest
 * runs. The second is as high as the kernel accepts, because Linux allocates downwards
 * from the end of memory and will touch the huge page there anyway. The last is
 * anywhere below the kernel. */
static gpa_t choose_initrd_place(
	const struct guest_mem *mem, const struct kernel_image *k, uint64_t n)
{
	gpa_t at = place_below(k, HUGE_PAGE_BYTES, n);

	if (at == 0)
		at = place_above(mem, k, n);
	return at != 0 ? at : place_below(k, kernel_low_end(mem), n);
}

static int place_initrd(const struct boot_plan *plan, struct guest_mem *mem,
	const struct kernel_image *k, struct guest_range *out, struct err *e)
{
	struct kernel_part whole = { .off = 0 };
	struct kernel_file f;
	int r;

	r = kernel_file_init(&f, plan->initrd_fd, X86_HIGH_GPA, plan->how, mem, e);
	if (r < 0)
		return r;
	if (f.size == 0)
		return err_bad(e, "empty");
	whole.n = f.size;
	whole.at = choose_initrd_place(mem, k, f.size);
	if (whole.at == 0)
		return err_bad(e,
			"%llu bytes do not fit below the kernel, which lies from "
			"0x%llx to 0x%llx, nor above it up to 0x%llx",
			(unsigned long long)f.size, (unsigned long long)k->start,
			(unsigned long long)k->end,
			(unsigned long long)MIN(
				kernel_low_end(mem) - 1, k->initrd_max));
	r = kernel_file_place(&f, &whole, e);
	if (r == 0)
		*out = (struct guest_range){ whole.at, whole.n };
	return r;
}

static int load_initrd(const struct boot_plan *plan, struct guest_mem *mem,
	const struct kernel_image *k, struct guest_range *out, struct err *e)
{
	int r;

	if (plan->initrd_fd < 0)
		return 0;
	r = place_initrd(plan, mem, k, out, e);
	if (r < 0)
		return err_add(e, r, "initrd '%s'", plan->initrd_path);
	return 0;
}

static int write_cmdline(const struct boot_plan *plan, struct guest_mem *mem,
	const struct kernel_image *k, struct err *e)
{
	size_t n = strlen(plan->cmdline);

	if (n > k->cmdline_max || n >= CMDLINE_BYTES)
		return err_bad(e, "command line: %zu characters, the kernel takes %u",
			n, MIN(k->cmdline_max, CMDLINE_BYTES - 1u));
	if (guest_write(mem, X86_CMDLINE_GPA, plan->cmdline, n + 1) < 0)
		return err_code(e, -EFAULT, "command line");
	return 0;
}

static void add_e820(struct boot_params *bp, gpa_t start, gpa_t end, uint32_t type)
{
	if (start < end)
		bp->e820_table[bp->e820_entries++] = (struct boot_e820_entry){
			.addr = start,
			.size = end - start,
			.type = type,
		};
}

static void fill_e820(struct boot_params *bp, const struct guest_mem *mem)
{
	add_e820(bp, 0, X86_EBDA_GPA, E820_RAM);
	/* MP table, VMGenID, ACPI and the BIOS entry are here; the rest is not worth an
	 * entry of its own */
	add_e820(bp, X86_EBDA_GPA, X86_HIGH_GPA, E820_RESERVED);
	add_e820(bp, X86_HIGH_GPA, kernel_low_end(mem), E820_RAM);
	for (unsigned i = 1; i < guest_mem_ranges(mem); i++) {
		void *unused;
		struct guest_range r = guest_mem_range(mem, i, &unused);

		add_e820(bp, r.start, r.start + r.len, E820_RAM);
	}
}

/* Fills the setup header: a bzImage brings one along, for a vmlinux it is made here.
 * Without a version Linux believes that the zero page is not filled yet; without the
 * magic number and the boot flag it believes that the loader is an old one. */
static void fill_header(struct boot_params *bp, const struct kernel_image *k)
{
	if (k->setup_len > 0)
		memcpy((uint8_t *)bp + KERNEL_SETUP_OFFSET, k->setup, k->setup_len);
	else
		bp->hdr = (struct setup_header){
			.boot_flag = BOOT_FLAG,
			.header = HEADER_MAGIC,
			.version = HEADER_VERSION,
			.loadflags = LOADED_HIGH,
			.cmdline_size = k->cmdline_max,
		};
	bp->hdr.type_of_loader = LOADER_UNDEFINED;
	bp->hdr.loadflags &= (uint8_t)~CAN_USE_HEAP; /* there is no real-mode heap */
	bp->hdr.setup_data = 0; /* husk passes none, whatever the file says */
}

static int write_zero_page(struct guest_mem *mem, const struct kernel_image *k,
	const struct guest_range *rd)
{
	struct boot_params bp = { .acpi_rsdp_addr = X86_ACPI_GPA };

	_Static_assert(sizeof(bp) == PAGE_BYTES, "the zero page is a page");
	_Static_assert(offsetof(struct boot_params, hdr) == KERNEL_SETUP_OFFSET, "");
	fill_header(&bp, k);
	bp.hdr.cmd_line_ptr = X86_CMDLINE_GPA;
	bp.hdr.ramdisk_image = (uint32_t)rd->start;
	bp.hdr.ramdisk_size = (uint32_t)rd->len;
	fill_e820(&bp, mem);
	return guest_write(mem, X86_ZERO_PAGE_GPA, &bp, sizeof(bp));
}

/* Writes the segments __BOOT_CS and __BOOT_DS of the protocol ("64-bit Boot Protocol");
 * the bits are in the SDM, volume 3, 3.4.5. */
static int write_gdt(struct guest_mem *mem)
{
	static const uint64_t gdt[X86_GDT_BYTES / 8] = {
		[2] = 0x00af9b000000ffff, /* 64-bit code, readable, accessed */
		[3] = 0x00cf93000000ffff, /* data, writable, accessed */
	};

	return guest_write(mem, X86_GDT_GPA, gdt, sizeof(gdt));
}

/* Writes an identity map of all addresses below 4 GiB, in pages of 2 MiB, because not
 * every processor has pages of 1 GiB. Linux needs only itself, the zero page and the
 * command line mapped; smaller guests rely on all memory and devices being mapped.
 * Accessed and dirty bits are set, so that the processor need not write them. The
 * entries are made in place: with a copy, this would be half of all that boot_load
 * computes. */
static int write_page_tables(struct guest_mem *mem)
{
	enum { PRESENT = 1, WRITABLE = 2, ACCESSED = 0x20, DIRTY = 0x40, BIG = 0x80 };
	const uint64_t table = PRESENT | WRITABLE | ACCESSED,
		       page = table | DIRTY | BIG;
	uint64_t pml4 = X86_PDPT_GPA | table, pdpt[4], *pd;
	size_t n = ARRAY_LEN(pdpt) * PAGE_BYTES / sizeof(*pd);
	struct iovec pds;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(pdpt); i++)
		pdpt[i] = (X86_PD_GPA + i * PAGE_BYTES) | table;
	r = guest_write(mem, X86_PML4_GPA, &pml4, sizeof(pml4));
	if (r == 0)
		r = guest_write(mem, X86_PDPT_GPA, pdpt, sizeof(pdpt));
	if (r == 0)
		r = guest_span(mem, X86_PD_GPA, n * sizeof(*pd), GUEST_WRITE, &pds);
	if (r < 0)
		return r;
	pd = pds.iov_base;
	for (uint64_t i = 0, at = 0; i < n; i++, at += HUGE_PAGE_BYTES)
		pd[i] = at | page;
	return 0;
}

/* Writes the code to which a kernel jumps, in real mode, when it restarts through the
 * BIOS: Linux with reboot=b, or as its last resort. The code runs at any address. */
static int write_bios_entry(struct guest_mem *mem)
{
	static const uint8_t code[] = {
		0xb0, 0xfe, /* mov $0xfe, %al */
		0xe6, 0x64, /* out %al, $0x64: reset through the i8042 */
		0xf4, /* hlt */
		0xeb, 0xfd, /* jmp to it */
	};

	_Static_assert(X86_BIOS_ENTRY_GPA + sizeof(code) <= X86_HIGH_GPA, "");
	return guest_write(mem, X86_BIOS_ENTRY_GPA, code, sizeof(code));
}

static int write_tables(const struct boot_plan *plan, struct guest_mem *mem)
{
	int r = mptable_write(mem, plan->n_vcpus);

	if (r == 0)
		r = acpi_write(mem, plan);
	if (r == 0)
		r = guest_write(
			mem, X86_VMGENID_GPA, plan->vmgenid, sizeof(plan->vmgenid));
	if (r == 0)
		r = write_bios_entry(mem);
	return r;
}

/* Writes what Linux's 64-bit boot protocol asks for. */
static int write_linux(struct guest_mem *mem, const struct kernel_image *k,
	const struct guest_range *rd)
{
	int r = write_zero_page(mem, k, rd);

	if (r == 0)
		r = write_gdt(mem);
	if (r == 0)
		r = write_page_tables(mem);
	return r;
}

/* Writes what PVH asks for. Its memory map has e820's types. */
static int write_pvh(struct guest_mem *mem, const struct guest_range *rd)
{
	struct boot_params bp = { .e820_entries = 0 };

	fill_e820(&bp, mem);
	return pvh_write(mem, bp.e820_table, bp.e820_entries, rd);
}

int boot_load(const struct boot_plan *plan, struct guest_mem *mem,
	struct x86_entry *out, struct err *e)
{
	struct kernel_image k;
	struct guest_range rd = { 0, 0 }; /* none */
	bool is_pvh;
	int r;

	r = load_kernel(plan, mem, &k, e);
	if (r == 0)
		r = load_initrd(plan, mem, &k, &rd, e);
	if (r == 0)
		r = write_cmdline(plan, mem, &k, e);
	if (r < 0)
		return r;
	is_pvh = k.protocol == KERNEL_PVH;
	r = is_pvh ? write_pvh(mem, &rd) : write_linux(mem, &k, &rd);
	if (r == 0)
		r = write_tables(plan, mem);
	if (r < 0)
		return err_code(e, r, "boot structures");
	*out = (struct x86_entry){
		.is_pvh = is_pvh,
		.rip = k.entry,
		.params = is_pvh ? X86_PVH_GPA : X86_ZERO_PAGE_GPA,
	};
	return 0;
}
