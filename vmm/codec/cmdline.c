/* SPDX-License-Identifier: Apache-2.0
 *
 * cmdline: see the header. The line is split into words as the kernel does it
 * (lib/cmdline.c, next_arg): at spaces outside double quotes.
 */
#include "vmm/codec/cmdline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Finds the word at or after `at` and sets [*start, *end). False at the end of text. */
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

/* Splits a word as next_arg does: the name ends at the first '=' that is not the first
 * character, and quotes around the word or the value are dropped. */
static struct cmdline_arg parse_word(const char *word, size_t n)
{
	struct cmdline_arg a = { .name = word, .name_len = n };
	bool quoted = word[0] == '"', value_quoted;
	const char *equals;

	if (quoted) {
		a.name++;
		a.name_len -= n > 1 && word[n - 1] == '"' ? 2 : 1;
	}
	equals = a.name_len > 1 ? memchr(a.name + 1, '=', a.name_len - 1) : NULL;
	if (!equals)
		return a;
	a.value = equals + 1;
	a.value_len = a.name_len - (size_t)(a.value - a.name);
	a.name_len = (size_t)(equals - a.name);
	value_quoted = a.value_len > 0 && a.value[0] == '"';
	if (value_quoted) {
		a.value++;
		a.value_len--;
		if (a.value_len > 0 && a.value[a.value_len - 1] == '"')
			a.value_len--;
	}
	return a;
}

static bool is_separator(const struct cmdline_arg *a)
{
	return !a->value && a->name_len == 2 && memcmp(a->name, "--", 2) == 0;
}

bool cmdline_next(const struct cmdline *c, size_t *at, struct cmdline_arg *out)
{
	size_t start, end;

	if (!next_word(c->text, *at, &start, &end))
		return false;
	*out = parse_word(c->text + start, end - start);
	if (is_separator(out))
		return false;
	*at = end;
	return true;
}

static char as_dash(char c)
{
	return c == '_' ? '-' : c;
}

bool cmdline_arg_is(const struct cmdline_arg *a, const char *name)
{
	size_t i = 0;

	while (i < a->name_len && name[i] != '\0' &&
		as_dash(a->name[i]) == as_dash(name[i]))
		i++;
	return i == a->name_len && name[i] == '\0';
}

bool cmdline_value_is(const struct cmdline_arg *a, const char *value)
{
	return a->value && a->value_len == strlen(value) &&
		memcmp(a->value, value, a->value_len) == 0;
}

/* Refuses text with a character that is not printable ASCII. what: its name. */
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
	size_t n = strnlen(args, CMDLINE_BYTES);
	struct cmdline_arg arg;
	size_t at = 0;
	int r;

	if (n >= CMDLINE_BYTES)
		return err_bad(e, "boot arguments are longer than %d characters",
			CMDLINE_BYTES - 1);
	r = check_printable(args, "boot arguments", e);
	if (r < 0)
		return r;
	memcpy(c->text, args, n + 1);
	c->len = n;
	c->insert = 0;
	while (cmdline_next(c, &at, &arg))
		c->insert = at;
	return 0;
}

int cmdline_add(struct cmdline *c, struct err *e, const char *fmt, ...)
{
	char word[CMDLINE_BYTES], *to = c->text + c->insert;
	bool before = c->insert > 0, after = *to != '\0' && *to != ' ';
	size_t start, end, n;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	n = (size_t)r + before + after;
	if (r < 0 || n >= CMDLINE_BYTES - c->len)
		return err_bad(e,
			"command line: '%.80s' does not fit into %d characters", word,
			CMDLINE_BYTES - 1);
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
