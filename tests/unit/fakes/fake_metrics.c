/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_metrics.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	while (isprint((unsigned char)*at) && *at != '"' && *at != '\\')
		at++;
	return *at == '"' ? at + 1 : NULL;
}

static const char *skip_value(const char *at)
{
	if (*at == '{')
		return metrics_skip_object(at);
	if (*at == '"')
		return skip_string(at);
	if (!isdigit((unsigned char)*at) ||
		(*at == '0' && isdigit((unsigned char)at[1])))
		return NULL;
	while (isdigit((unsigned char)*at))
		at++;
	return at;
}

const char *metrics_skip_object(const char *at)
{
	if (*at != '{')
		return NULL;
	do {
		at = skip_string(at + 1);
		if (!at || *at != ':')
			return NULL;
		at = skip_value(at + 1);
	} while (at && *at == ',');
	return at && *at == '}' ? at + 1 : NULL;
}

/* The value of a member of the object at `at`, or NULL. */
static const char *member(const char *at, const char *key, size_t n)
{
	while (*at == '{' || *at == ',') {
		const char *name = at + 2;

		at = skip_string(at + 1) + 1;
		if (strncmp(name, key, n) == 0 && name[n] == '"')
			return at;
		at = skip_value(at);
	}
	return NULL;
}

static const char *find(const char *line, const char *path)
{
	cr_assert_not_null(metrics_skip_object(line), "%s", line);
	while (line) {
		size_t n = strcspn(path, ".");

		line = member(line, path, n);
		if (path[n] == '\0')
			return line;
		path += n + 1;
	}
	return NULL;
}

bool metrics_has(const char *line, const char *path)
{
	return find(line, path) != NULL;
}

uint64_t metrics_get(const char *line, const char *path)
{
	const char *at = find(line, path);

	cr_assert_not_null(at, "%s is not in %s", path, line);
	cr_assert(isdigit((unsigned char)*at), "%s is no number", path);
	return strtoull(at, NULL, 10);
}
