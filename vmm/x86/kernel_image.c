/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_image: tells the formats apart by their magic numbers; elf.c and bzimage.c do
 * the rest.
 */
#include "vmm/x86/kernel_image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "vmm/base/io.h"
#include "vmm/x86/internal.h"

int kernel_load(int fd, gpa_t min, enum kernel_load_how how, struct guest_mem *mem,
	struct kernel_image *out, struct err *e)
{
	uint8_t head[KERNEL_HEAD] = { 0 };
	struct kernel_file f;
	size_t n;
	int r;

	r = kernel_file_init(&f, fd, min, how, mem, e);
	if (r < 0)
		return r;
	n = (size_t)MIN(f.size, sizeof(head));
	r = io_pread(fd, head, n, 0);
	if (r < 0)
		return err_code(e, r, "cannot read its header");
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return elf_load(&f, head, n, out, e);
	if (n >= 0x206 && memcmp(head + 0x202, "HdrS", 4) == 0)
		return bzimage_load(&f, head, n, out, e);
	return err_bad(e, "neither an ELF file nor a bzImage");
}
