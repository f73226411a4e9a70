/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes of a kernel's vmlinux what a monitor loads, and nothing else:
 *   pack-kernel VMLINUX OUTPUT
 * The segments are merged into as few as possible, page aligned in the file as in
 * memory, without symbols, and without the long fillings (zeros, int3) that the linker
 * script puts between parts: a fresh guest's memory is zero there already. The note of
 * the PVH entry is kept. Runs at build time, on a file that the build made.
 */
#include <elf.h>
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define MAX_SEGMENTS 64
#define VIRTUAL_BASE 0xffffffff80000000u
/* A shorter gap is loaded with the rest: its copy costs less than another read. */
#define MIN_GAP (32u << 10)

struct image {
	uint8_t *bytes; /* by physical address, from base */
	uint64_t base;
	uint64_t file_end; /* past the last byte that comes from the file */
	uint64_t mem_end; /* past the last byte that the kernel claims */
};

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;

	if (!f || fseek(f, 0, SEEK_END) < 0)
		err(1, "cannot read '%s'", path);
	*size = (size_t)ftell(f);
	rewind(f);
	data = malloc(*size);
	if (!data || fread(data, 1, *size, f) != *size)
		err(1, "cannot read '%s'", path);
	fclose(f);
	return data;
}

static Elf64_Phdr *segments(uint8_t *elf)
{
	return (Elf64_Phdr *)(elf + ((Elf64_Ehdr *)elf)->e_phoff);
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Lays the loadable segments out as they will lie in memory. */
static struct image make_image(uint8_t *elf)
{
	struct image m = { .base = UINT64_MAX };
	unsigned int n = ((Elf64_Ehdr *)elf)->e_phnum;
	Elf64_Phdr *p = segments(elf);

	for (unsigned int i = 0; i < n; i++) {
		if (p[i].p_type != PT_LOAD)
			continue;
		if (p[i].p_paddr < m.base)
			m.base = p[i].p_paddr & ~(uint64_t)(PAGE - 1);
		m.file_end = max(m.file_end, p[i].p_paddr + p[i].p_filesz);
		m.mem_end = max(m.mem_end, p[i].p_paddr + p[i].p_memsz);
	}
	m.bytes = calloc(1, m.file_end - m.base + PAGE);
	if (!m.bytes)
		err(1, "image");
	for (unsigned int i = 0; i < n; i++)
		if (p[i].p_type == PT_LOAD)
			memcpy(m.bytes + (p[i].p_paddr - m.base), elf + p[i].p_offset,
				p[i].p_filesz);
	return m;
}

static bool is_filling(const uint8_t *page)
{
	return (page[0] == 0 || page[0] == 0xcc) && !memcmp(page, page + 1, PAGE - 1);
}

/* Fills out[] with segments of base and length only; returns how many. */
static unsigned int find_segments(const struct image *m, Elf64_Phdr *out)
{
	unsigned int n = 0;

	for (uint64_t at = m->base; at < m->file_end; at += PAGE) {
		if (is_filling(m->bytes + (at - m->base)))
			continue;
		if (n == 0 ||
			at - (out[n - 1].p_paddr + out[n - 1].p_filesz) >= MIN_GAP) {
			if (n == MAX_SEGMENTS - 1)
				errx(1, "more than %d segments", MAX_SEGMENTS);
			out[n++] = (Elf64_Phdr){ .p_paddr = at };
		}
		out[n - 1].p_filesz = at + PAGE - out[n - 1].p_paddr;
	}
	return n;
}

/* Every segment claims the memory up to the next, so that nothing is put in a gap. */
static void complete_segments(const struct image *m, Elf64_Phdr *p, unsigned int n)
{
	uint64_t offset = PAGE;

	for (unsigned int i = 0; i < n; i++) {
		p[i].p_type = PT_LOAD;
		p[i].p_flags = PF_R | PF_W | PF_X;
		p[i].p_align = PAGE;
		p[i].p_vaddr = VIRTUAL_BASE + p[i].p_paddr;
		p[i].p_memsz =
			(i + 1 < n ? p[i + 1].p_paddr : m->mem_end) - p[i].p_paddr;
		p[i].p_offset = offset;
		offset += p[i].p_filesz;
	}
}

/* The notes lie inside a loaded segment: points a program header at them there. */
static unsigned int add_note(uint8_t *elf, Elf64_Phdr *p, unsigned int n)
{
	Elf64_Phdr *old = segments(elf);
	unsigned int count = n;

	for (unsigned int i = 0; i < ((Elf64_Ehdr *)elf)->e_phnum; i++)
		for (unsigned int j = 0; old[i].p_type == PT_NOTE && j < n; j++)
			if (old[i].p_paddr >= p[j].p_paddr && count < MAX_SEGMENTS &&
				old[i].p_paddr < p[j].p_paddr + p[j].p_filesz) {
				p[count] = old[i];
				p[count++].p_offset =
					p[j].p_offset + old[i].p_paddr - p[j].p_paddr;
			}
	return count;
}

static void write_elf(const char *path, const Elf64_Ehdr *old, const struct image *m,
	const Elf64_Phdr *p, unsigned int count)
{
	static uint8_t head[PAGE];
	Elf64_Ehdr h = *old;
	FILE *f = fopen(path, "wb");

	h.e_phoff = sizeof(h);
	h.e_phnum = (Elf64_Half)count;
	h.e_shoff = 0;
	h.e_shnum = h.e_shstrndx = h.e_shentsize = 0;
	memcpy(head, &h, sizeof(h));
	memcpy(head + sizeof(h), p, count * sizeof(*p));
	if (!f || fwrite(head, PAGE, 1, f) != 1)
		err(1, "cannot write '%s'", path);
	for (unsigned int i = 0; i < count && p[i].p_type == PT_LOAD; i++)
		if (fwrite(m->bytes + (p[i].p_paddr - m->base), p[i].p_filesz, 1, f) !=
			1)
			err(1, "cannot write '%s'", path);
	if (fclose(f) != 0)
		err(1, "cannot write '%s'", path);
}

int main(int argc, char **argv)
{
	Elf64_Phdr p[MAX_SEGMENTS];
	unsigned int n, count;
	struct image m;
	uint8_t *elf;
	size_t size;

	if (argc != 3)
		errx(1, "usage: pack-kernel VMLINUX OUTPUT");
	elf = read_file(argv[1], &size);
	if (size < sizeof(Elf64_Ehdr) || memcmp(elf, ELFMAG, SELFMAG) != 0)
		errx(1, "'%s' is not ELF", argv[1]);
	m = make_image(elf);
	n = find_segments(&m, p);
	complete_segments(&m, p, n);
	count = add_note(elf, p, n);
	write_elf(argv[2], (Elf64_Ehdr *)elf, &m, p, count);
	free(m.bytes);
	free(elf);
	return 0;
}
