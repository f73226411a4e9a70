/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: see the header. libseccomp compares arguments as 64-bit numbers, but the
 * upper half of a 32-bit argument may hold anything. So a comparison by order of 32
 * bits, such as "less than", becomes several rules that each compare some of the bits,
 * in the way an address range becomes a list of prefixes.
 */
#include "resources/seccomp/dialect.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "resources/seccomp/rule.h"
#include "resources/seccomp/trim.h"
#include "vmm/base/io.h"
#include "vmm/codec/json.h"
#include "vmm/process/seccomp.h"

enum {
	WORDS_MAX = 400,
	RULES_MAX = 1 << 14, /* of libseccomp, for one category */
};

struct dialect {
	struct json *doc, *more;
};

struct category {
	const struct json *default_action, *filter_action, *filter, *include;
};

/* clang-format off */
static const struct field category_field[] = {
	{ .name = "default_action", .type = FIELD_JSON, .required = true,
	  FIELD_JSON_AT(struct category, default_action) },
	{ .name = "filter_action", .type = FIELD_JSON, .required = true,
	  FIELD_JSON_AT(struct category, filter_action) },
	{ .name = "filter", .type = FIELD_JSON, .required = true, FIELD_JSON_AT(struct category, filter) },
	{ .name = "include", .type = FIELD_JSON, FIELD_JSON_AT(struct category, include) },
};

static const enum scmp_compare compares[] = {
	[OP_EQ] = SCMP_CMP_EQ,
	[OP_NE] = SCMP_CMP_NE,
	[OP_LT] = SCMP_CMP_LT,
	[OP_LE] = SCMP_CMP_LE,
	[OP_GT] = SCMP_CMP_GT,
	[OP_GE] = SCMP_CMP_GE,
};

/* An action that has a number. */
struct number {
	uint32_t error, trace;
	bool has_error, has_trace;
};

static const struct field number_field[] = {
	{ .name = "errno", .type = FIELD_UINT, .max = 4095,
	  FIELD_AT(struct number, error), FIELD_GIVEN(struct number, has_error) },
	{ .name = "trace", .type = FIELD_UINT, .max = UINT16_MAX,
	  FIELD_AT(struct number, trace), FIELD_GIVEN(struct number, has_trace) },
};
static const struct fields number_fields = {
	.what = "action", .field = number_field, .n = ARRAY_LEN(number_field)
};

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "allow", SCMP_ACT_ALLOW },
	{ "kill_thread", SCMP_ACT_KILL_THREAD },
	{ "kill_process", SCMP_ACT_KILL_PROCESS },
	{ "log", SCMP_ACT_LOG },
	{ "trap", SCMP_ACT_TRAP },
};
/* clang-format on */

static void release_filter(scmp_filter_ctx c)
{
	if (c)
		seccomp_release(c);
}
DEFINE_AUTO(scmp_filter_ctx, release_filter);

static int read_action(const struct json *v, uint32_t *out, struct err *e)
{
	const char *name = json_string(v);
	struct number n = { 0 };
	int r;

	for (size_t i = 0; name && i < ARRAY_LEN(actions); i++) {
		if (strcmp(name, actions[i].name) == 0) {
			*out = actions[i].action;
			return 0;
		}
	}
	if (name)
		return err_bad(e, "'%.40s' is not an action", name);
	r = json_read(v, &number_fields, &n, e);
	if (r < 0)
		return r;
	if (n.has_error == n.has_trace)
		return err_bad(e, "an action has either an errno or a trace number");
	*out = n.has_error ? SCMP_ACT_ERRNO(n.error) : SCMP_ACT_TRACE(n.trace);
	return 0;
}

/* A category while it is compiled. */
struct compiler {
	scmp_filter_ctx ctx;
	uint32_t action;
	bool including; /* rules of another category: some may be there already */
	bool no_api; /* leave out the rules that only the API needs */
	unsigned n_rules;
};

static int add(struct compiler *c, const struct rule *rule, struct scmp_arg_cmp *cmp,
	unsigned at, struct err *e);

static int add_masked(struct compiler *c, const struct rule *rule,
	struct scmp_arg_cmp *cmp, unsigned at, uint64_t mask, uint64_t val,
	struct err *e)
{
	cmp[at] = SCMP_CMP64(
		rule->condition[at].index, SCMP_CMP_MASKED_EQ, mask, val & mask);
	return add(c, rule, cmp, at + 1, e);
}

/* Adds a comparison of 32 bits as prefixes. For each bit of val there is a prefix: the
 * bits above it as in val, and the bit itself inverted. Where the bit is set in val,
 * the prefix has numbers below val; where it is not, numbers above. */
static int add_prefixes(struct compiler *c, const struct rule *rule,
	struct scmp_arg_cmp *cmp, unsigned at, struct err *e)
{
	const struct condition *k = &rule->condition[at];
	bool below = k->op == OP_NE || k->op == OP_LT || k->op == OP_LE;
	bool above = k->op == OP_NE || k->op == OP_GT || k->op == OP_GE;
	bool equal = k->op == OP_EQ || k->op == OP_LE || k->op == OP_GE;
	int r = 0;

	if ((k->op == OP_LT && k->val == 0) || (k->op == OP_GT && k->val == UINT32_MAX))
		return err_bad(e, "system call '%s': a condition that never holds",
			rule->name);
	for (unsigned b = 0; r == 0 && b < 32; b++)
		if (k->val >> b & 1 ? below : above)
			r = add_masked(c, rule, cmp, at, UINT32_MAX & (~0ull << b),
				k->val ^ (1ull << b), e);
	if (r == 0 && equal)
		r = add_masked(c, rule, cmp, at, UINT32_MAX, k->val, e);
	return r;
}

/* Adds the rule to libseccomp, once its first `at` conditions are in cmp. */
static int add(struct compiler *c, const struct rule *rule, struct scmp_arg_cmp *cmp,
	unsigned at, struct err *e)
{
	const struct condition *k = &rule->condition[at];
	int r;

	if (at == rule->n) {
		if (++c->n_rules > RULES_MAX)
			return err_bad(
				e, "system call '%s': too many rules", rule->name);
		r = seccomp_rule_add_exact_array(
			c->ctx, c->action, rule->nr, rule->n, cmp);
		if (r == -EEXIST && c->including)
			return 0;
		return r < 0 ? err_code(e, r, "system call '%s'", rule->name) : 0;
	}
	if (k->op == OP_MASKED_EQ)
		return add_masked(c, rule, cmp, at, k->mask, k->val, e);
	if (k->type == TYPE_DWORD)
		return add_prefixes(c, rule, cmp, at, e);
	cmp[at] = SCMP_CMP64(k->index, compares[k->op], k->val, 0);
	return add(c, rule, cmp, at + 1, e);
}

/* --- categories --- */

static int read_category(const struct json *v, struct category *out, struct err *e)
{
	const struct fields t = {
		.what = json_name(v),
		.field = category_field,
		.n = ARRAY_LEN(category_field),
	};
	int r;

	*out = (struct category){ .filter = NULL };
	r = json_read(v, &t, out, e);
	if (r == 0 && !json_is_array(out->filter))
		r = err_bad(e, "%s: filter is not an array", t.what);
	if (r == 0 && out->include && !json_is_array(out->include))
		r = err_bad(e, "%s: include is not an array", t.what);
	return r;
}

/* Adds the rules of one array. first: with DIALECT_TRACE the number of its first rule,
 * else 0. */
static int add_rules(
	struct compiler *c, const struct json *filter, unsigned first, struct err *e)
{
	const uint32_t usual = c->action;
	struct scmp_arg_cmp cmp[RULE_ARGS_MAX];
	struct rule rule;
	const struct json *v;
	int r = 0;

	for (unsigned i = 0; r == 0 && (v = json_element(filter, i)); i++) {
		c->action = first > 0 ? SCMP_ACT_TRACE(first + i) : usual;
		r = rule_read(v, &rule, e);
		if (r == 0 && rule.action)
			r = read_action(rule.action, &c->action, e);
		if (r < 0)
			return err_add(e, r, "rule %u", i);
		if (c->no_api && rule.is_for_api)
			continue;
		r = add(c, &rule, cmp, 0, e);
		/* compare in the order of the text */
		if (r == 0)
			(void)seccomp_syscall_priority(c->ctx, rule.nr,
				(uint8_t)(UINT8_MAX - MIN(i, UINT8_MAX)));
	}
	c->action = usual;
	return r;
}

static const struct json *find_more(const struct dialect *f, const char *category)
{
	return f->more ? json_find(f->more, category) : NULL;
}

static unsigned count(const struct json *array)
{
	unsigned n = 0;

	while (json_element(array, n))
		n++;
	return n;
}

static int add_category(const struct dialect *f, struct compiler *c, const char *name,
	unsigned first, struct err *e)
{
	const struct json *more = find_more(f, name);
	struct category cat;
	int r = read_category(json_find(f->doc, name), &cat, e);

	if (r == 0)
		r = add_rules(c, cat.filter, first, e);
	if (r < 0 || !more)
		return r;
	if (first > 0)
		first += count(cat.filter);
	r = read_category(more, &cat, e);
	if (r == 0)
		r = add_rules(c, cat.filter, first, e);
	return r < 0 ? err_add(e, r, "added") : 0;
}

static int add_included(const struct dialect *f, struct compiler *c,
	const struct json *include, struct err *e)
{
	const struct json *v;
	int r = 0;

	c->including = true;
	for (unsigned i = 0; r == 0 && (v = json_element(include, i)); i++) {
		const char *name = json_string(v);

		if (!name || !json_find(f->doc, name))
			return err_bad(
				e, "include: no category '%.40s'", name ? name : "");
		r = add_category(f, c, name, 0, e);
	}
	return r;
}

/* Gets the instructions from libseccomp, which writes them to a file: one in memory. */
static int export(
	scmp_filter_ctx ctx, struct sock_filter **out, size_t *n, struct err *e)
{
	AUTO(close_fd) int fd = memfd_create("filter", MFD_CLOEXEC);
	struct sock_filter *insn;
	off_t bytes;
	int r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);

	if (r < 0)
		return err_code(e, r, "cannot compile");
	bytes = lseek(fd, 0, SEEK_END);
	insn = malloc((size_t)bytes + sizeof(*insn)); /* trim may add one */
	if (!insn)
		return err_code(e, -ENOMEM, "filter");
	r = io_pread(fd, insn, (size_t)bytes, 0);
	*n = r < 0 ? 0 : trim(insn, (size_t)bytes / sizeof(*insn));
	if (*n > SECCOMP_INSTRUCTIONS_MAX)
		r = err_bad(e, "%zu instructions, more than %d", *n,
			SECCOMP_INSTRUCTIONS_MAX);
	else if (r < 0)
		(void)err_code(e, r, "filter");
	if (r < 0)
		free(insn);
	else
		*out = insn;
	return r;
}

/* Kills the process for a call of another architecture, where numbers mean other calls.
 * Asks for a list of comparisons, which the kernel compiles in two thirds of the time
 * of a tree. */
static int set_attributes(scmp_filter_ctx ctx, struct err *e)
{
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 1);
	return r < 0 ? err_code(e, r, "libseccomp") : 0;
}

static int compile(const struct dialect *f, const struct category *cat,
	const char *name, unsigned first, struct compiler *c, struct err *e)
{
	uint32_t fallback, action;
	int r = read_action(cat->default_action, &fallback, e);

	if (r == 0)
		r = read_action(cat->filter_action, &action, e);
	if (r < 0)
		return r;
	if (fallback == action)
		return err_bad(e, "default_action and filter_action are the same");
	c->action = action;
	(void)seccomp_api_set(5); /* what husk's host knows, not the one that builds */
	c->ctx = seccomp_init(fallback);
	if (!c->ctx)
		return err_code(e, -ENOMEM, "libseccomp");
	r = set_attributes(c->ctx, e);
	if (r == 0)
		r = add_category(f, c, name, first, e);
	c->action = action;
	if (r == 0 && cat->include)
		r = add_included(f, c, cat->include, e);
	if (r == 0 && c->n_rules == 0 && fallback == SCMP_ACT_ALLOW) {
		seccomp_release(c->ctx);
		c->ctx = NULL;
	}
	return r;
}

/* How many rules the categories before the i-th have. */
static unsigned rules_before(const struct dialect *f, unsigned i)
{
	unsigned n = 0;

	while (i-- > 0) {
		const struct json *v = json_element(f->doc, i);
		const struct json *more = find_more(f, json_name(v));

		n += count(json_find(v, "filter"));
		n += more ? count(json_find(more, "filter")) : 0;
	}
	return n;
}

int dialect_compile(const struct dialect *f, unsigned i, enum dialect_how how,
	struct sock_filter **insn, size_t *n, struct err *e)
{
	const struct json *v = json_element(f->doc, i);
	AUTO(release_filter) scmp_filter_ctx ctx = NULL;
	struct compiler c = { .no_api = how == DIALECT_NO_API };
	unsigned first = how == DIALECT_TRACE ? rules_before(f, i) + 1 : 0;
	struct category cat;
	int r = read_category(v, &cat, e);

	if (r < 0)
		return r;
	r = compile(f, &cat, json_name(v), first, &c, e);
	ctx = c.ctx;
	*insn = NULL;
	*n = 0;
	if (r == 0 && ctx)
		r = export(ctx, insn, n, e);
	return r < 0 ? err_add(e, r, "%s", json_name(v)) : 0;
}

int dialect_parse(const char *text, size_t n, const char *more, size_t n_more,
	struct dialect **out, struct err *e)
{
	AUTO(dialect_free) struct dialect *f = calloc(1, sizeof(*f));
	const struct json *v;
	int r;

	if (!f)
		return err_code(e, -ENOMEM, "filters");
	r = json_parse(text, n, &f->doc, e);
	if (r == 0 && !json_is_object(f->doc))
		r = err_bad(e, "not an object");
	if (r < 0 || !more) {
		if (r == 0)
			*out = TAKE(f);
		return r;
	}
	r = json_parse(more, n_more, &f->more, e);
	if (r == 0 && !json_is_object(f->more))
		r = err_bad(e, "not an object");
	for (unsigned i = 0; r == 0 && (v = json_element(f->more, i)); i++)
		if (!json_find(f->doc, json_name(v)))
			r = err_bad(e, "no category '%.40s' to add to", json_name(v));
	if (r < 0)
		return err_add(e, r, "added");
	*out = TAKE(f);
	return 0;
}

void dialect_free(struct dialect *f)
{
	if (!f)
		return;
	json_free(f->doc);
	json_free(f->more);
	free(f);
}

const char *dialect_category(const struct dialect *f, unsigned i)
{
	const struct json *v = json_element(f->doc, i);

	return v ? json_name(v) : NULL;
}

/* Describes a rule, such as "ioctl KVM_RUN: the vCPU". Leaves out conditions that have
 * no comment. */
static void describe(const struct json *v, char *words, size_t room)
{
	struct rule rule;
	size_t at;

	if (rule_read(v, &rule, NULL) < 0)
		return; /* compiled before: cannot be */
	at = (size_t)snprintf(words, room, "%s", rule.name);
	for (unsigned i = 0; i < rule.n && at < room; i++)
		if (rule.condition[i].comment)
			at += (size_t)snprintf(words + at, room - at, " %s",
				json_string(rule.condition[i].comment));
	if (at < room)
		(void)snprintf(words + at, room - at, ": %s", rule.comment);
}

static unsigned walk(const struct json *category, unsigned number,
	void (*rule)(unsigned number, const char *category, const char *words))
{
	const struct json *filter = json_find(category, "filter"), *v;
	char words[WORDS_MAX] = "";

	for (unsigned i = 0; (v = json_element(filter, i)); i++) {
		describe(v, words, sizeof(words));
		rule(number++, json_name(category), words);
	}
	return number;
}

void dialect_walk(const struct dialect *f,
	void (*rule)(unsigned number, const char *category, const char *words))
{
	const struct json *v;
	unsigned number = 1;

	for (unsigned i = 0; (v = json_element(f->doc, i)); i++) {
		const struct json *more = find_more(f, json_name(v));

		number = walk(v, number, rule);
		if (more)
			number = walk(more, number, rule);
	}
}
