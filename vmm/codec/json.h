/* SPDX-License-Identifier: Apache-2.0
 *
 * json: strict JSON (contract, 2.5), and tables of fields that copy an object into a
 * struct. cJSON parses; no other room sees it. What it would let pass (duplicate
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

/* Parses n bytes, which must be one value. The caller frees *out. -EINVAL with text
 * that gives line and column, or the name of a member that is given twice. */
MUST_CHECK int json_parse(const char *text, size_t n, struct json **out, struct err *e);
void json_free(struct json *v);
DEFINE_AUTO(struct json *, json_free);

bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
bool json_is_null(const struct json *v);

/* The text of a string, or NULL for another kind of value. Borrowed. */
const char *json_string(const struct json *v);
/* The name of a member of an object. Borrowed. */
const char *json_name(const struct json *member);
/* Reads an unsigned integer of at most max, exactly. False for another kind of value,
 * and for a number that is not written as digits only, such as 1.0 or 1e3. */
bool json_uint(const struct json *v, uint64_t max, uint64_t *out);

/* The member of that name, or NULL. Borrowed. */
const struct json *json_find(const struct json *object, const char *name);
/* The i-th member of an object, or element of an array; NULL after the last. Walks from
 * the first: use json_next for many. Borrowed. */
const struct json *json_element(const struct json *container, unsigned i);
/* The member or element after this one, or NULL. Borrowed. */
const struct json *json_next(const struct json *v);

/* Writes a string as JSON, quoted and escaped, and NULL as null. Bytes that are not
 * UTF-8, as where a text was cut, become U+FFFD. */
void json_write_string(FILE *f, const char *s);

enum field_type {
	FIELD_STRING, /* char *: a copy, the struct's own: see fields_fini */
	FIELD_TEXT, /* a string that the row's own functions parse and print */
	FIELD_BOOL, /* bool */
	FIELD_UINT, /* uint32_t or uint64_t, from min to max */
	FIELD_ENUM, /* uint32_t: the index of the string in names */
	FIELD_OBJECT, /* a struct that has its own table, fields */
	FIELD_JSON, /* const struct json *: any value, borrowed from the document */
	FIELD_ABSENT, /* no member: only null is accepted; reason says why */
};

struct fields;

struct field {
	const char *name;
	enum field_type type;
	bool required;
	bool nullable; /* null is accepted, and counts as absent */
	size_t offset, size; /* of the member in the struct */
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
	/* For json_write: whether the value stands for null. It is then written as
	 * null, or with omit_null left out. NULL: it never does. */
	bool (*is_null)(const void *member);
	bool omit_null;
};

struct fields {
	const char *what; /* for messages: "drive" */
	const struct field *field;
	size_t n;
	bool lax; /* ignores unknown members instead of refusing them */
};

/* The table of rows, which refuses members that it does not know. */
#define FIELDS(what, rows)                         \
	{                                          \
		what, rows, ARRAY_LEN(rows), false \
	}
#define FIELD_GIVEN(st, member) .given = 1 + offsetof(st, member)
#define FIELD_AT(st, member) \
	.offset = offsetof(st, member), .size = sizeof(((st *)0)->member)
/* The same for FIELD_JSON. */
#define FIELD_JSON_AT(st, member) .offset = offsetof(st, member), .size = sizeof(void *)

/* Copies the members of an object into the struct at out. Before the call the struct
 * has the defaults, and NULL for strings; what is absent in the object stays as it is.
 * 0, or -EINVAL with text that names a member which is unknown, missing, out of its
 * range, of the wrong type or misspelt; *out is then untouched. */
MUST_CHECK int json_read(
	const struct json *object, const struct fields *t, void *out, struct err *e);

/* The same for a PATCH: no member is required, and null counts as absent. */
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
