/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/spans.h"

#include <criterion/criterion.h>

/* Without a NUL each. */
static char text[][4] = { "abc", "defg", "h" };
static const struct iovec list[] = { { text[0], 3 }, { text[1], 4 }, { text[2], 1 } };

static struct spans walk(void)
{
	return (struct spans){ list, ARRAY_LEN(list), 0 };
}

/* The bytes that are left. */
static const char *left(struct spans s)
{
	static char buf[16];
	size_t n = 0;

	while (s.n > 0) {
		struct iovec next = spans_next(&s, SIZE_MAX);

		memcpy(buf + n, next.iov_base, next.iov_len);
		n += next.iov_len;
	}
	buf[n] = '\0';
	return buf;
}

Test(spans, walks_over_all_of_a_list)
{
	cr_assert_str_eq(left(walk()), "abcdefgh");
	cr_assert_str_eq(left((struct spans){ list, 0, 0 }), "");
}

Test(spans, skips_within_a_span_to_its_end_and_over_several)
{
	static const char *expected[] = { "abcdefgh", "bcdefgh", "cdefgh", "defgh",
		"efgh", "fgh", "gh", "h", "" };

	for (size_t n = 0; n < ARRAY_LEN(expected); n++) {
		struct spans s = walk();

		spans_skip(&s, n);
		cr_assert_str_eq(left(s), expected[n]);
	}
}

Test(spans, is_at_the_next_span_as_soon_as_one_is_used_up)
{
	struct spans s = walk();

	spans_skip(&s, 3);
	cr_assert_eq(s.iov, &list[1]);
	cr_assert_eq(s.n, 2);
	cr_assert_eq(s.skip, 0);
	spans_skip(&s, 5);
	cr_assert_eq(s.n, 0);
	cr_assert_eq(s.skip, 0);
}

Test(spans, gives_pieces_that_lie_in_one_span)
{
	struct spans s = walk();
	struct iovec front;

	spans_skip(&s, 1);
	front = spans_front(&s, 8);
	cr_assert_eq(front.iov_base, text[0] + 1);
	cr_assert_eq(front.iov_len, 2);
	front = spans_front(&s, 1);
	cr_assert_eq(front.iov_len, 1);
	cr_assert_str_eq(left(s), "bcdefgh");
	front = spans_next(&s, 8);
	cr_assert_eq(front.iov_len, 2);
	front = spans_next(&s, 3);
	cr_assert_eq(front.iov_base, text[1]);
	cr_assert_eq(front.iov_len, 3);
	cr_assert_str_eq(left(s), "gh");
}

Test(spans, reads_over_spans_and_no_further)
{
	struct spans s = walk();
	char got[8] = "........";

	spans_read(&s, got, 0);
	spans_read(&s, got, 2);
	cr_assert_arr_eq(got, "ab......", 8);
	spans_read(&s, got, 4);
	cr_assert_arr_eq(got, "cdef....", 8);
	cr_assert_str_eq(left(s), "gh");
	spans_read(&s, got, 2);
	cr_assert_arr_eq(got, "ghef....", 8);
	cr_assert_eq(s.n, 0);
}

Test(spans, writes_over_spans_and_no_further)
{
	char a[] = "...", b[] = "....";
	const struct iovec to[] = { { a, 3 }, { b, 4 } };
	struct spans s = { to, 2, 1 };

	spans_write(&s, "xyz", 3);
	cr_assert_str_eq(a, ".xy");
	cr_assert_str_eq(b, "z...");
	spans_write(&s, "123", 3);
	cr_assert_str_eq(b, "z123");
	cr_assert_eq(s.n, 0);
}

Test(spans, cuts_a_list_to_a_number_of_bytes)
{
	struct spans s = walk();
	struct iovec out[4];
	size_t got;

	spans_skip(&s, 2);
	cr_assert_eq(spans_cut(&s, 3, out, 4, &got), 2);
	cr_assert_eq(got, 3);
	cr_assert_eq(out[0].iov_base, text[0] + 2);
	cr_assert_eq(out[0].iov_len, 1);
	cr_assert_eq(out[1].iov_base, text[1]);
	cr_assert_eq(out[1].iov_len, 2);
	cr_assert_str_eq(left(s), "fgh");
	cr_assert_eq(spans_cut(&s, 0, out, 4, &got), 0);
	cr_assert_eq(got, 0);
}

Test(spans, cuts_what_a_list_and_its_place_have)
{
	struct spans s = walk();
	struct iovec out[4];
	size_t got;

	cr_assert_eq(spans_cut(&s, 100, out, 1, &got), 1);
	cr_assert_eq(got, 3);
	cr_assert_eq(spans_cut(&s, 100, out, 4, &got), 2);
	cr_assert_eq(got, 5);
	cr_assert_eq(out[1].iov_base, text[2]);
	cr_assert_eq(spans_cut(&s, 100, out, 4, &got), 0);
	cr_assert_eq(got, 0);
}
