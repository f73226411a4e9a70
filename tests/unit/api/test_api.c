/* SPDX-License-Identifier: Apache-2.0
 *
 * api: which request is served at all: methods, paths, ids, bodies (contract, 2.4 to
 * 2.6), before it matters what the values mean.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "api/routes.h"
#include "tests/unit/fakes/fake_api.h"
#include "vmm/base/absent.h"

TestSuite(api, .init = fake_api_init, .fini = fake_api_fini);

#define MACHINE "{\"vcpu_count\":2,\"mem_size_mib\":256}"
#define DRIVE(id) \
	"{\"drive_id\":\"" id "\",\"path_on_host\":\"$D\",\"is_root_device\":false}"

/* --- what is answered --- */

Test(api, says_who_it_is)
{
	expect_reply("GET /",
		"{\"id\":\"test-1\",\"state\":\"Not started\","
		"\"vmm_version\":\"1.16.0\",\"app_name\":\"husk\"}");
	expect_reply("GET /version", "{\"firecracker_version\":\"1.16.0\"}");
}

Test(api, has_the_settings_of_a_machine_that_nobody_set)
{
	expect_reply("GET /machine-config",
		"{\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":false,"
		"\"track_dirty_pages\":false,\"huge_pages\":\"None\"}");
	expect_reply("GET /vm/config",
		"{\"balloon\":null,\"drives\":[],"
		"\"boot-source\":{\"kernel_image_path\":\"\",\"initrd_path\":null,"
		"\"boot_args\":null},"
		"\"cpu-config\":null,\"logger\":null,\"machine-config\":{"
		"\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":false,"
		"\"track_dirty_pages\":false,\"huge_pages\":\"None\"},"
		"\"metrics\":null,\"mmds-config\":null,\"network-interfaces\":[],"
		"\"vsock\":null,\"entropy\":null,\"pmem\":[],\"memory-hotplug\":null}");
}

Test(api, answers_every_get_with_json_and_every_put_with_nothing)
{
	cr_expect_eq(ask("GET /metrics"), 200); /* ask judges the form */
	expect_done("PUT /machine-config " MACHINE);
	cr_expect_str_empty(fake_api.text);
	expect_done("PATCH /machine-config {\"smt\":true}");
	cr_expect_str_empty(fake_api.text);
}

/* --- methods and bodies --- */

Test(api, refuses_a_get_with_a_body_on_any_path)
{
	static const struct refused rows[] = {
		{ "GET / {}", "GET", "body" },
		{ "GET /version {}", "GET", "body" },
		{ "GET /vm/config x", "GET", "body" },
		{ "GET /nonsense {}", "GET", "body" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, refuses_a_put_or_patch_without_a_body_on_any_path)
{
	static const struct refused rows[] = {
		{ "PUT /machine-config", "Empty PUT", NULL },
		{ "PUT /drives/a", "Empty PUT", NULL },
		{ "PUT /drives", "Empty PUT", NULL },
		{ "PUT /nonsense", "Empty PUT", NULL },
		{ "PUT /balloon", "Empty PUT", NULL },
		{ "PATCH /machine-config", "Empty PATCH", NULL },
		{ "PATCH /vm", "Empty PATCH", NULL },
		{ "PATCH /nonsense", "Empty PATCH", NULL },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, refuses_methods_that_a_resource_does_not_have)
{
	static const struct refused rows[] = {
		{ "PATCH /boot-source {\"kernel_image_path\":\"$K\"}", "PATCH",
			"boot-source" },
		{ "PATCH /actions {\"action_type\":\"InstanceStart\"}", "PATCH",
			"actions" },
		{ "PATCH /logger {}", "PATCH", "logger" },
		{ "PATCH /serial {}", "PATCH", "serial" },
		{ "PATCH / {}", "PATCH", NULL },
		{ "PUT / {}", "PUT", NULL },
		{ "PUT /version {}", "PUT", "version" },
		{ "PUT /vm {\"state\":\"Paused\"}", "PUT", "vm" },
		{ "PUT /vm/config {}", "PUT", "vm/config" },
		{ "GET /drives", "GET", "drives" },
		{ "GET /drives/a", "GET", "drives/a" },
		{ "GET /boot-source", "GET", "boot-source" },
		{ "GET /actions", "GET", "actions" },
		{ "GET /logger", "GET", "logger" },
		{ "GET /vm", "GET", "vm" },
		{ "DELETE /drives/a", "DELETE", "drives/a" },
		{ "DELETE /drives/a {}", "DELETE", "drives/a" },
		{ "DELETE /", "DELETE", NULL },
		{ "DELETE /machine-config", "DELETE", "machine-config" },
	};

	EXPECT_ALL_REFUSED(rows);
}

/* --- paths --- */

Test(api, finds_a_resource_whatever_slashes_surround_it)
{
	static const char *const same[] = { "GET /version", "GET /version/",
		"GET //version", "GET /version//", "GET ///version/x/y" };

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		expect_reply(same[i], "{\"firecracker_version\":\"1.16.0\"}");
	cr_expect_eq(ask("GET /vm/config/"), 200);
	cr_expect_eq(ask("GET /vm//config"), 200);
	cr_expect_eq(ask("GET //"), 200);
	expect_done("PUT /machine-config/ " MACHINE);
	expect_done("PUT /drives/a/ " DRIVE("a"));
	expect_done("PUT //drives//a " DRIVE("a"));
}

Test(api, ignores_segments_after_the_second)
{
	cr_expect_eq(ask("GET /vm/config/more/and-more"), 200);
	expect_done("PUT /drives/a/b-c/d " DRIVE("a"));
	expect_done("PUT /machine-config/x/y " MACHINE);
}

Test(api, refuses_paths_that_it_does_not_know)
{
	static const struct refused rows[] = {
		{ "GET /nonsense", "GET", "nonsense" },
		{ "GET /Version", "GET", "Version" },
		{ "GET /versio", "versio", NULL },
		{ "GET /versions", "versions", NULL },
		{ "GET /%76ersion", "%76ersion", NULL },
		{ "GET /vm/configs", "vm/configs", NULL },
		{ "GET /vm/x/config", "vm/x", NULL },
		{ "PUT /nonsense {}", "PUT", "nonsense" },
		{ "PATCH /nonsense/x {}", "PATCH", "nonsense/x" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, takes_a_query_for_a_part_of_the_segment)
{
	static const struct refused rows[] = {
		{ "GET /?x", "?x", NULL },
		{ "GET /version?x=1", "version?x=1", NULL },
		{ "GET /vm/config?x", "vm/config?x", NULL },
		{ "PUT /machine-config? " MACHINE, "machine-config?", NULL },
		{ "PUT /drives/a?b " DRIVE("a"), "a?b", "alphanumeric" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, refuses_what_is_no_resource_of_husk_by_name)
{
	static const struct refused rows[] = {
		{ "PUT /balloon {}", "balloon", "virtio-blk and virtio-vsock only" },
		{ "GET /balloon", "balloon", "only" },
		{ "PATCH /balloon/statistics {}", "balloon", "only" },
		{ "PUT /entropy {}", "entropy", "virtio-blk and virtio-vsock only" },
		{ "PUT /pmem/a {}", "pmem", "virtio-blk and virtio-vsock only" },
		{ "PUT /hotplug/memory {}", "hotplug",
			"virtio-blk and virtio-vsock only" },
		{ "GET /hotplug/memory", "hotplug", "only" },
	};

	EXPECT_ALL_REFUSED(rows);
}

static void ask_long(const char *method, const char *before, size_t n, const char *tail)
{
	char request[2048];

	(void)snprintf(request, sizeof(request), "%s %s%.*s%s", method, before, (int)n,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		tail);
	REFUSED(request, "fault_message");
}

Test(api, refuses_segments_of_any_length_in_a_line_of_json)
{
	for (size_t n = 55; n < 70; n++) {
		ask_long("GET", "/", n, "");
		ask_long("GET", "/", n, "\xc3\xbc"); /* cut in its middle or not */
		ask_long("GET", "/vm/", n, "\xf0\x9f\x98\x80");
	}
	for (size_t n = 120; n < 132; n++) {
		ask_long("PUT", "/drives/", n, " " DRIVE("a"));
		ask_long("PUT", "/drives/", n, "\xc3\xbc {}");
	}
	ask_long("GET", "/machine-config", 64, "");
}

Test(api, answers_in_utf8_also_what_it_had_to_cut)
{
	for (size_t n = 60; n < 68; n++) {
		char request[512];

		(void)snprintf(request, sizeof(request), "GET /%.*s\xc3\xbc\xc3\xbc",
			(int)n,
			"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			"bbbbbb");
		REFUSED(request, "bbbb"); /* the reader of replies wants UTF-8 */
	}
}

/* --- ids --- */

Test(api, refuses_ids_of_other_characters_and_none)
{
	static const struct refused rows[] = {
		{ "PUT /drives {}", "ID", "empty" },
		{ "PUT /drives/ {}", "ID", "empty" },
		{ "PUT /drives// {}", "ID", "empty" },
		{ "PATCH /drives {}", "ID", "empty" },
		{ "PUT /drives/a-b " DRIVE("a-b"), "'a-b'", "alphanumeric" },
		{ "PUT /drives/a.b " DRIVE("a.b"), "'a.b'", "alphanumeric" },
		{ "PUT /drives/a%62 " DRIVE("ab"), "'a%62'", "alphanumeric" },
		{ "PATCH /drives/a-b {\"drive_id\":\"a-b\"}", "'a-b'", "alphanumeric" },
		{ "PUT /drives/a-b x", "'a-b'", "alphanumeric" }, /* before the JSON */
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, takes_letters_digits_and_underscores_as_an_id)
{
	expect_done("PUT /drives/_aZ09_ " DRIVE("_aZ09_"));
	expect_done("PUT /drives/0 " DRIVE("0"));
	expect_done("PUT /drives/_ " DRIVE("_"));
}

Test(api, refuses_an_id_that_is_not_the_bodys)
{
	static const struct refused rows[] = {
		{ "PUT /drives/a " DRIVE("b"), "'a'", "in the body" },
		{ "PUT /drives/a " DRIVE("A"), "'a'", "in the body" },
		{ "PUT /drives/a " DRIVE(""), "'a'", "in the body" },
		{ "PUT /drives/a " DRIVE("a-b"), "'a'", "in the body" },
		/* before the state: this machine has not started */
		{ "PATCH /drives/a {\"drive_id\":\"b\"}", "'a'", "in the body" },
	};

	EXPECT_ALL_REFUSED(rows);
}

/* Both places of an id, with the same check: 980 bytes is about what a request line
 * has room for. */
static void put_drive(const char *id)
{
	static char request[4096];

	(void)snprintf(request, sizeof(request), "PUT /drives/%s " DRIVE("%s"), id, id);
	expect_done(request);
	cr_assert_eq(ask("GET /vm/config"), 200);
	(void)snprintf(request, sizeof(request), "\"drive_id\":\"%s\"", id);
	cr_expect(strstr(fake_api.text, request), "%s", fake_api.text);
}

Test(api, takes_ids_of_any_script_and_length)
{
	char id[981];

	put_drive("\xd0\xb4\xd0\xb8\xd1\x81\xd0\xba_1");
	put_drive("\xe7\xa3\x81\xe7\x9b\x98");
	memset(id, 'n', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	put_drive(id);
}

Test(api, refuses_ids_that_are_no_letters_and_digits)
{
	static const struct refused rows[] = {
		{ "PUT /drives/a\xcc\x81 " DRIVE("a"), "alphanumeric", NULL },
		{ "PUT /drives/\xf0\x9f\x92\xbe " DRIVE("a"), "alphanumeric", NULL },
		{ "PUT /drives/a\xe2\x80\x8d " DRIVE("a"), "alphanumeric", NULL },
		{ "PUT /drives/a\xe2\x80\x93z " DRIVE("a"), "alphanumeric", NULL },
	};

	EXPECT_ALL_REFUSED(rows);
}

/* --- the JSON of bodies --- */

Test(api, refuses_what_is_not_one_json_value)
{
	static const struct refused rows[] = {
		{ "PUT /machine-config x", "machine config", "line 1 column 1" },
		{ "PUT /machine-config {", "not valid JSON", "line 1" },
		{ "PUT /machine-config {\"vcpu_count\":1,}", "not valid JSON",
			"line 1 column" },
		{ "PUT /machine-config {\n\"vcpu_count\":01}", "line 2", "column" },
		{ "PUT /machine-config " MACHINE " x", "text follows", NULL },
		{ "PUT /machine-config " MACHINE MACHINE, "text follows", NULL },
		{ "PUT /machine-config //", "not valid JSON", NULL },
		{ "PUT /machine-config {\"a\":\"\xff\"}", "UTF-8", NULL },
		{ "PUT /drives/a {'drive_id':1}", "drive config", "not valid JSON" },
		{ "PUT /actions {\"action_type\":InstanceStart}", "action",
			"not valid JSON" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, takes_white_space_around_a_body)
{
	expect_done("PUT /machine-config  \r\n\t" MACHINE " \r\n\t ");
}

Test(api, refuses_a_body_that_is_no_object)
{
	static const char *const values[] = { "[]", "1", "\"x\"", "true", "null" };
	static const char *const bodies[] = { "machine-config", "boot-source",
		"drives/a", "network-interfaces/e", "vsock", "cpu-config", "actions",
		"logger", "metrics", "serial" };
	char request[64];

	for (size_t b = 0; b < ARRAY_LEN(bodies); b++) {
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			(void)snprintf(request, sizeof(request), "PUT /%s %s",
				bodies[b], values[v]);
			REFUSED(request, "not an object");
		}
	}
	REFUSED("PATCH /machine-config []", "not an object");
	REFUSED("PATCH /vm \"Paused\"", "not an object");
	REFUSED("PATCH /drives/a []", "not an object");
	REFUSED("PATCH /network-interfaces/a []", "not an object");
}

Test(api, refuses_unknown_members_of_every_strict_body)
{
	static const struct refused rows[] = {
		{ "PUT /actions {\"action_type\":\"InstanceStart\",\"payload\":\"\"}",
			"payload", "unknown" },
		{ "PUT /boot-source {\"kernel_image_path\":\"$K\",\"x\":1}", "'x'",
			"unknown" },
		{ "PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$D\","
		  "\"is_root_device\":false,\"x\":null}",
			"'x'", "unknown" },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"is_read_only\":true}",
			"'is_read_only'", "unknown" },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"io_engine\":\"Sync\"}",
			"'io_engine'", "unknown" },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"is_root_device\":false}",
			"'is_root_device'", "unknown" },
		{ "PUT /logger {\"path\":\"$L\"}", "'path'", "unknown" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":1,\"x\":1}",
			"'x'", "unknown" },
		{ "PUT /machine-config {\"VCPU_COUNT\":1}", "'VCPU_COUNT'", "unknown" },
		{ "PATCH /machine-config {\"x\":null}", "'x'", "unknown" },
		{ "PUT /serial {\"path\":\"\"}", "'path'", "unknown" },
		{ "PATCH /vm {\"state\":\"Paused\",\"x\":0}", "'x'", "unknown" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, ignores_unknown_members_of_metrics)
{
	expect_done("PUT /metrics {\"metrics_path\":\"$L\",\"x\":{\"y\":[1]}}");
}

Test(api, refuses_members_given_twice)
{
	static const struct refused rows[] = {
		{ "PUT /machine-config {\"vcpu_count\":1,\"vcpu_count\":1,"
		  "\"mem_size_mib\":1}",
			"'vcpu_count'", "twice" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"vcpu\\u005fcount\":1,"
		  "\"mem_size_mib\":1}",
			"'vcpu_count'", "twice" },
		{ "PATCH /machine-config {\"smt\":null,\"smt\":true}", "'smt'",
			"twice" },
		{ "PUT /metrics {\"metrics_path\":\"$L\",\"x\":1,\"x\":1}", "'x'",
			"twice" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, refuses_a_body_without_what_is_required)
{
	static const struct refused rows[] = {
		{ "PUT /actions {}", "'action_type'", "missing" },
		{ "PUT /actions {\"action_type\":null}", "'action_type'", NULL },
		{ "PUT /boot-source {}", "'kernel_image_path'", "missing" },
		{ "PUT /boot-source {\"kernel_image_path\":null}",
			"'kernel_image_path'", NULL },
		{ "PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$D\"}",
			"'is_root_device'", "missing" },
		{ "PUT /drives/a {\"path_on_host\":\"$D\",\"is_root_device\":false}",
			"'drive_id'", "missing" },
		{ "PUT /drives/a {\"drive_id\":\"a\",\"is_root_device\":false}",
			"path_on_host", "missing" },
		{ "PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":null,"
		  "\"is_root_device\":false}",
			"path_on_host", "missing" },
		{ "PATCH /drives/a {}", "'drive_id'", "missing" },
		{ "PUT /metrics {}", "'metrics_path'", "missing" },
		{ "PUT /metrics {\"metrics_path\":null}", "'metrics_path'", NULL },
		{ "PUT /machine-config {\"vcpu_count\":1}", "'mem_size_mib'",
			"missing" },
		{ "PUT /machine-config {\"mem_size_mib\":1}", "'vcpu_count'",
			"missing" },
		{ "PATCH /vm {}", "'state'", "missing" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api, says_of_each_refusal_what_it_was_about)
{
	REFUSED("PUT /boot-source {\"kernel_image_path\":\"/nonexistent/k\"}",
		"boot source", "'/nonexistent/k'", "No such file");
	REFUSED("PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"/none\","
		"\"is_root_device\":false}",
		"drive config", "'a'", "'/none'", "No such file");
	REFUSED("PUT /logger {\"log_path\":\"/nonexistent/l\"}", "logger",
		"'/nonexistent/l'", "No such file");
	REFUSED("PUT /metrics {\"metrics_path\":\"/nonexistent/m\"}", "metrics",
		"'/nonexistent/m'", "No such file");
}

Test(api, has_a_route_for_every_handler_and_no_two_alike)
{
	struct route r, other;

	for (size_t i = 0; route_at(i, &r); i++) {
		cr_expect(r.serve && r.area && r.states, "%s", r.resource);
		cr_expect_eq(r.method != HTTP_METHOD_GET,
			(r.fields != NULL) + (r.read != NULL), "%s", r.resource);
		for (size_t j = 0; j < i && route_at(j, &other); j++)
			cr_expect(other.method != r.method ||
					strcmp(other.resource, r.resource) != 0,
				"%s twice", r.resource);
		cr_expect_null(absent_resource(r.resource), "%s", r.resource);
	}
}
