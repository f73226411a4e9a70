/* SPDX-License-Identifier: Apache-2.0
 *
 * bzimage: loads a bzImage of boot protocol 2.12 or later, to be entered at its 64-bit
 * entry point (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header" and
 * "64-bit Boot Protocol"). The kernel decompresses itself in the guest. The file is
 * hostile.
 */
#include <asm/bootparam.h>
#include <string.h>

#include "vmm/x86/internal.h"

enum {
	VERSION_MIN = 0x020c, /* the first with xloadflags */
	BOOT_FLAG = 0xaa55,
	SECTOR = 512,
	PARAGRAPH = 16,
	ENTRY_64 = 0x200, /* the entry point's offset in the protected-mode code */
	JUMP_END = 0x202, /* the header's end is this plus the byte before it */
	HEADER_END_MIN = 0x264, /* just after init_size, the last field that is used */
	SETUP_SECTS_DEFAULT = 4,
};

/* Copies the header to out->setup, for the zero page, and to *h. */
static int read_setup(const uint8_t *head, size_t head_len, struct setup_header *h,
	struct kernel_image *out, struct err *e)
{
	size_t end = JUMP_END + (size_t)head[JUMP_END - 1];

	memset(h, 0, sizeof(*h));
	if (end < HEADER_END_MIN)
		return err_bad(e,
			"a bzImage whose setup header ends at 0x%zx, before "
			"what protocol 2.12 has",
			end);
	if (end > KERNEL_HEAD) /* no version of the protocol has a longer header */
		end = KERNEL_HEAD;
	if (end > head_len)
		return err_bad(e, "truncated: %zu bytes do not hold a bzImage header",
			head_len);
	out->setup_len = end - KERNEL_SETUP_OFFSET;
	memcpy(out->setup, head + KERNEL_SETUP_OFFSET, out->setup_len);
	memcpy(h, out->setup, MIN(out->setup_len, sizeof(*h)));
	return 0;
}

static int check_header(const struct setup_header *h, struct err *e)
{
	if (h->boot_flag != BOOT_FLAG)
		return err_bad(e, "a bzImage with boot flag 0x%x, not 0x%x",
			h->boot_flag, BOOT_FLAG);
	if (h->version < VERSION_MIN)
		return err_bad(e,
			"a bzImage of boot protocol %u.%02u: 2.12 or later is "
			"needed",
			h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return err_bad(e, "a zImage, made to be loaded below 1 MiB");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return err_bad(e, "a bzImage without a 64-bit entry point");
	return 0;
}

/* Finds the protected-mode code: all that follows the setup sectors, as other boot
 * loaders have it. syssize only shows whether the file is complete. It counts
 * paragraphs of 16 bytes; the file may end within the last one, or continue, as with a
 * signature.
 */
static int find_code(const struct kernel_file *f, const struct setup_header *h,
	struct kernel_part *out, struct err *e)
{
	unsigned sectors = h->setup_sects ? h->setup_sects : SETUP_SECTS_DEFAULT;
	uint64_t off = (sectors + 1u) * SECTOR, n = (uint64_t)h->syssize * PARAGRAPH;

	if (off > f->size || round_up(f->size - off, PARAGRAPH) < n)
		return err_bad(e,
			"truncated: %u setup sectors and %llu bytes of code "
			"reach beyond its %llu bytes",
			sectors, (unsigned long long)n, (unsigned long long)f->size);
	n = f->size - off;
	if (n <= ENTRY_64)
		return err_bad(e, "%llu bytes of code do not reach its entry point",
			(unsigned long long)n);
	out->off = off;
	out->n = n;
	return 0;
}

/* Chooses where to load the code: at pref_address, if that is not too low. A
 * relocatable kernel that is loaded below pref_address moves itself there, and one that
 * is loaded above it gains nothing. A kernel that is not relocatable must be there. */
static int choose_place(const struct kernel_file *f, const struct setup_header *h,
	gpa_t *out, struct err *e)
{
	uint64_t unit = h->kernel_alignment;

	if (h->pref_address >= f->min || !h->relocatable_kernel) {
		*out = h->pref_address;
		return 0;
	}
	/* guest: rounding works with powers of two only */
	if (unit == 0 || (unit & (unit - 1)) != 0)
		return err_bad(e, "a bzImage with alignment 0x%llx, not a power of two",
			(unsigned long long)unit);
	*out = round_up(f->min, unit);
	return 0;
}

int bzimage_load(const struct kernel_file *f, const uint8_t *head, size_t head_len,
	struct kernel_image *out, struct err *e)
{
	struct kernel_image k = { .entry = 0 };
	struct kernel_part code;
	struct setup_header h;
	uint64_t room;
	int r;

	r = read_setup(head, head_len, &h, &k, e);
	if (r == 0)
		r = check_header(&h, e);
	if (r == 0)
		r = find_code(f, &h, &code, e);
	if (r == 0)
		r = choose_place(f, &h, &code.at, e);
	if (r < 0)
		return r;
	room = MAX(code.n, (uint64_t)h.init_size);
	r = kernel_file_check_place(f, code.at, room, e);
	if (r < 0)
		return err_add(e, r, "its code");
	r = kernel_file_place(f, &code, e);
	if (r < 0)
		return r;
	k.protocol = KERNEL_LINUX_64;
	k.entry = code.at + ENTRY_64;
	k.start = code.at;
	k.end = code.at + room;
	k.cmdline_max = h.cmdline_size;
	k.initrd_max = h.initrd_addr_max;
	*out = k;
	return 0;
}
