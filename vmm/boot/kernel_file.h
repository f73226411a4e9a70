/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_file: puts the bytes of a kernel's or an initrd's file into guest memory. Any
 * architecture; what the bytes mean is the business of the caller. The file is as
 * hostile as a guest. Called on the thread that starts the machine.
 */
#ifndef HUSK_BOOT_KERNEL_FILE_H
#define HUSK_BOOT_KERNEL_FILE_H

#include "vmm/core/guest_mem.h"

enum kernel_load_how {
	KERNEL_READ, /* fast: read into huge pages */
	KERNEL_MAP, /* dense: map whole pages of the page cache, which guests share */
};

/* A regular file, and where in guest memory it may go. Borrows fd and mem. */
struct kernel_file {
	int fd;
	uint64_t size; /* bytes, at the time of kernel_file_init */
	gpa_t min; /* the lowest address that may be written */
	enum kernel_load_how how;
	struct guest_mem *mem;
};

/* n bytes of the file, from offset off, whose place is guest address at. */
struct kernel_part {
	uint64_t off, n;
	gpa_t at;
};

/* The end of the range of guest memory that begins at address 0. */
gpa_t kernel_low_end(const struct guest_mem *mem);

/* Fills *f for the file fd, whose size it asks. -EINVAL with text when that is not a
 * regular file, or -errno with text. */
MUST_CHECK int kernel_file_init(struct kernel_file *f, int fd, gpa_t min,
	enum kernel_load_how how, struct guest_mem *mem, struct err *e);

/* Checks that [at, at + n), n not zero, lies at or above f->min and within one range of
 * guest memory. 0, or -EINVAL with text, before which the caller puts a name. */
MUST_CHECK int kernel_file_check_place(
	const struct kernel_file *f, gpa_t at, uint64_t n, struct err *e);

/* Brings all of one part into guest memory. Its place must have been checked. 0, or
 * -errno with text; -ENODATA when the file has shrunk since kernel_file_init. */
MUST_CHECK int kernel_file_place(
	const struct kernel_file *f, const struct kernel_part *p, struct err *e);

#endif
