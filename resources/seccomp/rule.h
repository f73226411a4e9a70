/* SPDX-License-Identifier: Apache-2.0
 *
 * rule: reads and checks one rule of the dialect. Part of husk-seccomp.
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

/* A rule. Its strings and values are borrowed from the JSON. */
struct rule {
	const char *name; /* of the system call */
	int nr;
	const struct json *action; /* the rule's own, unread; or NULL */
	const char *comment;
	bool is_for_api; /* api_only: not needed with --no-api */
	unsigned n;
	struct condition condition[RULE_ARGS_MAX];
};

/* Reads v into *out. -EINVAL with text when it is no rule. */
MUST_CHECK int rule_read(const struct json *v, struct rule *out, struct err *e);

#endif
