/* SPDX-License-Identifier: Apache-2.0
 *
 * file: a kernel's or an initrd's file on its way into guest memory. Nothing that the
 * file says is trusted. On the thread that starts the machine.
 */
#ifndef HUSK_BOOT_FILE_H
#define HUSK_BOOT_FILE_H

#include "vmm/core/guest_mem.h"

enum kernel_load_how {
	KERNEL_READ, /* fast: read into huge pages, none touched twice */
	KERNEL_MAP, /* dense: whole pages are mapped from the page cache and shared */
};

/* A regular file and where it may go. Borrows all. */
struct kernel_file {
	int fd;
	uint64_t size; /* bytes, when it was opened here */
	gpa_t min;
	enum kernel_load_how how;
	struct guest_mem *mem;
};

/* n bytes of the file at offset off that belong at guest address at. */
struct kernel_part {
	uint64_t off, n;
	gpa_t at;
};

/* The end of the memory that begins at address 0. */
gpa_t kernel_low_end(const struct guest_mem *mem);

/* Asks the size of fd. -EINVAL with text when it is not a regular file, or -errno. */
MUST_CHECK int kernel_file_init(struct kernel_file *f, int fd, gpa_t min,
	enum kernel_load_how how, struct guest_mem *mem, struct err *e);

/* Whether [at, at + n) may be written, n not zero: at or above min and inside one range
 * of guest memory. -EINVAL with text that the caller puts a name before. */
MUST_CHECK int kernel_check_place(
	const struct kernel_file *f, gpa_t at, uint64_t n, struct err *e);

/* Brings one part into guest memory, whole. Its place was checked. 0 or -errno with
 * text; -ENODATA when the file has shrunk since. */
MUST_CHECK int kernel_place(
	const struct kernel_file *f, const struct kernel_part *p, struct err *e);

#endif
