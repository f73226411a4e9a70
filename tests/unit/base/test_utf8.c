/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8: what is a character, what is a letter or a digit, and what is an id.
 */
#include "vmm/base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t read_text(const char *text, uint32_t *c)
{
	return utf8_read(text, text + strlen(text), c);
}

static void expect_char(const char *text, uint32_t want)
{
	uint32_t c = 0;

	cr_expect_eq(read_text(text, &c), strlen(text), "U+%04X", want);
	cr_expect_eq(c, want, "U+%04X, not U+%04X", c, want);
}

Test(utf8, reads_characters_of_every_length_at_both_ends)
{
	expect_char("a", 'a');
	expect_char("\x7f", 0x7f);
	expect_char("\xc2\x80", 0x80);
	expect_char("\xdf\xbf", 0x7ff);
	expect_char("\xe0\xa0\x80", 0x800);
	expect_char("\xed\x9f\xbf", 0xd7ff);
	expect_char("\xee\x80\x80", 0xe000);
	expect_char("\xef\xbf\xbf", 0xffff);
	expect_char("\xf0\x90\x80\x80", 0x10000);
	expect_char("\xf4\x8f\xbf\xbf", 0x10ffff);
}

Test(utf8, refuses_what_is_no_character)
{
	static const char *const bad[] = { "", "\x80", "\xbf", "\xc3", "\xc3\xc3",
		"\xc3(", "\xe2\x82", "\xe2(\xa1", "\xf0\x9f\x98", "\xff", "\xfe",
		"\xf8\x88\x80\x80\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf4\x90\x80\x80" };
	uint32_t c = 7;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(read_text(bad[i], &c), 0, "%zu", i);
	cr_expect_eq(c, 7, "touched");
	cr_expect_eq(utf8_read("\xc3\xa4", "\xc3\xa4", &c), 0, "nothing is there");
}

Test(utf8, reads_nothing_behind_the_end)
{
	const char *text = "\xe2\x82\xac";
	uint32_t c;

	cr_expect_eq(utf8_read(text, text + 2, &c), 0);
	cr_expect_eq(utf8_read(text, text + 3, &c), 3);
}

Test(utf8, knows_letters_and_digits_of_many_scripts)
{
	static const uint32_t yes[] = { '0', '9', 'A', 'Z', 'a', 'z', 0xaa, 0xb2, 0xb5,
		0xba, 0xbd, 0xc0, 0xd6, 0xd8, 0xf6, 0xf8, 0xff, 0x100, 0x3b1, 0x416,
		0x5d0, 0x661, 0x905, 0x93f, 0xe01, 0x2167, 0x3042, 0x4e00, 0x9fff,
		0xac00, 0xd7a3, 0x1d400, 0x20000, 0x2a6df, 0x30000, 0x3134a };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		cr_expect(utf8_is_alphanumeric(yes[i]), "U+%04X", yes[i]);
}

Test(utf8, knows_what_is_neither)
{
	static const uint32_t no[] = { 0, ' ', '/', ':', '@', '[', '`', '{', '_', '-',
		'.', 0x7f, 0x80, 0x85, 0x9f, 0xa0, 0xa9, 0xab, 0xad, 0xb1, 0xb6, 0xd7,
		0xf7, 0x300, 0x301, 0x200b, 0x200d, 0x200e, 0x2013, 0x2028, 0x202e,
		0x2060, 0x20ac, 0x2190, 0x3000, 0x3001, 0xe000, 0xfe0f, 0xfeff, 0xfffd,
		0xffff, 0x1f4be, 0x1f600, 0x3134b, 0xe0001, 0x10ffff, 0x110000,
		UINT32_MAX };

	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		cr_expect(!utf8_is_alphanumeric(no[i]), "U+%04X", no[i]);
}

/* The number of such code points, by the tool that printed the table. */
Test(utf8, has_as_many_letters_and_digits_as_unicode)
{
	unsigned n = 0;

	for (uint32_t c = 0; c <= 0x10ffff; c++)
		n += utf8_is_alphanumeric(c);
	cr_expect_eq(n, 134951);
}

Test(utf8, takes_ids_of_letters_digits_and_the_mark)
{
	cr_expect(utf8_is_id("a", '_', 1));
	cr_expect(utf8_is_id("rootfs_0", '_', 64));
	cr_expect(utf8_is_id("a-b", '-', 64));
	cr_expect(utf8_is_id("\xd0\xb4\xd0\xb8\xd1\x81\xd0\xba_\xe7\xa3\x81", '_', 12));
	cr_expect(
		!utf8_is_id("\xd0\xb4\xd0\xb8\xd1\x81\xd0\xba_\xe7\xa3\x81", '_', 11));
}

Test(utf8, refuses_other_ids)
{
	static const char *const bad[] = { "", "a-b", "a b", "a/b", "..", "a\n", "\xff",
		"a\xcc\x81", "a\xe2\x80\x8d", "\xf0\x9f\x92\xbe", "\xc3", "\"",
		"a\x7f" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect(!utf8_is_id(bad[i], '_', 64), "%s", bad[i]);
	cr_expect(!utf8_is_id("a_b", '-', 64));
}
