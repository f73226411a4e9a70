/* SPDX-License-Identifier: Apache-2.0
 *
 * api_devices: network interfaces, vsock and rate limiters (contract, 3.12, 3.13, 3.19,
 * 4): each constraint, what GET /vm/config shows of them, and what changes while the
 * machine runs.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/config_file.h"
#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_machine.h"

TestSuite(api_devices, .init = fake_api_init, .fini = fake_api_fini);

/* GET /vm/config has this text. */
static void expect_shown(const char *what)
{
	cr_assert_eq(ask("GET /vm/config"), 200);
	cr_expect(strstr(fake_api.text, what), "%s is not in %s", what, fake_api.text);
}

#define NIC(id, tap, members)                                                 \
	"PUT /network-interfaces/" id " {\"iface_id\":\"" id "\",\"host_dev_" \
	"name\":\"" tap "\"" members "}"

/* --- network interfaces: what needs no TAP --- */

Test(api_devices, refuses_interfaces_that_cannot_be)
{
	static const struct refused rows[] = {
		{ NIC("e", "", ""), "host_dev_name", "1 to 15 bytes" },
		{ NIC("e", "tap4567890123456", ""), "host_dev_name", "1 to 15 bytes" },
		{ NIC("e", "fd:2", ""), "host_dev_name", "N > 2" },
		{ NIC("e", "fd:03", ""), "host_dev_name", "N > 2" },
		{ NIC("e", "a:b", ""), "host_dev_name", "is no name" },
		{ NIC("e", "fd:1000", ""), "interface 'e'", "cannot use tap" },
		{ NIC("e", "t", ",\"guest_mac\":\"06:00:ac:1f:ff\""), "guest_mac",
			"'06:00:ac:1f:ff'" },
		{ NIC("e", "t", ",\"guest_mac\":\"06-00-ac-1f-ff-02\""), "guest_mac",
			"six pairs" },
		{ NIC("e", "t", ",\"guest_mac\":\"\""), "guest_mac", "six pairs" },
		{ NIC("e", "t", ",\"guest_mac\":6"), "'guest_mac'", "string" },
		{ NIC("e", "t", ",\"mtu\":67"), "'mtu' is 67", "68 to 65535" },
		{ NIC("e", "t", ",\"mtu\":65536"), "'mtu' is 65536", "68 to 65535" },
		{ NIC("e", "t", ",\"mtu\":0"), "'mtu' is 0", NULL },
		{ NIC("e", "t", ",\"mtu\":\"1500\""), "'mtu'", "unsigned integer" },
		{ NIC("e", "t", ",\"allow_mmds_requests\":true"), "unknown member",
			"'allow_mmds_requests'" },
		{ "PUT /network-interfaces/e {\"iface_id\":\"e\"}", "'host_dev_name'",
			"missing" },
		{ "PUT /network-interfaces/e {\"host_dev_name\":\"t\"}", "'iface_id'",
			"missing" },
		{ "PUT /network-interfaces/e {\"iface_id\":\"e\",\"host_dev_name\":"
		  "null}",
			"'host_dev_name'", NULL },
		{ "PUT /network-interfaces/e []", "network config", "not an object" },
		{ "PUT /network-interfaces/e {\"iface_id\":\"f\",\"host_dev_name\":"
		  "\"t\"}",
			"'e'", "in the body" },
		{ "PUT /network-interfaces {}", "ID", "empty" },
		{ "PUT /network-interfaces/e-0 {}", "'e-0'", "alphanumeric" },
		{ "GET /network-interfaces/e", "GET", "network-interfaces/e" },
		{ "DELETE /network-interfaces/e", "DELETE", "network-interfaces/e" },
	};

	EXPECT_ALL_REFUSED(rows);
	expect_shown("\"network-interfaces\":[]");
}

Test(api_devices, refuses_a_tap_or_mac_that_another_interface_has)
{
	fake_machine_add_interface(fake_api.machine, "first");
	REFUSED(NIC("second", "socket", ""), "interface 'second'",
		"'first' has tap 'socket' already");
	expect_done(NIC("first", "socket", ",\"guest_mac\":\"06:00:AC:1f:ff:02\""));
	REFUSED(NIC("second", "t", ",\"guest_mac\":\"06:00:ac:1F:FF:02\""),
		"interface 'second'", "'first' has guest_mac", "already");
}

/* The first interface is a fake one, of which a PUT of the same TAP keeps the socket.
 */
Test(api_devices, shows_an_interface_and_resets_what_a_put_omits)
{
	fake_machine_add_interface(fake_api.machine, "e");
	expect_shown("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":"
		     "\"socket\",\"guest_mac\":null,\"mtu\":null,\"rx_rate_limiter\":"
		     "null,\"tx_rate_limiter\":null}]");
	expect_done(NIC("e", "socket",
		",\"guest_mac\":\"06:00:AC:1F:FF:02\",\"mtu\":65535,\"rx_rate_limiter\""
		":{\"ops\":{\"size\":7,\"refill_time\":8}},\"tx_rate_limiter\":{}"));
	expect_shown("\"guest_mac\":\"06:00:ac:1f:ff:02\",\"mtu\":65535,"
		     "\"rx_rate_limiter\":{\"bandwidth\":null,\"ops\":{\"size\":7,"
		     "\"one_time_burst\":null,\"refill_time\":8}},"
		     "\"tx_rate_limiter\":null}]");
	expect_done(NIC("e", "socket", ",\"guest_mac\":null,\"mtu\":68"));
	expect_shown("\"guest_mac\":null,\"mtu\":68,\"rx_rate_limiter\":null,");
	expect_done(NIC("e", "socket", ",\"mtu\":null,\"rx_rate_limiter\":null"));
	expect_shown("\"mtu\":null,\"rx_rate_limiter\":null,");
}

/* --- network interfaces: with a TAP, where the host lets it be made --- */

Test(api_devices, opens_a_tap_at_once_and_replaces_its_interface)
{
	char request[128], name[16];

	(void)snprintf(name, sizeof(name), "hd%d", (int)getpid());
	(void)snprintf(request, sizeof(request),
		"PUT /network-interfaces/e {\"iface_id\":\"e\",\"host_dev_name\":\"%s\"}",
		name);
	if (ask(request) == 400) {
		cr_expect(strstr(fake_api.text, name), "%s", fake_api.text);
		cr_skip_test("no TAP can be made here: %s", fake_api.text);
	}
	expect_shown(name);
	expect_done(request);
	REFUSED(NIC("e", "tap4567890123456", ""), "1 to 15 bytes");
	expect_shown(name);
}

/* --- network interfaces: changes --- */

#define CHANGE(members) "PATCH /network-interfaces/e {\"iface_id\":\"e\"" members "}"

Test(api_devices, merges_the_limits_of_an_interface)
{
	fake_machine_add_interface(fake_api.machine, "e");
	fake_api_enter(MACHINE_RUNNING);
	expect_done(CHANGE(""));
	expect_done(CHANGE(",\"rx_rate_limiter\":null,\"tx_rate_limiter\":{}"));
	expect_shown("\"rx_rate_limiter\":null,\"tx_rate_limiter\":null}]");
	expect_done(CHANGE(",\"tx_rate_limiter\":{\"bandwidth\":{\"size\":5,"
			   "\"one_time_burst\":6,\"refill_time\":7}}"));
	expect_done(CHANGE(",\"tx_rate_limiter\":{\"bandwidth\":null,\"ops\":{"
			   "\"size\":1,\"refill_time\":2}}"));
	expect_shown("\"rx_rate_limiter\":null,\"tx_rate_limiter\":{\"bandwidth\":{"
		     "\"size\":5,\"one_time_burst\":6,\"refill_time\":7},\"ops\":{"
		     "\"size\":1,\"one_time_burst\":null,\"refill_time\":2}}}]");
	fake_api_enter(MACHINE_PAUSED);
	expect_done(CHANGE(",\"tx_rate_limiter\":{\"bandwidth\":{\"size\":0,"
			   "\"refill_time\":0},\"ops\":{\"size\":0,\"refill_time\":0}},"
			   "\"rx_rate_limiter\":{\"ops\":{\"size\":9,\"refill_time\":9}"
			   "}"));
	expect_shown("\"rx_rate_limiter\":{\"bandwidth\":null,\"ops\":{\"size\":9,"
		     "\"one_time_burst\":null,\"refill_time\":9}},"
		     "\"tx_rate_limiter\":null}]");
}

Test(api_devices, refuses_changes_of_interfaces_that_cannot_be)
{
	static const struct refused rows[] = {
		{ "PATCH /network-interfaces/f {\"iface_id\":\"f\"}",
			"there is no interface 'f'", NULL },
		{ "PATCH /network-interfaces/f {\"iface_id\":\"e\"}", "'f'",
			"in the body" },
		{ CHANGE(",\"host_dev_name\":\"t\""), "unknown member",
			"'host_dev_name'" },
		{ CHANGE(",\"guest_mac\":null"), "unknown member", "'guest_mac'" },
		{ CHANGE(",\"rx_rate_limiter\":{\"ops\":{}}"), "'size'", "missing" },
		{ CHANGE(",\"rx_rate_limiter\":[]"), "not an object", NULL },
		{ "PATCH /network-interfaces/e {}", "'iface_id'", "missing" },
	};

	fake_machine_add_interface(fake_api.machine, "e");
	fake_api_enter(MACHINE_RUNNING);
	EXPECT_ALL_REFUSED(rows);
}

/* --- vsock --- */

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

Test(api_devices, binds_the_vsock_path_at_once_and_removes_the_one_before)
{
	char shown[128];

	expect_done("PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$S\"}");
	cr_expect_not(fake_api.deprecated);
	cr_expect(is_socket(fake_api.sock));
	(void)snprintf(shown, sizeof(shown),
		"\"vsock\":{\"guest_cid\":3,\"uds_path\":\"%s\"},", fake_api.sock);
	expect_shown(shown);
	expect_done("PUT /vsock {\"guest_cid\":4294967294,\"uds_path\":\"$T\"}");
	cr_expect(is_socket(fake_api.second));
	cr_expect_not(is_socket(fake_api.sock));
	expect_shown("\"vsock\":{\"guest_cid\":4294967294,");
	expect_done("PUT /vsock {\"guest_cid\":4,\"uds_path\":\"$T\"}");
	cr_expect(is_socket(fake_api.second));
}

Test(api_devices, marks_vsock_id_as_deprecated_and_forgets_it)
{
	expect_done(
		"PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$S\",\"vsock_id\":\"v\"}");
	cr_expect(fake_api.deprecated);
	cr_expect_eq(fake_api.counts.deprecated_api.deprecated_http_api_calls, 1);
	cr_assert_eq(ask("GET /vm/config"), 200);
	cr_expect_null(strstr(fake_api.text, "vsock_id"));
	expect_done(
		"PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$S\",\"vsock_id\":null}");
	cr_expect_not(fake_api.deprecated);
}

#define PATH50 "/tmp/567890123456789012345678901234567890123456789"
#define PATH108 PATH50 "0123456789012345678901234567890123456789012345678901234567"

Test(api_devices, refuses_a_vsock_that_cannot_be_and_keeps_the_one_before)
{
	static const struct refused rows[] = {
		{ "PUT /vsock {\"guest_cid\":2,\"uds_path\":\"$T\"}",
			"'guest_cid' is 2", "3 to 4294967294" },
		{ "PUT /vsock {\"guest_cid\":4294967295,\"uds_path\":\"$T\"}",
			"'guest_cid' is 4294967295", NULL },
		{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"\"}", "uds_path",
			"0 bytes" },
		{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"" PATH108 "\"}",
			"uds_path", "108 bytes" },
		{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$F\"}", "vsock config",
			"in use" },
		{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"/nonexistent/s\"}",
			"/nonexistent/s", "No such file" },
		{ "PUT /vsock {\"guest_cid\":3}", "'uds_path'", "missing" },
		{ "PUT /vsock {\"uds_path\":\"$T\"}", "'guest_cid'", "missing" },
		{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$T\",\"x\":1}",
			"unknown member", "'x'" },
		{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$T\",\"vsock_id\":1}",
			"'vsock_id'", "string" },
		{ "GET /vsock", "GET", "vsock" },
		{ "PATCH /vsock {}", "PATCH", "vsock" },
	};

	_Static_assert(sizeof(PATH108) == 108 + 1, "");
	expect_done("PUT /vsock {\"guest_cid\":5,\"uds_path\":\"$S\"}");
	EXPECT_ALL_REFUSED(rows);
	cr_expect(is_socket(fake_api.sock));
	cr_expect_not(is_socket(fake_api.second));
}

/* --- rate limiters --- */

#define DRIVE_HEAD                                                                \
	"PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$D\",\"is_root_dev" \
	"ice\":false,\"rate_limiter\":"
#define DRIVE(limiter) DRIVE_HEAD limiter "}"

Test(api_devices, shows_a_limiter_with_every_member)
{
	expect_done(
		DRIVE("{\"bandwidth\":{\"size\":1,\"one_time_burst\":2,"
		      "\"refill_time\":3},\"ops\":{\"size\":4,\"refill_time\":5}}"));
	expect_shown("\"rate_limiter\":{\"bandwidth\":{\"size\":1,\"one_time_burst\":2,"
		     "\"refill_time\":3},\"ops\":{\"size\":4,\"one_time_burst\":null,"
		     "\"refill_time\":5}},\"socket\"");
}

Test(api_devices, shows_null_for_what_limits_nothing)
{
	static const char *const none[] = {
		DRIVE("null"),
		DRIVE("{}"),
		DRIVE("{\"ops\":null,\"bandwidth\":null}"),
		DRIVE("{\"ops\":{\"size\":0,\"refill_time\":1}}"),
		DRIVE("{\"ops\":{\"size\":1,\"refill_time\":0}}"),
		DRIVE("{\"ops\":{\"size\":0,\"one_time_burst\":9,\"refill_time\":0},"
		      "\"bandwidth\":{\"size\":0,\"refill_time\":0}}"),
	};

	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		expect_done(DRIVE("{\"ops\":{\"size\":1,\"refill_time\":1}}"));
		expect_done(none[i]);
		expect_shown("\"rate_limiter\":null");
	}
	expect_done(
		DRIVE("{\"ops\":{\"size\":1,\"one_time_burst\":0,\"refill_time\":1},"
		      "\"bandwidth\":{\"size\":0,\"refill_time\":1}}"));
	expect_shown("\"rate_limiter\":{\"bandwidth\":null,\"ops\":{\"size\":1,"
		     "\"one_time_burst\":null,\"refill_time\":1}}");
}

Test(api_devices, shows_tokens_of_64_bits_to_the_last_digit)
{
	expect_done(
		DRIVE("{\"bandwidth\":{\"size\":9223372036854775807,\"one_time_burst\":"
		      "9007199254740993,\"refill_time\":1}}"));
	expect_shown(
		"{\"size\":9223372036854775807,\"one_time_burst\":9007199254740993,"
		"\"refill_time\":1}");
	expect_done(
		DRIVE("{\"bandwidth\":{\"size\":18446744073709551615,"
		      "\"one_time_burst\":18446744073709551615,\"refill_time\":1}}"));
	expect_shown("{\"size\":18446744073709551615,"
		     "\"one_time_burst\":18446744073709551615,");
	REFUSED(DRIVE("{\"ops\":{\"size\":18446744073709551616,\"refill_time\":1}}"),
		"'size'", "unsigned integer");
}

Test(api_devices, refuses_limiters_that_cannot_be)
{
	static const struct refused rows[] = {
		{ DRIVE("{\"iops\":null}"), "rate limiter", "unknown member 'iops'" },
		{ DRIVE("[]"), "rate limiter", "not an object" },
		{ DRIVE("1"), "rate limiter", "not an object" },
		{ DRIVE("{\"ops\":1}"), "token bucket", "not an object" },
		{ DRIVE("{\"ops\":{\"refill_time\":1}}"), "'size'", "missing" },
		{ DRIVE("{\"ops\":{\"size\":1}}"), "'refill_time'", "missing" },
		{ DRIVE("{\"ops\":{\"size\":null,\"refill_time\":1}}"), "'size'",
			NULL },
		{ DRIVE("{\"ops\":{\"size\":1,\"refill_time\":-1}}"), "'refill_time'",
			"unsigned integer" },
		{ DRIVE("{\"ops\":{\"size\":1.5,\"refill_time\":1}}"), "integer",
			NULL },
		{ DRIVE("{\"ops\":{\"size\":\"1\",\"refill_time\":1}}"), "'size'",
			"unsigned integer" },
	};

	expect_done(DRIVE("{\"ops\":{\"size\":3,\"refill_time\":4}}"));
	EXPECT_ALL_REFUSED(rows);
}

Test(api_devices, ignores_unknown_members_of_a_token_bucket)
{
	expect_done(DRIVE("{\"ops\":{\"size\":1,\"refill_time\":2,\"x\":{\"y\":[]}}}"));
	expect_shown("\"ops\":{\"size\":1,\"one_time_burst\":null,\"refill_time\":2}");
}

#define LIMIT(limiter) \
	"PATCH /drives/a {\"drive_id\":\"a\",\"rate_limiter\":" limiter "}"

Test(api_devices, merges_the_limits_of_a_drive)
{
	expect_done(DRIVE("{\"ops\":{\"size\":3,\"refill_time\":4}}"));
	fake_api_enter(MACHINE_RUNNING);
	expect_done(LIMIT("{\"bandwidth\":{\"size\":1,\"refill_time\":2}}"));
	expect_shown("{\"bandwidth\":{\"size\":1,\"one_time_burst\":null,"
		     "\"refill_time\":2},\"ops\":{\"size\":3,\"one_time_burst\":null,"
		     "\"refill_time\":4}}");
	fake_api_enter(MACHINE_PAUSED);
	expect_done(LIMIT("{\"ops\":{\"size\":0,\"refill_time\":0}}"));
	expect_shown("\"refill_time\":2},\"ops\":null}");
	expect_done(LIMIT("{}"));
	expect_done("PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$E\","
		    "\"rate_limiter\":{\"bandwidth\":{\"size\":0,\"refill_time\":9}}}");
	expect_shown("\"rate_limiter\":null");
	expect_shown(fake_api.other.path);
	REFUSED(LIMIT("null"), "drive 'a'", "nothing");
	REFUSED(LIMIT("{\"x\":1}"), "unknown member 'x'");
	REFUSED(LIMIT("{\"ops\":{}}"), "'size'", "missing");
}

Test(api_devices, keeps_limits_and_path_when_the_new_path_fails)
{
	expect_done(DRIVE("{\"ops\":{\"size\":3,\"refill_time\":4}}"));
	fake_api_enter(MACHINE_RUNNING);
	REFUSED("PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"/none\","
		"\"rate_limiter\":{\"ops\":{\"size\":5,\"refill_time\":5}}}",
		"drive 'a'", "No such file");
}

/* --- all of it again from what is shown --- */

Test(api_devices, prints_a_config_file_that_makes_the_same_devices)
{
	static char first[4096];
	struct err e;

	expect_done("PUT /boot-source {\"kernel_image_path\":\"$K\"}");
	expect_done(DRIVE("{\"ops\":{\"size\":3,\"one_time_burst\":8,"
			  "\"refill_time\":4}}"));
	fake_machine_add_interface(fake_api.machine, "e");
	expect_done(NIC("e", "socket",
		",\"guest_mac\":\"06:00:ac:1f:ff:02\",\"tx_rate_limiter\":{"
		"\"bandwidth\":{\"size\":1,\"refill_time\":1}}"));
	expect_done("PUT /vsock {\"guest_cid\":9,\"uds_path\":\"$S\"}");
	cr_assert_eq(ask("GET /vm/config"), 200);
	strcpy(first, fake_api.text);
	expect_done(DRIVE("null"));
	expect_done(NIC("e", "socket", ""));
	expect_done("PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$T\"}");
	cr_assert_eq(
		config_apply(&fake_api.api, first, strlen(first), &e), 0, "%s", e.text);
	cr_assert_eq(ask("GET /vm/config"), 200);
	cr_expect_str_eq(fake_api.text, first);
}
