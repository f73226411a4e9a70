/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_image: what kernel_load refuses, and that it says why. Each case is an image
 * with one mistake.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_kernel.h"
#include "vmm/x86/kernel_image.h"

static struct fake_image img;

/* Loads img both ways into mem_bytes of memory, and expects -EINVAL with a text that
 * contains `why`. */
static void refused(uint64_t mem_bytes, const char *why)
{
	for (int how = KERNEL_READ; how <= KERNEL_MAP; how++) {
		struct guest_mem *mem = fake_memory(mem_bytes);
		int fd = fake_fd(img.bytes, img.len), r;
		struct kernel_image k = { .entry = 42 };
		struct err e = { "" };

		r = kernel_load(fd, MIB, (enum kernel_load_how)how, mem, &k, &e);
		cr_assert_eq(r, -EINVAL, "%d", r);
		cr_assert(strstr(e.text, why), "'%s' does not say '%s'", e.text, why);
		cr_assert_eq(k.entry, 42, "the output is touched");
		close(fd);
		guest_mem_destroy(mem);
	}
}

static const struct fake_segment two[] = {
	{ 2 * MIB, 0x2000, 0x2000, 0x1000 },
	{ 3 * MIB, 0x1000, 0x4000, 0x3000 },
};

static Elf64_Ehdr *good_elf(void)
{
	return fake_elf(&img, two, ARRAY_LEN(two));
}

Test(kernel_hostile, refuses_what_is_neither_elf_nor_bzimage)
{
	memset(img.bytes, 'x', 4096);
	img.len = 4096;
	refused(16 * MIB, "neither an ELF file nor a bzImage");
}

Test(kernel_hostile, refuses_an_empty_file)
{
	img.len = 0;
	refused(16 * MIB, "neither an ELF file nor a bzImage");
}

Test(kernel_hostile, refuses_what_is_not_a_regular_file)
{
	static const char *const paths[] = { "/", "/dev/null", "/dev/zero" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		struct guest_mem *mem = fake_memory(16 * MIB);
		struct kernel_image k;
		struct err e = { "" };

		cr_assert_geq(fd, 0);
		cr_assert_eq(kernel_load(fd, MIB, KERNEL_READ, mem, &k, &e), -EINVAL);
		cr_assert_str_eq(e.text, "not a regular file");
		close(fd);
		guest_mem_destroy(mem);
	}
}

Test(kernel_hostile, refuses_a_file_that_cannot_be_read)
{
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	struct guest_mem *mem = fake_memory(16 * MIB);
	struct kernel_image k;
	struct err e = { "" };

	cr_assert_eq(kernel_load(fd, MIB, KERNEL_READ, mem, &k, &e), -EBADF);
	cr_assert(strstr(e.text, "Bad file descriptor"), "%s", e.text);
	close(fd);
	guest_mem_destroy(mem);
}

Test(kernel_hostile, refuses_an_elf_of_another_kind)
{
	good_elf()->e_ident[EI_CLASS] = ELFCLASSNONE;
	refused(16 * MIB, "of class 0, neither of 32 nor 64 bits");
	good_elf()->e_ident[EI_CLASS] = 3;
	refused(16 * MIB, "of class 3");
	good_elf()->e_ident[EI_CLASS] = ELFCLASS32;
	refused(16 * MIB, "for machine 62, not for x86 (3)");
	good_elf()->e_ident[EI_DATA] = ELFDATA2MSB;
	refused(16 * MIB, "not a little-endian ELF file");
	good_elf()->e_machine = EM_AARCH64;
	refused(16 * MIB, "for machine 183, not for x86 (62)");
	good_elf()->e_type = ET_CORE;
	refused(16 * MIB, "type 4, not an executable");
	good_elf()->e_type = ET_REL;
	refused(16 * MIB, "type 1, not an executable");
}

Test(kernel_hostile, refuses_program_headers_of_another_size)
{
	good_elf()->e_phentsize = 32;
	refused(16 * MIB, "program headers of 32 bytes");
	good_elf()->e_phentsize = 0;
	refused(16 * MIB, "program headers of 0 bytes");
	good_elf()->e_phentsize = UINT16_MAX;
	refused(16 * MIB, "program headers of 65535 bytes");
}

Test(kernel_hostile, refuses_too_many_program_headers)
{
	good_elf()->e_phnum = 129;
	refused(16 * MIB, "129 program headers");
	good_elf()->e_phnum = UINT16_MAX;
	refused(16 * MIB, "65535 program headers");
	good_elf()->e_phnum = 0;
	refused(16 * MIB, "0 program headers");
}

Test(kernel_hostile, refuses_program_headers_outside_the_file)
{
	good_elf()->e_phoff = 1 * GIB;
	refused(16 * MIB, "truncated: program headers");
	good_elf()->e_phoff = UINT64_MAX - 10;
	refused(16 * MIB, "truncated: program headers");
	good_elf()->e_phoff = img.len - sizeof(Elf64_Phdr);
	refused(16 * MIB, "truncated: program headers");
}

Test(kernel_hostile, refuses_an_elf_with_nothing_to_load)
{
	good_elf();
	fake_elf_phdr(&img, 0)->p_type = PT_NOTE;
	fake_elf_phdr(&img, 1)->p_memsz = fake_elf_phdr(&img, 1)->p_filesz = 0;
	refused(16 * MIB, "nothing to load");
}

Test(kernel_hostile, refuses_an_elf_cut_anywhere)
{
	size_t whole = (good_elf(), img.len);

	for (size_t n = 4; n < whole; n += n < 512 ? 1 : 61) {
		img.len = n;
		refused(16 * MIB, "truncated");
	}
}

Test(kernel_hostile, refuses_a_segment_outside_the_file)
{
	good_elf();
	fake_elf_phdr(&img, 1)->p_offset = UINT64_MAX - 0x800;
	refused(16 * MIB, "segment 1: truncated");
	good_elf();
	fake_elf_phdr(&img, 1)->p_filesz = fake_elf_phdr(&img, 1)->p_memsz = UINT64_MAX;
	refused(16 * MIB, "segment 1: truncated");
}

/* A segment may claim less memory than it has bytes in the file: both are checked. */
Test(kernel_hostile, refuses_bytes_outside_memory_whatever_is_claimed)
{
	good_elf();
	fake_elf_phdr(&img, 0)->p_paddr = 16 * MIB - 0x1fff;
	fake_elf_phdr(&img, 0)->p_memsz = 1;
	refused(16 * MIB, "segment 0: 8192 bytes at 0xffe001 lie outside the 16 MiB");
}

Test(kernel_hostile, refuses_a_segment_outside_memory)
{
	good_elf();
	fake_elf_phdr(&img, 1)->p_paddr = 16 * MIB;
	refused(16 * MIB, "segment 1: 16384 bytes at 0x1000000 lie outside the 16 MiB");
	fake_elf_phdr(&img, 1)->p_paddr = 16 * MIB - 0x3fff;
	refused(16 * MIB, "lie outside the 16 MiB of guest memory");
	fake_elf_phdr(&img, 1)->p_memsz = UINT64_MAX;
	refused(16 * MIB, "lie outside the 16 MiB of guest memory");
}

Test(kernel_hostile, refuses_a_segment_that_wraps)
{
	good_elf();
	fake_elf_phdr(&img, 1)->p_paddr = UINT64_MAX - 0xfff;
	refused(16 * MIB, "lie outside the 16 MiB of guest memory");
	fake_elf_phdr(&img, 1)->p_paddr = 3 * MIB;
	fake_elf_phdr(&img, 1)->p_memsz = UINT64_MAX - 3 * MIB + 2;
	refused(16 * MIB, "lie outside the 16 MiB of guest memory");
}

Test(kernel_hostile, refuses_a_segment_in_the_hole)
{
	good_elf();
	fake_elf_phdr(&img, 1)->p_paddr = 3 * GIB;
	refused(8 * GIB, "reach past the memory below 0xc0000000");
	fake_elf_phdr(&img, 1)->p_paddr = 3 * GIB - 0x1000;
	refused(8 * GIB, "reach past the memory below 0xc0000000");
	fake_elf_phdr(&img, 1)->p_paddr = 4 * GIB - 0x1000;
	refused(8 * GIB, "reach past the memory below 0xc0000000");
	fake_elf_phdr(&img, 1)->p_paddr = 2 * GIB;
	fake_elf_phdr(&img, 1)->p_memsz = 3 * GIB;
	refused(8 * GIB, "reach past the memory below 0xc0000000");
}

Test(kernel_hostile, refuses_a_segment_below_1_mib)
{
	good_elf();
	fake_elf_phdr(&img, 1)->p_paddr = 0x7000;
	refused(16 * MIB, "segment 1: 16384 bytes at 0x7000 begin below 0x100000");
	fake_elf_phdr(&img, 1)->p_paddr = MIB - 1;
	refused(16 * MIB, "begin below");
}

Test(kernel_hostile, refuses_an_entry_point_outside_every_segment)
{
	const uint64_t bad[] = { 0, 2 * MIB - 1, 2 * MIB + 0x2000, 3 * MIB + 0x1000,
		UINT64_MAX, 0xffffffff81000000 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		good_elf()->e_entry = bad[i];
		refused(16 * MIB, "lies outside every segment");
	}
}

Test(kernel_hostile, refuses_a_bzimage_of_an_old_protocol)
{
	fake_bzimage(&img, 0x1000)->version = 0x020b;
	refused(32 * MIB, "boot protocol 2.11: 2.12 or later is needed");
	fake_bzimage(&img, 0x1000)->version = 0x0100;
	refused(32 * MIB, "boot protocol 1.00");
}

Test(kernel_hostile, refuses_a_bzimage_without_a_64_bit_entry_point)
{
	fake_bzimage(&img, 0x1000)->xloadflags = XLF_CAN_BE_LOADED_ABOVE_4G;
	refused(32 * MIB, "without a 64-bit entry point");
}

Test(kernel_hostile, refuses_a_bzimage_with_a_spoilt_header)
{
	fake_bzimage(&img, 0x1000)->boot_flag = 0;
	refused(32 * MIB, "boot flag 0x0, not 0xaa55");
	fake_bzimage(&img, 0x1000)->loadflags = 0;
	refused(32 * MIB, "a zImage");
	fake_bzimage(&img, 0x1000);
	img.bytes[0x201] = 0x61; /* one byte short of init_size */
	refused(32 * MIB, "setup header ends at 0x263");
	fake_bzimage(&img, 0x1000);
	memset(img.bytes + 0x202, 0, 4);
	refused(32 * MIB, "neither an ELF file nor a bzImage");
}

Test(kernel_hostile, refuses_a_bzimage_cut_anywhere)
{
	size_t whole = (fake_bzimage(&img, 0x1000), img.len);

	for (size_t n = 0x206; n < whole; n += n < 512 * 2 ? 1 : 61) {
		img.len = n;
		refused(32 * MIB, "truncated");
	}
}

Test(kernel_hostile, refuses_a_bzimage_whose_setup_sectors_lie)
{
	fake_bzimage(&img, 0x1000)->setup_sects = 5;
	refused(32 * MIB, "truncated: 5 setup sectors and 4096 bytes of code");
	fake_bzimage(&img, 0x1000)->setup_sects = 255;
	refused(32 * MIB, "truncated: 255 setup sectors");
	fake_bzimage(&img, 0x1000)->syssize = UINT32_MAX;
	refused(32 * MIB, "truncated: 4 setup sectors and 68719476720 bytes of code");
}

Test(kernel_hostile, refuses_a_bzimage_that_lacks_a_whole_paragraph)
{
	fake_bzimage(&img, 0x1000);
	img.len -= 16;
	refused(32 * MIB, "truncated: 4 setup sectors and 4096 bytes of code");
}

Test(kernel_hostile, refuses_a_bzimage_with_more_behind_it_than_memory_holds)
{
	fake_bzimage(&img, 0x1000)->pref_address = 31 * MIB;
	img.len += MIB;
	refused(32 * MIB, "its code: 1052672 bytes at 0x1f00000 lie outside");
}

Test(kernel_hostile, refuses_a_bzimage_without_code)
{
	fake_bzimage(&img, 0)->syssize = 0;
	refused(32 * MIB, "0 bytes of code do not reach its entry point");
	fake_bzimage(&img, 0x200);
	refused(32 * MIB, "512 bytes of code do not reach");
}

Test(kernel_hostile, refuses_a_bzimage_that_memory_does_not_hold)
{
	fake_bzimage(&img, 0x1000);
	refused(16 * MIB, "its code: 8192 bytes at 0x1000000 lie outside the 16 MiB");
	fake_bzimage(&img, 0x1000)->init_size = 16 * MIB + 1;
	refused(32 * MIB, "lie outside the 32 MiB");
	fake_bzimage(&img, 0x1000)->pref_address = UINT64_MAX - 0xfff;
	refused(32 * MIB, "lie outside the 32 MiB");
	fake_bzimage(&img, 0x1000)->pref_address = 3 * GIB;
	refused(8 * GIB, "reach past the memory below 0xc0000000");
}

Test(kernel_hostile, refuses_a_bzimage_that_must_lie_below_1_mib)
{
	struct setup_header *h = fake_bzimage(&img, 0x1000);

	h->relocatable_kernel = 0;
	h->pref_address = 0x90000;
	refused(32 * MIB, "its code: 8192 bytes at 0x90000 begin below 0x100000");
}

Test(kernel_hostile, refuses_a_bzimage_with_an_odd_alignment)
{
	const uint32_t bad[] = { 0, 3, 0x300000, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct setup_header *h = fake_bzimage(&img, 0x1000);

		h->pref_address = 0;
		h->kernel_alignment = bad[i];
		refused(32 * MIB, "not a power of two");
	}
}
