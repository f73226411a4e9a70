/* SPDX-License-Identifier: Apache-2.0
 *
 * guest_mem: guest RAM, and the only place where a guest address becomes a pointer.
 * Created before the vCPUs and immutable in shape from then on, so every thread may
 * call the accessors; the bytes themselves belong to the guest and change at any time.
 *
 * Rule for whatever a guest wrote: fetch once, check the copy, use the copy.
 */
#ifndef HUSK_CORE_GUEST_MEM_H
#define HUSK_CORE_GUEST_MEM_H

#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct guest_mem;

enum guest_access { GUEST_READ, GUEST_WRITE };

enum guest_pages {
	GUEST_PAGES_NONE, /* whatever the host gives by itself */
	GUEST_PAGES_TRANSPARENT, /* ask for transparent huge pages */
	GUEST_PAGES_2M, /* hugetlbfs pages of 2 MiB, from the host's pool */
};

/* A piece of the guest physical address space. Regions ascend and do not touch. */
struct guest_range {
	gpa_t start;
	uint64_t len; /* bytes, not zero */
};

enum { GUEST_RANGES_MAX = 2 };

/* Maps n ranges (1 to GUEST_RANGES_MAX, page aligned) of zeroed memory, each on a
 * 2 MiB boundary of the host. Nothing is touched: pages come with their first use. The
 * caller owns *out. -errno with text when the host cannot map that much. */
MUST_CHECK int guest_mem_create(const struct guest_range *ranges, unsigned n,
	enum guest_pages pages, struct guest_mem **out, struct err *e);
void guest_mem_destroy(struct guest_mem *m);
DEFINE_AUTO(struct guest_mem *, guest_mem_destroy);

/* How many ranges there are, and range i with where the host sees it: for KVM's memory
 * slots, which is the one use outside this file that a host address has. */
unsigned guest_mem_ranges(const struct guest_mem *m);
struct guest_range guest_mem_range(const struct guest_mem *m, unsigned i, void **host);

/* All bytes of all ranges. */
uint64_t guest_mem_bytes(const struct guest_mem *m);

/* Lets [at, at + n) be used in place: *out becomes its place in the host. The span lies
 * in one range, and n is not zero. GUEST_WRITE marks its pages dirty, because KVM's
 * dirty log does not see what husk writes. -EFAULT outside guest memory. For payload
 * handed to the kernel and for rings; a lint counts the callers. */
MUST_CHECK int guest_span(struct guest_mem *m, gpa_t at, size_t n,
	enum guest_access how, struct iovec *out);

/* Copies exactly n bytes, or nothing and -EFAULT. */
MUST_CHECK int guest_read(struct guest_mem *m, gpa_t at, void *dst, size_t n);
MUST_CHECK int guest_write(struct guest_mem *m, gpa_t at, const void *src, size_t n);

/* Reads n bytes of fd at file offset off into guest memory at `at`, without a copy in
 * between. -EFAULT outside guest memory, -ENODATA when the file ends before, -errno. */
MUST_CHECK int guest_read_file(
	struct guest_mem *m, gpa_t at, size_t n, int fd, off_t off);

/* Makes [at, at + n) a private mapping of fd at off: clean pages stay shared with the
 * page cache. -EFAULT, -EINVAL when one of the three is not page aligned, -errno. Not
 * for GUEST_PAGES_2M. */
MUST_CHECK int guest_map_file(
	struct guest_mem *m, gpa_t at, size_t n, int fd, off_t off);

/* Keeps transparent huge pages out of [at, at + n), whole pages, of which little will
 * be used: a huge page there costs more to zero than its few small ones. Advice only,
 * and none for GUEST_PAGES_2M. */
void guest_use_small_pages(struct guest_mem *m, gpa_t at, size_t n);

/* Starts keeping which pages husk writes. 0 or -ENOMEM. */
MUST_CHECK int guest_track_dirty(struct guest_mem *m);
/* Whether husk wrote to the page of `at` since tracking started. */
bool guest_is_dirty(const struct guest_mem *m, gpa_t at);

/* Ring indices, inside a span: the load acquires, the store releases. */
static inline uint16_t guest_load16(const uint16_t *ring_idx)
{
	return __atomic_load_n(ring_idx, __ATOMIC_ACQUIRE);
}

static inline void guest_store16(uint16_t *ring_idx, uint16_t value)
{
	__atomic_store_n(ring_idx, value, __ATOMIC_RELEASE);
}

#endif
