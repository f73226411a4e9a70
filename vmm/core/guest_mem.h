/* SPDX-License-Identifier: Apache-2.0
 *
 * guest_mem: the guest's RAM, and the only place where a guest address becomes a
 * pointer. It is created before the vCPUs and its ranges never change, so every thread
 * may call the accessors. The bytes belong to the guest and may change at any time.
 *
 * The rule for whatever a guest wrote: fetch it once, check the copy, use the copy.
 */
#ifndef HUSK_CORE_GUEST_MEM_H
#define HUSK_CORE_GUEST_MEM_H

#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct guest_mem;

enum guest_access { GUEST_READ, GUEST_WRITE };

enum guest_pages {
	GUEST_PAGES_NONE, /* the host decides */
	GUEST_PAGES_TRANSPARENT, /* ask for transparent huge pages */
	GUEST_PAGES_2M, /* hugetlbfs pages of 2 MiB, from the host's pool */
};

/* A range of guest physical addresses that is RAM. A guest's ranges ascend and do not
 * touch each other. */
struct guest_range {
	gpa_t start;
	uint64_t len; /* bytes, not zero */
};

enum { GUEST_RANGES_MAX = 2 };

/* Maps zeroed memory for n ranges (1 to GUEST_RANGES_MAX, page aligned), each on a
 * 2 MiB boundary of husk's addresses. Touches no page: the host gives each at its first
 * use. The caller destroys *out. -errno with text when the host cannot map that much.
 */
MUST_CHECK int guest_mem_create(const struct guest_range *ranges, unsigned n,
	enum guest_pages pages, struct guest_mem **out, struct err *e);
void guest_mem_destroy(struct guest_mem *m);
DEFINE_AUTO(struct guest_mem *, guest_mem_destroy);

/* The number of ranges, and range i, with its address in husk in *host. For KVM's
 * memory slots only: nothing else outside this file uses these addresses. */
unsigned guest_mem_ranges(const struct guest_mem *m);
struct guest_range guest_mem_range(const struct guest_mem *m, unsigned i, void **host);

/* The size of the RAM, in bytes. */
uint64_t guest_mem_bytes(const struct guest_mem *m);

/* Gives the span of [at, at + n) in husk's addresses, to be used in place: for rings
 * and for payload that husk hands to the kernel. A lint counts the callers. -EFAULT
 * unless all of it lies in one range and n is not zero. GUEST_WRITE marks its pages as
 * dirty, because KVM's dirty log does not see what husk writes. */
MUST_CHECK int guest_span(struct guest_mem *m, gpa_t at, size_t n,
	enum guest_access how, struct iovec *out);

/* Copy n bytes between guest memory and husk's. 0, or -EFAULT outside of guest memory,
 * when nothing is copied. */
MUST_CHECK int guest_read(struct guest_mem *m, gpa_t at, void *dst, size_t n);
MUST_CHECK int guest_write(struct guest_mem *m, gpa_t at, const void *src, size_t n);

/* Reads n bytes of fd, from file offset off, straight into guest memory at `at`. 0,
 * -EFAULT outside of guest memory, -ENODATA when the file ends before, or another
 * -errno. */
MUST_CHECK int guest_read_file(
	struct guest_mem *m, gpa_t at, size_t n, int fd, off_t off);

/* Replaces [at, at + n) by a private mapping of fd from file offset off: pages that
 * nobody writes stay shared with the page cache. 0, -EFAULT outside of guest memory,
 * -EINVAL unless at, n and off are page aligned, or another -errno. Not for
 * GUEST_PAGES_2M. */
MUST_CHECK int guest_map_file(
	struct guest_mem *m, gpa_t at, size_t n, int fd, off_t off);

/* Asks the host for no transparent huge pages in [at, at + n), which are whole pages.
 * For a range of which the guest will use little: to zero a huge page there costs more
 * than a few small ones. Does nothing for GUEST_PAGES_2M. */
void guest_use_small_pages(struct guest_mem *m, gpa_t at, size_t n);

/* Begins to note which pages husk writes. 0 or -ENOMEM. */
MUST_CHECK int guest_track_dirty(struct guest_mem *m);
/* Whether husk has written to the page at `at` since guest_track_dirty. */
bool guest_is_dirty(const struct guest_mem *m, gpa_t at);

/* Load and store the index of a ring, in a span. The load acquires: what the guest
 * wrote before it published the index is then visible. The store releases. */
static inline uint16_t guest_load16(const uint16_t *ring_idx)
{
	return __atomic_load_n(ring_idx, __ATOMIC_ACQUIRE);
}

static inline void guest_store16(uint16_t *ring_idx, uint16_t value)
{
	__atomic_store_n(ring_idx, value, __ATOMIC_RELEASE);
}

#endif
