/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_elf: an ELF vmlinux (System V ABI, "Object Files"; AMD64 supplement): loads
 * its PT_LOAD segments at their physical addresses. The file may say anything.
 */
#include <elf.h>
#include <string.h>

#include "vmm/base/io.h"
#include "vmm/kernel_parts.h"
#include "vmm/x86.h"

enum {
	HEADERS_MAX = 64, /* vmlinux has five */
	CMDLINE_MAX = 2047, /* COMMAND_LINE_SIZE of x86, without the NUL */
};

struct segment {
	unsigned index; /* of its program header, for messages */
	struct kernel_part part; /* what the file has of it; part.n may be zero */
	uint64_t mem_bytes; /* what it occupies, not zero */
};

struct segments {
	unsigned n;
	struct segment s[HEADERS_MAX]; /* ascending by address */
};

static int check_header(const struct kernel_file *f, const Elf64_Ehdr *h, struct err *e)
{
	uint64_t table = (uint64_t)h->e_phnum * sizeof(Elf64_Phdr);

	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return err_bad(e, "not a 64-bit ELF file");
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_bad(e, "not a little-endian ELF file");
	if (h->e_machine != EM_X86_64)
		return err_bad(e, "an ELF file for machine %u, not for x86-64 (%u)",
			h->e_machine, EM_X86_64);
	if (h->e_type != ET_EXEC)
		return err_bad(e, "an ELF file of type %u, not an executable (%u)",
			h->e_type, ET_EXEC);
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return err_bad(e, "program headers of %u bytes, not %zu",
			h->e_phentsize, sizeof(Elf64_Phdr));
	/* guest: the table goes into an array */
	if (h->e_phnum == 0 || h->e_phnum > HEADERS_MAX)
		return err_bad(e, "%u program headers: 1 to %d are read", h->e_phnum,
			HEADERS_MAX);
	if (h->e_phoff > f->size || table > f->size - h->e_phoff)
		return err_bad(e,
			"truncated: program headers at %llu reach beyond its "
			"%llu bytes",
			(unsigned long long)h->e_phoff, (unsigned long long)f->size);
	return 0;
}

static int check_segment(
	const struct kernel_file *f, const struct segment *s, struct err *e)
{
	unsigned long long off = s->part.off, n = s->part.n;

	if (n > s->mem_bytes)
		return err_bad(e, "%llu bytes in the file and only %llu in memory", n,
			(unsigned long long)s->mem_bytes);
	if (off > f->size || n > f->size - off)
		return err_bad(e,
			"truncated: %llu bytes at %llu reach beyond the file's %llu", n,
			off, (unsigned long long)f->size);
	return kernel_check_place(f, s->part.at, s->mem_bytes, e);
}

static void insert(struct segments *list, const struct segment *s)
{
	unsigned i = list->n++;

	for (; i > 0 && list->s[i - 1].part.at > s->part.at; i--)
		list->s[i] = list->s[i - 1];
	list->s[i] = *s;
}

static int collect(const struct kernel_file *f, const Elf64_Phdr *table, unsigned n,
	struct segments *out, struct err *e)
{
	int r;

	for (unsigned i = 0; i < n; i++) {
		const Elf64_Phdr *h = &table[i];
		struct segment s = {
			.index = i,
			.part = { .off = h->p_offset,
				.n = h->p_filesz,
				.at = h->p_paddr },
			.mem_bytes = h->p_memsz,
		};

		if (h->p_type != PT_LOAD || h->p_memsz == 0)
			continue;
		r = check_segment(f, &s, e);
		if (r < 0)
			return err_add(e, r, "segment %u", i);
		insert(out, &s);
	}
	if (out->n == 0)
		return err_bad(e, "an ELF file with nothing to load");
	return 0;
}

/* No two overlap, and the entry point is in what one of them has from the file. */
static int check_together(const struct segments *list, gpa_t entry, struct err *e)
{
	bool has_entry = false;

	for (unsigned i = 0; i < list->n; i++) {
		const struct segment *s = &list->s[i];

		/* guest: ends do not wrap, check_segment saw each inside memory */
		if (i > 0 && s[-1].part.at + s[-1].mem_bytes > s->part.at)
			return err_bad(e, "segments %u and %u overlap at 0x%llx",
				s[-1].index, s->index, (unsigned long long)s->part.at);
		has_entry |= entry >= s->part.at && entry - s->part.at < s->part.n;
	}
	if (!has_entry)
		return err_bad(e, "entry point 0x%llx lies outside every segment",
			(unsigned long long)entry);
	return 0;
}

/* Loads the segments; those that follow one another in the file and in memory alike are
 * one read. */
static int place(
	const struct kernel_file *f, const struct segments *list, struct err *e)
{
	struct kernel_part run = list->s[0].part;
	int r;

	for (unsigned i = 1; i < list->n; i++) {
		const struct kernel_part *p = &list->s[i].part;

		if (p->at - run.at == run.n && p->off - run.off == run.n) {
			run.n += p->n;
			continue;
		}
		r = kernel_place(f, &run, e);
		if (r < 0)
			return r;
		run = *p;
	}
	return kernel_place(f, &run, e);
}

int elf_load(const struct kernel_file *f, const uint8_t *head, size_t head_len,
	struct kernel_image *out, struct err *e)
{
	Elf64_Phdr table[HEADERS_MAX];
	struct segments list = { .n = 0 };
	const struct segment *last;
	Elf64_Ehdr h;
	int r;

	if (head_len < sizeof(h))
		return err_bad(
			e, "truncated: %zu bytes do not hold an ELF header", head_len);
	memcpy(&h, head, sizeof(h));
	r = check_header(f, &h, e);
	if (r < 0)
		return r;
	r = io_pread(f->fd, table, h.e_phnum * sizeof(table[0]), (off_t)h.e_phoff);
	if (r < 0)
		return err_code(e, r, "cannot read its program headers");
	r = collect(f, table, h.e_phnum, &list, e);
	if (r == 0)
		r = check_together(&list, h.e_entry, e);
	if (r == 0)
		r = place(f, &list, e);
	if (r < 0)
		return r;
	last = &list.s[list.n - 1];
	*out = (struct kernel_image){
		.entry = h.e_entry,
		.start = list.s[0].part.at,
		.end = last->part.at + last->mem_bytes,
		.cmdline_max = CMDLINE_MAX,
		.initrd_max = X86_HOLE_GPA - 1,
	};
	return 0;
}
