/* SPDX-License-Identifier: Apache-2.0
 *
 * rule: one rule of the dialect, read from JSON and checked. Part of husk-seccomp.
 */
#ifndef HUSK_SECCOMP_RULE_H
#define HUSK_SECCOMP_RULE_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct json;

enum { RULE_ARGS_MAX = 6 };

enum op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_MASKED_EQ };
enum type { TYPE_DWORD, TYPE_QWORD };

struct condition {
	uint32_t index, type;
	uint64_t val, mask;
	const struct json *op_json, *comment;
	enum op op;
};

/* Strings are borrowed from the JSON. */
struct rule {
	const char *name; /* of the system call */
	int nr;
	const struct json *action; /* the rule's own, as JSON, or NULL */
	const char *comment;
	bool is_for_api; /* left out with --no-api */
	unsigned n;
	struct condition condition[RULE_ARGS_MAX];
};

/* Reads the rule v, which *out borrows from. -EINVAL with text when v is not one. */
MUST_CHECK int rule_read(const struct json *v, struct rule *out, struct err *e);

#endif
