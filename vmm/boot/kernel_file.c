/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot/kernel_file.h"

#include <errno.h>
#include <sys/stat.h>

gpa_t kernel_low_end(const struct guest_mem *mem)
{
	void *unused;

	return guest_mem_range(mem, 0, &unused).len;
}

int kernel_file_init(struct kernel_file *f, int fd, gpa_t min, enum kernel_load_how how,
	struct guest_mem *mem, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot ask its size");
	if (!S_ISREG(st.st_mode))
		return err_bad(e, "not a regular file");
	*f = (struct kernel_file){
		.fd = fd,
		.size = (uint64_t)st.st_size,
		.min = min,
		.how = how,
		.mem = mem,
	};
	return 0;
}

int kernel_file_check_place(
	const struct kernel_file *f, gpa_t at, uint64_t n, struct err *e)
{
	unsigned long long start = at, len = n;
	struct iovec unused;
	gpa_t end, low_end = kernel_low_end(f->mem);
	void *unused_host;

	/* guest: the image may not overwrite what the boot needs */
	if (at < f->min)
		return err_bad(e, "%llu bytes at 0x%llx begin below 0x%llx", len, start,
			(unsigned long long)f->min);
	/* guest: nor lie outside memory, nor wrap around its end */
	if (guest_span(f->mem, at, n, GUEST_READ, &unused) == 0)
		return 0;
	if (guest_mem_ranges(f->mem) > 1 && add_ok(at, n, &end) && end > low_end &&
		at < guest_mem_range(f->mem, 1, &unused_host).start)
		return err_bad(e,
			"%llu bytes at 0x%llx reach past the memory below 0x%llx", len,
			start, (unsigned long long)low_end);
	return err_bad(e,
		"%llu bytes at 0x%llx lie outside the %llu MiB of guest memory", len,
		start, (unsigned long long)(guest_mem_bytes(f->mem) / MIB));
}

static int read_part(const struct kernel_file *f, const struct kernel_part *p)
{
	if (p->n == 0)
		return 0;
	return guest_read_file(f->mem, p->at, p->n, f->fd, (off_t)p->off);
}

/* Maps the whole pages of a part and reads what is left at both ends: a page that the
 * part fills only partly must keep its other bytes. Where the file's pages do not lie
 * on pages of memory, all of the part is read. */
static int map_part(const struct kernel_file *f, const struct kernel_part *p)
{
	gpa_t end = p->at + p->n;
	gpa_t first = round_up(p->at, PAGE_BYTES), last = round_down(end, PAGE_BYTES);
	struct kernel_part head = { .at = p->at, .off = p->off, .n = first - p->at };
	struct kernel_part tail = {
		.at = last,
		.off = p->off + (last - p->at),
		.n = end - last,
	};
	int r;

	if ((p->at ^ p->off) % PAGE_BYTES != 0 || first >= last)
		return read_part(f, p);
	r = guest_map_file(
		f->mem, first, last - first, f->fd, (off_t)(p->off + head.n));
	if (r == 0)
		r = read_part(f, &head);
	if (r == 0)
		r = read_part(f, &tail);
	return r;
}

int kernel_file_place(
	const struct kernel_file *f, const struct kernel_part *p, struct err *e)
{
	int r = f->how == KERNEL_MAP ? map_part(f, p) : read_part(f, p);

	if (r < 0)
		return err_code(e, r, "cannot load %llu bytes at offset %llu",
			(unsigned long long)p->n, (unsigned long long)p->off);
	return 0;
}
