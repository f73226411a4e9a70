/* SPDX-License-Identifier: Apache-2.0
 *
 * boot: fills guest memory as the kernel's boot protocol wants it: kernel, initrd,
 * command line and the platform tables; for Linux's 64-bit protocol
 * (Documentation/arch/x86/boot.rst) also the zero page with e820, GDT and page tables,
 * for PVH the start info (pvh.h). Called on the thread that starts the machine.
 */
#ifndef HUSK_X86_BOOT_H
#define HUSK_X86_BOOT_H

#include "vmm/core/guest_mem.h"
#include "vmm/x86/kernel_image.h"
#include "vmm/x86/layout.h"

struct boot_plan {
	int kernel_fd; /* borrowed */
	int initrd_fd; /* borrowed, or -1 */
	const char *kernel_path, *initrd_path; /* for messages */
	enum kernel_load_how how; /* for kernel and initrd */
	const char *cmdline; /* with all words that husk adds */
	unsigned n_vcpus; /* 1 to VCPUS_MAX */
	const struct boot_device *devices;
	unsigned n_devices;
	bool has_console; /* a 16550 is at COM1: ACPI names it and its interrupt */
	bool has_keyboard; /* the i8042 raises IRQ 1: ACPI names it and that */
	/* The kernel will not use the IOAPIC: ACPI then describes a PC with 8259s.
	 * Otherwise it describes a hardware-reduced machine, which boots faster. */
	bool pics_only;
	uint8_t vmgenid[16];
};

/* Splits mem_bytes around the hole below 4 GiB. Returns the number of ranges, 1 or 2.
 */
unsigned boot_layout(
	uint64_t mem_bytes, struct guest_range out[static GUEST_RANGES_MAX]);

/* Fills guest memory, which must be fresh from guest_mem_create with the ranges of
 * boot_layout, and sets *out to where the first vCPU starts. 0, or -errno with text
 * that names the file and the reason. */
MUST_CHECK int boot_load(const struct boot_plan *plan, struct guest_mem *mem,
	struct x86_entry *out, struct err *e);

#endif
