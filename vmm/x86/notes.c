/* SPDX-License-Identifier: Apache-2.0
 *
 * notes: searches the notes of an ELF file (System V ABI, "Note Section") for how the
 * kernel is entered. The file is hostile.
 */
#include <elf.h>
#include <string.h>

#include "vmm/base/io.h"
#include "vmm/x86/internal.h"

enum {
	XEN_PHYS32_ENTRY = 18, /* XEN_ELFNOTE_PHYS32_ENTRY of Xen's public/elfnote.h */
	WINDOW_BYTES = 512, /* more than all notes of Linux, so one read is enough */
	NOTES_MAX = 4096, /* of one file; the rest is ignored */
	NAME_BYTES = 8, /* of a name are read, more than the names that matter have */
};

static const char xen[] = "Xen", linux_name[] = "Linux";

/* A position in the notes of one segment, with a window of bytes read ahead. */
struct notes {
	const struct kernel_file *f;
	uint64_t at, end; /* offsets in the file; at does not exceed end */
	unsigned align; /* of descriptors and of notes: 4 or 8 */
	uint64_t window_at; /* offset of the window's first byte */
	size_t window_n;
	uint8_t window[WINDOW_BYTES];
};

/* Copies n bytes at offset off, which must lie before s->end. */
static int fetch(struct notes *s, uint64_t off, void *dst, size_t n)
{
	if (off < s->window_at || off - s->window_at > s->window_n ||
		n > s->window_n - (off - s->window_at)) {
		size_t room = (size_t)MIN(s->end - off, sizeof(s->window));
		int r = io_pread(s->f->fd, s->window, room, (off_t)off);

		if (r < 0)
			return r;
		s->window_at = off;
		s->window_n = room;
	}
	memcpy(dst, s->window + (off - s->window_at), n);
	return 0;
}

/* The entry point has 32 bits; 64-bit kernels store it in 64. */
static int read_entry(struct notes *s, uint64_t off, uint32_t n,
	struct kernel_notes *out, struct err *e)
{
	uint64_t entry = 0;
	int r;

	if (n < sizeof(uint32_t))
		return err_bad(e, "a PVH note of %u bytes, not 4 or 8", n);
	r = fetch(s, off, &entry, n < sizeof(entry) ? sizeof(uint32_t) : sizeof(entry));
	if (r < 0)
		return err_code(e, r, "cannot read its PVH note");
	if (entry > UINT32_MAX)
		return err_bad(e, "PVH entry point 0x%llx lies above 4 GiB",
			(unsigned long long)entry);
	out->has_pvh = true;
	out->pvh_entry = (uint32_t)entry;
	return 0;
}

/* Reads one note, whose name and descriptor lie before s->end. */
static int read_note(struct notes *s, const Elf64_Nhdr *h, uint64_t desc,
	struct kernel_notes *out, struct err *e)
{
	size_t n = MIN(h->n_namesz, NAME_BYTES);
	char name[NAME_BYTES] = { 0 };
	int r = fetch(s, s->at + sizeof(*h), name, n);

	if (r < 0)
		return err_code(e, r, "cannot read its notes");
	if (h->n_namesz == sizeof(linux_name) && memcmp(name, linux_name, n) == 0)
		out->is_linux = true;
	if (h->n_namesz == sizeof(xen) && memcmp(name, xen, n) == 0 &&
		h->n_type == XEN_PHYS32_ENTRY && !out->has_pvh)
		return read_entry(s, desc, h->n_descsz, out, e);
	return 0;
}

static int read_notes(
	struct notes *s, unsigned *budget, struct kernel_notes *out, struct err *e)
{
	while (s->end - s->at >= sizeof(Elf64_Nhdr) && *budget > 0) {
		Elf64_Nhdr h;
		uint64_t desc, end;
		int r = fetch(s, s->at, &h, sizeof(h));

		if (r < 0)
			return err_code(e, r, "cannot read its notes");
		desc = round_up(sizeof(h) + (uint64_t)h.n_namesz, s->align);
		end = desc + h.n_descsz; /* of three numbers of 32 bits: no overflow */
		if (end > s->end - s->at)
			return 0; /* guest: a note that is cut says nothing */
		r = read_note(s, &h, s->at + desc, out, e);
		if (r < 0)
			return r;
		s->at += MIN(round_up(end, s->align), s->end - s->at);
		*budget -= 1;
	}
	return 0;
}

/* Linkers align notes to 4 bytes, or to 8 where the segment says so. Some segments say
 * 8 and use 4, so one that says 8 and shows no PVH note is walked a second time, by 4.
 */
int notes_read(const struct kernel_file *f, const Elf64_Phdr *table, unsigned n,
	struct kernel_notes *out, struct err *e)
{
	unsigned budget = NOTES_MAX;
	int r = 0;

	*out = (struct kernel_notes){ .has_pvh = false };
	for (unsigned i = 0; r == 0 && i < n; i++) {
		const Elf64_Phdr *h = &table[i];
		struct notes s = { .f = f };

		if (h->p_type != PT_NOTE || h->p_offset > f->size)
			continue;
		s.at = h->p_offset;
		s.end = s.at + MIN(h->p_filesz, f->size - s.at);
		s.align = h->p_align == 8 ? 8 : 4;
		r = read_notes(&s, &budget, out, e);
		if (r == 0 && s.align == 8 && !out->has_pvh) {
			s.at = h->p_offset;
			s.align = 4;
			r = read_notes(&s, &budget, out, e);
		}
	}
	return r;
}
