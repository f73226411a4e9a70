/* SPDX-License-Identifier: Apache-2.0
 *
 * json_scan: one pass without recursion. A stack of bits says for each open bracket
 * whether it is an object or an array.
 */
#include "vmm/codec/json_scan.h"

#include <string.h>

#include "vmm/base/utf8.h"

struct scan {
	const char *text, *at, *end;
	const char *why; /* the first reason to refuse the text */
};

static bool refuse(struct scan *s, const char *why)
{
	if (!s->why)
		s->why = why;
	return false;
}

static int peek(const struct scan *s)
{
	return s->at < s->end ? (unsigned char)*s->at : -1;
}

static bool take(struct scan *s, char c)
{
	if (peek(s) != c)
		return false;
	s->at++;
	return true;
}

static void skip_space(struct scan *s)
{
	while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at != '\0')
		s->at++;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool scan_digits(struct scan *s)
{
	if (!is_digit(peek(s)))
		return refuse(s, "a number has no digits");
	while (is_digit(peek(s)))
		s->at++;
	return true;
}

static bool scan_number(struct scan *s)
{
	(void)take(s, '-');
	if (take(s, '0')) {
		if (is_digit(peek(s)))
			return refuse(s, "a number starts with 0");
	} else if (!scan_digits(s)) {
		return false;
	}
	if (take(s, '.') && !scan_digits(s))
		return false;
	if (!take(s, 'e') && !take(s, 'E'))
		return true;
	if (!take(s, '-'))
		(void)take(s, '+');
	return scan_digits(s);
}

static bool scan_utf8(struct scan *s)
{
	uint32_t c;
	size_t n = utf8_read(s->at, s->end, &c);

	s->at += n;
	return n > 0 || refuse(s, "a string is not UTF-8");
}

/* The four digits of a \u escape. */
static bool scan_hex(struct scan *s, unsigned *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++, s->at++) {
		int digit = hex_digit((char)peek(s)); /* -1 at the end: no digit */

		if (digit < 0)
			return refuse(s, "a string has a broken \\u escape");
		*out = *out << 4 | (unsigned)digit;
	}
	return true;
}

/* After "\u": a character, or the two escapes of a surrogate pair. */
static bool scan_unicode(struct scan *s)
{
	unsigned c, low;

	if (!scan_hex(s, &c))
		return false;
	if (c == 0)
		return refuse(s, "a string holds a NUL");
	if (c < 0xd800 || c > 0xdfff)
		return true;
	if (c > 0xdbff || !take(s, '\\') || !take(s, 'u'))
		return refuse(s, "a string has half of a surrogate pair");
	if (!scan_hex(s, &low))
		return false;
	return (low >= 0xdc00 && low <= 0xdfff) ||
		refuse(s, "a string has half of a surrogate pair");
}

static bool scan_escape(struct scan *s)
{
	int c = peek(s);

	if (c <= 0 || !strchr("\"\\/bfnrtu", c))
		return refuse(s, "a string has an unknown escape");
	s->at++;
	return c != 'u' || scan_unicode(s);
}

static bool scan_string(struct scan *s)
{
	if (!take(s, '"'))
		return refuse(s, "a string is expected");
	for (;;) {
		int c = peek(s);

		if (c < 0)
			return refuse(s, "a string has no end");
		if (c < ' ')
			return refuse(s, "a string holds a control character");
		if (c >= 0x80) {
			if (!scan_utf8(s))
				return false;
			continue;
		}
		s->at++;
		if (c == '"')
			return true;
		if (c == '\\' && !scan_escape(s))
			return false;
	}
}

static bool scan_word(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(s->end - s->at) >= n && memcmp(s->at, words[i], n) == 0) {
			s->at += n;
			return true;
		}
	}
	return refuse(
		s, s->at < s->end ? "a value is expected" : "the text ends early");
}

static bool scan_scalar(struct scan *s)
{
	int c = peek(s);

	if (c == '"')
		return scan_string(s);
	if (c == '-' || is_digit(c))
		return scan_number(s);
	return scan_word(s);
}

static bool scan_key(struct scan *s)
{
	skip_space(s);
	if (!scan_string(s))
		return false;
	skip_space(s);
	return take(s, ':') || refuse(s, "':' is expected");
}

/* The brackets that are open: bit i set for an object. */
struct nest {
	uint64_t is_object;
	unsigned depth, max;
};

static bool innermost_is_object(const struct nest *n)
{
	return n->depth > 0 && (n->is_object >> (n->depth - 1) & 1);
}

/* After a value: takes the brackets that close, and then a comma. *more: there was a
 * comma, so that another value has to follow. */
static bool scan_after(struct scan *s, struct nest *n, bool *more)
{
	for (*more = false; n->depth > 0; n->depth--) {
		skip_space(s);
		if (take(s, ',')) {
			*more = true;
			return !innermost_is_object(n) || scan_key(s);
		}
		if (!take(s, innermost_is_object(n) ? '}' : ']'))
			return refuse(s, "',' or the closing bracket is expected");
	}
	return true;
}

/* Takes an opening bracket. *empty: it is closed at once, and so was a whole value. */
static bool scan_open(struct scan *s, struct nest *n, bool *empty)
{
	const char *bracket = s->at++;
	bool object = *bracket == '{';

	skip_space(s);
	*empty = take(s, object ? '}' : ']');
	if (*empty)
		return true;
	if (n->depth == n->max) {
		s->at = bracket;
		return refuse(s, "brackets are nested too deep");
	}
	n->is_object &= ~(1ull << n->depth);
	n->is_object |= (uint64_t)object << n->depth;
	n->depth++;
	return !object || scan_key(s);
}

static bool scan_document(struct scan *s, unsigned depth_max)
{
	struct nest n = { .max = MIN(depth_max, 64u) };
	bool more = true, empty;

	while (more) {
		skip_space(s);
		if (peek(s) == '{' || peek(s) == '[') {
			if (!scan_open(s, &n, &empty))
				return false;
			if (!empty)
				continue;
		} else if (!scan_scalar(s)) {
			return false;
		}
		if (!scan_after(s, &n, &more))
			return false;
	}
	skip_space(s);
	return s->at == s->end || refuse(s, "text follows the value");
}

int json_scan(const char *text, size_t n, unsigned depth_max, struct err *e)
{
	struct scan s = { .text = text, .at = text, .end = text + n };
	unsigned line = 1, column = 1;

	if (scan_document(&s, depth_max))
		return 0;
	for (const char *p = text; p < s.at && p < s.end; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	return err_bad(e, "line %u column %u: %s", line, column, s.why);
}
