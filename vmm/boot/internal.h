/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loaders behind image.h share.
 */
#ifndef HUSK_BOOT_INTERNAL_H
#define HUSK_BOOT_INTERNAL_H

#include <elf.h>

#include "vmm/boot/file.h"
#include "vmm/boot/image.h"

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
