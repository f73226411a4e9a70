/* SPDX-License-Identifier: Apache-2.0
 *
 * api_machine: the settings before the start: machine-config, boot-source, drives and
 * serial (contract, 3.4, 3.6, 3.10, 3.14), each constraint, and that what is refused
 * leaves all as it was.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "api/config_file.h"
#include "tests/unit/fakes/fake_api.h"

TestSuite(api_machine, .init = fake_api_init, .fini = fake_api_fini);

/* --- machine-config --- */

static void expect_config(const char *members)
{
	char want[256];

	(void)snprintf(want, sizeof(want), "{%s}", members);
	expect_reply("GET /machine-config", want);
}

#define LARGE                                                  \
	"{\"vcpu_count\":4,\"mem_size_mib\":512,\"smt\":true," \
	"\"track_dirty_pages\":true,\"huge_pages\":\"Transparent\"}"

Test(api_machine, takes_every_member)
{
	expect_done("PUT /machine-config " LARGE);
	expect_reply("GET /machine-config", LARGE);
	expect_done("PUT /machine-config {\"vcpu_count\":32,\"mem_size_mib\":1}");
	expect_done("PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		    "\"smt\":true,\"huge_pages\":\"2M\"}");
	expect_config("\"vcpu_count\":1,\"mem_size_mib\":2,\"smt\":true,"
		      "\"track_dirty_pages\":false,\"huge_pages\":\"2M\"");
}

Test(api_machine, resets_by_a_put_what_it_omits)
{
	expect_done("PUT /machine-config " LARGE);
	expect_done("PUT /machine-config {\"vcpu_count\":3,\"mem_size_mib\":5}");
	expect_config("\"vcpu_count\":3,\"mem_size_mib\":5,\"smt\":false,"
		      "\"track_dirty_pages\":false,\"huge_pages\":\"None\"");
}

Test(api_machine, keeps_by_a_patch_what_it_omits)
{
	expect_done("PUT /machine-config " LARGE);
	expect_done("PATCH /machine-config {\"vcpu_count\":2}");
	expect_done("PATCH /machine-config {\"track_dirty_pages\":false}");
	expect_config("\"vcpu_count\":2,\"mem_size_mib\":512,\"smt\":true,"
		      "\"track_dirty_pages\":false,\"huge_pages\":\"Transparent\"");
	expect_done("PATCH /machine-config {\"huge_pages\":\"None\",\"smt\":false,"
		    "\"mem_size_mib\":7}");
	expect_config("\"vcpu_count\":2,\"mem_size_mib\":7,\"smt\":false,"
		      "\"track_dirty_pages\":false,\"huge_pages\":\"None\"");
}

Test(api_machine, takes_null_for_absent_in_a_patch)
{
	expect_done("PUT /machine-config " LARGE);
	expect_done("PATCH /machine-config {\"vcpu_count\":2,\"mem_size_mib\":null,"
		    "\"smt\":null,\"track_dirty_pages\":null,\"huge_pages\":null,"
		    "\"cpu_template\":null}");
	cr_expect_not(fake_api.deprecated);
	expect_config("\"vcpu_count\":2,\"mem_size_mib\":512,\"smt\":true,"
		      "\"track_dirty_pages\":true,\"huge_pages\":\"Transparent\"");
}

Test(api_machine, refuses_a_patch_that_says_nothing)
{
	REFUSED("PATCH /machine-config {}", "machine config", "Empty PATCH");
	REFUSED("PATCH /machine-config {\"smt\":null}", "Empty PATCH");
	REFUSED("PATCH /machine-config {\"smt\":null,\"cpu_template\":null}",
		"Empty PATCH");
}

Test(api_machine, refuses_null_in_a_put_but_for_the_template)
{
	static const char *const members[] = { "vcpu_count", "mem_size_mib", "smt",
		"track_dirty_pages", "huge_pages" };
	char request[256];

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		(void)snprintf(request, sizeof(request),
			"PUT /machine-config {%s%s\"%s\":null}",
			i == 0 ? "" : "\"vcpu_count\":1,",
			i == 1 ? "" : "\"mem_size_mib\":1,", members[i]);
		REFUSED(request, members[i]);
	}
	expect_done("PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":1,"
		    "\"cpu_template\":null}");
}

Test(api_machine, takes_integers_in_one_form_and_range_only)
{
	static const struct {
		const char *number, *why;
	} bad[] = {
		{ "0", "0, not in 1 to 32" },
		{ "33", "33, not in 1 to 32" },
		{ "256", "256, not in" },
		{ "4294967297", "4294967297, not in" },
		{ "18446744073709551617", "not an unsigned integer" },
		{ "99999999999999999999", "not an unsigned integer" },
		{ "999999999999999999999999", "not an unsigned integer" },
		{ "-1", "not an unsigned integer" },
		{ "-0", "not an unsigned integer" },
		{ "2.0", "not an unsigned integer" },
		{ "2.5", "not an unsigned integer" },
		{ "1e3", "not an unsigned integer" },
		{ "1E0", "not an unsigned integer" },
		{ "01", "starts with 0" },
		{ "+1", "not valid JSON" },
		{ "0x1", "not valid JSON" },
		{ "\"2\"", "not an unsigned integer" },
		{ "true", "not an unsigned integer" },
		{ "[1]", "not an unsigned integer" },
		{ "{}", "not an unsigned integer" },
	};
	char request[128];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(request, sizeof(request),
			"PUT /machine-config {\"mem_size_mib\":1,\"vcpu_count\":%s}",
			bad[i].number);
		REFUSED(request, "machine config", bad[i].why);
		(void)snprintf(request, sizeof(request),
			"PATCH /machine-config {\"vcpu_count\":%s}", bad[i].number);
		REFUSED(request, "machine config", bad[i].why);
	}
}

Test(api_machine, refuses_what_no_machine_can_have)
{
	static const struct refused rows[] = {
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":0}",
			"mem_size_mib", NULL },
		{ "PUT /machine-config {\"vcpu_count\":1,"
		  "\"mem_size_mib\":18446744073709551615}",
			"mem_size_mib", NULL },
		{ "PUT /machine-config {\"vcpu_count\":1,"
		  "\"mem_size_mib\":18446744073709549568}",
			"mem_size_mib", "not a possible size" },
		{ "PUT /machine-config {\"vcpu_count\":3,\"mem_size_mib\":1,"
		  "\"smt\":true}",
			"vcpu_count 3", "smt" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":3,"
		  "\"huge_pages\":\"2M\"}",
			"mem_size_mib 3", "multiple of 2" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":3,"
		  "\"huge_pages\":\"Transparent\"}",
			"mem_size_mib 3", "multiple of 2" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		  "\"huge_pages\":\"2m\"}",
			"huge_pages", "'2m'" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		  "\"huge_pages\":false}",
			"huge_pages", NULL },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		  "\"smt\":\"true\"}",
			"smt", NULL },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		  "\"smt\":1}",
			"smt", NULL },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		  "\"cpu_template\":\"X9\"}",
			"cpu_template", "'X9'" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		  "\"cpu_template\":\"none\"}",
			"cpu_template", "'none'" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api_machine, refuses_a_patch_that_does_not_fit_what_is_set)
{
	expect_done("PUT /machine-config {\"vcpu_count\":3,\"mem_size_mib\":3}");
	REFUSED("PATCH /machine-config {\"smt\":true}", "vcpu_count 3");
	REFUSED("PATCH /machine-config {\"huge_pages\":\"2M\"}", "mem_size_mib 3");
	expect_done("PATCH /machine-config {\"smt\":true,\"vcpu_count\":2}");
	REFUSED("PATCH /machine-config {\"vcpu_count\":5}", "vcpu_count 5");
	expect_done("PATCH /machine-config {\"huge_pages\":\"2M\",\"mem_size_mib\":4}");
	REFUSED("PATCH /machine-config {\"mem_size_mib\":5}", "mem_size_mib 5");
	expect_config("\"vcpu_count\":2,\"mem_size_mib\":4,\"smt\":true,"
		      "\"track_dirty_pages\":false,\"huge_pages\":\"2M\"");
}

Test(api_machine, marks_the_template_as_deprecated_whatever_comes_of_it)
{
	expect_done("PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		    "\"cpu_template\":\"None\"}");
	cr_expect(fake_api.deprecated);
	expect_done("PATCH /machine-config {\"cpu_template\":\"None\"}");
	cr_expect(fake_api.deprecated);
	cr_expect_eq(fake_api.counts.deprecated_api.deprecated_http_api_calls, 2);
	cr_expect_eq(ask("PUT /machine-config {\"vcpu_count\":3,\"mem_size_mib\":2,"
			 "\"smt\":true,\"cpu_template\":\"None\"}"),
		400);
	cr_expect(fake_api.deprecated);
	cr_expect_eq(fake_api.counts.deprecated_api.deprecated_http_api_calls, 3);
	fake_api_enter(MACHINE_RUNNING);
	cr_expect_eq(ask("PATCH /machine-config {\"cpu_template\":\"None\"}"), 400);
	cr_expect(fake_api.deprecated);
	cr_expect_eq(fake_api.counts.deprecated_api.deprecated_http_api_calls, 4);
}

Test(api_machine, does_not_mark_what_is_not_deprecated)
{
	expect_done("PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2,"
		    "\"cpu_template\":\"None\"}");
	expect_done("PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":2}");
	cr_expect_not(fake_api.deprecated);
	expect_done("PATCH /machine-config {\"smt\":true}");
	cr_expect_not(fake_api.deprecated);
	cr_expect_eq(ask("GET /machine-config"), 200);
	cr_expect_not(fake_api.deprecated);
	cr_expect_eq(fake_api.counts.deprecated_api.deprecated_http_api_calls, 1);
}

/* --- boot-source --- */

Test(api_machine, replaces_the_whole_boot_source)
{
	expect_done("PUT /boot-source {\"kernel_image_path\":\"$K\","
		    "\"initrd_path\":\"$D\",\"boot_args\":\"a=b \\\"c\\\"\","
		    "\"share_kernel_pages\":true}");
	cr_expect_eq(ask("GET /vm/config"), 200);
	cr_expect(strstr(fake_api.text, "\"boot_args\":\"a=b \\\"c\\\"\""), "%s",
		fake_api.text);
	cr_expect(strstr(fake_api.text, "\"share_kernel_pages\":true"), "%s",
		fake_api.text);
	cr_expect(strstr(fake_api.text, fake_api.disk.path), "%s", fake_api.text);
	expect_done("PUT /boot-source {\"kernel_image_path\":\"$E\","
		    "\"initrd_path\":null,\"boot_args\":null}");
	cr_expect_eq(ask("GET /vm/config"), 200);
	cr_expect(strstr(fake_api.text, "\"initrd_path\":null,\"boot_args\":null}"),
		"%s", fake_api.text);
	cr_expect(strstr(fake_api.text, fake_api.other.path), "%s", fake_api.text);
	cr_expect_null(strstr(fake_api.text, fake_api.kernel.path));
}

Test(api_machine, refuses_boot_sources_that_cannot_be)
{
	static const struct refused rows[] = {
		{ "PUT /boot-source {\"kernel_image_path\":\"\"}", "kernel ''",
			"No such file" },
		{ "PUT /boot-source {\"kernel_image_path\":\"$K\","
		  "\"initrd_path\":\"/none\"}",
			"initrd '/none'", "No such file" },
		{ "PUT /boot-source {\"kernel_image_path\":\"$K\","
		  "\"boot_args\":\"a\\tb\"}",
			"boot arguments", "not printable" },
		{ "PUT /boot-source {\"kernel_image_path\":\"$K\","
		  "\"boot_args\":\"\xc3\xbc\"}",
			"boot arguments", "not printable" },
		{ "PUT /boot-source {\"kernel_image_path\":1}", "kernel_image_path",
			"string" },
		{ "PUT /boot-source {\"kernel_image_path\":\"$K\",\"boot_args\":1}",
			"boot_args", "string" },
		{ "PUT /boot-source {\"kernel_image_path\":\"$K\",\"initrd_path\":[]}",
			"initrd_path", "string" },
		{ "PUT /boot-source {\"kernel_image_path\":\"$K\","
		  "\"share_kernel_pages\":null}",
			"share_kernel_pages", NULL },
		{ "PUT /boot-source {\"kernel_image_path\":\"a\\u0000b\"}", "NUL",
			NULL },
	};

	expect_done("PUT /boot-source {\"kernel_image_path\":\"$E\","
		    "\"boot_args\":\"mine\"}");
	EXPECT_ALL_REFUSED(rows);
}

/* --- drives --- */

#define DRIVE(id, members) \
	"PUT /drives/" id " {\"drive_id\":\"" id "\",\"path_on_host\":\"$D\"," members
#define SHOWN(id, partuuid, root, cache, ro, path)            \
	"{\"drive_id\":\"" id "\",\"path_on_host\":\"" path   \
	"\",\"is_root_device\":" root ",\"is_read_only\":" ro \
	",\"partuuid\":" partuuid ",\"cache_type\":\"" cache  \
	"\",\"io_engine\":\"Sync\",\"rate_limiter\":null,\"socket\":null}"

static void expect_drives(const char *drives)
{
	char want[2048], shown[2048], path[2][40];
	const char *at;
	size_t n = 0;

	(void)snprintf(path[0], sizeof(path[0]), "%s", fake_api.disk.path);
	(void)snprintf(path[1], sizeof(path[1]), "%s", fake_api.other.path);
	for (at = drives; *at; at++) {
		if (*at == '$')
			n += (size_t)snprintf(
				want + n, sizeof(want) - n, "%s", path[*++at == 'E']);
		else
			want[n++] = *at;
	}
	want[n] = '\0';
	cr_assert_eq(ask("GET /vm/config"), 200);
	(void)snprintf(
		shown, sizeof(shown), "%s", strstr(fake_api.text, "\"drives\":"));
	*strstr(shown, ",\"boot-source\"") = '\0';
	cr_expect_str_eq(shown + strlen("\"drives\":"), want);
}

Test(api_machine, shows_drives_in_the_order_of_their_first_put)
{
	expect_done(DRIVE("b", "\"is_root_device\":false}"));
	expect_done(DRIVE("a",
		"\"is_root_device\":true,\"is_read_only\":true,"
		"\"partuuid\":\"0eaa91a0-01\",\"cache_type\":\"Writeback\","
		"\"io_engine\":\"Sync\"}"));
	expect_drives(
		"[" SHOWN("b", "null", "false", "Unsafe", "false", "$D") "," SHOWN(
			"a", "\"0eaa91a0-01\"", "true", "Writeback", "true", "$D") "]");
	expect_done("PUT /drives/b {\"drive_id\":\"b\",\"path_on_host\":\"$E\","
		    "\"is_root_device\":false,\"is_read_only\":null,"
		    "\"partuuid\":null,\"io_engine\":null,\"rate_limiter\":null,"
		    "\"socket\":null}");
	expect_drives(
		"[" SHOWN("b", "null", "false", "Unsafe", "false", "$E") "," SHOWN(
			"a", "\"0eaa91a0-01\"", "true", "Writeback", "true", "$D") "]");
}

Test(api_machine, refuses_drives_that_cannot_be)
{
	static const struct refused rows[] = {
		{ DRIVE("b", "\"is_root_device\":true}"), "'b'", "root device" },
		{ DRIVE("b", "\"is_root_device\":null}"), "is_root_device", NULL },
		{ DRIVE("b", "\"is_root_device\":\"no\"}"), "is_root_device", NULL },
		{ DRIVE("b", "\"is_root_device\":false,\"cache_type\":null}"),
			"cache_type", NULL },
		{ DRIVE("b", "\"is_root_device\":false,\"cache_type\":\"unsafe\"}"),
			"cache_type", "'unsafe'" },
		{ DRIVE("b", "\"is_root_device\":false,\"io_engine\":\"sync\"}"),
			"io_engine", "'sync'" },
		{ DRIVE("b", "\"is_root_device\":false,\"socket\":\"/s\"}"), "socket",
			"vhost-user" },
		{ DRIVE("b", "\"is_root_device\":false,\"partuuid\":7}"), "partuuid",
			"string" },
		{ "PUT /drives/b {\"drive_id\":\"b\",\"is_root_device\":false,"
		  "\"socket\":\"/s\"}",
			"socket", "vhost-user" },
		{ "PUT /drives/b {\"drive_id\":\"b\",\"path_on_host\":\"/tmp\","
		  "\"is_root_device\":false}",
			"drive 'b'", "directory" },
		{ "PUT /drives/b {\"drive_id\":\"b\",\"path_on_host\":\"$F\","
		  "\"is_root_device\":false}",
			"drive 'b'", "cannot be a disk" },
		{ "PUT /drives/b {\"drive_id\":\"b\",\"path_on_host\":\"\","
		  "\"is_root_device\":false}",
			"drive 'b'", "No such file" },
		{ "PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"/none\","
		  "\"is_root_device\":true}",
			"drive 'a'", "No such file" },
	};

	expect_done(DRIVE("a", "\"is_root_device\":true}"));
	EXPECT_ALL_REFUSED(rows);
	expect_drives("[" SHOWN("a", "null", "true", "Unsafe", "false", "$D") "]");
}

Test(api_machine, lets_the_root_move_when_the_old_one_lets_go)
{
	expect_done(DRIVE("a", "\"is_root_device\":true}"));
	expect_done(DRIVE("a", "\"is_root_device\":true}"));
	expect_done(DRIVE("a", "\"is_root_device\":false}"));
	expect_done(DRIVE("b", "\"is_root_device\":true}"));
	REFUSED(DRIVE("a", "\"is_root_device\":true}"), "'b' is the root device");
}

Test(api_machine, has_room_for_18_drives)
{
	char request[128];

	for (unsigned i = 0; i < 19; i++) {
		(void)snprintf(request, sizeof(request),
			"PUT /drives/d%u {\"drive_id\":\"d%u\","
			"\"path_on_host\":\"$D\",\"is_root_device\":false}",
			i, i);
		if (i < 18)
			expect_done(request);
		else
			cr_expect_eq(ask(request), 400);
	}
	cr_expect(strstr(fake_api.text, "18 already"), "%s", fake_api.text);
}

/* --- serial --- */

Test(api_machine, takes_a_serial_output_that_is_opened_later)
{
	static const struct refused rows[] = {
		{ "PUT /serial {\"serial_out_path\":1}", "serial_out_path", "string" },
		{ "PUT /serial {\"serial_out_path\":[]}", "serial_out_path", "string" },
		{ "PUT /serial {\"rate_limiter\":{\"size\":1}}", "token bucket",
			"'refill_time' is missing" },
		{ "PUT /serial {\"rate_limiter\":{\"bandwidth\":null}}", "token bucket",
			"missing" },
		{ "PUT /serial {\"rate_limiter\":1}", "token bucket", "not an object" },
	};

	expect_done("PUT /serial {\"serial_out_path\":\"/nonexistent/x\"}");
	expect_done("PUT /serial {\"serial_out_path\":null,\"rate_limiter\":null}");
	expect_done("PUT /serial {\"rate_limiter\":{\"size\":18446744073709551615,"
		    "\"one_time_burst\":null,\"refill_time\":0}}");
	expect_done("PUT /serial {}");
	EXPECT_ALL_REFUSED(rows);
}

/* --- GET /vm/config --- */

Test(api_machine, prints_a_config_file_that_makes_the_same_machine)
{
	static char first[4096];
	struct err e;

	expect_done("PUT /machine-config " LARGE);
	expect_done("PUT /boot-source {\"kernel_image_path\":\"$K\","
		    "\"initrd_path\":\"$D\",\"boot_args\":\"x=\\\"1\\\\2\\\" -- y\","
		    "\"share_kernel_pages\":true}");
	expect_done("PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$S\"}");
	expect_done(DRIVE("a", "\"is_root_device\":false,\"is_read_only\":true}"));
	expect_done(DRIVE("b",
		"\"is_root_device\":true,\"partuuid\":\"12-34\",\"rate_limiter\":{"
		"\"ops\":{\"size\":18446744073709551615,\"refill_time\":1}}}"));
	cr_assert_eq(ask("GET /vm/config"), 200);
	strcpy(first, fake_api.text);
	expect_done("PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":1}");
	expect_done("PUT /boot-source {\"kernel_image_path\":\"$E\"}");
	expect_done("PUT /vsock {\"guest_cid\":4,\"uds_path\":\"$T\"}");
	expect_done(DRIVE("a", "\"is_root_device\":false}"));
	cr_assert_eq(
		config_apply(&fake_api.api, first, strlen(first), &e), 0, "%s", e.text);
	cr_assert_eq(ask("GET /vm/config"), 200);
	cr_expect_str_eq(fake_api.text, first);
}
