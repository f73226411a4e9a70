/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_kernel: kernel images made in memory, for the tests of what loads them. An image
 * is bytes that a test may spoil before they become a file. One thread.
 */
#ifndef HUSK_FAKE_KERNEL_H
#define HUSK_FAKE_KERNEL_H

#include <asm/bootparam.h>
#include <elf.h>

#include "vmm/core/guest_mem.h"

enum { FAKE_IMAGE_MAX = 2 * 1024 * 1024, FAKE_SEGMENTS_MAX = 128 };

struct fake_image {
	size_t len; /* bytes that become the file */
	_Alignas(64) uint8_t bytes[FAKE_IMAGE_MAX];
};

struct fake_segment {
	uint64_t paddr, filesz, memsz, off;
};

/* Zeroed memory with the hole below 4 GiB, or the test fails. */
struct guest_mem *fake_memory(uint64_t bytes);

/* An ELF64 executable for x86-64 whose entry point is the first segment's first byte.
 * Segment i has the bytes that fake_byte gives. Returns its header, in the image. */
Elf64_Ehdr *fake_elf(struct fake_image *img, const struct fake_segment *s, unsigned n);
Elf64_Phdr *fake_elf_phdr(struct fake_image *img, unsigned i);
/* Makes program header i one of notes that are put at the end of the file: of Xen, with
 * this PVH entry point. */
void fake_pvh_note(struct fake_image *img, unsigned i, uint64_t entry);

/* A relocatable bzImage of protocol 2.15 with 4 setup sectors, pref_address 16 MiB and
 * init_size twice code_bytes (a multiple of 16). Returns its setup header. */
struct setup_header *fake_bzimage(struct fake_image *img, size_t code_bytes);

/* Byte `at` of segment i; a bzImage's code is segment 0. Never 0. */
uint8_t fake_byte(unsigned i, uint64_t at);

/* The image as a file: a memfd that the caller closes. */
int fake_fd(const void *bytes, size_t n);

#endif
