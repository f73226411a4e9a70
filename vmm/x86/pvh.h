/* SPDX-License-Identifier: Apache-2.0
 *
 * pvh: what Xen's PVH boot protocol puts into guest memory for a kernel (Xen,
 * docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h): the start info, which
 * names the memory map, the command line, the initrd as its one module and the RSDP.
 */
#ifndef HUSK_X86_PVH_H
#define HUSK_X86_PVH_H

#include "vmm/core/guest_mem.h"

struct boot_e820_entry;

/* Writes the start info at X86_PVH_GPA, and a GDT at X86_GDT_GPA for the segments that
 * vcpu_x86.c sets. map: n entries of e820, at most PVH_MAP_MAX. initrd: of length 0
 * when there is none. 0, or -EFAULT when memory is too small. */
enum { PVH_MAP_MAX = 128 };
MUST_CHECK int pvh_write(struct guest_mem *mem, const struct boot_e820_entry *map,
	unsigned n, const struct guest_range *initrd);

#endif
