/* SPDX-License-Identifier: Apache-2.0
 *
 * json: what is a strict JSON value (contract, 2.5; RFC 8259), what is not, and where
 * the error is. test_json_read.c has objects that are read into structs.
 */
#include "vmm/codec/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct err e;

/* Parses exactly n bytes, in a buffer that ends with them. */
static int parse_bytes(const char *text, size_t n, struct json **out)
{
	char *exact = malloc(n > 0 ? n : 1);
	int r;

	cr_assert_not_null(exact);
	memcpy(exact, text, n);
	r = json_parse(exact, n, out, &e);
	free(exact);
	return r;
}

static int parse(const char *text)
{
	struct json *v = NULL;
	int r = parse_bytes(text, strlen(text), &v);

	cr_expect_eq(r == 0, v != NULL, "%s", text);
	json_free(v);
	return r;
}

static void expect_taken(const char *text)
{
	cr_expect_eq(parse(text), 0, "%s: %s", text, e.text);
}

static void expect_refused(const char *text, const char *why)
{
	cr_expect_eq(parse(text), -EINVAL, "%s", text);
	cr_expect(strstr(e.text, why), "%s: %s", text, e.text);
}

Test(json, takes_one_value_of_any_kind)
{
	static const char *const good[] = { "{}", "[]", "null", "true", "false", "0",
		"-1", "\"\"", "[1,2]", "{\"a\":1}", "[[],{}]", "{\"a\":{\"b\":[null]}}",
		" \t\r\n{ \"a\" : [ 1 , 2 ] } \n" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		expect_taken(good[i]);
}

Test(json, refuses_what_is_no_value)
{
	static const char *const bad[] = { "x", "nul", "nulll", "True", "NaN",
		"Infinity", "'a'", "+1", ".5", "//", "{]", "[}", "]", "}", ",", ":",
		"\xef\xbb\xbf{}" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(parse(bad[i]), -EINVAL, "%s", bad[i]);
}

Test(json, refuses_an_empty_text)
{
	struct json *v = NULL;

	expect_refused("", "the text ends early");
	expect_refused(" \n ", "line 2 column 2: the text ends early");
	cr_expect_eq(json_parse(NULL, 0, &v, &e), -EINVAL);
}

Test(json, refuses_a_text_cut_anywhere)
{
	static const char whole[] =
		"{\"a\": [1, -20, true, null, \"x\\u00e4\\n\xc3\xa4\"], \"b\": {}}";

	expect_taken(whole);
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct json *v = NULL;

		cr_expect_eq(parse_bytes(whole, n, &v), -EINVAL, "%zu bytes", n);
		cr_expect_null(v);
	}
}

Test(json, refuses_text_after_the_value)
{
	static const char *const bad[] = { "{} {}", "{}x", "1 2", "[],", "null//x" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(bad[i], "text follows the value");
}

Test(json, refuses_stray_and_missing_punctuation)
{
	static const char *const bad[] = { "[1,]", "[,1]", "[1 2]", "[1,,2]",
		"{\"a\":1,}", "{,}", "{\"a\"}", "{\"a\" 1}", "{\"a\":}",
		"{\"a\":1 \"b\":2}", "{a:1}", "{1:1}", "{\"a\":1]", "[1}",
		"{\"a\"::1}" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(parse(bad[i]), -EINVAL, "%s", bad[i]);
}

Test(json, takes_numbers_of_every_form)
{
	static const char *const good[] = { "0", "-0", "2.0", "0.5", "-1.50", "1e3",
		"1E3", "1e+3", "1e-3", "0e0", "0.0e00", "-10.25E-12", "1e400",
		"[1.5,-2e1]", "99999999999999999999999999999999999999999999999999",
		"3.14159265358979323846264338327950288419716939937510582097494459" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		expect_taken(good[i]);
}

Test(json, refuses_numbers_that_are_none)
{
	static const char *const no_digits[] = { "-", "[-]", "1.", "1.e1", "1e", "1E+",
		"1e-", "[1.]", "-.5", "1e+x", "1.-5" };

	expect_refused("01", "a number starts with 0");
	expect_refused("-01", "a number starts with 0");
	expect_refused("00", "a number starts with 0");
	expect_refused("0x10", "text follows");
	expect_refused("1.5.5", "text follows");
	expect_refused("1e5e5", "text follows");
	expect_refused("1e5.5", "text follows");
	for (size_t i = 0; i < ARRAY_LEN(no_digits); i++)
		expect_refused(no_digits[i], "a number has no digits");
	expect_refused("[1,\n2.x]", "line 2 column 3: a number has no digits");
}

static void expect_uint(const struct json *v, uint64_t max, uint64_t want)
{
	uint64_t n = ~want;

	cr_assert(json_uint(v, max, &n));
	cr_assert_eq(n, want);
}

Test(json, keeps_integers_of_64_bits_to_the_last_digit)
{
	static const char text[] = "[0,9007199254740993,9223372036854775807,"
				   "9223372036854775808,18446744073709551615]";
	struct json *v;

	cr_assert_eq(parse_bytes(text, sizeof(text) - 1, &v), 0);
	expect_uint(json_element(v, 0), 0, 0);
	expect_uint(json_element(v, 1), UINT64_MAX, 9007199254740993ull);
	expect_uint(json_element(v, 2), UINT64_MAX, 9223372036854775807ull);
	expect_uint(json_element(v, 3), UINT64_MAX, 9223372036854775808ull);
	expect_uint(json_element(v, 4), UINT64_MAX, UINT64_MAX);
	json_free(v);
}

Test(json, tells_each_number_of_a_text_from_what_is_around_it)
{
	static const char text[] =
		"{\"1\":2,\"\\\"-3\":[\"4\",{\"5\\\\\":6},-7,[]],\"8e9\":"
		"18446744073709551615,\"x\":true,\"y\" : 10 }";
	struct json *v;
	const struct json *list;
	uint64_t n;

	cr_assert_eq(parse_bytes(text, sizeof(text) - 1, &v), 0, "%s", e.text);
	expect_uint(json_find(v, "1"), 2, 2);
	list = json_find(v, "\"-3");
	expect_uint(json_find(json_element(list, 1), "5\\"), 6, 6);
	cr_assert(!json_uint(json_element(list, 2), UINT64_MAX, &n));
	expect_uint(json_find(v, "8e9"), UINT64_MAX, UINT64_MAX);
	expect_uint(json_find(v, "y"), 10, 10);
	cr_assert_null(json_string(json_find(v, "1")), "a number is no string");
	json_free(v);
	cr_assert_eq(parse_bytes("12", 2, &v), 0);
	expect_uint(v, 12, 12);
	json_free(v);
}

Test(json, calls_only_digits_that_fit_an_unsigned_integer)
{
	static const char text[] =
		"[18446744073709551616,99999999999999999999,-1,-0,1.0,"
		"1e3,10e-1,\"1\",true,null,[],{}, 184467440737095516150]";
	uint64_t n = 7;
	struct json *v;
	const struct json *one;

	cr_assert_eq(parse_bytes(text, sizeof(text) - 1, &v), 0);
	for (unsigned i = 0; (one = json_element(v, i)); i++)
		cr_assert(!json_uint(one, UINT64_MAX, &n), "element %u", i);
	json_free(v);
	cr_assert_eq(parse_bytes("33", 2, &v), 0);
	cr_assert(!json_uint(v, 32, &n));
	cr_assert_eq(n, 7, "touched");
	json_free(v);
}

Test(json, refuses_control_characters_in_strings)
{
	expect_refused("\"a\nb\"", "a string holds a control character");
	expect_refused("\"a\tb\"", "a string holds a control character");
	expect_refused("\"\x1f\"", "a string holds a control character");
	expect_refused("{\"a\n\":1}", "a string holds a control character");
	expect_taken("\"\x7f\"");
}

Test(json, refuses_nul_bytes_everywhere)
{
	static const char texts[][6] = { "\"a\0b\"", "{\0}", "\0", "1\0", "[1,\0]",
		"{}\0", "\"\\\0\"", "\"\\u\0" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct json *v = NULL;

		cr_expect_eq(parse_bytes(texts[i], 5, &v), -EINVAL, "%zu", i);
		cr_expect_null(v);
	}
	expect_refused("\"a\\u0000b\"", "a string holds a NUL");
	expect_refused("{\"a\\u0000b\":1}", "a string holds a NUL");
}

Test(json, refuses_unknown_and_broken_escapes)
{
	expect_taken("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uABcd\"");
	expect_refused("\"\\x41\"", "unknown escape");
	expect_refused("\"\\a\"", "unknown escape");
	expect_refused("\"\\", "unknown escape");
	expect_refused("\"\\u12\"", "broken \\u escape");
	expect_refused("\"\\u12g4\"", "broken \\u escape");
	expect_refused("\"\\u-123\"", "broken \\u escape");
	expect_refused("\"\\u", "broken \\u escape");
	expect_refused("\"abc", "a string has no end");
}

Test(json, refuses_half_of_a_surrogate_pair)
{
	static const char *const bad[] = { "\"\\ud800\"", "\"\\udfff\"", "\"\\ud800x\"",
		"\"\\ud800\\n\"", "\"\\ud800\\ud800\"", "\"\\udc00\\udc00\"",
		"\"\\udc00\\ud800\"", "\"\\udbff\\ue000\"", "\"\\ud800" };

	expect_taken("\"\\ud83d\\ude00\"");
	expect_taken("\"\\ud800\\udc00\\udbff\\udfff\\ud7ff\\ue000\"");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(bad[i], "half of a surrogate pair");
	expect_refused("\"\\ud800\\u12\"", "broken \\u escape");
}

Test(json, takes_utf8_of_every_length)
{
	expect_taken(
		"\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"");
	expect_taken("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
	expect_taken("{\"gr\xc3\xbc\xc3\x9f\":1}");
}

Test(json, refuses_broken_utf8)
{
	static const char *const bad[] = { "\"\x80\"", "\"\xbf\"", "\"\xc3\"",
		"\"\xc3\xc3\"", "\"\xc3(\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"",
		"\"\xff\"", "\"\xfe\"", "\"\xf8\x88\x80\x80\x80\"", "\"\xc3",
		"\"\xf0\x9f",
		/* overlong, a surrogate, over the end */
		"\"\xc0\x80\"", "\"\xc1\xbf\"", "\"\xe0\x9f\xbf\"",
		"\"\xf0\x8f\xbf\xbf\"", "\"\xed\xa0\x80\"", "\"\xed\xbf\xbf\"",
		"\"\xf4\x90\x80\x80\"", "\"\xf7\xbf\xbf\xbf\"" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(bad[i], "a string is not UTF-8");
}

static int parse_nested(unsigned depth, const char *open, const char *close)
{
	static char text[1 << 16];
	size_t n = 0;

	for (unsigned i = 0; i < depth; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", open);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "0");
	for (unsigned i = 0; close && i < depth; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", close);
	return parse(text);
}

Test(json, takes_32_levels_and_refuses_33)
{
	cr_expect_eq(parse_nested(JSON_DEPTH_MAX, "[", "]"), 0);
	cr_expect_eq(parse_nested(JSON_DEPTH_MAX, "{\"a\":", "}"), 0);
	cr_expect_eq(parse_nested(JSON_DEPTH_MAX / 2, "[{\"a\":", "}]"), 0);
	cr_expect_eq(parse_nested(JSON_DEPTH_MAX + 1, "[", "]"), -EINVAL);
	cr_expect(strstr(e.text, "column 33: brackets are nested too deep"), "%s",
		e.text);
	cr_expect_eq(parse_nested(JSON_DEPTH_MAX + 1, "{\"a\":", "}"), -EINVAL);
	cr_expect_eq(parse_nested(60000, "[", NULL), -EINVAL);
	cr_expect_eq(parse_nested(10000, "{\"a\":", NULL), -EINVAL);
}

Test(json, matches_brackets_by_kind_at_every_level)
{
	expect_refused(
		"[{\"a\":[{\"b\":[1]]}]}]", "column 16: ',' or the closing bracket");
	expect_taken("[{\"a\":[{\"b\":[1]}]}]");
}

Test(json, refuses_a_member_given_twice)
{
	expect_refused("{\"a\":1,\"a\":1}", "member 'a' is given twice");
	expect_refused("{\"a\":1,\"b\":2,\"\\u0061\":3}", "member 'a' is given twice");
	expect_refused(
		"[1,{\"x\":{\"b\":1,\"c\":2,\"b\":1}}]", "member 'b' is given twice");
	expect_refused("{\"\":1,\"\":1}", "given twice");
	expect_taken("{\"a\":1,\"A\":1,\"aa\":{\"a\":1}}");
}

Test(json, finds_a_twin_among_very_many_members)
{
	enum { N = 20000 };
	char *text = malloc(N * 16);
	size_t n = 0;

	cr_assert_not_null(text);
	for (unsigned i = 0; i < N; i++)
		n += (size_t)sprintf(text + n, "%s\"m%u\":0", i == 0 ? "{" : ",", i);
	(void)sprintf(text + n, "}");
	cr_expect_eq(parse(text), 0);
	(void)sprintf(text + n, ",\"m7\":0}");
	cr_expect_eq(parse(text), -EINVAL);
	cr_expect(strstr(e.text, "'m7'"), "%s", e.text);
	free(text);
}

Test(json, says_line_and_column_of_the_error)
{
	expect_refused("x", "line 1 column 1: ");
	expect_refused("{\n\t\"a\": 1,\n\t\"b\": x\n}", "line 3 column 7: ");
	expect_refused("{\n}\n\n  {", "line 4 column 3: text follows");
	expect_refused("[1,\n-x]", "line 2 column 2: a number has no digits");
}

Test(json, walks_a_document)
{
	static const char text[] = "{\"a\":[1,{},null],\"b\":null,\"c\":3}";
	struct json *v;
	const struct json *a;

	cr_assert_eq(parse_bytes(text, sizeof(text) - 1, &v), 0);
	a = json_find(v, "a");
	cr_assert(json_is_object(v) && !json_is_array(v) && !json_is_null(v));
	cr_assert(json_is_array(a) && !json_is_object(a));
	cr_assert(json_is_null(json_find(v, "b")));
	cr_assert_null(json_find(v, "A"));
	cr_assert_null(json_find(v, ""));
	cr_assert_null(json_find(a, "a"), "no member of an array");
	cr_assert_null(json_find(json_find(v, "c"), "a"), "nor of a number");
	cr_assert(json_is_object(json_element(a, 1)));
	cr_assert(json_is_null(json_element(a, 2)));
	cr_assert_null(json_element(a, 3));
	cr_assert_null(json_element(a, UINT32_MAX));
	json_free(v);
	json_free(NULL);
}
