/* SPDX-License-Identifier: Apache-2.0
 *
 * guest_mem: see the header. An address or a length may come from a guest, so nothing
 * about them is trusted.
 */
#include "vmm/core/guest_mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/base/io.h"

enum { HUGE_PAGE_SHIFT = 21 }; /* of HUGE_PAGE_BYTES, for MAP_HUGE_SHIFT */

struct region {
	struct guest_range at;
	uint8_t *host; /* husk's address of it: at.len bytes, on a 2 MiB boundary */
	uint8_t *dirty; /* one bit per page, or NULL; any thread sets it, atomically */
};

struct guest_mem {
	enum guest_pages pages;
	unsigned n;
	struct region region[GUEST_RANGES_MAX];
};

/* Maps len bytes on a 2 MiB boundary: maps 2 MiB more, and unmaps what is before and
 * after. */
static void *map_aligned(uint64_t len, enum guest_pages pages)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint64_t slack = HUGE_PAGE_BYTES, room;
	uintptr_t start, aligned;
	void *p;

	if (pages == GUEST_PAGES_2M) {
		/* the host's default may be 1 GiB */
		flags |= MAP_HUGETLB | HUGE_PAGE_SHIFT << MAP_HUGE_SHIFT;
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, -1, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	if (!add_ok(len, slack, &room)) {
		errno = ENOMEM;
		return NULL;
	}
	p = mmap(NULL, room, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	start = (uintptr_t)p;
	aligned = round_up(start, HUGE_PAGE_BYTES);
	if (aligned > start)
		(void)munmap(p, aligned - start); /* husk's own mapping: cannot fail */
	if (aligned - start < slack)
		(void)munmap((void *)(aligned + len), slack - (aligned - start));
	return (void *)aligned;
}

int guest_mem_create(const struct guest_range *ranges, unsigned n,
	enum guest_pages pages, struct guest_mem **out, struct err *e)
{
	AUTO(guest_mem_destroy) struct guest_mem *m = calloc(1, sizeof(*m));

	assert(n >= 1 && n <= GUEST_RANGES_MAX);
	if (!m)
		return err_code(e, -ENOMEM, "guest memory");
	m->pages = pages;
	for (; m->n < n; m->n++) {
		struct region *r = &m->region[m->n];

		r->at = ranges[m->n];
		assert(r->at.len > 0 && (r->at.start | r->at.len) % PAGE_BYTES == 0);
		r->host = map_aligned(r->at.len, pages);
		if (!r->host)
			return err_sys(e, "cannot map %llu MiB of guest memory%s",
				(unsigned long long)(r->at.len / MIB),
				pages == GUEST_PAGES_2M ? " in 2 MiB pages" : "");
		if (pages == GUEST_PAGES_TRANSPARENT &&
			madvise(r->host, r->at.len, MADV_HUGEPAGE) < 0) {
			int code = err_sys(e, "transparent huge pages");

			(void)munmap(r->host, r->at.len);
			return code;
		}
	}
	*out = TAKE(m);
	return 0;
}

void guest_mem_destroy(struct guest_mem *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->n; i++) {
		(void)munmap(m->region[i].host, m->region[i].at.len);
		free(m->region[i].dirty);
	}
	free(m);
}

unsigned guest_mem_ranges(const struct guest_mem *m)
{
	return m->n;
}

struct guest_range guest_mem_range(const struct guest_mem *m, unsigned i, void **host)
{
	assert(i < m->n);
	*host = m->region[i].host;
	return m->region[i].at;
}

uint64_t guest_mem_bytes(const struct guest_mem *m)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < m->n; i++)
		sum += m->region[i].at.len;
	return sum;
}

/* The region that contains all of [at, at + n), or NULL. */
static const struct region *find_region(const struct guest_mem *m, gpa_t at, size_t n)
{
	for (unsigned i = 0; i < m->n; i++) {
		const struct region *r = &m->region[i];

		/* guest: an address near 2^64, where at + n would wrap */
		if (at >= r->at.start && at - r->at.start <= r->at.len &&
			n <= r->at.len - (at - r->at.start))
			return r;
	}
	return NULL;
}

static void mark_dirty(const struct region *r, gpa_t at, size_t n)
{
	uint64_t first = (at - r->at.start) / PAGE_BYTES;
	uint64_t last = (at - r->at.start + n - 1) / PAGE_BYTES;

	/* guest: one that names gigabytes in each chain; a byte is 8 pages, and most
	 * are dirty already */
	for (uint64_t byte = first / 8; byte <= last / 8; byte++) {
		unsigned from = byte == first / 8 ? first % 8 : 0;
		unsigned to = byte == last / 8 ? last % 8 : 7;
		uint8_t bits = (uint8_t)(0xffu << from & 0xffu >> (7 - to));

		if ((__atomic_load_n(&r->dirty[byte], __ATOMIC_RELAXED) & bits) != bits)
			__atomic_fetch_or(&r->dirty[byte], bits, __ATOMIC_RELAXED);
	}
}

int guest_span(struct guest_mem *m, gpa_t at, size_t n, enum guest_access how,
	struct iovec *out)
{
	const struct region *r = n > 0 ? find_region(m, at, n) : NULL;

	if (!r)
		return -EFAULT;
	if (how == GUEST_WRITE && r->dirty)
		mark_dirty(r, at, n);
	*out = (struct iovec){ .iov_base = r->host + (at - r->at.start), .iov_len = n };
	return 0;
}

int guest_read(struct guest_mem *m, gpa_t at, void *dst, size_t n)
{
	struct iovec from;

	if (guest_span(m, at, n, GUEST_READ, &from) < 0)
		return -EFAULT;
	memcpy(dst, from.iov_base, n);
	/* guest: changes it meanwhile; this keeps the compiler from reading guest
	 * memory a second time in place of dst */
	__asm__ volatile("" ::: "memory");
	return 0;
}

int guest_write(struct guest_mem *m, gpa_t at, const void *src, size_t n)
{
	struct iovec to;

	if (guest_span(m, at, n, GUEST_WRITE, &to) < 0)
		return -EFAULT;
	memcpy(to.iov_base, src, n);
	return 0;
}

int guest_read_file(struct guest_mem *m, gpa_t at, size_t n, int fd, off_t off)
{
	struct iovec to;

	if (guest_span(m, at, n, GUEST_WRITE, &to) < 0)
		return -EFAULT;
	return io_pread(fd, to.iov_base, n, off);
}

int guest_map_file(struct guest_mem *m, gpa_t at, size_t n, int fd, off_t off)
{
	struct iovec to;

	assert(m->pages != GUEST_PAGES_2M);
	if (guest_span(m, at, n, GUEST_WRITE, &to) < 0)
		return -EFAULT;
	if ((at | n | (uint64_t)off) % PAGE_BYTES != 0)
		return -EINVAL;
	if (mmap(to.iov_base, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
		    off) == MAP_FAILED)
		return -errno;
	return 0;
}

void guest_use_small_pages(struct guest_mem *m, gpa_t at, size_t n)
{
	struct iovec span;

	if (m->pages != GUEST_PAGES_2M && guest_span(m, at, n, GUEST_READ, &span) == 0)
		(void)madvise(span.iov_base, n, MADV_NOHUGEPAGE); /* advice */
}

int guest_track_dirty(struct guest_mem *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct region *r = &m->region[i];

		if (!r->dirty)
			r->dirty = calloc((r->at.len / PAGE_BYTES + 7) / 8, 1);
		if (!r->dirty)
			return -ENOMEM;
	}
	return 0;
}

bool guest_is_dirty(const struct guest_mem *m, gpa_t at)
{
	const struct region *r = find_region(m, at, 1);
	uint64_t page;

	if (!r || !r->dirty)
		return false;
	page = (at - r->at.start) / PAGE_BYTES;
	return __atomic_load_n(&r->dirty[page / 8], __ATOMIC_RELAXED) >> (page % 8) & 1;
}
