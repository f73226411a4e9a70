/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The index of an option's row, or n when there is none. */
static size_t find(const struct arg *table, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && strcmp(table[i].name, name) != 0)
		i++;
	return i;
}

static bool has_word(int argc, char **argv, const char *word)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], word) == 0)
			return true;
	return false;
}

int args_parse(
	int argc, char **argv, struct arg *table, size_t n, int *rest, struct err *e)
{
	int i = 1;

	if (has_word(argc, argv, "--help") || has_word(argc, argv, "-h"))
		return ARGS_HELP;
	if (has_word(argc, argv, "--version"))
		return ARGS_VERSION;
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t row = find(table, n, argv[i]);
		struct arg *a = &table[row];

		if (row == n)
			return err_bad(e, "unknown argument '%s'", argv[i]);
		if (a->value && !a->repeats)
			return err_bad(e, "argument '%s' is given twice", argv[i]);
		if (!a->value_name) {
			a->value = a->name;
			continue;
		}
		if (i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0)
			return err_bad(e, "argument '%s' needs a value", argv[i]);
		i++;
		if (!a->value)
			a->value = argv[i];
	}
	*rest = MIN(i + 1, argc);
	return ARGS_RUN;
}

const char *args_value(const struct arg *table, size_t n, const char *name)
{
	size_t row = find(table, n, name);

	return row < n ? table[row].value : NULL;
}

const char *args_next(int argc, char **argv, const struct arg *table, size_t n,
	const char *name, int *at)
{
	while (*at < argc && strcmp(argv[*at], "--") != 0) {
		const char *word = argv[(*at)++];
		size_t row = find(table, n, word);

		if (row == n || !table[row].value_name)
			continue;
		(*at)++;
		if (strcmp(word, name) == 0)
			return argv[*at - 1];
	}
	return NULL;
}

bool args_read_u64(const char *text, uint64_t *out)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
		return false;
	*out = v;
	return true;
}

int args_u64(const struct arg *table, size_t n, const char *name, uint64_t fallback,
	uint64_t *out, struct err *e)
{
	const char *text = args_value(table, n, name);
	uint64_t v = fallback;

	if (text && !args_read_u64(text, &v))
		return err_bad(e, "argument '%s': '%s' is not a number", name, text);
	*out = v;
	return 0;
}

void args_print_help(const struct arg *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "%s%s%s%s", table[i].name,
			table[i].value_name ? " <" : "",
			table[i].value_name ? table[i].value_name : "",
			table[i].value_name ? ">" : "");
		printf("  %-36s %s\n", left, table[i].help);
	}
}
