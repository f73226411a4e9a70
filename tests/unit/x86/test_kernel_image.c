/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_image: how kernel_load loads good images, read and mapped.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_kernel.h"
#include "vmm/x86/kernel_image.h"

#define KERNEL_MIN MIB

static struct fake_image img;
static const enum kernel_load_how ways[] = { KERNEL_READ, KERNEL_MAP };

static struct guest_mem *load(
	uint64_t mem_bytes, enum kernel_load_how how, struct kernel_image *k)
{
	struct guest_mem *mem = fake_memory(mem_bytes);
	int fd = fake_fd(img.bytes, img.len);
	struct err e = { "" };

	cr_assert_eq(kernel_load(fd, KERNEL_MIN, how, mem, k, &e), 0, "%s", e.text);
	close(fd);
	return mem;
}

/* Checks that segment i is in memory, with zeros after it up to the end of what it
 * occupies and of its last page, or up to `next`, where another segment starts. */
static void expect_segment(
	struct guest_mem *mem, unsigned i, const struct fake_segment *s, gpa_t next)
{
	gpa_t end = MIN(next, round_up(s->paddr + s->memsz, PAGE_BYTES));
	static uint8_t got[FAKE_IMAGE_MAX];
	size_t n = (size_t)(end - s->paddr);

	cr_assert_leq(n, sizeof(got));
	cr_assert_eq(guest_read(mem, s->paddr, got, n), 0);
	for (uint64_t at = 0; at < n; at++)
		cr_assert_eq(got[at], at < s->filesz ? fake_byte(i, at) : 0,
			"segment %u, byte %llu", i, (unsigned long long)at);
}

static void expect_segments(const struct fake_segment *s, unsigned n)
{
	for (unsigned w = 0; w < ARRAY_LEN(ways); w++) {
		struct kernel_image k;
		struct guest_mem *mem;

		fake_elf(&img, s, n);
		mem = load(16 * MIB, ways[w], &k);
		for (unsigned i = 0; i < n; i++) {
			gpa_t next = UINT64_MAX;

			for (unsigned j = 0; j < n; j++)
				if (s[j].paddr > s[i].paddr)
					next = MIN(next, s[j].paddr);
			expect_segment(mem, i, &s[i], next);
		}
		guest_mem_destroy(mem);
	}
}

Test(kernel_image, elf_segments_land_at_their_physical_addresses)
{
	const struct fake_segment s[] = {
		{ 2 * MIB, 0x5000, 0x5000, 0x1000 },
		{ 3 * MIB, 0x2345, 0x8000, 0x6000 },
		{ 4 * MIB + 0x10, 0x1fff, 0x1fff, 0x9000 },
	};

	expect_segments(s, ARRAY_LEN(s));
}

Test(kernel_image, elf_segments_may_come_in_any_order)
{
	const struct fake_segment s[] = {
		{ 4 * MIB, 0x1000, 0x1000, 0x1000 },
		{ 2 * MIB, 0x3000, 0x4000, 0x4000 },
		{ 3 * MIB, 0x1000, 0x1001, 0x3000 },
	};

	expect_segments(s, ARRAY_LEN(s));
}

Test(kernel_image, adjacent_elf_segments_are_one_run)
{
	const struct fake_segment s[] = {
		{ 2 * MIB, 0x1800, 0x1800, 0x1000 },
		{ 2 * MIB + 0x1800, 0x1800, 0x1800, 0x2800 },
		{ 2 * MIB + 0x3000, 0x1000, 0x3000, 0x4000 },
		{ 2 * MIB + 0x6000, 0x0800, 0x0800, 0x5000 },
	};

	expect_segments(s, ARRAY_LEN(s));
}

Test(kernel_image, elf_segments_may_share_a_page)
{
	const struct fake_segment s[] = {
		{ 2 * MIB, 0x1234, 0x1234, 0x1000 },
		{ 2 * MIB + 0x1800, 0x2800, 0x2900, 0x2800 },
	};

	expect_segments(s, ARRAY_LEN(s));
}

Test(kernel_image, a_segment_without_bytes_in_the_file_stays_zero)
{
	const struct fake_segment s[] = {
		{ 2 * MIB, 0x1000, 0x1000, 0x1000 },
		{ 3 * MIB, 0, 0x3000, 0x2000 },
	};

	expect_segments(s, ARRAY_LEN(s));
}

/* Checks that n bytes of segment i, from its byte `from` on, are at `at`. */
static void expect_bytes(
	struct guest_mem *mem, unsigned i, uint64_t from, gpa_t at, size_t n)
{
	static uint8_t got[FAKE_IMAGE_MAX];

	if (n == 0)
		return;
	cr_assert_eq(guest_read(mem, at, got, n), 0);
	for (uint64_t b = 0; b < n; b++)
		cr_assert_eq(got[b], fake_byte(i, from + b), "segment %u, byte %llu", i,
			(unsigned long long)(from + b));
}

Test(kernel_image, of_elf_segments_that_overlap_the_later_one_counts)
{
	static const gpa_t second[] = { 2 * MIB, 2 * MIB + 0x1800, 2 * MIB + 0x3000 };

	for (unsigned c = 0; c < 2 * ARRAY_LEN(second); c++) {
		gpa_t at = second[c / 2], end = at + 0x2000;
		const struct fake_segment s[] = {
			{ 2 * MIB, 0x6000, 0x6000, 0x1000 },
			{ at, 0x2000, 0x2000, 0x7000 + at % PAGE_BYTES },
		};
		struct kernel_image k;
		struct guest_mem *mem;

		fake_elf(&img, s, 2);
		mem = load(16 * MIB, ways[c % 2], &k);
		expect_bytes(mem, 0, 0, 2 * MIB, (size_t)(at - 2 * MIB));
		expect_bytes(mem, 1, 0, at, 0x2000);
		expect_bytes(
			mem, 0, end - 2 * MIB, end, (size_t)(2 * MIB + 0x6000 - end));
		cr_assert(k.start == 2 * MIB && k.end == 2 * MIB + 0x6000);
		guest_mem_destroy(mem);
	}
}

Test(kernel_image, the_bss_of_an_elf_segment_may_reach_into_another)
{
	const struct fake_segment s[] = {
		{ 2 * MIB, 0x1000, 0x3000, 0x1000 },
		{ 2 * MIB + 0x2000, 0x1000, 0x1000, 0x3000 },
	};

	expect_segments(s, 2);
}

Test(kernel_image, a_segment_is_loaded_whole_when_it_claims_less_memory)
{
	for (unsigned w = 0; w < ARRAY_LEN(ways); w++) {
		const struct fake_segment s = { 2 * MIB, 0x3456, 0x1000, 0x1000 };
		struct kernel_image k;
		struct guest_mem *mem;

		fake_elf(&img, &s, 1);
		mem = load(16 * MIB, ways[w], &k);
		expect_bytes(mem, 0, 0, 2 * MIB, 0x3456);
		cr_assert_eq(k.end, 2 * MIB + 0x3456);
		guest_mem_destroy(mem);
	}
}

Test(kernel_image, where_a_segment_without_bytes_would_be_in_the_file_is_all_the_same)
{
	static const uint64_t offsets[] = { 0x2000, 5 * MIB, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
		const struct fake_segment s[] = {
			{ 2 * MIB, 0x1000, 0x1000, 0x1000 },
			{ 2 * MIB + 0x1000, 0, 0x3000, 0 },
			{ 2 * MIB + 0x4000, 0x1000, 0x1000, 0x2000 },
		};
		struct kernel_image k;
		struct guest_mem *mem;

		fake_elf(&img, s, 3);
		fake_elf_phdr(&img, 1)->p_offset = offsets[i];
		mem = load(16 * MIB, KERNEL_READ, &k);
		expect_segment(mem, 0, &s[0], UINT64_MAX);
		expect_segment(mem, 2, &s[2], UINT64_MAX);
		cr_assert_eq(k.end, 2 * MIB + 0x5000);
		guest_mem_destroy(mem);
	}
}

Test(kernel_image, what_is_not_needed_to_load_an_elf_is_not_looked_at)
{
	const struct fake_segment s[] = {
		{ 2 * MIB, 0x1000, 0x1000, 0x1000 },
		{ 3 * MIB, 0x1000, 0x1000, 0x2000 },
	};
	Elf64_Ehdr *h = fake_elf(&img, s, 2);
	struct kernel_image k;
	struct guest_mem *mem;

	h->e_type = ET_DYN;
	h->e_ident[EI_OSABI] = ELFOSABI_FREEBSD;
	h->e_ident[EI_VERSION] = 77;
	h->e_version = 0;
	h->e_ehsize = 0;
	h->e_shoff = UINT64_MAX;
	h->e_shnum = h->e_shstrndx = UINT16_MAX;
	h->e_shentsize = 1;
	fake_elf_phdr(&img, 0)->p_align = 3;
	fake_elf_phdr(&img, 1)->p_align = UINT64_MAX;
	fake_elf_phdr(&img, 0)->p_vaddr = UINT64_MAX;
	fake_elf_phdr(&img, 0)->p_flags = 0;
	img.len += 12345;
	mem = load(16 * MIB, KERNEL_READ, &k);
	expect_segment(mem, 0, &s[0], UINT64_MAX);
	expect_segment(mem, 1, &s[1], UINT64_MAX);
	cr_assert_eq(k.protocol, KERNEL_LINUX_64);
	guest_mem_destroy(mem);
}

Test(kernel_image, an_elf_may_have_128_program_headers)
{
	static struct fake_segment s[128];
	struct kernel_image k;

	for (unsigned i = 0; i < ARRAY_LEN(s); i++)
		s[i] = (struct fake_segment){ 2 * MIB + i * 0x1000, 0x10, 0x20,
			0x2000 + i * 0x10 };
	fake_elf(&img, s, ARRAY_LEN(s));
	guest_mem_destroy(load(16 * MIB, KERNEL_READ, &k));
	cr_assert_eq(k.end, 2 * MIB + 127 * 0x1000 + 0x20);
}

Test(kernel_image, an_unaligned_file_offset_is_read_where_it_cannot_be_mapped)
{
	const struct fake_segment s[] = { { 2 * MIB, 0x3000, 0x3000, 0x1234 } };

	expect_segments(s, ARRAY_LEN(s));
}

Test(kernel_image, an_elf_says_where_it_starts_and_ends)
{
	const struct fake_segment s[] = {
		{ 3 * MIB, 0x1000, 0x123456, 0x2000 },
		{ 2 * MIB, 0x1000, 0x1000, 0x1000 },
	};
	struct kernel_image k;

	fake_elf(&img, s, 2)->e_entry = 2 * MIB + 0x30;
	guest_mem_destroy(load(16 * MIB, KERNEL_READ, &k));
	cr_assert_eq(k.entry, 2 * MIB + 0x30);
	cr_assert_eq(k.end, 3 * MIB + 0x123456);
	cr_assert_eq(k.setup_len, 0);
	cr_assert_eq(k.cmdline_max, 2047);
	cr_assert_eq(k.initrd_max, 16 * MIB - 1);
}

Test(kernel_image, headers_that_are_not_to_be_loaded_are_passed_over)
{
	const struct fake_segment s[] = {
		{ 2 * MIB, 0x1000, 0x1000, 0x1000 },
		{ 3 * MIB, 0x1000, 0x1000, 0x2000 },
		{ 4 * MIB, 0, 0, 0x2000 },
	};
	uint64_t got = 1;
	struct kernel_image k;
	struct guest_mem *mem;

	fake_elf(&img, s, 3);
	fake_elf_phdr(&img, 1)->p_type = PT_NOTE;
	fake_elf_phdr(&img, 1)->p_paddr = UINT64_MAX;
	mem = load(16 * MIB, KERNEL_READ, &k);
	cr_assert_eq(k.end, 2 * MIB + 0x1000);
	cr_assert_eq(guest_read(mem, 3 * MIB, &got, sizeof(got)), 0);
	cr_assert_eq(got, 0);
	guest_mem_destroy(mem);
}

Test(kernel_image, memory_may_end_with_the_last_segment)
{
	const struct fake_segment s[] = { { 2 * MIB, 0x1000, 2 * MIB, 0x1000 } };
	struct kernel_image k;

	fake_elf(&img, s, 1);
	guest_mem_destroy(load(4 * MIB, KERNEL_READ, &k));
	cr_assert_eq(k.end, 4 * MIB);
}

Test(kernel_image, a_segment_may_lie_above_4_gib)
{
	const struct fake_segment s[] = { { 5 * GIB, 0x1000, 0x1000, 0x1000 } };
	struct kernel_image k;
	struct guest_mem *mem;

	fake_elf(&img, s, 1);
	mem = load(8 * GIB, KERNEL_READ, &k);
	expect_segment(mem, 0, s, UINT64_MAX);
	guest_mem_destroy(mem);
}

Test(kernel_image, a_bzimage_is_loaded_where_it_prefers)
{
	const struct fake_segment s = { 16 * MIB, 0x4000, 0x8000, 0 };

	for (unsigned w = 0; w < ARRAY_LEN(ways); w++) {
		struct kernel_image k;
		struct guest_mem *mem;

		fake_bzimage(&img, 0x4000);
		mem = load(32 * MIB, ways[w], &k);
		expect_segment(mem, 0, &s, UINT64_MAX);
		cr_assert_eq(k.entry, 16 * MIB + 0x200);
		cr_assert_eq(k.end, 16 * MIB + 0x8000);
		cr_assert_eq(k.initrd_max, 0x7fffffff);
		cr_assert_eq(k.cmdline_max, 2047);
		guest_mem_destroy(mem);
	}
}

Test(kernel_image, a_bzimage_whose_code_is_page_aligned_is_mapped_too)
{
	const struct fake_segment s = { 16 * MIB, 0x4010, 0x8020, 0 };
	struct kernel_image k;
	struct guest_mem *mem;

	fake_bzimage(&img, 0x4010)->setup_sects = 7;
	memmove(img.bytes + 4096, img.bytes + 5 * 512, 0x4010);
	img.len = 4096 + 0x4010;
	mem = load(32 * MIB, KERNEL_MAP, &k);
	expect_segment(mem, 0, &s, UINT64_MAX);
	guest_mem_destroy(mem);
}

Test(kernel_image, a_bzimage_may_end_within_its_last_paragraph)
{
	for (size_t cut = 0; cut < 16; cut++) {
		const struct fake_segment s = { 16 * MIB, 0x1000 - cut, 0x2000, 0 };
		struct kernel_image k;
		struct guest_mem *mem;

		fake_bzimage(&img, 0x1000);
		img.len -= cut;
		mem = load(32 * MIB, ways[cut % 2], &k);
		expect_segment(mem, 0, &s, UINT64_MAX);
		cr_assert_eq(k.end, 16 * MIB + 0x2000);
		guest_mem_destroy(mem);
	}
}

Test(kernel_image, what_follows_the_code_of_a_bzimage_is_loaded_with_it)
{
	const struct fake_segment s = { 16 * MIB, 0x3000, 0x3000, 0 };

	for (uint32_t size = 0; size <= 0x300; size += 0x80) {
		struct kernel_image k;
		struct guest_mem *mem;

		fake_bzimage(&img, 0x3000)->syssize = size;
		mem = load(32 * MIB, KERNEL_READ, &k);
		expect_segment(mem, 0, &s, UINT64_MAX);
		guest_mem_destroy(mem);
	}
}

Test(kernel_image, a_bzimage_without_setup_sectors_has_four)
{
	const struct fake_segment s = { 16 * MIB, 0x1000, 0x2000, 0 };
	struct kernel_image k;
	struct guest_mem *mem;

	fake_bzimage(&img, 0x1000)->setup_sects = 0;
	mem = load(32 * MIB, KERNEL_READ, &k);
	expect_segment(mem, 0, &s, UINT64_MAX);
	guest_mem_destroy(mem);
}

Test(kernel_image, a_relocatable_bzimage_without_a_usable_preference_is_aligned)
{
	const struct fake_segment s = { 4 * MIB, 0x1000, 0x2000, 0 };
	struct setup_header *h = fake_bzimage(&img, 0x1000);
	struct kernel_image k;
	struct guest_mem *mem;

	h->pref_address = 0;
	h->kernel_alignment = 4 * MIB;
	mem = load(32 * MIB, KERNEL_READ, &k);
	expect_segment(mem, 0, &s, UINT64_MAX);
	cr_assert_eq(k.entry, 4 * MIB + 0x200);
	guest_mem_destroy(mem);
}

Test(kernel_image, a_bzimage_occupies_its_code_even_when_init_size_is_less)
{
	struct kernel_image k;

	fake_bzimage(&img, 0x4000)->init_size = 0;
	guest_mem_destroy(load(32 * MIB, KERNEL_READ, &k));
	cr_assert_eq(k.end, 16 * MIB + 0x4000);
}

Test(kernel_image, the_setup_header_is_repeated_as_long_as_it_says)
{
	struct kernel_image k;

	fake_bzimage(&img, 0x4000);
	guest_mem_destroy(load(32 * MIB, KERNEL_READ, &k));
	cr_assert_eq(k.setup_len, 0x202 + 0x6a - 0x1f1);
	cr_assert_arr_eq(k.setup, img.bytes + 0x1f1, k.setup_len);

	img.bytes[0x201] = 0xff; /* longer than any header */
	guest_mem_destroy(load(32 * MIB, KERNEL_READ, &k));
	cr_assert_eq(k.setup_len, KERNEL_SETUP_MAX);
}
