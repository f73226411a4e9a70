/* SPDX-License-Identifier: Apache-2.0
 *
 * args: the argument grammar of the contract (section 1.1), line by line.
 */
#include "vmm/base/args.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct arg table[] = {
	{ .name = "--id", .value_name = "id", .help = "the id" },
	{ .name = "--number", .value_name = "n", .help = "a number" },
	{ .name = "--flag", .help = "a flag" },
	{ .name = "--more", .value_name = "x", .help = "any number", .repeats = true },
};
static struct err e;
static int rest;

static char *argv_of[16];
static int argc_of;

/* Parses the words of one string, split at spaces. */
static int parse(const char *words)
{
	static char buf[256];
	static char name[] = "husk";

	argv_of[0] = name;
	argc_of = 1;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		table[i].value = NULL;
	rest = -1;
	(void)snprintf(buf, sizeof(buf), "%s", words);
	for (char *w = strtok(buf, " "); w; w = strtok(NULL, " "))
		argv_of[argc_of++] = w;
	return args_parse(argc_of, argv_of, table, ARRAY_LEN(table), &rest, &e);
}

static const char *value(const char *name)
{
	return args_value(table, ARRAY_LEN(table), name);
}

static void expect_refusal(const char *words, const char *why)
{
	cr_expect_eq(parse(words), -EINVAL, "%s", words);
	cr_expect(strstr(e.text, why), "%s: %s", words, e.text);
}

Test(args, takes_the_value_from_the_next_word)
{
	cr_assert_eq(parse("--id x --flag"), ARGS_RUN);
	cr_assert_str_eq(value("--id"), "x");
	cr_assert_str_eq(value("--flag"), "--flag");
	cr_assert_null(value("--number"));
	cr_assert_eq(rest, 4);
}

Test(args, takes_no_words_at_all)
{
	cr_assert_eq(parse(""), ARGS_RUN);
	cr_assert_eq(rest, 1);
	cr_assert_eq(args_parse(0, NULL, table, ARRAY_LEN(table), &rest, &e), ARGS_RUN);
	cr_assert_eq(rest, 0);
}

Test(args, takes_a_value_that_begins_with_one_dash)
{
	cr_assert_eq(parse("--id -x"), ARGS_RUN);
	cr_assert_str_eq(value("--id"), "-x");
}

Test(args, takes_an_empty_value)
{
	char *argv[] = { (char[]){ "husk" }, (char[]){ "--id" }, (char[]){ "" } };

	cr_assert_eq(args_parse(3, argv, table, ARRAY_LEN(table), &rest, &e), ARGS_RUN);
	cr_assert_str_eq(value("--id"), "");
}

Test(args, refuses_a_value_behind_an_equals_sign)
{
	expect_refusal("--id=x", "'--id=x'");
}

Test(args, refuses_an_abbreviation)
{
	expect_refusal("--numb 3", "'--numb'");
}

Test(args, refuses_a_short_option)
{
	expect_refusal("-i x", "'-i'");
}

Test(args, refuses_a_value_that_begins_with_two_dashes)
{
	expect_refusal("--id --x", "'--id' needs a value");
	expect_refusal("--id --flag", "'--id' needs a value");
	expect_refusal("--id --", "'--id' needs a value");
}

Test(args, refuses_a_missing_value_at_the_end)
{
	expect_refusal("--flag --id", "'--id' needs a value");
}

Test(args, refuses_a_word_where_an_option_is_expected)
{
	expect_refusal("x", "'x'");
	expect_refusal("--flag x", "'x'");
	expect_refusal("--id x y", "'y'");
}

Test(args, refuses_an_unknown_option)
{
	expect_refusal("--unknown", "'--unknown'");
}

Test(args, refuses_a_repeated_option)
{
	expect_refusal("--id x --id x", "'--id' is given twice");
	expect_refusal("--flag --flag", "'--flag' is given twice");
}

Test(args, ignores_everything_after_two_dashes)
{
	cr_assert_eq(parse("--id x -- --unknown --id y --help"), ARGS_RUN);
	cr_assert_str_eq(value("--id"), "x");
	cr_assert_eq(rest, 4);
}

Test(args, lets_help_win_over_everything)
{
	cr_assert_eq(parse("--help"), ARGS_HELP);
	cr_assert_eq(parse("-h"), ARGS_HELP);
	cr_assert_eq(parse("--version --unknown x --id --help"), ARGS_HELP);
	cr_assert_eq(parse("--id -h"), ARGS_HELP);
}

Test(args, lets_version_win_over_errors)
{
	cr_assert_eq(parse("--unknown --version"), ARGS_VERSION);
	cr_assert_eq(parse("--id --version"), ARGS_VERSION);
}

Test(args, ignores_version_after_two_dashes)
{
	cr_assert_eq(parse("-- --version -h"), ARGS_RUN);
}

static int number(const char *text, uint64_t *out)
{
	char words[64];

	(void)snprintf(words, sizeof(words), "--number %s", text);
	cr_assert_eq(parse(words), ARGS_RUN);
	return args_u64(table, ARRAY_LEN(table), "--number", 7, out, &e);
}

Test(args, reads_numbers)
{
	uint64_t n;

	cr_assert_eq(number("0", &n), 0);
	cr_assert_eq(n, 0);
	cr_assert_eq(number("18446744073709551615", &n), 0);
	cr_assert_eq(n, UINT64_MAX);
}

Test(args, gives_the_fallback_when_the_number_is_not_given)
{
	uint64_t n;

	cr_assert_eq(parse(""), ARGS_RUN);
	cr_assert_eq(args_u64(table, ARRAY_LEN(table), "--number", 7, &n, &e), 0);
	cr_assert_eq(n, 7);
}

Test(args, refuses_what_is_not_a_number_by_name)
{
	static const char *const bad[] = { "x", "1x", "0x10", "-1", "+1", "1.0", "1e3",
		"18446744073709551616" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t n = 5;

		cr_expect_eq(number(bad[i], &n), -EINVAL, "%s", bad[i]);
		cr_expect_eq(n, 5);
		cr_expect(strstr(e.text, "'--number'") && strstr(e.text, bad[i]), "%s",
			e.text);
	}
}

Test(args, refuses_a_number_behind_space_and_an_empty_one)
{
	uint64_t n;

	table[1].value = " 1";
	cr_assert_eq(args_u64(table, ARRAY_LEN(table), "--number", 7, &n, &e), -EINVAL);
	table[1].value = "";
	cr_assert_eq(args_u64(table, ARRAY_LEN(table), "--number", 7, &n, &e), -EINVAL);
}

Test(args, prints_a_line_for_each_option)
{
	cr_redirect_stdout();
	args_print_help(table, ARRAY_LEN(table));
	(void)fflush(stdout);
	cr_assert_stdout_eq_str("  --id <id>                            the id\n"
				"  --number <n>                         a number\n"
				"  --flag                               a flag\n"
				"  --more <x>                           any number\n");
}

/* The values of --more, joined by commas. */
static const char *more(void)
{
	static char all[64];
	const char *v;
	int at = 1;

	all[0] = '\0';
	while ((v = args_next(
			argc_of, argv_of, table, ARRAY_LEN(table), "--more", &at))) {
		(void)strcat(all, v);
		(void)strcat(all, ",");
	}
	return all;
}

Test(args, takes_an_option_that_repeats_in_order)
{
	cr_assert_eq(parse("--more b --flag --more a --id x --more b"), ARGS_RUN);
	cr_assert_str_eq(more(), "b,a,b,");
	cr_assert_str_eq(value("--more"), "b");
}

Test(args, finds_no_value_of_an_option_that_was_not_given)
{
	cr_assert_eq(parse("--id x -- --more y"), ARGS_RUN);
	cr_assert_str_eq(more(), "");
}

Test(args, refuses_an_option_that_repeats_without_its_value)
{
	expect_refusal("--more a --more", "'--more' needs a value");
	expect_refusal("--more a --more --flag", "'--more' needs a value");
}
