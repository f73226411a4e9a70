/* SPDX-License-Identifier: Apache-2.0
 *
 * ids: what a microVM and its devices may be called; test_utf8.c has the characters.
 */
#include "vmm/base/ids.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

static struct err e;

Test(ids, takes_an_instance_id_of_letters_digits_and_dashes)
{
	cr_assert_eq(ids_check_instance("a", &e), 0);
	cr_assert_eq(ids_check_instance("anonymous-instance", &e), 0);
	cr_assert_eq(ids_check_instance(SIXTY "-XYZ", &e), 0);
	cr_assert_eq(ids_check_instance("vm-\xc3\xa9", &e), 0);
}

Test(ids, refuses_another_instance_id)
{
	static const char *const bad[] = { "", "a_b", "a b", "a.b", "a/b", "\xc3",
		"\xe2\x82\xac", SIXTY "-WXYZ", SIXTY "12\xe2\x85\xa7" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(ids_check_instance(bad[i], &e), -EINVAL, "%s", bad[i]);
		cr_expect(strstr(e.text, "id '"), "%s", e.text);
	}
}

Test(ids, takes_a_device_id_of_letters_digits_and_underscores)
{
	cr_expect_eq(ids_check_device("drive_id", "root_1", &e), 0);
	cr_expect_eq(ids_check_device("drive_id", SIXTY SIXTY, &e), 0);
	cr_expect(ids_is_device("\xd0\xb4_1"));
}

Test(ids, refuses_another_device_id_by_the_name_of_the_setting)
{
	static const char *const bad[] = { "", "a-b", "a b", "a/b", "..", "\xc3" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_not(ids_is_device(bad[i]), "%s", bad[i]);
		cr_expect_eq(ids_check_device("iface_id", bad[i], &e), -EINVAL);
		cr_expect(strstr(e.text, "iface_id '"), "%s", e.text);
	}
}
