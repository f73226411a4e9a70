/* SPDX-License-Identifier: Apache-2.0
 *
 * elf: loads the PT_LOAD segments of an ELF vmlinux (System V ABI, "Object Files";
 * AMD64 and i386 supplements) at their physical addresses and finds its entry point. It
 * is as liberal as the loaders that kernels are tried with (GRUB, QEMU, Firecracker),
 * and so ignores every field that is not needed. The file is hostile.
 */
#include <elf.h>
#include <string.h>

#include "vmm/base/io.h"
#include "vmm/x86/internal.h"

enum {
	HEADERS_MAX = 128, /* vmlinux has five, FreeBSD's kernel eleven */
	CMDLINE_MAX = 2047, /* Linux's COMMAND_LINE_SIZE, without the NUL */
};

/* The fields of a file that are used. Those of a 32-bit file are widened to 64. */
struct elf {
	bool is_32;
	uint64_t entry, table_at;
	unsigned n;
	Elf64_Phdr table[HEADERS_MAX];
};

static int check_kind(const unsigned char *ident, unsigned machine, unsigned type,
	unsigned wanted_machine, struct err *e)
{
	if (ident[EI_DATA] != ELFDATA2LSB)
		return err_bad(e, "not a little-endian ELF file");
	if (machine != wanted_machine)
		return err_bad(e, "an ELF file for machine %u, not for x86 (%u)",
			machine, wanted_machine);
	if (type != ET_EXEC && type != ET_DYN)
		return err_bad(e,
			"an ELF file of type %u, not an executable (%u or %u)", type,
			ET_EXEC, ET_DYN);
	return 0;
}

static int check_table(const struct kernel_file *f, const struct elf *x, size_t size,
	size_t wanted_size, struct err *e)
{
	if (size != wanted_size)
		return err_bad(
			e, "program headers of %zu bytes, not %zu", size, wanted_size);
	/* guest: the table goes into an array */
	if (x->n == 0 || x->n > HEADERS_MAX)
		return err_bad(
			e, "%u program headers: 1 to %d are read", x->n, HEADERS_MAX);
	if (x->table_at > f->size || x->n * size > f->size - x->table_at)
		return err_bad(e,
			"truncated: program headers at %llu reach beyond its "
			"%llu bytes",
			(unsigned long long)x->table_at, (unsigned long long)f->size);
	return 0;
}

static int read_64(
	const struct kernel_file *f, const uint8_t *head, struct elf *x, struct err *e)
{
	Elf64_Ehdr h;
	int r;

	memcpy(&h, head, sizeof(h));
	x->entry = h.e_entry;
	x->table_at = h.e_phoff;
	x->n = h.e_phnum;
	r = check_kind(h.e_ident, h.e_machine, h.e_type, EM_X86_64, e);
	if (r == 0)
		r = check_table(f, x, h.e_phentsize, sizeof(x->table[0]), e);
	if (r < 0)
		return r;
	r = io_pread(f->fd, x->table, x->n * sizeof(x->table[0]), (off_t)x->table_at);
	return r < 0 ? err_code(e, r, "cannot read its program headers") : 0;
}

static int read_32(
	const struct kernel_file *f, const uint8_t *head, struct elf *x, struct err *e)
{
	Elf32_Phdr table[HEADERS_MAX];
	Elf32_Ehdr h;
	int r;

	memcpy(&h, head, sizeof(h));
	x->is_32 = true;
	x->entry = h.e_entry;
	x->table_at = h.e_phoff;
	x->n = h.e_phnum;
	r = check_kind(h.e_ident, h.e_machine, h.e_type, EM_386, e);
	if (r == 0)
		r = check_table(f, x, h.e_phentsize, sizeof(table[0]), e);
	if (r < 0)
		return r;
	r = io_pread(f->fd, table, x->n * sizeof(table[0]), (off_t)x->table_at);
	if (r < 0)
		return err_code(e, r, "cannot read its program headers");
	for (unsigned i = 0; i < x->n; i++)
		x->table[i] = (Elf64_Phdr){
			.p_type = table[i].p_type,
			.p_offset = table[i].p_offset,
			.p_paddr = table[i].p_paddr,
			.p_filesz = table[i].p_filesz,
			.p_memsz = table[i].p_memsz,
			.p_align = table[i].p_align,
		};
	return 0;
}

static int read_elf(const struct kernel_file *f, const uint8_t *head, size_t head_len,
	struct elf *x, struct err *e)
{
	if (head_len < sizeof(Elf64_Ehdr)) /* longer than Elf32_Ehdr */
		return err_bad(
			e, "truncated: %zu bytes do not hold an ELF header", head_len);
	switch (head[EI_CLASS]) {
	case ELFCLASS64:
		return read_64(f, head, x, e);
	case ELFCLASS32:
		return read_32(f, head, x, e);
	default:
		return err_bad(e, "an ELF file of class %u, neither of 32 nor 64 bits",
			head[EI_CLASS]);
	}
}

static bool is_loaded(const Elf64_Phdr *h)
{
	return h->p_type == PT_LOAD && h->p_memsz != 0;
}

/* How many bytes a segment occupies. A file may have more bytes of a segment than the
 * segment has memory. */
static uint64_t room_of(const Elf64_Phdr *h)
{
	return MAX(h->p_memsz, h->p_filesz);
}

static int check_segment(
	const struct kernel_file *f, const Elf64_Phdr *h, struct err *e)
{
	unsigned long long off = h->p_offset, n = h->p_filesz;

	if (n > 0 && (off > f->size || n > f->size - off))
		return err_bad(e,
			"truncated: %llu bytes at %llu reach beyond the file's %llu", n,
			off, (unsigned long long)f->size);
	return kernel_file_check_place(f, h->p_paddr, room_of(h), e);
}

/* Checks every segment and finds where the first begins and the last ends. */
static int check_segments(const struct kernel_file *f, const struct elf *x,
	struct kernel_image *out, struct err *e)
{
	int r;

	out->start = UINT64_MAX;
	for (unsigned i = 0; i < x->n; i++) {
		const Elf64_Phdr *h = &x->table[i];

		if (!is_loaded(h))
			continue;
		r = check_segment(f, h, e);
		if (r < 0)
			return err_add(e, r, "segment %u", i);
		out->start = MIN(out->start, h->p_paddr);
		out->end = MAX(out->end, h->p_paddr + room_of(h));
	}
	if (out->end == 0)
		return err_bad(e, "an ELF file with nothing to load");
	return 0;
}

/* Whether an entry point lies among the bytes that some segment has in the file. */
static bool has_code_at(const struct elf *x, gpa_t entry)
{
	for (unsigned i = 0; i < x->n; i++) {
		const Elf64_Phdr *h = &x->table[i];

		if (is_loaded(h) && entry >= h->p_paddr &&
			entry - h->p_paddr < h->p_filesz)
			return true;
	}
	return false;
}

/* A kernel with a PVH note is entered by PVH, as in Firecracker, because nothing says
 * what convention its e_entry follows: FreeBSD's is a virtual address for FreeBSD's own
 * loader, and that of others is for multiboot. Linux is the exception: its e_entry is
 * the 64-bit protocol's, which spares the way from 32 bits to 64, so that init comes
 * 0.8 ms sooner (at 1 GIPS). */
static int choose_entry(const struct elf *x, const struct kernel_notes *notes,
	struct kernel_image *out, struct err *e)
{
	bool is_linux_64 = !x->is_32 && (notes->is_linux || !notes->has_pvh);

	if (is_linux_64 && has_code_at(x, x->entry)) {
		out->protocol = KERNEL_LINUX_64;
		out->entry = x->entry;
		return 0;
	}
	if (!notes->has_pvh)
		return x->is_32 ? err_bad(e, "a 32-bit ELF file without a PVH note")
				: err_bad(e,
					  "entry point 0x%llx lies outside every "
					  "segment, and there is no PVH note",
					  (unsigned long long)x->entry);
	if (!has_code_at(x, notes->pvh_entry))
		return err_bad(e, "PVH entry point 0x%x lies outside every segment",
			notes->pvh_entry);
	out->protocol = KERNEL_PVH;
	out->entry = notes->pvh_entry;
	return 0;
}

/* Loads the segments in the order of their headers, so that of two which overlap the
 * later one counts. Segments that are adjacent in the file and in memory are loaded by
 * one read. */
static int place(const struct kernel_file *f, const struct elf *x, struct err *e)
{
	struct kernel_part run = { .n = 0 };
	int r;

	for (unsigned i = 0; i < x->n; i++) {
		const Elf64_Phdr *h = &x->table[i];

		if (!is_loaded(h) || h->p_filesz == 0)
			continue;
		if (run.n > 0 && h->p_paddr - run.at == run.n &&
			h->p_offset - run.off == run.n) {
			run.n += h->p_filesz;
			continue;
		}
		r = kernel_file_place(f, &run, e);
		if (r < 0)
			return r;
		run = (struct kernel_part){
			.off = h->p_offset,
			.n = h->p_filesz,
			.at = h->p_paddr,
		};
	}
	return kernel_file_place(f, &run, e);
}

int elf_load(const struct kernel_file *f, const uint8_t *head, size_t head_len,
	struct kernel_image *out, struct err *e)
{
	struct kernel_image k = {
		.cmdline_max = CMDLINE_MAX,
		.initrd_max = kernel_low_end(f->mem) - 1,
	};
	struct kernel_notes notes;
	struct elf x;
	int r;

	x.is_32 = false;
	r = read_elf(f, head, head_len, &x, e);
	if (r == 0)
		r = check_segments(f, &x, &k, e);
	if (r == 0)
		r = notes_read(f, x.table, x.n, &notes, e);
	if (r == 0)
		r = choose_entry(&x, &notes, &k, e);
	if (r == 0)
		r = place(f, &x, e);
	if (r == 0)
		*out = k;
	return r;
}
