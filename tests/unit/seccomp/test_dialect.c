/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: filters that are compiled from JSON do what the JSON says when the kernel
 * runs them, also at the edges of each comparison; wrong JSON is refused with its
 * reason.
 */
#include "resources/seccomp/dialect.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/unit/fakes/fake_filters.h"

enum { MATCHED = 77 }; /* the errno of a rule that matches */

/* Compiles the i-th category. The caller frees the result. */
static struct seccomp_filters compile(
	const char *text, unsigned i, enum dialect_how how)
{
	AUTO(dialect_free) struct dialect *d = NULL;
	struct seccomp_filters set = { .owned = NULL };
	struct err e = { "" };
	size_t n;

	cr_assert_eq(
		dialect_parse(text, strlen(text), NULL, 0, &d, &e), 0, "%s", e.text);
	cr_assert_eq(dialect_compile(d, i, how, &set.owned, &n, &e), 0, "%s", e.text);
	set.program[SECCOMP_VMM] =
		(struct seccomp_filter_program){ set.owned, (uint16_t)n };
	return set;
}

static int call(const long *arg)
{
	/* getppid has no arguments: filters may look at them all the same */
	long r = syscall(SYS_getppid, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);

	return r < 0 ? errno : 0;
}

/* The result of getppid with this value as argument `at`, under the first category. */
static struct tried try_text(const char *text, unsigned at, uint64_t value)
{
	struct seccomp_filters set = compile(text, 0, DIALECT_WHOLE);
	long arg[6] = { 0 };
	struct tried t;

	arg[at] = (long)value;
	t = try_filter(&set, SECCOMP_VMM, call, arg);
	seccomp_filter_fini(&set);
	return t;
}

/* Whether a rule with one condition matches an argument 2 of that value. */
static bool matches(const char *type, const char *op, uint64_t val, uint64_t value)
{
	struct tried t;
	char text[400];

	(void)snprintf(text, sizeof(text),
		"{ \"vmm\": { \"default_action\": \"allow\", \"filter_action\": { "
		"\"errno\": 77 }, \"filter\": [ { \"syscall\": \"getppid\", \"args\": [ { "
		"\"index\": 2, \"type\": \"%s\", \"op\": %s, \"val\": %llu } ] } ] } }",
		type, op, (unsigned long long)val);
	t = try_text(text, 2, value);
	cr_assert(t.status == 0 || t.status == MATCHED, "%d %s", t.status, text);
	return t.status == MATCHED;
}

#define HIGH 0xffffffff00000000ull /* of which a dword knows nothing */

static const struct {
	const char *name;
	bool below, equal, above;
} orders[] = {
	{ "\"eq\"", false, true, false },
	{ "\"ne\"", true, false, true },
	{ "\"lt\"", true, false, false },
	{ "\"le\"", true, true, false },
	{ "\"gt\"", false, false, true },
	{ "\"ge\"", false, true, true },
};

Test(dialect, operations_are_right_on_both_sides_of_the_value)
{
	static const uint64_t vals[] = { 1, 0x80, 0x7fffffff, 0x80000000, 0xfffffffe };

	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		for (size_t k = 0; k < ARRAY_LEN(vals); k++) {
			uint64_t v = vals[k];
			const char *op = orders[i].name;

			cr_expect_eq(matches("dword", op, v, v - 1), orders[i].below);
			cr_expect_eq(
				matches("dword", op, v, HIGH | v), orders[i].equal);
			cr_expect_eq(matches("dword", op, v, HIGH | (v + 1)),
				orders[i].above);
			cr_expect_eq(matches("dword", op, v, HIGH), orders[i].below);
			cr_expect_eq(matches("qword", op, v, v - 1), orders[i].below);
			cr_expect_eq(matches("qword", op, v, v), orders[i].equal);
			cr_expect_eq(matches("qword", op, v, HIGH), orders[i].above);
		}
	}
}

Test(dialect, dword_orders_agree_with_c_on_any_number)
{
	uint32_t x = 1;

	for (unsigned i = 0; i < 24; i++) {
		uint32_t v = (x = x * 1664525 + 1013904223) % 1000 + 1;
		uint32_t a = (x = x * 1664525 + 1013904223) % 1000;

		cr_expect_eq(matches("dword", "\"lt\"", v, a), a < v);
		cr_expect_eq(matches("dword", "\"ge\"", v, a), a >= v);
	}
}

Test(dialect, values_have_64_bits)
{
	cr_assert(matches("qword", "\"eq\"", UINT64_MAX, UINT64_MAX));
	cr_assert(!matches("qword", "\"eq\"", UINT64_MAX, UINT64_MAX - 1));
	cr_assert(matches("qword", "\"lt\"", UINT64_MAX, UINT64_MAX - 1));
	cr_assert(!matches("qword", "\"eq\"", (1ull << 53) + 1, 1ull << 53));
}

Test(dialect, masked_eq_looks_at_the_masks_bits_only)
{
	const char *op = "{ \"masked_eq\": 6 }";

	cr_assert(matches("dword", op, 2, 0xfa));
	cr_assert(matches("dword", op, 2, HIGH | 3));
	cr_assert(matches("qword", op, 2, HIGH | 3));
	cr_assert(!matches("dword", op, 2, 6));
	cr_assert(!matches("dword", op, 2, 1));
	cr_assert(matches("dword", op, 0x82, 2)); /* the value's other bits too */
}

#define RULE "{ \"syscall\": \"getppid\" }"
#define CATEGORY(fallback, action, filter)                               \
	"{ \"default_action\": " fallback ", \"filter_action\": " action \
	", \"filter\": "                                                 \
	"[ " filter " ] }"
#define TEXT(action) "{ \"vmm\": " CATEGORY("\"allow\"", action, RULE) " }"

Test(dialect, actions_are_the_kernels)
{
	cr_expect_eq(try_text(TEXT("{ \"errno\": 5 }"), 0, 0).status, 5);
	cr_expect_eq(try_text(TEXT("\"log\""), 0, 0).status, 0);
	cr_expect_eq(try_text(TEXT("\"trap\""), 0, 0).status, 148);
	cr_expect_eq(try_text(TEXT("\"kill_thread\""), 0, 0).signal, SIGSYS);
	cr_expect_eq(try_text(TEXT("\"kill_process\""), 0, 0).signal, SIGSYS);
	/* nobody traces it */
	cr_expect_eq(try_text(TEXT("{ \"trace\": 3 }"), 0, 0).status, ENOSYS);
}

Test(dialect, all_conditions_of_a_rule_and_any_rule_of_a_filter)
{
	const long both[6] = { 3, 1 }, first[6] = { 3, 0 },
		   other[6] = { 99, 0, 0, 0, 0, 4 };
	struct seccomp_filters set = compile(
		"{ \"vmm\": " CATEGORY("\"allow\"", "{ \"errno\": 77 }",
			"{ \"syscall\": \"getppid\", \"args\": ["
			" { \"index\": 0, \"type\": \"dword\", \"op\": \"lt\", \"val\": 10 },"
			" { \"index\": 1, \"type\": \"dword\", \"op\": \"ge\", \"val\": 1 } ] },"
			"{ \"syscall\": \"getppid\", \"args\": ["
			" { \"index\": 5, \"type\": \"qword\", \"op\": \"eq\", \"val\": 4 } ] }") " }",
		0, DIALECT_WHOLE);

	cr_expect_eq(try_filter(&set, SECCOMP_VMM, call, both).status, MATCHED);
	cr_expect_eq(try_filter(&set, SECCOMP_VMM, call, first).status, 0);
	cr_expect_eq(try_filter(&set, SECCOMP_VMM, call, other).status, MATCHED);
	seccomp_filter_fini(&set);
}

Test(dialect, category_that_allows_all_is_no_program)
{
	struct seccomp_filters set =
		compile("{ \"vmm\": " CATEGORY("\"allow\"", "\"trap\"", "") " }", 0,
			DIALECT_WHOLE);

	cr_assert_null(set.owned);
	cr_assert_eq(set.program[SECCOMP_VMM].n, 0);
}

Test(dialect, included_categories_count_too)
{
	const char *text =
		"{ \"api\": { \"default_action\": \"allow\", \"filter_action\": { \"errno\": 77 "
		"}, \"include\": [ \"vmm\" ], \"filter\": [] }, \"vmm\": " CATEGORY(
			"\"allow\"", "\"trap\"", RULE) " }";

	cr_assert_eq(try_text(text, 0, 0).status, MATCHED);
}

Test(dialect, rule_can_have_an_action_of_its_own)
{
	const char *text = "{ \"vmm\": " CATEGORY("\"allow\"", "\"trap\"",
		"{ \"syscall\": \"getppid\", \"action\": { \"errno\": 77 } }, "
		"{ \"syscall\": \"getpgrp\" }") " }";

	cr_assert_eq(try_text(text, 0, 0).status, MATCHED);
}

Test(dialect, rules_that_only_the_api_needs_can_be_left_out)
{
	const char *text = "{ \"vmm\": " CATEGORY("\"allow\"", "{ \"errno\": 77 }",
		"{ \"syscall\": \"getppid\", \"api_only\": true }") " }";
	const long none[6] = { 0 };
	struct seccomp_filters whole = compile(text, 0, DIALECT_WHOLE);
	struct seccomp_filters less = compile(text, 0, DIALECT_NO_API);

	cr_expect_eq(try_filter(&whole, SECCOMP_VMM, call, none).status, MATCHED);
	cr_expect_eq(try_filter(&less, SECCOMP_VMM, call, none).status, 0);
	seccomp_filter_fini(&whole);
	seccomp_filter_fini(&less);
}

Test(dialect, traced_rules_have_their_numbers)
{
	const char *text = "{ \"api\": " CATEGORY("\"trap\"", "\"allow\"",
		"{ \"syscall\": \"read\" }, { \"syscall\": \"write\" }") ", \"vmm\": " CATEGORY("\"trap\"",
		"\"allow\"", RULE) " }";
	struct seccomp_filters set = compile(text, 1, DIALECT_TRACE);
	bool found = false;

	for (unsigned i = 0; i < set.program[SECCOMP_VMM].n; i++)
		if (set.owned[i].code == (BPF_RET | BPF_K) &&
			set.owned[i].k == (SECCOMP_RET_TRACE | 3))
			found = true;
	cr_assert(found);
	seccomp_filter_fini(&set);
}

static char seen[200];

static void see(unsigned number, const char *category, const char *words)
{
	size_t at = strlen(seen);

	(void)snprintf(
		seen + at, sizeof(seen) - at, "%u %s %s;", number, category, words);
}

Test(dialect, rules_are_listed_with_what_was_added)
{
	const char *text = "{ \"api\": " CATEGORY("\"trap\"", "\"allow\"",
		"{ \"syscall\": \"read\", \"comment\": \"all\" }") ", \"vmm\": " CATEGORY("\"trap\"",
		"\"allow\"",
		"{ \"syscall\": \"ioctl\", \"comment\": \"tty\", \"args\": [ { \"index\": 1, "
		"\"type\": \"dword\", \"op\": \"eq\", \"val\": 1, \"comment\": \"TCGETS\" } ] }") " }";
	const char *more = "{ \"api\": " CATEGORY("\"trap\"", "\"allow\"",
		"{ \"syscall\": \"write\", \"comment\": \"more\" }") " }";
	AUTO(dialect_free) struct dialect *d = NULL;
	struct err e = { "" };

	cr_assert_eq(dialect_parse(text, strlen(text), more, strlen(more), &d, &e), 0,
		"%s", e.text);
	dialect_walk(d, see);
	cr_assert_str_eq(
		seen, "1 api read: all;2 api write: more;3 vmm ioctl TCGETS: tty;");
	cr_assert_str_eq(dialect_category(d, 1), "vmm");
	cr_assert_null(dialect_category(d, 2));
}

/* --- refused --- */

static void refuses(const char *text, const char *words)
{
	AUTO(dialect_free) struct dialect *d = NULL;
	struct sock_filter *insn = NULL;
	struct err e = { "" };
	size_t n;
	int r = dialect_parse(text, strlen(text), NULL, 0, &d, &e);

	if (r == 0)
		r = dialect_compile(d, 0, DIALECT_WHOLE, &insn, &n, &e);
	cr_expect_lt(r, 0, "%s", text);
	cr_expect(strstr(e.text, words), "'%s' is not in '%s'", words, e.text);
	free(insn);
}

#define REFUSED(filter) "{ \"vmm\": " CATEGORY("\"trap\"", "\"allow\"", filter) " }"
#define CONDITION(text) REFUSED("{ \"syscall\": \"read\", \"args\": [ { " text " } ] }")
#define INDEX "\"index\": 0, "
#define DWORD "\"type\": \"dword\", "
#define EQ "\"op\": \"eq\", "

Test(dialect, refuses_what_is_no_filter)
{
	refuses("", "line 1");
	refuses("[]", "not an object");
	refuses("{ \"vmm\": 1 }", "vmm");
	refuses("{ \"vmm\": { \"default_action\": \"trap\" } }",
		"'filter_action' is missing");
	refuses("{ \"vmm\": " CATEGORY("\"trap\"", "\"trap\"", "") " }", "the same");
	refuses("{ \"vmm\": " CATEGORY("\"stop\"", "\"allow\"", "") " }", "'stop'");
	refuses(TEXT("{ \"errno\": 4096 }"), "4096");
	refuses(TEXT("{ \"trace\": 65536 }"), "65536");
	refuses(TEXT("{}"), "either");
	refuses(TEXT("{ \"errno\": 1, \"trace\": 1 }"), "either");
	refuses("{ \"vmm\": { \"default_action\": \"trap\", \"filter_action\": \"allow\", "
		"\"filter\": {} } }",
		"not an array");
	refuses("{ \"vmm\": { \"default_action\": \"trap\", \"filter_action\": \"allow\", "
		"\"filter\": [], \"include\": [ \"api\" ] } }",
		"no category 'api'");
	refuses("{ \"vmm\": { \"default_action\": \"trap\", \"filter_action\": \"allow\", "
		"\"filter\": [], \"more\": [] } }",
		"'more'");
}

Test(dialect, refuses_what_is_no_rule)
{
	refuses(REFUSED("1"), "rule 0");
	refuses(REFUSED("{ \"syscall\": \"read\" }, { \"syscall\": \"raed\" }"),
		"rule 1: 'raed' is not a system call");
	refuses(REFUSED("{ \"syscall\": 3 }"), "not a system call");
	refuses(REFUSED("{ \"syscall\": \"socketcall\" }"), "of x86_64");
	refuses(REFUSED("{}"), "'syscall' is missing");
	refuses(REFUSED("{ \"syscall\": \"read\", \"arg\": [] }"), "'arg'");
	refuses(REFUSED("{ \"syscall\": \"read\", \"args\": 1 }"), "not an array");
	refuses(REFUSED("{ \"syscall\": \"read\", \"comment\": 1 }"), "comment");
	refuses(REFUSED("{ \"syscall\": \"read\", \"action\": \"stop\" }"), "'stop'");
	refuses(REFUSED("{ \"syscall\": \"read\", \"syscall\": \"read\" }"), "twice");
}

Test(dialect, refuses_what_is_no_condition)
{
	refuses(CONDITION("\"index\": 6, " DWORD EQ "\"val\": 1"), "'index' is 6");
	refuses(CONDITION(INDEX "\"type\": \"word\", " EQ "\"val\": 1"), "'word'");
	refuses(CONDITION(INDEX DWORD "\"op\": \"is\", \"val\": 1"), "'is'");
	refuses(CONDITION(INDEX DWORD "\"op\": \"masked_eq\", \"val\": 1"),
		"'masked_eq'");
	refuses(CONDITION(INDEX DWORD "\"op\": { \"mask\": 1 }, \"val\": 1"), "'mask'");
	refuses(CONDITION(INDEX DWORD EQ "\"val\": -1"), "unsigned");
	refuses(CONDITION(INDEX DWORD EQ "\"val\": 4294967296"), "dword");
	refuses(CONDITION(INDEX "\"type\": \"qword\", " EQ
				"\"val\": 18446744073709551616"),
		"'val'");
	refuses(CONDITION(INDEX DWORD EQ "\"val\": 1, \"comment\": 1"), "comment");
	refuses(CONDITION(
			INDEX DWORD EQ "\"val\": 1 }, { " INDEX DWORD EQ "\"val\": 2"),
		"two conditions on argument 0");
	refuses(CONDITION(INDEX DWORD "\"op\": \"lt\", \"val\": 0"), "never");
}

Test(dialect, refuses_more_instructions_than_a_program_has)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)fprintf(f,
		"{ \"vmm\": { \"default_action\": \"trap\", \"filter_action\": "
		"\"allow\", \"filter\": [ { \"syscall\": \"read\" }");
	for (int i = 0; i < 1500; i++)
		(void)fprintf(f,
			", { \"syscall\": \"write\", \"args\": [ { \"index\": 0, \"type\": "
			"\"qword\", \"op\": \"eq\", \"val\": %llu } ] }",
			(1ull << 32) * (unsigned)i + (unsigned)i);
	(void)fprintf(f, " ] } }");
	cr_assert_eq(fclose(f), 0);
	refuses(text, "4096");
	free(text);
}

Test(dialect, refuses_to_add_to_what_is_not_there)
{
	const char *text = REFUSED(RULE), *more = "{ \"apis\": 1 }";
	struct dialect *d;
	struct err e = { "" };

	cr_assert_eq(
		dialect_parse(text, strlen(text), more, strlen(more), &d, &e), -EINVAL);
	cr_assert(strstr(e.text, "'apis'"), "%s", e.text);
	cr_assert_eq(dialect_parse(text, strlen(text), "[", 1, &d, &e), -EINVAL);
}
