/* SPDX-License-Identifier: Apache-2.0
 *
 * snap: what is saved is loaded, and no stream that is not exactly that is taken.
 */
#include "vmm/core/snap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* A thing with one field of each kind, and a part in a section of its own. */
struct thing {
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	bool yes;
	char bytes[5];
	uint32_t inner;
};

static const struct thing sample = { 0x12, 0x3456, 0x789abcde, 0x0123456789abcdef, true,
	"ABCDE", 42 };

static int walk(struct snap *s, struct thing *t)
{
	(void)snap_begin(s, "outr", 3);
	snap_u8(s, &t->u8);
	snap_u16(s, &t->u16);
	snap_u32(s, &t->u32);
	(void)snap_begin(s, "innr", 1);
	snap_u32(s, &t->inner);
	snap_end(s);
	snap_u64(s, &t->u64);
	snap_bool(s, &t->yes);
	snap_bytes(s, t->bytes, sizeof(t->bytes));
	snap_end(s);
	return snap_check(s, true);
}

/* The sample's stream; the caller ends it with snap_fini. */
static struct snap saved(void)
{
	struct thing t = sample;
	struct snap s;

	snap_init_save(&s);
	cr_assert_eq(walk(&s, &t), 0);
	cr_assert_eq(snap_finish(&s), 0);
	return s;
}

/* A stream of raw bytes with the right checksum, loaded: a hostile file. */
static uint8_t raw_copy[512];

static struct snap raw(const void *bytes, size_t n)
{
	struct snap s;

	snap_init_save(&s);
	memcpy(raw_copy, bytes, n);
	snap_bytes(&s, raw_copy, n);
	cr_assert_eq(snap_finish(&s), 0);
	memcpy(raw_copy, s.buf, s.len);
	n = s.len;
	snap_fini(&s);
	snap_init_load(&s, raw_copy, n);
	cr_assert_eq(s.error, 0);
	return s;
}

static int load(const void *buf, size_t n, struct thing *out)
{
	struct snap s;
	int r;

	snap_init_load(&s, buf, n);
	r = walk(&s, out);
	if (r == 0)
		r = snap_finish(&s);
	snap_fini(&s);
	return r;
}

static void expect_same(const struct thing *t)
{
	cr_expect_eq(t->u8, sample.u8);
	cr_expect_eq(t->u16, sample.u16);
	cr_expect_eq(t->u32, sample.u32);
	cr_expect_eq(t->u64, sample.u64);
	cr_expect_eq(t->yes, sample.yes);
	cr_expect_eq(memcmp(t->bytes, sample.bytes, sizeof(t->bytes)), 0);
	cr_expect_eq(t->inner, sample.inner);
}

Test(snap, loads_what_it_saved)
{
	struct snap s = saved();
	struct thing t = { 0 };

	cr_assert_eq(load(s.buf, s.len, &t), 0);
	expect_same(&t);
	snap_fini(&s);
}

Test(snap, has_the_format_of_its_header)
{
	static const uint8_t want[] = { 'o', 'u', 't', 'r', 3, 0, 0, 0, 37, 0, 0,
		0, /**/
		0x12, 0x56, 0x34, 0xde, 0xbc, 0x9a, 0x78, /**/
		'i', 'n', 'n', 'r', 1, 0, 0, 0, 4, 0, 0, 0, 42, 0, 0, 0, /**/
		0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 1, /**/
		'A', 'B', 'C', 'D', 'E' };
	struct snap s = saved();

	cr_assert_eq(s.len, sizeof(want) + 8);
	cr_assert_eq(memcmp(s.buf, want, sizeof(want)), 0);
	snap_fini(&s);
}

Test(snap, refuses_every_truncation)
{
	struct snap s = saved();

	for (size_t n = 0; n < s.len; n++) {
		struct thing t = { .u8 = 99 };

		cr_expect_eq(load(s.buf, n, &t), -EBADMSG, "%zu bytes", n);
		cr_expect_eq(t.u8, 99, "%zu bytes", n);
	}
	snap_fini(&s);
}

Test(snap, refuses_every_flip_of_a_bit_or_byte)
{
	struct snap s = saved();

	for (size_t at = 0; at < s.len; at++) {
		for (unsigned flip = 0; flip < 9; flip++) {
			struct thing t;
			uint8_t mask = (uint8_t)(flip < 8 ? 1u << flip : 0xffu);

			s.buf[at] ^= mask;
			cr_expect_eq(load(s.buf, s.len, &t), -EBADMSG, "byte %zu", at);
			s.buf[at] ^= mask;
		}
	}
	snap_fini(&s);
}

Test(snap, refuses_a_byte_more)
{
	struct snap s = saved();
	uint8_t longer[512] = { 0 };
	struct thing t;

	memcpy(longer, s.buf, s.len);
	cr_assert_eq(load(longer, s.len + 1, &t), -EBADMSG);
	snap_fini(&s);
}

Test(snap, refuses_an_empty_stream_without_a_buffer)
{
	struct thing t;

	cr_assert_eq(load(NULL, 0, &t), -EBADMSG);
}

Test(snap, refuses_a_stream_that_was_not_read_to_its_end)
{
	struct snap s = raw("abcd", 4);
	uint8_t v;

	snap_u8(&s, &v);
	cr_assert_eq(snap_finish(&s), -EBADMSG);
}

/* A section header as a hostile file would have it, with `n` bytes of 0x11 after it. */
static struct snap section(
	const char *tag, uint16_t version, uint16_t zero, uint32_t len, size_t n)
{
	uint8_t bytes[256];

	memset(bytes, 0x11, sizeof(bytes));
	memcpy(bytes, tag, 4);
	memcpy(bytes + 4, &version, 2);
	memcpy(bytes + 6, &zero, 2);
	memcpy(bytes + 8, &len, 4);
	return raw(bytes, 12 + n);
}

static int begin(struct snap s, uint16_t version)
{
	uint16_t found = snap_begin(&s, "good", version);

	cr_expect_eq(found == 0, s.error != 0);
	return s.error;
}

Test(snap, refuses_a_section_of_another_name)
{
	cr_assert_eq(begin(section("good", 1, 0, 4, 4), 1), 0);
	cr_assert_eq(begin(section("goof", 1, 0, 4, 4), 1), -EBADMSG);
}

Test(snap, refuses_a_newer_section)
{
	cr_assert_eq(begin(section("good", 3, 0, 4, 4), 2), -ENOTSUP);
	cr_assert_eq(begin(section("good", UINT16_MAX, 0, 4, 4), 2), -ENOTSUP);
}

Test(snap, tells_the_version_of_an_older_section)
{
	struct snap s = section("good", 2, 0, 4, 4);
	uint32_t v = 0;

	cr_assert_eq(snap_begin(&s, "good", 3), 2);
	snap_u32(&s, &v);
	snap_end(&s);
	cr_assert_eq(snap_finish(&s), 0);
	cr_assert_eq(v, 0x11111111);
}

Test(snap, refuses_version_zero_and_what_must_be_zero)
{
	cr_assert_eq(begin(section("good", 0, 0, 4, 4), 1), -EBADMSG);
	cr_assert_eq(begin(section("good", 1, 1, 4, 4), 1), -EBADMSG);
}

Test(snap, refuses_a_section_longer_than_the_stream)
{
	cr_assert_eq(begin(section("good", 1, 0, 5, 4), 1), -EBADMSG);
	cr_assert_eq(begin(section("good", 1, 0, UINT32_MAX, 4), 1), -EBADMSG);
}

Test(snap, refuses_a_section_longer_than_the_one_around_it)
{
	static const uint8_t bytes[] = { 'o', 'u', 't', 'r', 1, 0, 0, 0, 14, 0, 0,
		0, /**/
		'g', 'o', 'o', 'd', 1, 0, 0, 0, 3, 0, 0, 0, 1, 2, /**/
		3 };
	struct snap s = raw(bytes, sizeof(bytes));

	cr_assert_eq(snap_begin(&s, "outr", 1), 1);
	cr_assert_eq(begin(s, 1), -EBADMSG);
}

Test(snap, refuses_to_read_over_a_sections_end)
{
	struct snap s = section("good", 1, 0, 4, 8);
	uint64_t v = 77;

	cr_assert_eq(snap_begin(&s, "good", 1), 1);
	snap_u64(&s, &v);
	cr_assert_eq(s.error, -EBADMSG);
	cr_assert_eq(v, 77);
}

Test(snap, refuses_a_section_that_was_not_read_to_its_end)
{
	struct snap s = section("good", 1, 0, 4, 4);
	uint16_t v;

	cr_assert_eq(snap_begin(&s, "good", 1), 1);
	snap_u16(&s, &v);
	snap_end(&s);
	cr_assert_eq(s.error, -EBADMSG);
	cr_assert_eq(snap_finish(&s), -EBADMSG);
}

Test(snap, refuses_a_bool_that_is_neither)
{
	struct snap s = raw("\2", 1);
	bool v = true;

	snap_bool(&s, &v);
	cr_assert_eq(s.error, -EBADMSG);
	cr_assert(v);
}

Test(snap, loads_nothing_after_an_error)
{
	struct snap s = raw("\1\2\3\4\5\6\7\10", 8);
	struct thing t = sample;

	s.error = -EBADMSG;
	cr_assert_eq(walk(&s, &t), -EBADMSG);
	expect_same(&t);
}

Test(snap, keeps_the_first_error)
{
	struct snap s = section("good", 2, 0, 4, 4);

	cr_assert_eq(snap_begin(&s, "good", 1), 0);
	cr_assert_eq(snap_check(&s, false), -ENOTSUP);
	snap_end(&s);
	cr_assert_eq(snap_finish(&s), -ENOTSUP);
}

Test(snap, turns_a_value_that_fails_its_check_into_an_error)
{
	struct snap s = raw("a", 1);

	cr_assert_eq(snap_check(&s, true), 0);
	cr_assert_eq(snap_check(&s, false), -EBADMSG);
	cr_assert_eq(snap_check(&s, true), -EBADMSG);
}

Test(snap, nests_four_deep)
{
	struct snap s, l;
	uint8_t v = 5;

	snap_init_save(&s);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(snap_begin(&s, "nest", 1), 1);
	snap_u8(&s, &v);
	for (int i = 0; i < 4; i++)
		snap_end(&s);
	cr_assert_eq(snap_finish(&s), 0);
	v = 0;
	snap_init_load(&l, s.buf, s.len);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(snap_begin(&l, "nest", 1), 1);
	snap_u8(&l, &v);
	for (int i = 0; i < 4; i++)
		snap_end(&l);
	cr_assert_eq(snap_finish(&l), 0);
	cr_assert_eq(v, 5);
	snap_fini(&s);
}

Test(snap, grows_with_what_is_saved)
{
	static uint8_t many[10000];
	struct snap s, l;

	memset(many, 7, sizeof(many));
	snap_init_save(&s);
	(void)snap_begin(&s, "many", 1);
	for (int i = 0; i < 10; i++)
		snap_bytes(&s, many, sizeof(many));
	snap_end(&s);
	cr_assert_eq(snap_finish(&s), 0);
	snap_init_load(&l, s.buf, s.len);
	cr_assert_eq(snap_begin(&l, "many", 1), 1);
	for (int i = 0; i < 10; i++)
		snap_bytes(&l, many, sizeof(many));
	snap_end(&l);
	cr_assert_eq(snap_finish(&l), 0);
	cr_assert_eq(many[sizeof(many) - 1], 7);
	snap_fini(&s);
}

Test(snap, may_be_finished_with_twice)
{
	struct snap s = saved();

	snap_fini(&s);
	snap_fini(&s);
	cr_assert_null(s.buf);
}
