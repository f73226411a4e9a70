/* SPDX-License-Identifier: Apache-2.0
 *
 * err: what the text of a failure says, and that it is one line that fits.
 */
#include "vmm/base/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct err e;

Test(err, says_what_failed_and_why_errno_says_it_did)
{
	errno = ENOENT;
	cr_assert_eq(err_sys(&e, "cannot open '%s'", "/x"), -ENOENT);
	cr_assert_str_eq(e.text, "cannot open '/x': No such file or directory");
}

Test(err, says_what_a_returned_code_means)
{
	errno = ENOENT;
	cr_assert_eq(err_code(&e, -ENOMEM, "loop"), -ENOMEM);
	cr_assert_str_eq(e.text, "loop: Cannot allocate memory");
}

Test(err, refuses_a_setting_without_a_code)
{
	cr_assert_eq(err_bad(&e, "size %d", 3), -EINVAL);
	cr_assert_str_eq(e.text, "size 3");
}

Test(err, puts_context_before_the_text_of_a_callee)
{
	(void)err_bad(&e, "no");
	cr_assert_eq(err_add(&e, -EIO, "drive '%s'", "a"), -EIO);
	cr_assert_eq(err_add(&e, -EIO, "start"), -EIO);
	cr_assert_str_eq(e.text, "start: drive 'a': no");
}

Test(err, gives_codes_without_a_buffer)
{
	errno = EPERM;
	cr_assert_eq(err_sys(NULL, "x"), -EPERM);
	cr_assert_eq(err_code(NULL, -EIO, "x"), -EIO);
	cr_assert_eq(err_bad(NULL, "x"), -EINVAL);
	cr_assert_eq(err_add(NULL, -EIO, "x"), -EIO);
}

static void long_text(char *text, size_t n)
{
	memset(text, 'x', n - 1);
	text[n - 1] = '\0';
}

Test(err, cuts_a_text_that_is_too_long)
{
	char text[2 * sizeof(e.text)];

	long_text(text, sizeof(text));
	(void)err_bad(&e, "%s", text);
	cr_assert_eq(strlen(e.text), sizeof(e.text) - 1);
	(void)err_add(&e, -EIO, "%s", text);
	cr_assert_eq(strlen(e.text), sizeof(e.text) - 1);
}

Test(err, keeps_the_context_when_the_rest_is_cut)
{
	char text[sizeof(e.text)];

	long_text(text, sizeof(text));
	(void)err_bad(&e, "%s", text);
	(void)err_add(&e, -EIO, "drive 'a'");
	cr_assert_eq(strncmp(e.text, "drive 'a': xxx", 14), 0);
	cr_assert_eq(strlen(e.text), sizeof(e.text) - 1);
}

Test(err, is_one_line_whatever_a_path_holds)
{
	(void)err_bad(&e, "cannot open '%s'", "a\nhusk: fine\r\t\x1b[2J\x7f");
	cr_assert_str_eq(e.text, "cannot open 'a?husk: fine???[2J?'");
	(void)err_add(&e, -EIO, "drive '%s'", "b\n");
	cr_assert_str_eq(e.text, "drive 'b?': cannot open 'a?husk: fine???[2J?'");
}

Test(err, keeps_the_reason_behind_a_long_name)
{
	char name[2000];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(err_code(&e, -ENOENT, "cannot open '%s'", name), -ENOENT);
	cr_assert(strstr(e.text, "cannot open 'xxx"));
	cr_assert(strstr(e.text, ": No such file or directory"));
}

Test(err, leaves_other_languages_alone)
{
	(void)err_bad(&e, "'%s'", "gr\xc3\xbc\xc3\x9f");
	cr_assert_str_eq(e.text, "'gr\xc3\xbc\xc3\x9f'");
}
