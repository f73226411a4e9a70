/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_image, elf, notes: how kernel_load finds the entry point: in the PVH note,
 * wherever and however it is written, or in the ELF header.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_kernel.h"
#include "vmm/x86/kernel_image.h"

enum { PHYS32_ENTRY = 18, NOTES = 2, MORE_NOTES = 3 }; /* program headers */

#define PVH_ENTRY (2 * MIB + 0x123)
#define VIRTUAL_ENTRY 0xffffffff80200000u

static const struct fake_segment segments[] = {
	{ 2 * MIB, 0x2000, 0x3000, 0x1000 }, { 3 * MIB, 0x1000, 0x1000, 0x3000 },
	{ 0, 0, 0, 0 }, /* NOTES */
	{ 0, 0, 0, 0 }, /* MORE_NOTES */
};

static struct fake_image img;

/* Notes are appended to the file; each of the two program headers covers some of them.
 */
static Elf64_Ehdr *begin(void)
{
	Elf64_Ehdr *h = fake_elf(&img, segments, ARRAY_LEN(segments));

	h->e_entry = VIRTUAL_ENTRY;
	for (unsigned i = NOTES; i <= MORE_NOTES; i++)
		*fake_elf_phdr(&img, i) = (Elf64_Phdr){
			.p_type = PT_NOTE, .p_offset = img.len, .p_align = 4
		};
	return h;
}

/* Appends a note to the segment of that header, which must be the last in the file. */
static void put(unsigned header, unsigned align, const char *name, uint32_t type,
	const void *desc, uint32_t n)
{
	Elf64_Phdr *h = fake_elf_phdr(&img, header);
	Elf64_Nhdr note = {
		.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = n, .n_type = type
	};
	uint8_t *at = img.bytes + img.len;
	size_t desc_at = round_up(sizeof(note) + note.n_namesz, align);

	if (h->p_filesz == 0)
		h->p_offset = img.len;
	memcpy(at, &note, sizeof(note));
	memcpy(at + sizeof(note), name, note.n_namesz);
	memcpy(at + desc_at, desc, n);
	img.len += round_up(desc_at + n, align);
	h->p_filesz = img.len - h->p_offset;
}

static void put_entry(unsigned header, unsigned align, uint64_t entry)
{
	put(header, align, "Xen", PHYS32_ENTRY, &entry, sizeof(entry));
}

static int try_load(struct kernel_image *k, struct err *e)
{
	struct guest_mem *mem = fake_memory(16 * MIB);
	int fd = fake_fd(img.bytes, img.len);
	int r = kernel_load(fd, MIB, KERNEL_READ, mem, k, e);

	close(fd);
	guest_mem_destroy(mem);
	return r;
}

static void expect(enum kernel_protocol protocol, gpa_t entry)
{
	struct kernel_image k;
	struct err e = { "" };

	cr_assert_eq(try_load(&k, &e), 0, "%s", e.text);
	cr_assert_eq(k.protocol, protocol);
	cr_assert_eq(k.entry, entry, "%llx", (unsigned long long)k.entry);
}

static void refused(const char *why)
{
	struct kernel_image k;
	struct err e = { "" };

	cr_assert_eq(try_load(&k, &e), -EINVAL);
	cr_assert(strstr(e.text, why), "'%s' does not say '%s'", e.text, why);
}

Test(kernel_pvh, a_note_is_the_entry_point)
{
	const uint32_t entry = PVH_ENTRY;

	begin();
	put_entry(NOTES, 4, PVH_ENTRY);
	expect(KERNEL_PVH, PVH_ENTRY);
	begin(); /* a 32-bit kernel writes it in 32 bits */
	put(NOTES, 4, "Xen", PHYS32_ENTRY, &entry, sizeof(entry));
	expect(KERNEL_PVH, PVH_ENTRY);
}

/* Nobody knows what e_entry of other kernels is for: it may be multiboot's. */
Test(kernel_pvh, a_note_counts_more_than_the_elf_header)
{
	begin()->e_entry = 2 * MIB;
	put_entry(NOTES, 4, PVH_ENTRY);
	expect(KERNEL_PVH, PVH_ENTRY);
	begin()->e_entry = PVH_ENTRY;
	put_entry(NOTES, 4, PVH_ENTRY);
	expect(KERNEL_PVH, PVH_ENTRY);
}

Test(kernel_pvh, linux_is_entered_by_its_64_bit_entry_point)
{
	for (int linux_first = 0; linux_first <= 1; linux_first++) {
		begin()->e_entry = 2 * MIB;
		put_entry(linux_first ? MORE_NOTES : NOTES, 4, PVH_ENTRY);
		put(linux_first ? NOTES : MORE_NOTES, 4, "Linux", 0x100, "", 1);
		expect(KERNEL_LINUX_64, 2 * MIB);
	}
}

Test(kernel_pvh, linux_without_a_64_bit_entry_point_is_entered_by_the_note)
{
	begin();
	put(NOTES, 4, "Linux", 0x100, "", 1);
	put_entry(NOTES, 4, PVH_ENTRY);
	expect(KERNEL_PVH, PVH_ENTRY);
}

Test(kernel_pvh, without_a_note_the_elf_header_counts)
{
	begin()->e_entry = 2 * MIB;
	expect(KERNEL_LINUX_64, 2 * MIB);
	begin()->e_entry = 2 * MIB;
	put(NOTES, 4, "GNU", 3, "0123456789abcdefghij", 20);
	expect(KERNEL_LINUX_64, 2 * MIB);
	begin();
	refused("entry point 0xffffffff80200000 lies outside every segment, and there "
		"is no PVH note");
}

Test(kernel_pvh, other_notes_are_passed_over)
{
	const uint64_t wrong = 3 * MIB;

	begin();
	put(NOTES, 4, "GNU", PHYS32_ENTRY, &wrong, 8);
	put(NOTES, 4, "Xe", PHYS32_ENTRY, &wrong, 8);
	put(NOTES, 4, "Xeno", PHYS32_ENTRY, &wrong, 8);
	put(NOTES, 4, "Xen", 17, &wrong, 8);
	put(NOTES, 4, "a name of some length", 1, "desc", 3);
	put(NOTES, 4, "", 0, "", 0);
	put_entry(NOTES, 4, PVH_ENTRY);
	put_entry(NOTES, 4, wrong); /* the first counts */
	expect(KERNEL_PVH, PVH_ENTRY);
}

Test(kernel_pvh, the_note_may_come_after_long_ones)
{
	static char desc[20000];

	for (uint32_t n = 0; n < sizeof(desc); n += n < 1100 ? 7 : 4567) {
		begin();
		put(NOTES, 4, "GNU", 3, desc, n);
		put(NOTES, 4, "stapsdt", 3, desc, n / 3);
		put_entry(NOTES, 4, PVH_ENTRY);
		expect(KERNEL_PVH, PVH_ENTRY);
	}
}

Test(kernel_pvh, the_note_may_be_in_a_later_segment)
{
	begin();
	put(NOTES, 4, "GNU", 3, "0123456789abcdefghij", 20);
	put_entry(MORE_NOTES, 4, PVH_ENTRY);
	expect(KERNEL_PVH, PVH_ENTRY);
}

Test(kernel_pvh, notes_may_be_aligned_to_8_bytes)
{
	begin();
	fake_elf_phdr(&img, NOTES)->p_align = 8;
	put(NOTES, 8, "GNU", 5, "0123456789ab", 12);
	put(NOTES, 8, "seven b", 1, "123", 3);
	put_entry(NOTES, 8, PVH_ENTRY);
	expect(KERNEL_PVH, PVH_ENTRY);
}

Test(kernel_pvh, notes_are_found_where_the_segments_alignment_is_odd)
{
	static const uint64_t aligns[] = { 0, 1, 2, 3, 8, 16, 4096, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_LEN(aligns); i++) {
		begin();
		fake_elf_phdr(&img, NOTES)->p_align = aligns[i];
		put(NOTES, 4, "GNU", 3, "0123456789ab", 12);
		put_entry(NOTES, 4, PVH_ENTRY);
		expect(KERNEL_PVH, PVH_ENTRY);
	}
}

Test(kernel_pvh, the_padding_of_the_last_note_may_be_missing)
{
	const uint32_t entry = PVH_ENTRY;
	uint8_t desc[5] = { 0 };

	memcpy(desc, &entry, sizeof(entry));
	begin();
	put(NOTES, 4, "Xen", PHYS32_ENTRY, desc, sizeof(desc));
	img.len -= 3;
	fake_elf_phdr(&img, NOTES)->p_filesz -= 3;
	expect(KERNEL_PVH, PVH_ENTRY);
}

/* Adds the Xen note and spoils its header, and expects that no note is found. */
static void refused_with(uint32_t namesz, uint32_t descsz)
{
	Elf64_Nhdr *h;

	begin();
	put_entry(NOTES, 4, PVH_ENTRY);
	h = (Elf64_Nhdr *)(void *)(img.bytes + fake_elf_phdr(&img, NOTES)->p_offset);
	h->n_namesz = namesz;
	h->n_descsz = descsz;
	refused("there is no PVH note");
}

Test(kernel_pvh, a_note_that_is_cut_says_nothing)
{
	refused_with(4, 9);
	refused_with(4, UINT32_MAX);
	refused_with(UINT32_MAX, 8);
	refused_with(UINT32_MAX, UINT32_MAX);
	for (uint64_t n = 0; n < 24; n++) {
		begin();
		put_entry(NOTES, 4, PVH_ENTRY);
		fake_elf_phdr(&img, NOTES)->p_filesz = n;
		refused("there is no PVH note");
	}
}

Test(kernel_pvh, notes_outside_the_file_say_nothing)
{
	static const uint64_t offsets[] = { FAKE_IMAGE_MAX, UINT64_MAX - 8,
		UINT64_MAX };

	for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
		begin()->e_entry = 2 * MIB;
		fake_elf_phdr(&img, NOTES)->p_offset = offsets[i];
		fake_elf_phdr(&img, NOTES)->p_filesz = 1000;
		expect(KERNEL_LINUX_64, 2 * MIB);
	}
	begin(); /* what the file has of them counts */
	put_entry(NOTES, 4, PVH_ENTRY);
	fake_elf_phdr(&img, NOTES)->p_filesz = UINT64_MAX;
	expect(KERNEL_PVH, PVH_ENTRY);
}

Test(kernel_pvh, notes_without_end_are_not_followed_to_their_end)
{
	begin()->e_entry = 2 * MIB;
	memset(img.bytes + img.len, 0, MIB);
	fake_elf_phdr(&img, NOTES)->p_filesz = MIB;
	img.len += MIB;
	put_entry(MORE_NOTES, 4, PVH_ENTRY);
	expect(KERNEL_LINUX_64, 2 * MIB);
}

Test(kernel_pvh, refuses_an_entry_point_that_is_none)
{
	begin();
	put(NOTES, 4, "Xen", PHYS32_ENTRY, "abc", 3);
	refused("a PVH note of 3 bytes, not 4 or 8");
	begin();
	put(NOTES, 4, "Xen", PHYS32_ENTRY, "", 0);
	refused("a PVH note of 0 bytes");
	begin();
	put_entry(NOTES, 4, 4 * GIB + PVH_ENTRY);
	refused("PVH entry point 0x100200123 lies above 4 GiB");
	begin();
	put_entry(NOTES, 4, 3 * MIB + 0x1000);
	refused("PVH entry point 0x301000 lies outside every segment");
	begin(); /* in the bss */
	put_entry(NOTES, 4, 2 * MIB + 0x2000);
	refused("PVH entry point 0x202000 lies outside every segment");
}

/* Turns the image into a 32-bit file, whose program headers are shorter. */
static Elf32_Ehdr *make_32(void)
{
	const Elf64_Ehdr h = *(const Elf64_Ehdr *)(const void *)img.bytes;
	Elf64_Phdr from[ARRAY_LEN(segments)];
	Elf32_Phdr *to = (Elf32_Phdr *)(void *)(img.bytes + sizeof(Elf32_Ehdr));
	Elf32_Ehdr *out = (Elf32_Ehdr *)(void *)img.bytes;

	memcpy(from, fake_elf_phdr(&img, 0), sizeof(from));
	*out = (Elf32_Ehdr){
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_entry = (uint32_t)h.e_entry,
		.e_phoff = sizeof(*out),
		.e_phentsize = sizeof(*to),
		.e_phnum = h.e_phnum,
	};
	memcpy(out->e_ident, h.e_ident, sizeof(h.e_ident));
	out->e_ident[EI_CLASS] = ELFCLASS32;
	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		to[i] = (Elf32_Phdr){
			.p_type = from[i].p_type,
			.p_offset = (uint32_t)from[i].p_offset,
			.p_paddr = (uint32_t)from[i].p_paddr,
			.p_filesz = (uint32_t)from[i].p_filesz,
			.p_memsz = (uint32_t)from[i].p_memsz,
			.p_align = (uint32_t)from[i].p_align,
		};
	return out;
}

Test(kernel_pvh, a_32_bit_file_is_entered_by_its_note)
{
	struct guest_mem *mem = fake_memory(16 * MIB);
	struct kernel_image k;
	struct err e = { "" };
	uint8_t got[0x1000];
	int fd;

	begin()->e_entry = 2 * MIB;
	put(NOTES, 4, "Linux", 0x100, "", 1);
	put_entry(NOTES, 4, PVH_ENTRY);
	(void)make_32();
	fd = fake_fd(img.bytes, img.len);
	cr_assert_eq(kernel_load(fd, MIB, KERNEL_READ, mem, &k, &e), 0, "%s", e.text);
	cr_assert(k.protocol == KERNEL_PVH && k.entry == PVH_ENTRY);
	cr_assert(k.start == 2 * MIB && k.end == 3 * MIB + 0x1000);
	cr_assert_eq(guest_read(mem, 3 * MIB, got, sizeof(got)), 0);
	for (unsigned i = 0; i < sizeof(got); i++)
		cr_assert_eq(got[i], fake_byte(1, i));
	close(fd);
	guest_mem_destroy(mem);
}

Test(kernel_pvh, refuses_a_32_bit_file_that_is_not_entered_by_a_note)
{
	begin()->e_entry = 2 * MIB;
	(void)make_32();
	refused("a 32-bit ELF file without a PVH note");
	begin();
	put_entry(NOTES, 4, PVH_ENTRY);
	make_32()->e_machine = EM_X86_64;
	refused("for machine 62, not for x86 (3)");
	begin();
	put_entry(NOTES, 4, PVH_ENTRY);
	make_32()->e_phentsize = sizeof(Elf64_Phdr);
	refused("program headers of 56 bytes, not 32");
	begin();
	put_entry(NOTES, 4, PVH_ENTRY);
	make_32()->e_phnum = 129;
	refused("129 program headers");
}
