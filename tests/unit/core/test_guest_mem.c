/* SPDX-License-Identifier: Apache-2.0
 *
 * guest_mem: the one gate of guest addresses. Two ranges with a hole between them, and
 * everything that a guest could ask for at their edges.
 */
#include "vmm/core/guest_mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fakes/fake_file.h"

#define LOW ((gpa_t)0x100000)
#define LOW_BYTES (2 * MIB)
#define LOW_END (LOW + LOW_BYTES)
#define HIGH ((gpa_t)0x100000000)
#define HIGH_BYTES (MIB)
#define HIGH_END (HIGH + HIGH_BYTES)

static struct guest_mem *mem;
static struct err e;

static void set_up(void)
{
	static const struct guest_range ranges[] = { { LOW, LOW_BYTES },
		{ HIGH, HIGH_BYTES } };

	cr_assert_eq(guest_mem_create(ranges, 2, GUEST_PAGES_NONE, &mem, &e), 0);
}

static void tear_down(void)
{
	guest_mem_destroy(mem);
}

TestSuite(guest_mem, .init = set_up, .fini = tear_down);

static void *host_of(unsigned range)
{
	void *host;

	(void)guest_mem_range(mem, range, &host);
	return host;
}

Test(guest_mem, tells_its_ranges)
{
	void *host;
	struct guest_range high = guest_mem_range(mem, 1, &host);

	cr_assert_eq(guest_mem_ranges(mem), 2);
	cr_assert_eq(high.start, HIGH);
	cr_assert_eq(high.len, HIGH_BYTES);
	cr_assert_eq(guest_mem_bytes(mem), LOW_BYTES + HIGH_BYTES);
}

Test(guest_mem, lies_on_huge_page_boundaries_of_the_host)
{
	cr_assert_eq((uintptr_t)host_of(0) % HUGE_PAGE_BYTES, 0);
	cr_assert_eq((uintptr_t)host_of(1) % HUGE_PAGE_BYTES, 0);
}

Test(guest_mem, starts_zeroed)
{
	uint64_t v = 1;

	cr_assert_eq(guest_read(mem, LOW_END - 8, &v, 8), 0);
	cr_assert_eq(v, 0);
}

Test(guest_mem, spans_what_lies_in_one_range)
{
	struct iovec v;

	cr_assert_eq(guest_span(mem, LOW, LOW_BYTES, GUEST_READ, &v), 0);
	cr_assert_eq(v.iov_base, host_of(0));
	cr_assert_eq(v.iov_len, LOW_BYTES);
	cr_assert_eq(guest_span(mem, LOW_END - 1, 1, GUEST_READ, &v), 0);
	cr_assert_eq(v.iov_base, (char *)host_of(0) + LOW_BYTES - 1);
	cr_assert_eq(guest_span(mem, HIGH, 16, GUEST_WRITE, &v), 0);
	cr_assert_eq(v.iov_base, host_of(1));
}

/* Every access to [at, at + n) is refused and leaves its output unchanged. */
static void expect_fault(gpa_t at, size_t n)
{
	struct fake_file f = fake_file("x", 1);
	struct iovec v = { &v, 42 };
	uint8_t byte = 77;

	cr_expect_eq(guest_span(mem, at, n, GUEST_READ, &v), -EFAULT, "%#lx", at);
	cr_expect_eq(guest_span(mem, at, n, GUEST_WRITE, &v), -EFAULT, "%#lx", at);
	cr_expect(v.iov_base == &v && v.iov_len == 42);
	cr_expect_eq(guest_read(mem, at, &byte, n), -EFAULT);
	cr_expect_eq(byte, 77);
	cr_expect_eq(guest_write(mem, at, &byte, n), -EFAULT);
	cr_expect_eq(guest_read_file(mem, at, n, f.fd, 0), -EFAULT);
	cr_expect_eq(guest_map_file(mem, at, n, f.fd, 0), -EFAULT);
	fake_file_close(&f);
}

Test(guest_mem, refuses_what_lies_outside)
{
	expect_fault(0, 1);
	expect_fault(LOW - 1, 1);
	expect_fault(LOW_END, 1);
	expect_fault(HIGH - 1, 1);
	expect_fault(HIGH_END, 1);
	expect_fault(UINT64_MAX, 1);
}

Test(guest_mem, refuses_what_reaches_over_an_edge)
{
	expect_fault(LOW - 1, 2);
	expect_fault(LOW_END - 1, 2);
	expect_fault(LOW, LOW_BYTES + 1);
	expect_fault(HIGH - 1, 2);
	expect_fault(HIGH_END - 4, 5);
}

Test(guest_mem, refuses_what_spans_the_hole)
{
	expect_fault(LOW, HIGH_END - LOW);
	expect_fault(LOW_END - 4, HIGH - LOW_END + 8);
}

Test(guest_mem, refuses_lengths_and_addresses_that_wrap)
{
	expect_fault(LOW, SIZE_MAX);
	expect_fault(LOW + 8, SIZE_MAX - LOW);
	expect_fault(HIGH, SIZE_MAX - HIGH + 1);
	expect_fault(HIGH + 1, SIZE_MAX - HIGH + 1);
	expect_fault(UINT64_MAX, SIZE_MAX);
	expect_fault(UINT64_MAX - 7, 8 + LOW + 8);
}

Test(guest_mem, refuses_a_span_of_nothing)
{
	expect_fault(LOW, 0);
	expect_fault(LOW_END, 0);
	expect_fault(0, 0);
}

Test(guest_mem, reads_what_was_written)
{
	char out[6] = "";

	cr_assert_eq(guest_write(mem, HIGH_END - 5, "hello", 5), 0);
	cr_assert_eq(guest_read(mem, HIGH_END - 5, out, 5), 0);
	cr_assert_str_eq(out, "hello");
}

Test(guest_mem, keeps_no_dirty_pages_before_it_is_told)
{
	cr_assert_eq(guest_write(mem, LOW, "x", 1), 0);
	cr_assert_not(guest_is_dirty(mem, LOW));
	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert_not(guest_is_dirty(mem, LOW));
}

Test(guest_mem, marks_every_page_that_a_write_touches)
{
	static char bytes[2 * 4096 + 2];
	gpa_t at = LOW + 8 * PAGE_BYTES - 1; /* the last byte of page 7, to page 10 */

	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert_eq(guest_write(mem, at, bytes, sizeof(bytes)), 0);
	cr_assert_not(guest_is_dirty(mem, LOW + 6 * PAGE_BYTES));
	for (unsigned page = 7; page <= 10; page++)
		cr_assert(guest_is_dirty(mem, LOW + page * PAGE_BYTES + 17));
	cr_assert_not(guest_is_dirty(mem, LOW + 11 * PAGE_BYTES));
}

Test(guest_mem, marks_the_last_page_and_no_page_outside)
{
	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert_eq(guest_write(mem, HIGH_END - 1, "x", 1), 0);
	cr_assert(guest_is_dirty(mem, HIGH_END - 1));
	cr_assert_not(guest_is_dirty(mem, HIGH_END));
	cr_assert_not(guest_is_dirty(mem, LOW_END - 1));
	cr_assert_not(guest_is_dirty(mem, 0));
	cr_assert_not(guest_is_dirty(mem, UINT64_MAX));
}

Test(guest_mem, marks_nothing_for_a_read_or_a_refused_write)
{
	struct iovec v;
	char c;

	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert_eq(guest_read(mem, LOW, &c, 1), 0);
	cr_assert_eq(guest_span(mem, LOW, 4096, GUEST_READ, &v), 0);
	cr_assert_eq(guest_write(mem, LOW_END - 1, "xy", 2), -EFAULT);
	cr_assert_not(guest_is_dirty(mem, LOW));
	cr_assert_not(guest_is_dirty(mem, LOW_END - 1));
	cr_assert_eq(guest_span(mem, LOW, 4096, GUEST_WRITE, &v), 0);
	cr_assert(guest_is_dirty(mem, LOW));
}

Test(guest_mem, keeps_its_marks_when_tracking_is_asked_for_twice)
{
	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert_eq(guest_write(mem, LOW, "x", 1), 0);
	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert(guest_is_dirty(mem, LOW));
}

Test(guest_mem, reads_from_a_file)
{
	struct fake_file f = fake_file("0123456789", 10);
	char out[4] = "";

	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert_eq(guest_read_file(mem, LOW_END - 3, 3, f.fd, 7), 0);
	cr_assert_eq(guest_read(mem, LOW_END - 3, out, 3), 0);
	cr_assert_str_eq(out, "789");
	cr_assert(guest_is_dirty(mem, LOW_END - 1));
	fake_file_close(&f);
}

Test(guest_mem, says_when_a_file_is_short_or_unreadable)
{
	struct fake_file f = fake_file("0123456789", 10);

	cr_assert_eq(guest_read_file(mem, LOW, 4, f.fd, 7), -ENODATA);
	cr_assert_eq(guest_read_file(mem, LOW, 1, f.fd, 10), -ENODATA);
	cr_assert_eq(guest_read_file(mem, LOW, 1, -1, 0), -EBADF);
	fake_file_close(&f);
}

Test(guest_mem, maps_a_file_without_writing_to_it)
{
	static char bytes[3 * 4096], out[8192];
	struct fake_file f;

	memset(bytes, 'a', sizeof(bytes));
	memset(bytes + 4096, 'b', 4096);
	f = fake_file(bytes, sizeof(bytes));
	cr_assert_eq(guest_map_file(mem, LOW + 4096, 8192, f.fd, 4096), 0);
	cr_assert_eq(guest_read(mem, LOW + 4096, out, 8192), 0);
	cr_assert_eq(memcmp(out, bytes + 4096, 8192), 0);
	cr_assert_eq(guest_write(mem, LOW + 4096, "guest", 5), 0);
	cr_assert_eq(pread(f.fd, out, 5, 4096), 5);
	cr_assert_eq(memcmp(out, "bbbbb", 5), 0);
	cr_assert_eq(guest_read(mem, LOW, out, 1), 0);
	cr_assert_eq(out[0], 0, "the page before is as it was");
	fake_file_close(&f);
}

Test(guest_mem, marks_the_pages_that_it_maps_a_file_to)
{
	static char bytes[4096];
	struct fake_file f = fake_file(bytes, sizeof(bytes));

	cr_assert_eq(guest_track_dirty(mem), 0);
	cr_assert_eq(guest_map_file(mem, LOW, 4096, f.fd, 0), 0);
	cr_assert(guest_is_dirty(mem, LOW));
	cr_assert_not(guest_is_dirty(mem, LOW + 4096));
	fake_file_close(&f);
}

Test(guest_mem, says_why_a_file_cannot_be_mapped)
{
	cr_assert_eq(guest_map_file(mem, LOW, 4096, -1, 0), -EBADF);
}

Test(guest_mem, refuses_more_memory_than_can_be_mapped)
{
	static const struct guest_range absurd[] = { { 0, 1ull << 62 },
		{ 0, UINT64_MAX - MIB + 1 } };
	struct guest_mem *m = NULL;

	for (size_t i = 0; i < ARRAY_LEN(absurd); i++) {
		cr_expect_eq(guest_mem_create(&absurd[i], 1, GUEST_PAGES_NONE, &m, &e),
			-ENOMEM);
		cr_expect_null(m);
		cr_expect(strstr(e.text, "MiB of guest memory"), "%s", e.text);
	}
}

Test(guest_mem, unmaps_the_first_range_when_the_second_cannot_be_had)
{
	static const struct guest_range ranges[] = { { 0, MIB },
		{ 4 * GIB, 1ull << 62 } };
	struct guest_mem *m = NULL;

	cr_assert_eq(guest_mem_create(ranges, 2, GUEST_PAGES_NONE, &m, &e), -ENOMEM);
	cr_assert_null(m);
}

Test(guest_mem, takes_transparent_huge_pages)
{
	static const struct guest_range range = { 0, 2 * MIB };
	struct guest_mem *m;
	int r = guest_mem_create(&range, 1, GUEST_PAGES_TRANSPARENT, &m, &e);

	if (r == -EINVAL)
		cr_skip_test("the host's kernel has no transparent huge pages");
	cr_assert_eq(r, 0);
	cr_assert_eq(guest_write(m, 2 * MIB - 1, "x", 1), 0);
	guest_mem_destroy(m);
}

Test(guest_mem, takes_the_destruction_of_nothing)
{
	guest_mem_destroy(NULL);
}
