/* SPDX-License-Identifier: Apache-2.0
 *
 * json: see the header. A struct json is a cJSON by another name, so that no other file
 * can do with one what this file does not offer.
 */
#include "api/json.h"

#include <assert.h>
#include <cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_scan.h"

static const cJSON *item(const struct json *v)
{
	return (const cJSON *)(const void *)v;
}

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
	return cJSON_IsObject(item(v));
}

bool json_is_array(const struct json *v)
{
	return cJSON_IsArray(item(v));
}

bool json_is_null(const struct json *v)
{
	return cJSON_IsNull(item(v));
}

const struct json *json_find(const struct json *object, const char *name)
{
	return (const void *)cJSON_GetObjectItemCaseSensitive(item(object), name);
}

const struct json *json_element(const struct json *array, unsigned i)
{
	return (const void *)cJSON_GetArrayItem(item(array), (int)i);
}

static int read_uint(const cJSON *v, const struct field *f, const char *what, void *to,
	struct err *e)
{
	uint64_t n;

	/* -0 is negative too; 2^64 and what rounds to it do not fit */
	if (!cJSON_IsNumber(v) || signbit(v->valuedouble) ||
		v->valuedouble >= 18446744073709551616.0)
		return err_bad(
			e, "%s: member '%s' is not an unsigned integer", what, f->name);
	n = (uint64_t)v->valuedouble;
	if (n < f->min || n > f->max)
		return err_bad(e, "%s: member '%s' is %llu, not in %llu to %llu", what,
			f->name, (unsigned long long)n, (unsigned long long)f->min,
			(unsigned long long)f->max);
	if (f->size == sizeof(uint32_t))
		*(uint32_t *)to = (uint32_t)n;
	else
		*(uint64_t *)to = n;
	return 0;
}

static int read_enum(const cJSON *v, const struct field *f, const char *what, void *to,
	struct err *e)
{
	if (!cJSON_IsString(v))
		return err_bad(e, "%s: member '%s' is not a string", what, f->name);
	for (uint32_t i = 0; f->names[i]; i++) {
		if (strcmp(f->names[i], v->valuestring) == 0) {
			*(uint32_t *)to = i;
			return 0;
		}
	}
	return err_bad(
		e, "%s: member '%s' cannot be '%.80s'", what, f->name, v->valuestring);
}

static int read_string(const cJSON *v, const struct field *f, const char *what,
	void *to, struct err *e)
{
	char *copy;

	if (!cJSON_IsString(v))
		return err_bad(e, "%s: member '%s' is not a string", what, f->name);
	copy = strdup(v->valuestring);
	if (!copy)
		return err_code(e, -ENOMEM, "%s: member '%s'", what, f->name);
	*(char **)to = copy;
	return 0;
}

static int read_field(const cJSON *v, const struct field *f, const char *what, void *to,
	struct err *e)
{
	if (cJSON_IsNull(v) && f->nullable)
		return 0;
	switch (f->type) {
	case FIELD_STRING:
		return read_string(v, f, what, to, e);
	case FIELD_BOOL:
		if (!cJSON_IsBool(v))
			return err_bad(e, "%s: member '%s' is not true or false", what,
				f->name);
		*(bool *)to = cJSON_IsTrue(v);
		return 0;
	case FIELD_UINT:
		return read_uint(v, f, what, to, e);
	case FIELD_ENUM:
		return read_enum(v, f, what, to, e);
	case FIELD_ABSENT:
		return err_bad(e, "%s: member '%s' %s", what, f->name, f->reason);
	}
	return -EINVAL;
}

static const struct field *find_field(const struct fields *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->field[i].name, name) == 0)
			return &t->field[i];
	return NULL;
}

enum { STRUCT_MAX = 256, FIELDS_MAX = 64 };

/* Reads all members into made; bit i of *seen: field i was there and not null. */
static int read_members(const cJSON *object, const struct fields *t, uint8_t *made,
	uint64_t *seen, struct err *e)
{
	for (const cJSON *v = object->child; v; v = v->next) {
		const struct field *f = find_field(t, v->string);
		int r;

		if (!f)
			return err_bad(
				e, "%s: unknown member '%.80s'", t->what, v->string);
		r = read_field(v, f, t->what, made + f->offset, e);
		if (r < 0)
			return r;
		if (!cJSON_IsNull(v))
			*seen |= 1ull << (f - t->field);
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->field[i].required && !(*seen >> i & 1))
			return err_bad(e, "%s: member '%s' is missing", t->what,
				t->field[i].name);
	return 0;
}

int json_read(
	const struct json *value, const struct fields *t, void *out, struct err *e)
{
	const cJSON *object = item(value);
	_Alignas(max_align_t) uint8_t made[STRUCT_MAX];
	uint64_t seen = 0;
	size_t bytes = 0;
	int r;

	assert(t->n <= FIELDS_MAX);
	for (size_t i = 0; i < t->n; i++)
		bytes = MAX(bytes, t->field[i].offset + t->field[i].size);
	assert(bytes <= sizeof(made));
	if (!cJSON_IsObject(object))
		return err_bad(e, "%s: not an object", t->what);
	memcpy(made, out, bytes);
	r = read_members(object, t, made, &seen, e);
	if (r == 0) {
		memcpy(out, made, bytes);
		return 0;
	}
	for (size_t i = 0; i < t->n; i++) /* copies that nobody gets */
		if (t->field[i].type == FIELD_STRING && (seen >> i & 1))
			free(*(char **)(void *)(made + t->field[i].offset));
	return r;
}
