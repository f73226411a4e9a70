/* SPDX-License-Identifier: Apache-2.0
 *
 * internal: what kernel_image.c, which tells formats apart, shares with the loaders of
 * each format.
 */
#ifndef HUSK_X86_INTERNAL_H
#define HUSK_X86_INTERNAL_H

#include <elf.h>

#include "vmm/boot/kernel_file.h"
#include "vmm/x86/kernel_image.h"

/* What the notes of an ELF file say. */
struct kernel_notes {
	bool is_linux; /* has a note of the owner "Linux", as every vmlinux has */
	bool has_pvh;
	uint32_t pvh_entry; /* physical address */
};

/* Reads the notes that the n program headers name. A file without notes, or with notes
 * that are cut short, is accepted. -EINVAL with text for a PVH note that holds no entry
 * point below 4 GiB, or -errno with text. */
MUST_CHECK int notes_read(const struct kernel_file *f, const Elf64_Phdr *table,
	unsigned n, struct kernel_notes *out, struct err *e);

/* The loaders, which fill *out as kernel_load does. head: the first head_len bytes of
 * the file, of which there are at most KERNEL_HEAD. */
enum { KERNEL_HEAD = 0x280 };
MUST_CHECK int elf_load(const struct kernel_file *f, const uint8_t *head,
	size_t head_len, struct kernel_image *out, struct err *e);
MUST_CHECK int bzimage_load(const struct kernel_file *f, const uint8_t *head,
	size_t head_len, struct kernel_image *out, struct err *e);

#endif
