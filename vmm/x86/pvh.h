/* SPDX-License-Identifier: Apache-2.0
 *
 * pvh: what a kernel finds in guest memory by Xen's PVH boot protocol (Xen,
 * docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h): the start info, which
 * points at the memory map, the command line, the RSDP and the initrd, its one module.
 */
#ifndef HUSK_X86_PVH_H
#define HUSK_X86_PVH_H

#include "vmm/core/guest_mem.h"

struct boot_e820_entry;

/* Writes the start info at X86_PVH_GPA, and at X86_GDT_GPA a GDT with the segments that
 * vcpu_state.c sets. map: n entries of e820, at most PVH_MAP_MAX. initrd: its length is
 * 0 when there is none. 0, or -EFAULT when memory is too small. */
enum { PVH_MAP_MAX = 128 };
MUST_CHECK int pvh_write(struct guest_mem *mem, const struct boot_e820_entry *map,
	unsigned n, const struct guest_range *initrd);

#endif
