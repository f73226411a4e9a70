/* SPDX-License-Identifier: Apache-2.0
 *
 * json: see the header. A struct json is a cJSON by another name, so that no other file
 * can do with one what this file does not offer.
 */
#include "api/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_parts.h"
#include "api/json_scan.h"

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Refuses an object, here or further in, that names a member twice. Sorts, since the
 * text may be a hostile client's. */
static int check_duplicates(const cJSON *v, struct err *e)
{
	int n = cJSON_IsObject(v) ? cJSON_GetArraySize(v) : 0, at = 0, r = 0;
	const char **names = n > 1 ? calloc((size_t)n, sizeof(*names)) : NULL;

	if (n > 1 && !names)
		return err_code(e, -ENOMEM, "an object of %d members", n);
	for (const cJSON *c = v->child; r == 0 && c; c = c->next) {
		if (names)
			names[at++] = c->string;
		r = check_duplicates(c, e);
	}
	if (names)
		qsort(names, (size_t)at, sizeof(*names), compare_names);
	for (int i = 1; r == 0 && i < at; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			r = err_bad(e, "member '%.80s' is given twice", names[i]);
	free(names);
	return r;
}

int json_parse(const char *text, size_t n, struct json **out, struct err *e)
{
	int r = json_scan(text, n, JSON_DEPTH_MAX, e);
	cJSON *v;

	if (r < 0)
		return r;
	v = cJSON_ParseWithLength(text, n);
	if (!v)
		return err_bad(e, "not JSON, or no memory for it");
	r = check_duplicates(v, e);
	if (r < 0)
		cJSON_Delete(v);
	else
		*out = (struct json *)(void *)v;
	return r;
}

void json_free(struct json *v)
{
	cJSON_Delete((cJSON *)(void *)v);
}

bool json_is_object(const struct json *v)
{
	return cJSON_IsObject(json_item(v));
}

bool json_is_array(const struct json *v)
{
	return cJSON_IsArray(json_item(v));
}

bool json_is_null(const struct json *v)
{
	return cJSON_IsNull(json_item(v));
}

const struct json *json_find(const struct json *object, const char *name)
{
	return (const void *)cJSON_GetObjectItemCaseSensitive(json_item(object), name);
}

const struct json *json_element(const struct json *container, unsigned i)
{
	return (const void *)cJSON_GetArrayItem(json_item(container), (int)i);
}

const struct json *json_next(const struct json *v)
{
	return (const void *)json_item(v)->next;
}

const char *json_string(const struct json *v)
{
	return cJSON_GetStringValue(json_item(v));
}

const char *json_name(const struct json *member)
{
	return json_item(member)->string;
}

bool json_uint(const struct json *v, uint64_t max, uint64_t *out)
{
	double n = json_item(v)->valuedouble;

	/* -0 is negative too; 2^64 and what rounds to it do not fit */
	if (!cJSON_IsNumber(json_item(v)) || signbit(n) ||
		n >= 18446744073709551616.0 || (uint64_t)n > max)
		return false;
	*out = (uint64_t)n;
	return true;
}
