/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_kernel.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/base/io.h"

struct guest_mem *fake_memory(uint64_t bytes)
{
	const struct guest_range ranges[] = {
		{ 0, MIN(bytes, 3 * GIB) },
		{ 4 * GIB, bytes - MIN(bytes, 3 * GIB) },
	};
	struct guest_mem *mem = NULL;
	struct err e;

	cr_assert_eq(guest_mem_create(ranges, bytes > 3 * GIB ? 2 : 1, GUEST_PAGES_NONE,
			     &mem, &e),
		0, "%s", e.text);
	return mem;
}

uint8_t fake_byte(unsigned i, uint64_t at)
{
	return (uint8_t)(1 + (at * 7 + at / 256 + i * 31) % 255);
}

Elf64_Ehdr *fake_elf(struct fake_image *img, const struct fake_segment *s, unsigned n)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)(void *)img->bytes;

	cr_assert_leq(n, FAKE_SEGMENTS_MAX);
	memset(img, 0, sizeof(*img));
	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_ident[EI_VERSION] = EV_CURRENT;
	h->e_type = ET_EXEC;
	h->e_machine = EM_X86_64;
	h->e_version = EV_CURRENT;
	h->e_entry = s[0].paddr;
	h->e_phoff = sizeof(*h);
	h->e_ehsize = sizeof(*h);
	h->e_phentsize = sizeof(Elf64_Phdr);
	h->e_phnum = (uint16_t)n;
	img->len = sizeof(*h) + n * sizeof(Elf64_Phdr);
	for (unsigned i = 0; i < n; i++) {
		*fake_elf_phdr(img, i) = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_offset = s[i].off,
			.p_paddr = s[i].paddr,
			.p_vaddr = 0xffffffff80000000 + s[i].paddr,
			.p_filesz = s[i].filesz,
			.p_memsz = s[i].memsz,
		};
		cr_assert_leq(s[i].off + s[i].filesz, sizeof(img->bytes));
		for (uint64_t at = 0; at < s[i].filesz; at++)
			img->bytes[s[i].off + at] = fake_byte(i, at);
		img->len = MAX(img->len, s[i].off + s[i].filesz);
	}
	return h;
}

Elf64_Phdr *fake_elf_phdr(struct fake_image *img, unsigned i)
{
	return (Elf64_Phdr *)(void *)(img->bytes + sizeof(Elf64_Ehdr)) + i;
}

void fake_pvh_note(struct fake_image *img, unsigned i, uint64_t entry)
{
	const struct {
		Elf64_Nhdr head;
		char name[4];
		uint64_t desc;
	} note = { { .n_namesz = 4, .n_descsz = 8, .n_type = 18 }, "Xen", entry };
	size_t at = round_up(img->len, 8);

	cr_assert_leq(at + sizeof(note), sizeof(img->bytes));
	memcpy(img->bytes + at, &note, sizeof(note));
	img->len = at + sizeof(note);
	*fake_elf_phdr(img, i) = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = at,
		.p_filesz = sizeof(note),
		.p_align = 4,
	};
}

struct setup_header *fake_bzimage(struct fake_image *img, size_t code_bytes)
{
	struct setup_header *h = (struct setup_header *)(void *)(img->bytes + 0x1f1);
	size_t code = 5 * 512;

	cr_assert(code_bytes % 16 == 0 && code + code_bytes <= sizeof(img->bytes));
	memset(img, 0, sizeof(*img));
	h->setup_sects = 4;
	h->syssize = (uint32_t)(code_bytes / 16);
	h->boot_flag = 0xaa55;
	h->jump = 0x6aeb; /* its second byte: the header ends at 0x202 + 0x6a */
	memcpy(&h->header, "HdrS", 4);
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->initrd_addr_max = 0x7fffffff;
	h->kernel_alignment = 2 * MIB;
	h->relocatable_kernel = 1;
	h->xloadflags = XLF_KERNEL_64;
	h->cmdline_size = 2047;
	h->pref_address = 16 * MIB;
	h->init_size = (uint32_t)code_bytes * 2;
	for (size_t at = 0; at < code_bytes; at++)
		img->bytes[code + at] = fake_byte(0, at);
	img->len = code + code_bytes;
	return h;
}

int fake_fd(const void *bytes, size_t n)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(io_write(fd, bytes, n), 0);
	return fd;
}
