/* SPDX-License-Identifier: Apache-2.0
 *
 * pvh: see the header. The layouts are those of Xen's start_info.h, version 1; all
 * numbers are little-endian.
 */
#include "vmm/x86/pvh.h"

#include <asm/bootparam.h>
#include <assert.h>

#include "vmm/x86/layout.h"

#define START_INFO_MAGIC 0x336ec578u

enum { START_INFO_VERSION = 1 /* the first with a memory map */ };

struct start_info { /* hvm_start_info */
	uint32_t magic;
	uint32_t version;
	uint32_t flags; /* 0 */
	uint32_t n_modules;
	uint64_t modules_gpa;
	uint64_t cmdline_gpa;
	uint64_t rsdp_gpa;
	uint64_t map_gpa;
	uint32_t n_map;
	uint32_t reserved;
};

struct module { /* hvm_modlist_entry */
	uint64_t gpa, bytes;
	uint64_t cmdline_gpa; /* 0: none */
	uint64_t reserved;
};

struct map_entry { /* hvm_memmap_table_entry */
	uint64_t start, bytes;
	uint32_t type; /* as in e820 */
	uint32_t reserved;
};

/* The page at X86_PVH_GPA. */
struct page {
	struct start_info info;
	struct module initrd;
	struct map_entry map[PVH_MAP_MAX];
};

_Static_assert(sizeof(struct start_info) == 56, "");
_Static_assert(sizeof(struct module) == 32, "");
_Static_assert(sizeof(struct map_entry) == 24, "");
_Static_assert(sizeof(struct page) <= PAGE_BYTES, "the zero page comes after it");

/* The protocol asks for segments and no particular GDT, since a kernel brings its own.
 * The bits are in the SDM, volume 3, 3.4.5 and 7.2.2. */
static int write_gdt(struct guest_mem *mem)
{
	static const uint64_t gdt[X86_GDT_BYTES / 8] = {
		[1] = 0x00008b0000000067, /* TSS, busy */
		[2] = 0x00cf9b000000ffff, /* 32-bit code, readable, accessed */
		[3] = 0x00cf93000000ffff, /* data, writable, accessed */
	};

	return guest_write(mem, X86_GDT_GPA, gdt, sizeof(gdt));
}

int pvh_write(struct guest_mem *mem, const struct boot_e820_entry *map, unsigned n,
	const struct guest_range *initrd)
{
	struct page p = {
		.info = {
			.magic = START_INFO_MAGIC,
			.version = START_INFO_VERSION,
			.cmdline_gpa = X86_CMDLINE_GPA,
			.rsdp_gpa = X86_ACPI_GPA,
			.map_gpa = X86_PVH_GPA + offsetof(struct page, map),
			.n_map = n,
		},
	};
	int r;

	assert(n <= PVH_MAP_MAX);
	if (initrd->len > 0) {
		p.info.n_modules = 1;
		p.info.modules_gpa = X86_PVH_GPA + offsetof(struct page, initrd);
		p.initrd.gpa = initrd->start;
		p.initrd.bytes = initrd->len;
	}
	for (unsigned i = 0; i < n; i++)
		p.map[i] = (struct map_entry){
			.start = map[i].addr,
			.bytes = map[i].size,
			.type = map[i].type,
		};
	r = guest_write(mem, X86_PVH_GPA, &p, sizeof(p));
	return r == 0 ? write_gdt(mem) : r;
}
