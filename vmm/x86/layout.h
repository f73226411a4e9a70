/* SPDX-License-Identifier: Apache-2.0
 *
 * layout: the guest's physical addresses, ports and interrupt lines, in one place.
 *
 *   0x00000000  boot structures, see below
 *   0x0009fc00  reserved up to 1 MiB: MP table, VMGenID at 0xdf000, ACPI tables at
 *               0xe0000, BIOS entry point at 0xffff0
 *   0x00100000  kernel where its file wants it, and initrd (choose_initrd_place)
 *   0xc0000000  hole: boot timer, virtio-mmio pages, IOAPIC, local APICs
 *  0x100000000  the memory that did not fit below the hole
 */
#ifndef HUSK_X86_LAYOUT_H
#define HUSK_X86_LAYOUT_H

#include "vmm/base/base.h"
#include "vmm/core/limits.h"

#define X86_GDT_GPA ((gpa_t)0x500)
#define X86_GDT_BYTES 32 /* four descriptors: boot.c, pvh.c and vcpu_state.c agree */
#define X86_PVH_GPA ((gpa_t)0x6000) /* a page: the PVH protocol's start info */
#define X86_ZERO_PAGE_GPA ((gpa_t)0x7000)
#define X86_STACK_GPA ((gpa_t)0x8ff0)
#define X86_PML4_GPA ((gpa_t)0x9000)
#define X86_PDPT_GPA ((gpa_t)0xa000)
#define X86_PD_GPA ((gpa_t)0xb000) /* four pages: identity map of 4 GiB */
#define X86_CMDLINE_GPA ((gpa_t)0x20000)

#define X86_EBDA_GPA ((gpa_t)0x9fc00) /* end of usable memory below 1 MiB */
#define X86_MPTABLE_GPA X86_EBDA_GPA
#define X86_VMGENID_GPA ((gpa_t)0xdf000) /* 16 bytes */
#define X86_ACPI_GPA ((gpa_t)0xe0000) /* RSDP, then the other tables */
#define X86_BIOS_ENTRY_GPA ((gpa_t)0xffff0) /* f000:fff0, where real mode restarts */
#define X86_ACPI_END X86_BIOS_ENTRY_GPA
#define X86_HIGH_GPA ((gpa_t)0x100000) /* 1 MiB */

#define X86_HOLE_GPA ((gpa_t)0xc0000000)
#define X86_HOLE_END ((gpa_t)0x100000000)
#define X86_BOOT_TIMER_GPA X86_HOLE_GPA
#define X86_MMIO_GPA (X86_HOLE_GPA + 0x1000) /* virtio-mmio pages, 4 KiB each */
#define X86_IOAPIC_GPA ((gpa_t)0xfec00000)
#define X86_LAPIC_GPA ((gpa_t)0xfee00000)
#define X86_KVM_SCRATCH_GPA ((gpa_t)0xfffbc000) /* four pages for KVM itself */

enum {
	X86_COM1_PORT = 0x3f8,
	/* COM2 to COM4 have no UART. */
	X86_COM2_PORT = 0x2f8,
	X86_COM3_PORT = 0x3e8,
	X86_COM4_PORT = 0x2e8,
	X86_I8042_PORT = 0x60, /* data 0x60, command and status 0x64; 0x61 is KVM's */
	X86_RTC_PORT = 0x70,
	X86_PORT_A = 0x92,
	X86_ACPI_PORT = 0x600,
	X86_RESET_PORT = 0xcf9, /* among PCI's ports, of which the others are absent */
	X86_KEYBOARD_GSI = 1,
	/* ACPI's own interrupt, which the FADT must name. Never raised. */
	X86_SCI_GSI = 3,
	X86_COM1_GSI = 4,
	X86_VMGENID_GSI = 5,
	X86_DEVICE_GSI_FIRST = 6, /* one for each virtio device */
	X86_DEVICE_GSI_LAST = 23,
	X86_GSIS = 24,
};

_Static_assert(X86_DEVICE_GSI_LAST - X86_DEVICE_GSI_FIRST + 1 == VIRTIO_DEVICES_MAX,
	"an interrupt line for each device");

/* A virtio-mmio device as the DSDT and the command line name it. */
struct boot_device {
	gpa_t start; /* below 4 GiB */
	uint32_t len;
	uint32_t gsi;
};

/* Where and how the first vCPU starts. */
struct x86_entry {
	bool is_pvh; /* 32-bit protected mode without paging, else 64-bit long mode */
	uint64_t rip; /* the kernel's entry point */
	uint64_t params; /* for ebx the start info of PVH, else for rsi the zero page */
};

#endif
