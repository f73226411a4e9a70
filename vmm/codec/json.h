/* SPDX-License-Identifier: Apache-2.0
 *
 * json: strict JSON (contract, 2.5) and field tables that carry an object into a
 * struct. cJSON parses and is seen in json.c alone; what it lets pass (duplicate
 * members, broken numbers, text after the value) is refused here first, and its
 * numbers, which are doubles, are not used. No I/O, no state; any thread.
 */
#ifndef HUSK_CODEC_JSON_H
#define HUSK_CODEC_JSON_H

#include <stdio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct json; /* a value inside a parsed document */

enum { JSON_DEPTH_MAX = 32 };

/* Parses n bytes that hold one value. The caller owns *out. -EINVAL with text that
 * gives line and column, or the name of a member that is given twice. */
MUST_CHECK int json_parse(const char *text, size_t n, struct json **out, struct err *e);
void json_free(struct json *v);
DEFINE_AUTO(struct json *, json_free);

bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
bool json_is_null(const struct json *v);

/* The text of a string, borrowed, or NULL for another kind of value. */
const char *json_string(const struct json *v);
/* The name of a member of an object, borrowed. */
const char *json_name(const struct json *member);
/* True and *out set for an unsigned integer of at most max, written as digits only:
 * 1.0 and 1e3 are none. Exact. */
bool json_uint(const struct json *v, uint64_t max, uint64_t *out);

/* The member of an object, or NULL; the i-th member of an object or element
 * of an array, or NULL at its end. */
const struct json *json_find(const struct json *object, const char *name);
const struct json *json_element(const struct json *container, unsigned i);
/* The member or element after this one, or NULL: to walk many. */
const struct json *json_next(const struct json *v);

/* Writes a string as JSON, quoted and escaped; NULL as null. What is not UTF-8, such as
 * a text that was cut, becomes U+FFFD. */
void json_write_string(FILE *f, const char *s);

enum field_type {
	FIELD_STRING, /* char *: a copy, the struct's own: see fields_fini */
	FIELD_TEXT, /* a string that the row's own functions parse and print */
	FIELD_BOOL, /* bool */
	FIELD_UINT, /* uint32_t or uint64_t, in min to max */
	FIELD_ENUM, /* uint32_t: an index into names */
	FIELD_OBJECT, /* a struct, by a table of its own */
	FIELD_JSON, /* const struct json *: any value, borrowed from the document */
	FIELD_ABSENT, /* null or nothing; anything else is refused as reason says */
};

struct fields;

struct field {
	const char *name;
	enum field_type type;
	bool required, nullable; /* null counts as absent */
	size_t offset, size; /* of the struct's member */
	uint64_t min, max; /* FIELD_UINT */
	const char *const *names; /* FIELD_ENUM; ends with NULL */
	const struct fields *fields; /* FIELD_OBJECT */
	const char *reason; /* FIELD_ABSENT; FIELD_TEXT: what it has to be */
	/* FIELD_TEXT: false when the text is not one; the member is untouched then. */
	bool (*parse)(const char *text, void *member);
	void (*print)(FILE *f, const void *member); /* without quotes */
	/* 1 + offset of a bool that is set when the member is there and not null; 0:
	 * nobody wants to know. */
	size_t given;
	/* For json_write: whether the struct's member says null; then it is printed so,
	 * or not at all. */
	bool (*is_null)(const void *member);
	bool omit_null;
};

struct fields {
	const char *what; /* for messages: "drive" */
	const struct field *field;
	size_t n;
	bool lax; /* unknown members are ignored */
};

/* The table of rows, which refuses members that it does not know. */
#define FIELDS(what, rows)                         \
	{                                          \
		what, rows, ARRAY_LEN(rows), false \
	}
#define FIELD_GIVEN(st, member) .given = 1 + offsetof(st, member)
#define FIELD_AT(st, member) \
	.offset = offsetof(st, member), .size = sizeof(((st *)0)->member)

/* Carries an object's members into the struct at out, which holds the defaults: absent
 * members stay as they are; strings start as NULL. Unknown and missing ones, wrong
 * types, ranges and spellings are -EINVAL with text that names the member; then out is
 * untouched. */
MUST_CHECK int json_read(
	const struct json *object, const struct fields *t, void *out, struct err *e);

/* As json_read for a PATCH: no member is required, and null is as absent. */
MUST_CHECK int json_patch(
	const struct json *object, const struct fields *t, void *out, struct err *e);

/* Frees the strings of a struct that json_read or json_patch filled, and makes them
 * NULL.
 */
void fields_fini(const struct fields *t, void *from);

/* For struct field.is_null: of a uint32_t, a uint64_t, a bool. */
bool field_is_zero32(const void *member);
bool field_is_zero64(const void *member);
bool field_is_false(const void *member);

/* The way back: writes an object with every member of the table, but those that are
 * FIELD_ABSENT, which are null. */
void json_write(FILE *f, const struct fields *t, const void *from);

#endif
