/* SPDX-License-Identifier: Apache-2.0
 *
 * name: what a program calls itself; tests/system/cli has the binary under other names.
 */
#include "vmm/base/name.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(name, is_what_follows_the_last_slash)
{
	cr_expect_str_eq(name_of_path("/usr/bin/husk"), "husk");
	cr_expect_str_eq(name_of_path("./firecracker"), "firecracker");
	cr_expect_str_eq(name_of_path("husk"), "husk");
	cr_expect_str_eq(name_of_path("/tmp/"), "");
}

Test(name, is_the_files_and_not_of_the_arguments)
{
	program_invocation_name = (char *)"/bin/firecracker";
	cr_expect_str_eq(name_of_program(), "test_name");
	cr_expect_str_eq(name_of_product(), "husk");
}
