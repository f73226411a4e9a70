/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_image: reads an ELF vmlinux or a bzImage straight into guest memory. The file
 * is as hostile as a guest: every number in it is checked before it is used.
 */
#ifndef HUSK_BOOT_IMAGE_H
#define HUSK_BOOT_IMAGE_H

#include "vmm/boot/file.h"
#include "vmm/core/guest_mem.h"

/* How a kernel is entered. */
enum kernel_protocol {
	KERNEL_LINUX_64, /* Linux's 64-bit boot protocol */
	KERNEL_PVH, /* Xen's PVH boot protocol: 32 bits, no paging */
};

/* The part of a bzImage's setup header that the zero page repeats (boot protocol,
 * "The Real-Mode Kernel Header"): from offset 0x1f1 of the file. */
enum { KERNEL_SETUP_OFFSET = 0x1f1, KERNEL_SETUP_MAX = 0x280 - 0x1f1 };

struct kernel_image {
	enum kernel_protocol protocol;
	gpa_t entry; /* the protocol's entry point */
	gpa_t start; /* first byte of what it occupies */
	gpa_t end; /* first byte after what the kernel occupies until it has started */
	uint8_t setup[KERNEL_SETUP_MAX];
	size_t setup_len; /* 0 for an ELF file */
	uint32_t cmdline_max; /* characters without the NUL that the kernel takes */
	gpa_t initrd_max; /* highest address that an initrd may occupy */
};

/* Loads fd, which stays the caller's. min: the lowest address that may be written.
 * Memory must be fresh: what the file does not fill (bss) is left as it is, zero.
 * KERNEL_MAP is not for memory of GUEST_PAGES_2M, and the file must then keep its
 * length for as long as the machine lives. -EINVAL with text for a file that is neither
 * format, not regular, truncated, for another machine, without an entry point that husk
 * knows, or whose segments wrap or lie outside guest memory; what was written by then
 * stays. Where segments overlap the later one counts. */
MUST_CHECK int kernel_load(int fd, gpa_t min, enum kernel_load_how how,
	struct guest_mem *mem, struct kernel_image *out, struct err *e);

#endif
