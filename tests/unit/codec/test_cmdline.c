/* SPDX-License-Identifier: Apache-2.0
 *
 * cmdline: which words can be added to a command line, and how it is split.
 */
#include "vmm/codec/cmdline.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct cmdline c;
static struct err e;

static void starts(const char *args)
{
	e.text[0] = '\0';
	cr_assert_eq(cmdline_init(&c, args, &e), 0, "%s", e.text);
}

static void add(const char *word)
{
	cr_assert_eq(cmdline_add(&c, &e, "%s", word), 0, "%s", e.text);
}

static void expect(const char *text)
{
	cr_assert_str_eq(c.text, text);
	cr_assert_eq(c.len, strlen(text));
}

Test(cmdline, additions_follow_the_users_arguments)
{
	starts("reboot=k panic=1");
	add("pci=off");
	cr_assert_eq(
		cmdline_add(&c, &e, "virtio_mmio.device=%uK@%#x:%u", 4, 0xc0001000, 6),
		0);
	expect("reboot=k panic=1 pci=off virtio_mmio.device=4K@0xc0001000:6");
}

Test(cmdline, an_empty_line_gets_no_leading_space)
{
	starts("");
	add("pci=off");
	add("ro");
	expect("pci=off ro");
}

Test(cmdline, additions_come_before_the_inits_arguments)
{
	starts("quiet -- --verbose a b");
	add("pci=off");
	add("ro");
	expect("quiet pci=off ro -- --verbose a b");
}

Test(cmdline, the_inits_arguments_may_come_first_or_be_none)
{
	starts("-- x");
	add("pci=off");
	add("ro");
	expect("pci=off ro -- x");
	starts("quiet --");
	add("pci=off");
	expect("quiet pci=off --");
	starts("--");
	add("pci=off");
	expect("pci=off --");
}

Test(cmdline, only_a_word_of_its_own_is_the_separator)
{
	starts("a--b --c d=\"x -- y\" e");
	add("pci=off");
	expect("a--b --c d=\"x -- y\" e pci=off");
}

Test(cmdline, spaces_are_kept)
{
	starts("  a   b  -- c");
	add("x");
	add("y");
	expect("  a   b x y  -- c");
	starts("  ");
	add("x");
	expect("x  ");
}

Test(cmdline, takes_2047_characters_and_no_more)
{
	char args[CMDLINE_BYTES + 1];

	memset(args, 'a', sizeof(args));
	args[CMDLINE_BYTES] = '\0';
	cr_assert_eq(cmdline_init(&c, args, &e), -EINVAL);
	cr_assert_str_eq(e.text, "boot arguments are longer than 2047 characters");
	args[CMDLINE_BYTES - 1] = '\0';
	starts(args);
	cr_assert_eq(c.len, 2047);
	cr_assert_eq(cmdline_add(&c, &e, "x"), -EINVAL);
	cr_assert(
		strstr(e.text, "'x' does not fit into 2047 characters"), "%s", e.text);
	expect(args);
}

Test(cmdline, an_addition_may_fill_the_line)
{
	for (size_t used = 0; used < 2; used++) {
		char args[CMDLINE_BYTES] = "", word[CMDLINE_BYTES + 1] = "";
		size_t room = 2047 - used - (used > 0); /* a space between */

		memset(args, 'a', used);
		memset(word, 'b', room);
		starts(args);
		add(word);
		cr_assert_eq(c.len, 2047);
		word[room] = 'b';
		starts(args);
		cr_assert_eq(cmdline_add(&c, &e, "%s", word), -EINVAL);
	}
}

Test(cmdline, an_addition_before_the_inits_arguments_counts_both_spaces)
{
	char word[CMDLINE_BYTES] = "";

	memset(word, 'b', 2047 - 5);
	starts("-- x");
	add(word);
	cr_assert_eq(c.len, 2047);
	word[2047 - 5] = 'b';
	starts("-- x");
	cr_assert_eq(cmdline_add(&c, &e, "%s", word), -EINVAL);
	expect("-- x");
}

Test(cmdline, refuses_what_is_not_printable)
{
	static const char *const bad[] = { "a\nb", "a\tb", "a\x1b[0m", "caf\xc3\xa9",
		"a\x7f" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_eq(cmdline_init(&c, bad[i], &e), -EINVAL);
		cr_assert(strstr(e.text, "is not printable ASCII"), "%s", e.text);
		starts("a");
		cr_assert_eq(cmdline_add(&c, &e, "%s", bad[i]), -EINVAL);
		expect("a");
	}
	cr_assert_eq(cmdline_init(&c, "ab\n", &e), -EINVAL);
	cr_assert_str_eq(
		e.text, "boot arguments: character 2 (0x0a) is not printable ASCII");
}

Test(cmdline, refuses_to_add_what_is_not_one_word)
{
	static const char *const bad[] = { "", " ", "a b", " a", "a " };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		starts("quiet");
		cr_assert_eq(cmdline_add(&c, &e, "%s", bad[i]), -EINVAL);
		cr_assert(strstr(e.text, "is not one word"), "%s", e.text);
		expect("quiet");
	}
	starts("");
	add("root=\"a b\"");
}

static void expect_arg(const struct cmdline_arg *a, const char *name, const char *value)
{
	cr_expect_eq(a->name_len, strlen(name), "%s", name);
	cr_expect_arr_eq(a->name, name, a->name_len, "%s", name);
	cr_assert_eq(a->value == NULL, value == NULL, "%s", name);
	if (value) {
		cr_expect_eq(a->value_len, strlen(value), "%s", name);
		cr_expect_arr_eq(a->value, value, a->value_len, "%s", name);
	}
}

/* The expected values are those of next_arg in the kernel's lib/cmdline.c. */
Test(cmdline, cuts_arguments_as_the_kernel_does)
{
	static const struct {
		const char *name, *value;
	} want[] = { { "quiet", NULL }, { "a", "b=c" }, { "empty", "" }, { "q", "x y" },
		{ "w", "x y" }, { "bare words", NULL }, { "=x", NULL },
		{ "a", "b\"c d\"e" }, { "", NULL }, { "q", "" },
		{ "open", "to the end" } };
	struct cmdline_arg a;
	size_t at = 0, n = 0;

	starts(" quiet  a=b=c empty= q=\"x y\" \"w=x y\" \"bare words\" =x "
	       "a=b\"c d\"e \"\" q=\"\" open=\"to the end");
	while (cmdline_next(&c, &at, &a)) {
		cr_assert_lt(n, ARRAY_LEN(want));
		expect_arg(&a, want[n].name, want[n].value);
		n++;
	}
	cr_assert_eq(n, ARRAY_LEN(want));
}

Test(cmdline, arguments_end_where_the_inits_begin)
{
	static const char *const line[] = { "quiet -- rw", "quiet \"--\" rw",
		"quiet --", "quiet" };

	for (size_t i = 0; i < ARRAY_LEN(line); i++) {
		struct cmdline_arg a;
		size_t at = 0;

		starts(line[i]);
		cr_assert(cmdline_next(&c, &at, &a));
		expect_arg(&a, "quiet", NULL);
		cr_assert(!cmdline_next(&c, &at, &a), "%s", line[i]);
	}
	starts("quiet \"--\" rw");
	add("ro");
	expect("quiet ro \"--\" rw");
}

Test(cmdline, names_are_whole_and_dashes_are_underscores)
{
	struct cmdline_arg a;
	size_t at = 0;

	starts("8250.nr_uarts=0");
	cr_assert(cmdline_next(&c, &at, &a));
	cr_assert(cmdline_arg_is(&a, "8250.nr_uarts"));
	cr_assert(cmdline_arg_is(&a, "8250.nr-uarts"));
	cr_assert(!cmdline_arg_is(&a, "8250.nr_uart"));
	cr_assert(!cmdline_arg_is(&a, "8250.nr_uarts2"));
	cr_assert(!cmdline_arg_is(&a, ""));
	cr_assert(cmdline_value_is(&a, "0"));
	cr_assert(!cmdline_value_is(&a, "00") && !cmdline_value_is(&a, ""));
}
