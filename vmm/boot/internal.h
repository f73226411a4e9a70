/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_parts: what the two loaders behind kernel_image.h share, and boot_x86.c for
 * the initrd: a file on its way into guest memory. Not for other files.
 */
#ifndef HUSK_BOOT_INTERNAL_H
#define HUSK_BOOT_INTERNAL_H

#include <elf.h>

#include "vmm/boot/image.h"

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

/* What the notes of an ELF file say. */
struct kernel_notes {
	bool is_linux; /* Linux puts notes of its own name into every vmlinux */
	bool has_pvh;
	uint32_t pvh_entry; /* physical address */
};

/* Reads the notes of the n program headers. A file without notes, or with some that are
 * cut, is fine. -EINVAL with text for a PVH entry point that is none, or -errno. */
MUST_CHECK int kernel_read_notes(const struct kernel_file *f, const Elf64_Phdr *table,
	unsigned n, struct kernel_notes *out, struct err *e);

/* The loaders. head: the first head_len bytes of the file, at most KERNEL_HEAD. */
enum { KERNEL_HEAD = 0x280 };
MUST_CHECK int elf_load(const struct kernel_file *f, const uint8_t *head,
	size_t head_len, struct kernel_image *out, struct err *e);
MUST_CHECK int bzimage_load(const struct kernel_file *f, const uint8_t *head,
	size_t head_len, struct kernel_image *out, struct err *e);

#endif
