/* SPDX-License-Identifier: Apache-2.0
 *
 * json: see the header. A struct json is a cJSON under another name, so that other
 * rooms can only use it through these functions.
 */
#include "vmm/codec/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/codec/json_internal.h"
#include "vmm/codec/json_scan.h"

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Refuses an object that names a member twice, at any depth. Sorts the names, because a
 * hostile client may send many. */
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

/* The part of a text, which json_scan has accepted, whose numbers are not copied yet.
 */
struct rest {
	const char *at, *end;
};

static bool is_of_number(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' ||
		c == 'E';
}

/* Moves to the next number, of which the caller knows, and returns its length. */
static size_t find_number(struct rest *t)
{
	const char *p = t->at;

	for (; *p != '-' && (*p < '0' || *p > '9'); p++) {
		if (*p != '"')
			continue;
		for (p++; *p != '"'; p++)
			p += *p == '\\'; /* and what it escapes */
	}
	t->at = p;
	while (p < t->end && is_of_number(*p))
		p++;
	return (size_t)(p - t->at);
}

/* Copies the digits of each number into its valuestring, because cJSON's double has 53
 * bits only. cJSON does not use that member of a number, but frees it. v: the value
 * with which t begins, and those after it. */
static bool keep_numbers(cJSON *v, struct rest *t)
{
	bool ok = true;

	for (; ok && v; v = v->next) {
		if (cJSON_IsNumber(v)) {
			size_t n = find_number(t);

			v->valuestring = strndup(t->at, n);
			ok = v->valuestring != NULL;
			t->at += n;
		} else {
			ok = keep_numbers(v->child, t);
		}
	}
	return ok;
}

int json_parse(const char *text, size_t n, struct json **out, struct err *e)
{
	struct rest all = { text, text + n };
	int r = json_scan(text, n, JSON_DEPTH_MAX, e);
	cJSON *v;

	if (r < 0)
		return r;
	v = cJSON_ParseWithLength(text, n);
	if (!v || !keep_numbers(v, &all))
		r = err_code(e, -ENOMEM, "JSON of %zu bytes", n);
	if (r == 0)
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
	const char *digit = json_item(v)->valuestring;
	uint64_t n = 0;

	if (!cJSON_IsNumber(json_item(v)))
		return false;
	for (; *digit != '\0'; digit++) /* a sign, a point or an exponent is no digit */
		if (*digit < '0' || *digit > '9' || !mul_ok(n, 10, &n) ||
			!add_ok(n, *digit - '0', &n))
			return false;
	if (n > max)
		return false;
	*out = n;
	return true;
}
