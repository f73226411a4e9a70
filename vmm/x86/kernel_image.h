/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_image: loads an ELF vmlinux or a bzImage straight into guest memory. The file
 * is as hostile as a guest: every number in it is checked before it is used.
 */
#ifndef HUSK_X86_KERNEL_IMAGE_H
#define HUSK_X86_KERNEL_IMAGE_H

#include "vmm/boot/kernel_file.h"
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
	gpa_t start; /* [start, end): what the kernel occupies until it has started */
	gpa_t end;
	uint8_t setup[KERNEL_SETUP_MAX];
	size_t setup_len; /* 0 for an ELF file */
	uint32_t cmdline_max; /* characters without the NUL that the kernel takes */
	gpa_t initrd_max; /* highest address that an initrd may occupy */
};

/* Loads fd, which stays the caller's. min: the lowest address that may be written.
 * Guest memory must be fresh, because what the file does not fill (bss) is not written
 * and must be zero. Where segments overlap the later one counts.
 * With KERNEL_MAP memory must not be of GUEST_PAGES_2M, and the file must keep its
 * length for as long as the machine lives.
 * -EINVAL with text for a file that is of neither format, not regular, truncated, for
 * another processor, without an entry point that husk knows, or whose segments wrap or
 * lie outside guest memory; or -errno with text. A failure does not undo what was
 * written by then. */
MUST_CHECK int kernel_load(int fd, gpa_t min, enum kernel_load_how how,
	struct guest_mem *mem, struct kernel_image *out, struct err *e);

#endif
