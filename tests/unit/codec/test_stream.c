/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: what is saved can be loaded, and a stream that differs in any way is refused.
 */
#include "vmm/codec/stream.h"

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

static int walk(struct stream *s, struct thing *t)
{
	(void)stream_begin(s, "outr", 3);
	stream_u8(s, &t->u8);
	stream_u16(s, &t->u16);
	stream_u32(s, &t->u32);
	(void)stream_begin(s, "innr", 1);
	stream_u32(s, &t->inner);
	stream_end(s);
	stream_u64(s, &t->u64);
	stream_bool(s, &t->yes);
	stream_bytes(s, t->bytes, sizeof(t->bytes));
	stream_end(s);
	return stream_check(s, true);
}

/* The sample's stream; the caller ends it with stream_fini. */
static struct stream saved(void)
{
	struct thing t = sample;
	struct stream s;

	stream_init_save(&s);
	cr_assert_eq(walk(&s, &t), 0);
	cr_assert_eq(stream_finish(&s), 0);
	return s;
}

/* A stream of raw bytes with the right checksum, loaded: a hostile file. */
static uint8_t raw_copy[512];

static struct stream raw(const void *bytes, size_t n)
{
	struct stream s;

	stream_init_save(&s);
	memcpy(raw_copy, bytes, n);
	stream_bytes(&s, raw_copy, n);
	cr_assert_eq(stream_finish(&s), 0);
	memcpy(raw_copy, s.buf, s.len);
	n = s.len;
	stream_fini(&s);
	stream_init_load(&s, raw_copy, n);
	cr_assert_eq(s.error, 0);
	return s;
}

static int load(const void *buf, size_t n, struct thing *out)
{
	struct stream s;
	int r;

	stream_init_load(&s, buf, n);
	r = walk(&s, out);
	if (r == 0)
		r = stream_finish(&s);
	stream_fini(&s);
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

Test(stream, loads_what_it_saved)
{
	struct stream s = saved();
	struct thing t = { 0 };

	cr_assert_eq(load(s.buf, s.len, &t), 0);
	expect_same(&t);
	stream_fini(&s);
}

Test(stream, has_the_format_of_its_header)
{
	static const uint8_t want[] = { 'o', 'u', 't', 'r', 3, 0, 0, 0, 37, 0, 0,
		0, /**/
		0x12, 0x56, 0x34, 0xde, 0xbc, 0x9a, 0x78, /**/
		'i', 'n', 'n', 'r', 1, 0, 0, 0, 4, 0, 0, 0, 42, 0, 0, 0, /**/
		0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 1, /**/
		'A', 'B', 'C', 'D', 'E' };
	struct stream s = saved();

	cr_assert_eq(s.len, sizeof(want) + 8);
	cr_assert_eq(memcmp(s.buf, want, sizeof(want)), 0);
	stream_fini(&s);
}

Test(stream, refuses_every_truncation)
{
	struct stream s = saved();

	for (size_t n = 0; n < s.len; n++) {
		struct thing t = { .u8 = 99 };

		cr_expect_eq(load(s.buf, n, &t), -EBADMSG, "%zu bytes", n);
		cr_expect_eq(t.u8, 99, "%zu bytes", n);
	}
	stream_fini(&s);
}

Test(stream, refuses_every_flip_of_a_bit_or_byte)
{
	struct stream s = saved();

	for (size_t at = 0; at < s.len; at++) {
		for (unsigned flip = 0; flip < 9; flip++) {
			struct thing t;
			uint8_t mask = (uint8_t)(flip < 8 ? 1u << flip : 0xffu);

			s.buf[at] ^= mask;
			cr_expect_eq(load(s.buf, s.len, &t), -EBADMSG, "byte %zu", at);
			s.buf[at] ^= mask;
		}
	}
	stream_fini(&s);
}

Test(stream, refuses_a_byte_more)
{
	struct stream s = saved();
	uint8_t longer[512] = { 0 };
	struct thing t;

	memcpy(longer, s.buf, s.len);
	cr_assert_eq(load(longer, s.len + 1, &t), -EBADMSG);
	stream_fini(&s);
}

Test(stream, refuses_an_empty_stream_without_a_buffer)
{
	struct thing t;

	cr_assert_eq(load(NULL, 0, &t), -EBADMSG);
}

Test(stream, refuses_a_stream_that_was_not_read_to_its_end)
{
	struct stream s = raw("abcd", 4);
	uint8_t v;

	stream_u8(&s, &v);
	cr_assert_eq(stream_finish(&s), -EBADMSG);
}

/* A section header as a hostile file would have it, with `n` bytes of 0x11 after it. */
static struct stream section(
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

static int begin(struct stream s, uint16_t version)
{
	uint16_t found = stream_begin(&s, "good", version);

	cr_expect_eq(found == 0, s.error != 0);
	return s.error;
}

Test(stream, refuses_a_section_of_another_name)
{
	cr_assert_eq(begin(section("good", 1, 0, 4, 4), 1), 0);
	cr_assert_eq(begin(section("goof", 1, 0, 4, 4), 1), -EBADMSG);
}

Test(stream, refuses_a_newer_section)
{
	cr_assert_eq(begin(section("good", 3, 0, 4, 4), 2), -ENOTSUP);
	cr_assert_eq(begin(section("good", UINT16_MAX, 0, 4, 4), 2), -ENOTSUP);
}

Test(stream, tells_the_version_of_an_older_section)
{
	struct stream s = section("good", 2, 0, 4, 4);
	uint32_t v = 0;

	cr_assert_eq(stream_begin(&s, "good", 3), 2);
	stream_u32(&s, &v);
	stream_end(&s);
	cr_assert_eq(stream_finish(&s), 0);
	cr_assert_eq(v, 0x11111111);
}

Test(stream, refuses_version_zero_and_what_must_be_zero)
{
	cr_assert_eq(begin(section("good", 0, 0, 4, 4), 1), -EBADMSG);
	cr_assert_eq(begin(section("good", 1, 1, 4, 4), 1), -EBADMSG);
}

Test(stream, refuses_a_section_longer_than_the_stream)
{
	cr_assert_eq(begin(section("good", 1, 0, 5, 4), 1), -EBADMSG);
	cr_assert_eq(begin(section("good", 1, 0, UINT32_MAX, 4), 1), -EBADMSG);
}

Test(stream, refuses_a_section_longer_than_the_one_around_it)
{
	static const uint8_t bytes[] = { 'o', 'u', 't', 'r', 1, 0, 0, 0, 14, 0, 0,
		0, /**/
		'g', 'o', 'o', 'd', 1, 0, 0, 0, 3, 0, 0, 0, 1, 2, /**/
		3 };
	struct stream s = raw(bytes, sizeof(bytes));

	cr_assert_eq(stream_begin(&s, "outr", 1), 1);
	cr_assert_eq(begin(s, 1), -EBADMSG);
}

Test(stream, refuses_to_read_over_a_sections_end)
{
	struct stream s = section("good", 1, 0, 4, 8);
	uint64_t v = 77;

	cr_assert_eq(stream_begin(&s, "good", 1), 1);
	stream_u64(&s, &v);
	cr_assert_eq(s.error, -EBADMSG);
	cr_assert_eq(v, 77);
}

Test(stream, refuses_a_section_that_was_not_read_to_its_end)
{
	struct stream s = section("good", 1, 0, 4, 4);
	uint16_t v;

	cr_assert_eq(stream_begin(&s, "good", 1), 1);
	stream_u16(&s, &v);
	stream_end(&s);
	cr_assert_eq(s.error, -EBADMSG);
	cr_assert_eq(stream_finish(&s), -EBADMSG);
}

Test(stream, refuses_a_bool_that_is_neither)
{
	struct stream s = raw("\2", 1);
	bool v = true;

	stream_bool(&s, &v);
	cr_assert_eq(s.error, -EBADMSG);
	cr_assert(v);
}

Test(stream, loads_nothing_after_an_error)
{
	struct stream s = raw("\1\2\3\4\5\6\7\10", 8);
	struct thing t = sample;

	s.error = -EBADMSG;
	cr_assert_eq(walk(&s, &t), -EBADMSG);
	expect_same(&t);
}

Test(stream, keeps_the_first_error)
{
	struct stream s = section("good", 2, 0, 4, 4);

	cr_assert_eq(stream_begin(&s, "good", 1), 0);
	cr_assert_eq(stream_check(&s, false), -ENOTSUP);
	stream_end(&s);
	cr_assert_eq(stream_finish(&s), -ENOTSUP);
}

Test(stream, turns_a_value_that_fails_its_check_into_an_error)
{
	struct stream s = raw("a", 1);

	cr_assert_eq(stream_check(&s, true), 0);
	cr_assert_eq(stream_check(&s, false), -EBADMSG);
	cr_assert_eq(stream_check(&s, true), -EBADMSG);
}

Test(stream, nests_four_deep)
{
	struct stream s, l;
	uint8_t v = 5;

	stream_init_save(&s);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(stream_begin(&s, "nest", 1), 1);
	stream_u8(&s, &v);
	for (int i = 0; i < 4; i++)
		stream_end(&s);
	cr_assert_eq(stream_finish(&s), 0);
	v = 0;
	stream_init_load(&l, s.buf, s.len);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(stream_begin(&l, "nest", 1), 1);
	stream_u8(&l, &v);
	for (int i = 0; i < 4; i++)
		stream_end(&l);
	cr_assert_eq(stream_finish(&l), 0);
	cr_assert_eq(v, 5);
	stream_fini(&s);
}

Test(stream, grows_with_what_is_saved)
{
	static uint8_t many[10000];
	struct stream s, l;

	memset(many, 7, sizeof(many));
	stream_init_save(&s);
	(void)stream_begin(&s, "many", 1);
	for (int i = 0; i < 10; i++)
		stream_bytes(&s, many, sizeof(many));
	stream_end(&s);
	cr_assert_eq(stream_finish(&s), 0);
	stream_init_load(&l, s.buf, s.len);
	cr_assert_eq(stream_begin(&l, "many", 1), 1);
	for (int i = 0; i < 10; i++)
		stream_bytes(&l, many, sizeof(many));
	stream_end(&l);
	cr_assert_eq(stream_finish(&l), 0);
	cr_assert_eq(many[sizeof(many) - 1], 7);
	stream_fini(&s);
}

Test(stream, may_be_finished_with_twice)
{
	struct stream s = saved();

	stream_fini(&s);
	stream_fini(&s);
	cr_assert_null(s.buf);
}
