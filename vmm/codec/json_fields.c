/* SPDX-License-Identifier: Apache-2.0
 *
 * json_fields: copies objects into structs, and back, by tables of fields; see json.h.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/utf8.h"
#include "vmm/codec/json_internal.h"

static int read_uint(const cJSON *v, const struct field *f, const char *what, void *to,
	struct err *e)
{
	uint64_t n;

	if (!json_uint((const void *)v, UINT64_MAX, &n))
		return err_bad(
			e, "%s: member '%s' is not an unsigned integer", what, f->name);
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

static int read_text(const cJSON *v, const struct field *f, const char *what, void *to,
	struct err *e)
{
	if (!cJSON_IsString(v))
		return err_bad(e, "%s: member '%s' is not a string", what, f->name);
	if (!f->parse(v->valuestring, to))
		return err_bad(e, "%s: member '%s': '%.40s' is not %s", what, f->name,
			v->valuestring, f->reason);
	return 0;
}

static int read_object(const cJSON *object, const struct fields *t, uint8_t *to,
	bool patch, struct err *e);

static int read_field(const cJSON *v, const struct field *f, const char *what, void *to,
	struct err *e)
{
	switch (f->type) {
	case FIELD_STRING:
		return read_string(v, f, what, to, e);
	case FIELD_TEXT:
		return read_text(v, f, what, to, e);
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
	case FIELD_OBJECT:
		return read_object(v, f->fields, to, false, e);
	case FIELD_JSON:
		*(const void **)to = v;
		return 0;
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

enum { STRUCT_MAX = 512, FIELDS_MAX = 64 };

/* Copies the members into the struct at to. patch: no member is required. */
static int read_object(const cJSON *object, const struct fields *t, uint8_t *to,
	bool patch, struct err *e)
{
	uint64_t seen = 0; /* bit i: field i was there and not null */

	if (!cJSON_IsObject(object))
		return err_bad(e, "%s: not an object", t->what);
	for (const cJSON *v = object->child; v; v = v->next) {
		const struct field *f = find_field(t, v->string);
		int r;

		if (!f && t->lax)
			continue;
		if (!f)
			return err_bad(
				e, "%s: unknown member '%.80s'", t->what, v->string);
		if (cJSON_IsNull(v) && (f->nullable || patch))
			continue;
		r = read_field(v, f, t->what, to + f->offset, e);
		if (r < 0)
			return r;
		seen |= 1ull << (f - t->field);
		if (f->given)
			*(bool *)(to + f->given - 1) = true;
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->field[i].required && !patch && !(seen >> i & 1))
			return err_bad(e, "%s: member '%s' is missing", t->what,
				t->field[i].name);
	return 0;
}

/* How many bytes of the struct the table reaches. */
static size_t reach(const struct fields *t)
{
	size_t bytes = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->field[i];

		bytes = MAX(bytes, f->offset + f->size);
		if (f->given)
			bytes = MAX(bytes, f->given - 1 + sizeof(bool));
	}
	return bytes;
}

void fields_fini(const struct fields *t, void *from)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->field[i];
		void *member = (uint8_t *)from + f->offset;

		if (f->type == FIELD_STRING) {
			free(*(char **)member);
			*(char **)member = NULL;
		} else if (f->type == FIELD_OBJECT) {
			fields_fini(f->fields, member);
		}
	}
}

bool field_is_zero32(const void *member)
{
	return *(const uint32_t *)member == 0;
}

bool field_is_zero64(const void *member)
{
	return *(const uint64_t *)member == 0;
}

bool field_is_false(const void *member)
{
	return !*(const bool *)member;
}

static int read_into(const struct json *object, const struct fields *t, void *out,
	bool patch, struct err *e)
{
	_Alignas(max_align_t) uint8_t made[STRUCT_MAX];
	size_t bytes = reach(t);
	int r;

	assert(t->n <= FIELDS_MAX && bytes <= sizeof(made));
	memcpy(made, out, bytes);
	r = read_object(json_item(object), t, made, patch, e);
	if (r == 0)
		memcpy(out, made, bytes);
	else
		fields_fini(t, made); /* copies that nobody gets */
	return r;
}

int json_read(
	const struct json *object, const struct fields *t, void *out, struct err *e)
{
	return read_into(object, t, out, false, e);
}

int json_patch(
	const struct json *object, const struct fields *t, void *out, struct err *e)
{
	return read_into(object, t, out, true, e);
}

void json_write_string(FILE *f, const char *s)
{
	const char *end;

	if (!s) {
		(void)fputs("null", f);
		return;
	}
	(void)putc('"', f);
	for (end = s + strlen(s); s < end; s++) {
		uint32_t c = 0;
		size_t n = utf8_read(s, end, &c);

		if (n == 0) {
			(void)fputs("\\ufffd", f);
		} else if (n > 1) {
			(void)fwrite(s, 1, n, f);
			s += n - 1;
		} else if (c < ' ' || c == 0x7f) {
			(void)fprintf(f, "\\u%04x", c);
		} else if (c == '"' || c == '\\') {
			(void)fprintf(f, "\\%c", (int)c);
		} else {
			(void)putc((int)c, f);
		}
	}
	(void)putc('"', f);
}

static void write_field(FILE *out, const struct field *f, const void *from)
{
	switch (f->type) {
	case FIELD_STRING:
		json_write_string(out, *(char *const *)from);
		return;
	case FIELD_TEXT:
		(void)putc('"', out);
		f->print(out, from);
		(void)putc('"', out);
		return;
	case FIELD_BOOL:
		(void)fputs(*(const bool *)from ? "true" : "false", out);
		return;
	case FIELD_UINT:
		(void)fprintf(out, "%llu",
			f->size == sizeof(uint32_t)
				? *(const uint32_t *)from
				: (unsigned long long)*(const uint64_t *)from);
		return;
	case FIELD_ENUM:
		json_write_string(out, f->names[*(const uint32_t *)from]);
		return;
	case FIELD_OBJECT:
		json_write(out, f->fields, from);
		return;
	case FIELD_JSON:
	case FIELD_ABSENT:
		(void)fputs("null", out);
		return;
	}
}

void json_write(FILE *out, const struct fields *t, const void *from)
{
	const char *comma = "";

	(void)putc('{', out);
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->field[i];
		const void *member = (const uint8_t *)from + f->offset;
		bool null = f->is_null && f->is_null(member);

		if (null && f->omit_null)
			continue;
		(void)fprintf(out, "%s\"%s\":", comma, f->name);
		comma = ",";
		if (null)
			(void)fputs("null", out);
		else
			write_field(out, f, member);
	}
	(void)putc('}', out);
}
