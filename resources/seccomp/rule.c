/* SPDX-License-Identifier: Apache-2.0 */
#include "resources/seccomp/rule.h"

#include <seccomp.h>
#include <string.h>

#include "vmm/codec/json.h"

/* clang-format off */
struct rule_json {
	const struct json *syscall, *args, *action, *comment;
	bool api_only;
};

static const struct field rule_field[] = {
	{ .name = "syscall", .type = FIELD_JSON, .required = true, FIELD_JSON_AT(struct rule_json, syscall) },
	{ .name = "args", .type = FIELD_JSON, .nullable = true, FIELD_JSON_AT(struct rule_json, args) },
	{ .name = "action", .type = FIELD_JSON, FIELD_JSON_AT(struct rule_json, action) },
	{ .name = "comment", .type = FIELD_JSON, .nullable = true, FIELD_JSON_AT(struct rule_json, comment) },
	{ .name = "api_only", .type = FIELD_BOOL, FIELD_AT(struct rule_json, api_only) },
};
static const struct fields rule_fields = { .what = "rule", .field = rule_field, .n = ARRAY_LEN(rule_field) };

static const char *const op_names[] = {
	[OP_EQ] = "eq",
	[OP_NE] = "ne",
	[OP_LT] = "lt",
	[OP_LE] = "le",
	[OP_GT] = "gt",
	[OP_GE] = "ge",
};

static const char *const type_names[] = { "dword", "qword", NULL };

static const struct field condition_field[] = {
	{ .name = "index", .type = FIELD_UINT, .required = true, .max = RULE_ARGS_MAX - 1,
	  FIELD_AT(struct condition, index) },
	{ .name = "type", .type = FIELD_ENUM, .required = true, .names = type_names,
	  FIELD_AT(struct condition, type) },
	{ .name = "op", .type = FIELD_JSON, .required = true, FIELD_JSON_AT(struct condition, op_json) },
	{ .name = "val", .type = FIELD_UINT, .required = true, .max = UINT64_MAX,
	  FIELD_AT(struct condition, val) },
	{ .name = "comment", .type = FIELD_JSON, .nullable = true, FIELD_JSON_AT(struct condition, comment) },
};
static const struct fields condition_fields = {
	.what = "condition", .field = condition_field, .n = ARRAY_LEN(condition_field)
};

static const struct field mask_field[] = {
	{ .name = "masked_eq", .type = FIELD_UINT, .required = true, .max = UINT64_MAX,
	  FIELD_AT(struct condition, mask) },
};
static const struct fields mask_fields = { .what = "op", .field = mask_field, .n = 1 };
/* clang-format on */

static int read_op(struct condition *c, struct err *e)
{
	const char *name = json_string(c->op_json);

	for (enum op i = 0; name && i < ARRAY_LEN(op_names); i++) {
		if (strcmp(name, op_names[i]) == 0) {
			c->op = i;
			return 0;
		}
	}
	if (name)
		return err_bad(e, "'%.40s' is not an operation", name);
	c->op = OP_MASKED_EQ;
	return json_read(c->op_json, &mask_fields, c, e);
}

static int read_condition(const struct json *v, struct condition *c, struct err *e)
{
	int r = json_read(v, &condition_fields, c, e);

	if (r == 0)
		r = read_op(c, e);
	if (r == 0 && c->comment && !json_string(c->comment))
		r = err_bad(e, "a comment is not a string");
	if (r == 0 && c->type == TYPE_DWORD && (c->val | c->mask) > UINT32_MAX)
		r = err_bad(e, "%llu is more than a dword",
			(unsigned long long)(c->val | c->mask));
	return r;
}

static int read_args(const struct json *args, struct rule *out, struct err *e)
{
	const struct json *v;
	unsigned used = 0;

	if (!json_is_array(args))
		return err_bad(e, "args are not an array");
	for (out->n = 0; (v = json_element(args, out->n)); out->n++) {
		struct condition *c = &out->condition[out->n];
		int r;

		if (out->n == RULE_ARGS_MAX)
			return err_bad(e, "more than %d conditions", RULE_ARGS_MAX);
		*c = (struct condition){ 0 };
		r = read_condition(v, c, e);
		if (r < 0)
			return err_add(e, r, "condition %u", out->n);
		if (used >> c->index & 1)
			return err_bad(e, "two conditions on argument %u", c->index);
		used |= 1u << c->index;
	}
	return 0;
}

int rule_read(const struct json *v, struct rule *out, struct err *e)
{
	struct rule_json rule = { .syscall = NULL };
	int r = json_read(v, &rule_fields, &rule, e);

	*out = (struct rule){ .nr = __NR_SCMP_ERROR };
	if (r < 0)
		return r;
	out->name = json_string(rule.syscall);
	if (out->name)
		out->nr =
			seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, out->name);
	if (out->nr < 0)
		return err_bad(e, "'%.40s' is not a system call of x86_64",
			out->name ? out->name : "");
	if (rule.comment && !json_string(rule.comment))
		return err_bad(e, "comment of '%s' is not a string", out->name);
	out->comment = rule.comment ? json_string(rule.comment) : "";
	out->action = rule.action;
	out->is_for_api = rule.api_only;
	r = rule.args ? read_args(rule.args, out, e) : 0;
	return r < 0 ? err_add(e, r, "system call '%s'", out->name) : 0;
}
