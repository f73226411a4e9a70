/* SPDX-License-Identifier: Apache-2.0
 *
 * api_state: what is allowed in which state of the machine (contract, 3.0), and what
 * can be asked of one that runs: actions, PATCH /vm, PATCH /drives.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_machine.h"

TestSuite(api_state, .init = fake_api_init, .fini = fake_api_fini);

#define BEFORE "before starting the microVM"
#define AFTER "after starting the microVM"
#define DRIVE_A                                        \
	"{\"drive_id\":\"a\",\"path_on_host\":\"$D\"," \
	"\"is_root_device\":false}"

/* --- the phase matrix --- */

static const struct {
	const char *request;
	unsigned status; /* where it is allowed */
	bool before, after; /* in which states that is */
	const char *why; /* it is refused elsewhere */
} matrix[] = {
	{ "GET /", 200, true, true, NULL },
	{ "GET /version", 200, true, true, NULL },
	{ "GET /machine-config", 200, true, true, NULL },
	{ "GET /vm/config", 200, true, true, NULL },
	{ "GET /metrics", 200, true, true, NULL },
	{ "PUT /actions {\"action_type\":\"FlushMetrics\"}", 204, false, true, BEFORE },
	{ "PUT /actions {\"action_type\":\"SendCtrlAltDel\"}", 204, false, true,
		BEFORE },
	{ "PUT /boot-source {\"kernel_image_path\":\"$K\"}", 204, true, false, AFTER },
	{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":8}", 204, true, false,
		AFTER },
	{ "PATCH /machine-config {\"mem_size_mib\":9}", 204, true, false, AFTER },
	{ "PUT /drives/b {\"drive_id\":\"b\",\"path_on_host\":\"$E\","
	  "\"is_root_device\":false}",
		204, true, false, AFTER },
	{ "PUT /drives/a " DRIVE_A, 204, true, false, AFTER },
	{ "PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$D\"}", 204, false,
		true, BEFORE },
	{ "PUT /cpu-config {}", 204, true, false, AFTER },
	{ "PUT /network-interfaces/e {\"iface_id\":\"e\",\"host_dev_name\":"
	  "\"socket\"}",
		204, true, false, AFTER },
	{ "PATCH /network-interfaces/e {\"iface_id\":\"e\"}", 204, false, true,
		BEFORE },
	{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$S\"}", 204, true, false, AFTER },
	{ "PUT /serial {}", 204, true, false, AFTER },
	{ "PUT /logger {\"level\":\"Off\"}", 204, true, false, AFTER },
	{ "PUT /metrics {\"metrics_path\":\"$L\"}", 204, true, false, AFTER },
	{ "PATCH /vm {\"state\":\"Resumed\"}", 204, false, true, BEFORE },
	{ "PATCH /vm {\"state\":\"Paused\"}", 204, false, true, BEFORE },
};

static void walk_matrix(enum machine_state state)
{
	for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
		bool allowed = state == MACHINE_NOT_STARTED ? matrix[i].before
							    : matrix[i].after;

		if (!allowed)
			REFUSED(matrix[i].request, matrix[i].why);
		else
			cr_expect_eq(ask(matrix[i].request), matrix[i].status, "%s: %s",
				matrix[i].request, fake_api.text);
		if (state != MACHINE_NOT_STARTED)
			fake_api_enter(state); /* a PATCH /vm may have left it */
	}
}

static void set_devices(void)
{
	expect_done("PUT /drives/a " DRIVE_A);
	fake_machine_add_interface(fake_api.machine, "e");
}

Test(api_state, serves_settings_before_the_start_only)
{
	set_devices();
	walk_matrix(MACHINE_NOT_STARTED);
}

Test(api_state, serves_changes_while_the_machine_runs)
{
	set_devices();
	fake_api_enter(MACHINE_RUNNING);
	walk_matrix(MACHINE_RUNNING);
}

Test(api_state, serves_changes_while_the_machine_is_paused)
{
	set_devices();
	fake_api_enter(MACHINE_PAUSED);
	walk_matrix(MACHINE_PAUSED);
}

Test(api_state, judges_members_before_the_state)
{
	fake_api_enter(MACHINE_RUNNING);
	REFUSED("PUT /machine-config {\"vcpu_count\":0,\"mem_size_mib\":1}",
		"vcpu_count");
	REFUSED("PUT /drives/a {\"drive_id\":\"b\",\"path_on_host\":\"/none\","
		"\"is_root_device\":false}",
		"in the body");
}

Test(api_state, judges_the_state_before_what_values_mean)
{
	fake_api_enter(MACHINE_RUNNING);
	REFUSED("PUT /machine-config {\"vcpu_count\":3,\"mem_size_mib\":1,\"smt\":true}",
		AFTER);
	REFUSED("PUT /boot-source {\"kernel_image_path\":\"/none\"}", AFTER);
	REFUSED("PUT /logger {\"level\":\"loud\"}", AFTER);
	REFUSED("PUT /network-interfaces/e {\"iface_id\":\"e\",\"host_dev_name\":\"\"}",
		AFTER);
	REFUSED("PUT /vsock {\"guest_cid\":3,\"uds_path\":\"\"}", AFTER);
}

/* --- GET / --- */

static void expect_state(const char *state)
{
	char want[128];

	(void)snprintf(want, sizeof(want),
		"{\"id\":\"test-1\",\"state\":\"%s\",\"vmm_version\":\"1.16.0\","
		"\"app_name\":\"husk\"}",
		state);
	expect_reply("GET /", want);
}

Test(api_state, names_the_state_by_the_contracts_words)
{
	expect_state("Not started");
	fake_api_enter(MACHINE_RUNNING);
	expect_state("Running");
	expect_done("PATCH /vm {\"state\":\"Paused\"}");
	expect_state("Paused");
	expect_done("PATCH /vm {\"state\":\"Resumed\"}");
	expect_state("Running");
}

/* --- PATCH /vm --- */

Test(api_state, takes_the_same_state_twice)
{
	fake_api_enter(MACHINE_RUNNING);
	for (int i = 0; i < 2; i++)
		expect_done("PATCH /vm {\"state\":\"Resumed\"}");
	expect_state("Running");
	for (int i = 0; i < 2; i++)
		expect_done("PATCH /vm {\"state\":\"Paused\"}");
	expect_state("Paused");
}

Test(api_state, refuses_states_that_there_are_not)
{
	static const struct refused rows[] = {
		{ "PATCH /vm {\"state\":\"paused\"}", "state", "'paused'" },
		{ "PATCH /vm {\"state\":\"Running\"}", "state", "'Running'" },
		{ "PATCH /vm {\"state\":\"\"}", "state", "''" },
		{ "PATCH /vm {\"state\":null}", "state", NULL },
		{ "PATCH /vm {\"state\":0}", "state", "string" },
	};

	fake_api_enter(MACHINE_RUNNING);
	EXPECT_ALL_REFUSED(rows);
}

/* --- PUT /actions --- */

Test(api_state, refuses_actions_that_there_are_not)
{
	static const struct refused rows[] = {
		{ "PUT /actions {\"action_type\":\"instanceStart\"}", "action_type",
			"'instanceStart'" },
		{ "PUT /actions {\"action_type\":\"InstanceHalt\"}", "action_type",
			"'InstanceHalt'" },
		{ "PUT /actions {\"action_type\":1}", "action_type", "string" },
	};

	EXPECT_ALL_REFUSED(rows);
}

Test(api_state, refuses_a_start_without_a_boot_source_and_stays)
{
	REFUSED("PUT /actions {\"action_type\":\"InstanceStart\"}",
		"cannot start the microVM", "no boot source");
	expect_done("PUT /machine-config {\"vcpu_count\":2,\"mem_size_mib\":64}");
	REFUSED("PUT /actions {\"action_type\":\"InstanceStart\"}", "no boot source");
}

Test(api_state, refuses_to_start_what_is_no_kernel_and_lets_it_be_mended)
{
	/* without KVM it fails at that, with KVM at the kernel */
	expect_done("PUT /boot-source {\"kernel_image_path\":\"$K\"}");
	expect_done("PUT /drives/a " DRIVE_A);
	REFUSED("PUT /actions {\"action_type\":\"InstanceStart\"}",
		"cannot start the microVM");
	REFUSED("PUT /actions {\"action_type\":\"InstanceStart\"}",
		"cannot start the microVM");
	expect_done("PUT /boot-source {\"kernel_image_path\":\"$E\"}");
	expect_state("Not started");
}

Test(api_state, refuses_to_start_twice)
{
	static const enum machine_state started[] = { MACHINE_RUNNING, MACHINE_PAUSED };

	expect_done("PUT /boot-source {\"kernel_image_path\":\"$K\"}");
	for (size_t i = 0; i < ARRAY_LEN(started); i++) {
		fake_api_enter(started[i]);
		REFUSED("PUT /actions {\"action_type\":\"InstanceStart\"}", AFTER);
	}
}

#define TYPE "PUT /actions {\"action_type\":\"SendCtrlAltDel\"}"

Test(api_state, types_no_more_than_the_guest_reads)
{
	fake_api_enter(MACHINE_RUNNING);
	for (int i = 0; i < 3; i++)
		expect_done(TYPE);
	for (int i = 0; i < 3; i++)
		if (ask(TYPE) == 400)
			break;
	cr_expect_eq(fake_api.status, 400);
	cr_expect(strstr(fake_api.text, "has not read the keys"), "%s", fake_api.text);
}

#define FLUSH "PUT /actions {\"action_type\":\"FlushMetrics\"}"

Test(api_state, writes_a_line_of_metrics_when_asked)
{
	char text[128];

	expect_done("PUT /metrics {\"metrics_path\":\"$L\"}");
	fake_api_enter(MACHINE_RUNNING);
	cr_expect_eq(fake_file_text(&fake_api.log, text, sizeof(text)), 0);
	expect_done(FLUSH);
	cr_expect_gt(fake_file_text(&fake_api.log, text, sizeof(text)), 100);
	cr_expect(strncmp(text, "{\"utc_timestamp_ms\":", 20) == 0, "%s", text);
}

Test(api_state, says_when_metrics_cannot_be_written)
{
	fake_api_enter(MACHINE_RUNNING);
	expect_done(FLUSH); /* nowhere to write them is fine */
	fake_api_enter(MACHINE_NOT_STARTED);
	expect_done("PUT /metrics {\"metrics_path\":\"/dev/full\"}");
	fake_api_enter(MACHINE_RUNNING);
	REFUSED(FLUSH, "cannot write the metrics", "No space left");
}

/* --- PATCH /drives --- */

static void start_with_a_drive(void)
{
	expect_done("PUT /drives/a " DRIVE_A);
	fake_api_enter(MACHINE_RUNNING);
}

Test(api_state, shows_the_path_that_a_drive_has_now)
{
	start_with_a_drive();
	expect_done("PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$E\"}");
	cr_assert_eq(ask("GET /vm/config"), 200);
	cr_expect(strstr(fake_api.text, fake_api.other.path), "%s", fake_api.text);
	cr_expect_null(strstr(fake_api.text, fake_api.disk.path), "%s", fake_api.text);
	expect_done("PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$E\","
		    "\"rate_limiter\":null}");
}

Test(api_state, refuses_changes_that_cannot_be)
{
	static const struct refused rows[] = {
		{ "PATCH /drives/a {\"drive_id\":\"a\"}", "drive 'a'", "nothing" },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":null,"
		  "\"rate_limiter\":null}",
			"drive 'a'", "nothing" },
		{ "PATCH /drives/b {\"drive_id\":\"b\",\"path_on_host\":\"$E\"}",
			"no drive 'b'", NULL },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"/none\"}",
			"drive 'a'", "No such file" },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"/tmp\"}",
			"drive 'a'", "directory" },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"\"}",
			"drive 'a'", "No such file" },
		{ "PATCH /drives/a {\"drive_id\":\"a\",\"path_on_host\":[]}",
			"path_on_host", "string" },
	};

	start_with_a_drive();
	EXPECT_ALL_REFUSED(rows);
	fake_api_enter(MACHINE_PAUSED);
	EXPECT_ALL_REFUSED(rows);
}
