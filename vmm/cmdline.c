/* SPDX-License-Identifier: Apache-2.0
 *
 * cmdline: see the header. Words are told apart as the kernel does it (lib/cmdline.c,
 * next_arg): by spaces outside double quotes.
 */
#include "vmm/cmdline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The word at or after `at`: true and [*start, *end) set, false at the end of text. */
static bool next_word(const char *text, size_t at, size_t *start, size_t *end)
{
	bool quoted = false;

	while (text[at] == ' ')
		at++;
	*start = at;
	for (; text[at] != '\0' && (quoted || text[at] != ' '); at++)
		quoted ^= text[at] == '"';
	*end = at;
	return *end > *start;
}

static bool is_separator(const char *text, size_t start, size_t end)
{
	return end - start == 2 && memcmp(text + start, "--", 2) == 0;
}

/* Names the first character that is not printable ASCII. */
static int check_printable(const char *text, const char *what, struct err *e)
{
	for (size_t i = 0; text[i] != '\0'; i++)
		if (text[i] < ' ' || text[i] > '~')
			return err_bad(e,
				"%s: character %zu (0x%02x) is not printable "
				"ASCII",
				what, i, (unsigned char)text[i]);
	return 0;
}

int cmdline_init(struct cmdline *c, const char *args, struct err *e)
{
	size_t n = strnlen(args, X86_CMDLINE_MAX);
	size_t at = 0, start, end;
	int r;

	if (n >= X86_CMDLINE_MAX)
		return err_bad(e, "boot arguments are longer than %d characters",
			X86_CMDLINE_MAX - 1);
	r = check_printable(args, "boot arguments", e);
	if (r < 0)
		return r;
	memcpy(c->text, args, n + 1);
	c->len = n;
	c->insert = 0;
	while (next_word(c->text, at, &start, &end) &&
		!is_separator(c->text, start, end))
		c->insert = at = end;
	return 0;
}

int cmdline_add(struct cmdline *c, struct err *e, const char *fmt, ...)
{
	char word[X86_CMDLINE_MAX], *to = c->text + c->insert;
	bool before = c->insert > 0, after = *to != '\0' && *to != ' ';
	size_t start, end, n;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	n = (size_t)r + before + after;
	if (r < 0 || n >= X86_CMDLINE_MAX - c->len)
		return err_bad(e,
			"command line: '%.80s' does not fit into %d characters", word,
			X86_CMDLINE_MAX - 1);
	r = check_printable(word, "command line", e);
	if (r < 0)
		return r;
	if (!next_word(word, 0, &start, &end) || start > 0 || word[end] != '\0')
		return err_bad(e, "command line: '%.80s' is not one word", word);

	memmove(to + n, to, c->len - c->insert + 1);
	c->len += n;
	if (before)
		*to++ = ' ';
	memcpy(to, word, end);
	to += end;
	c->insert = (size_t)(to - c->text);
	if (after)
		*to = ' ';
	return 0;
}

bool cmdline_has(const struct cmdline *c, const char *word)
{
	size_t n = strlen(word), at = 0, start, end;
	bool is_prefix = n > 0 && (word[n - 1] == '=' || word[n - 1] == ',');

	while (next_word(c->text, at, &start, &end) &&
		!is_separator(c->text, start, end)) {
		if (end - start >= n && memcmp(c->text + start, word, n) == 0 &&
			(is_prefix || end - start == n))
			return true;
		at = end;
	}
	return false;
}
