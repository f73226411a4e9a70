/* SPDX-License-Identifier: Apache-2.0
 *
 * api_log: what the API sets of logs and metrics (contract, 3.8, 3.9), what it writes
 * to them of its own requests, and what it counts (9.2).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_metrics.h"
#include "vmm/base/log.h"

TestSuite(api_log, .init = fake_api_init, .fini = fake_api_fini);

static char text[1 << 16];

/* All that $L holds. */
static const char *logged(void)
{
	(void)fake_file_text(&fake_api.log, text, sizeof(text));
	return text;
}

/* --- PUT /logger --- */

Test(api_log, resets_the_level_that_is_not_given)
{
	expect_done("PUT /logger {\"level\":\"Debug\"}");
	cr_expect(log_is_on(LOG_DEBUG));
	expect_done("PUT /logger {}");
	cr_expect(log_is_on(LOG_INFO) && !log_is_on(LOG_DEBUG));
	expect_done("PUT /logger {\"level\":\"error\"}");
	expect_done("PUT /logger {\"show_level\":true}");
	cr_expect(log_is_on(LOG_INFO) && !log_is_on(LOG_DEBUG));
	expect_done("PUT /logger {\"level\":\"Off\"}");
	expect_done("PUT /logger {\"level\":null}");
	cr_expect(log_is_on(LOG_INFO) && !log_is_on(LOG_DEBUG));
}

Test(api_log, takes_levels_in_any_case)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{ "Off", LOG_OFF },
		{ "ERROR", LOG_ERROR },
		{ "warn", LOG_WARN },
		{ "Warning", LOG_WARN },
		{ "inFo", LOG_INFO },
		{ "Debug", LOG_DEBUG },
		{ "trace", LOG_TRACE },
	};
	char request[64];

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		(void)snprintf(request, sizeof(request),
			"PUT /logger {\"level\":\"%s\"}", levels[i].name);
		expect_done(request);
		cr_expect(log_is_on(levels[i].level), "%s", levels[i].name);
		cr_expect_not(log_is_on(levels[i].level + 1), "%s", levels[i].name);
	}
}

Test(api_log, keeps_all_but_the_level_that_is_not_given)
{
	expect_done("PUT /logger {\"log_path\":\"$L\",\"show_level\":true,"
		    "\"show_log_origin\":true,\"module\":\"api/\"}");
	expect_done("PUT /logger {}");
	expect_done("PUT /logger {\"log_path\":null,\"show_level\":null,"
		    "\"show_log_origin\":null,\"module\":null}");
	log_warn("of another module");
	cr_expect_eq(ask("GET /version"), 200);
	cr_expect(strstr(logged(), "Get request on \"/version\""), "%s", text);
	cr_expect(strstr(text, ":INFO:api/api.c:"), "%s", text);
	cr_expect_null(strstr(text, "of another module"), "%s", text);
	expect_done("PUT /logger {\"show_level\":false,\"show_log_origin\":false,"
		    "\"module\":\"\"}");
	log_warn("and now?");
	cr_expect(strstr(strstr(logged(), "and now?") - 7, ":main] and now?"), "%s",
		text);
}

Test(api_log, refuses_what_cannot_be_and_goes_on_as_before)
{
	static const struct refused rows[] = {
		{ "PUT /logger {\"level\":\"loud\"}", "level 'loud'", "Trace" },
		{ "PUT /logger {\"level\":\"\"}", "level ''", NULL },
		{ "PUT /logger {\"level\":3}", "level", "string" },
		{ "PUT /logger {\"log_path\":\"/nonexistent/l\",\"level\":\"Off\"}",
			"'/nonexistent/l'", "No such file" },
		{ "PUT /logger {\"log_path\":\"/tmp\",\"level\":\"Off\"}", "'/tmp'",
			"directory" },
		{ "PUT /logger {\"log_path\":\"/dev/null\",\"level\":\"loud\","
		  "\"show_level\":false}",
			"level 'loud'", NULL },
		{ "PUT /logger {\"show_level\":\"yes\"}", "show_level", NULL },
		{ "PUT /logger {\"show_log_origin\":0}", "show_log_origin", NULL },
		{ "PUT /logger {\"module\":{}}", "module", "string" },
	};

	expect_done("PUT /logger {\"log_path\":\"$L\",\"level\":\"Debug\","
		    "\"show_level\":true}");
	EXPECT_ALL_REFUSED(rows);
	log_debug("still here");
	cr_expect(strstr(logged(), ":DEBUG] still here"), "%s", text);
}

Test(api_log, does_not_wait_for_the_reader_of_a_fifo, .timeout = 300)
{
	struct fake_fifo fifo = fake_fifo();
	char request[128];

	(void)snprintf(request, sizeof(request), "PUT /logger {\"log_path\":\"%s\"}",
		fifo.path);
	expect_done(request);
	(void)snprintf(request, sizeof(request),
		"PUT /metrics {\"metrics_path\":\"%s\"}", fifo.path);
	expect_done(request);
	fake_fifo_remove(&fifo);
}

Test(api_log, logs_each_request_and_its_outcome)
{
	expect_done("PUT /logger {\"log_path\":\"$L\"}");
	expect_done("PUT /machine-config {\"vcpu_count\":2,\"mem_size_mib\":77}");
	cr_expect_eq(ask("GET /nonsense"), 400);
	cr_expect(strstr(logged(),
			  ":fc_api] The API server received a Put request on "
			  "\"/machine-config\" with body "
			  "\"{\\\"vcpu_count\\\":2,\\\"mem_size_mib\\\":77}\".\n"),
		"%s", text);
	cr_expect(strstr(text,
			  ":fc_api] The request was executed successfully. "
			  "Status code: 204 No Content.\n"),
		"%s", text);
	cr_expect(strstr(text,
			  "] The API server received a Get request on "
			  "\"/nonsense\".\n"),
		"%s", text);
	cr_expect(strstr(text,
			  "] Received Error. Status code: 400 Bad Request. "
			  "Message: Invalid request method"),
		"%s", text);
	cr_expect_null(strstr(text, "API call duration"), "%s", text);
}

Test(api_log, says_at_debug_how_long_a_request_took)
{
	const char *at;
	unsigned us;
	char end;

	expect_done("PUT /logger {\"log_path\":\"$L\",\"level\":\"Debug\"}");
	cr_expect_eq(ask("GET /version"), 200);
	at = strstr(logged(), "Status code: 200 OK.\n");
	cr_assert_not_null(at, "%s", text);
	at = strstr(at, ":fc_api] Total previous API call duration: ");
	cr_assert_not_null(at, "%s", text);
	at += strlen(":fc_api] Total previous API call duration: ");
	cr_expect_eq(sscanf(at, "%u us.%c", &us, &end), 2, "%s", text);
	cr_expect_eq(end, '\n', "%s", text);
}

Test(api_log, keeps_each_request_to_one_line_and_mmds_data_to_itself)
{
	expect_done("PUT /logger {\"log_path\":\"$L\"}");
	cr_expect_eq(ask("PUT /serial {\n\"x\n[0] forged\":1}"), 400);
	cr_expect_eq(ask("PUT /mmds {\"secret\":\"of the guest\"}"), 400);
	cr_expect_null(strstr(logged(), "\n[0] forged"), "%s", text);
	cr_expect_null(strstr(text, "of the guest"), "%s", text);
	cr_expect(strstr(text, "Put request on \"/mmds\".\n"), "%s", text);
}

/* --- PUT /metrics --- */

#define FLUSH "PUT /actions {\"action_type\":\"FlushMetrics\"}"

/* The first line of metrics that the settings of this request make. */
static const char *line_of(const char *request)
{
	expect_done(request);
	fake_api_enter(MACHINE_RUNNING);
	expect_done(FLUSH);
	return logged();
}

Test(api_log, takes_metrics_once)
{
	expect_done("PUT /metrics {\"metrics_path\":\"$L\"}");
	REFUSED("PUT /metrics {\"metrics_path\":\"$L\"}", "metrics", "there is a file");
	REFUSED("PUT /metrics {\"metrics_path\":\"/dev/null\"}", "there is a file");
}

Test(api_log, takes_metrics_after_a_failure)
{
	static const struct refused rows[] = {
		{ "PUT /metrics {\"metrics_path\":\"/nonexistent/m\"}",
			"'/nonexistent/m'", "No such file" },
		{ "PUT /metrics {\"metrics_path\":\"/tmp\"}", "'/tmp'", "directory" },
		{ "PUT /metrics {\"metrics_path\":\"$L\",\"emit_id\":null}", "emit_id",
			NULL },
		{ "PUT /metrics {\"metrics_path\":\"$L\",\"emit_id\":1}", "emit_id",
			NULL },
		{ "PUT /metrics {\"metrics_path\":\"$L\",\"properties\":[]}",
			"properties", "object" },
		{ "PUT /metrics {\"metrics_path\":\"$L\",\"properties\":\"a\"}",
			"properties", "object" },
		{ "PUT /metrics {\"metrics_path\":\"$L\",\"properties\":{\"n\":1}}",
			"'n'", "string" },
		{ "PUT /metrics {\"metrics_path\":\"$L\",\"properties\":"
		  "{\"a\":\"b\",\"n\":null}}",
			"'n'", "string" },
	};

	EXPECT_ALL_REFUSED(rows);
	expect_done("PUT /metrics {\"metrics_path\":\"$L\"}");
	cr_expect_str_empty(logged());
}

Test(api_log, has_no_id_and_properties_unless_asked)
{
	const char *line = line_of("PUT /metrics {\"metrics_path\":\"$L\","
				   "\"emit_id\":false,\"properties\":null}");

	cr_expect_null(strstr(line, "\"id\":"), "%s", line);
	cr_expect_null(strstr(line, "\"properties\":"), "%s", line);
}

Test(api_log, has_the_id_in_each_line_when_asked)
{
	const char *line =
		line_of("PUT /metrics {\"metrics_path\":\"$L\",\"emit_id\":true}");

	cr_expect(strstr(line, ",\"id\":\"test-1\","), "%s", line);
}

Test(api_log, has_properties_sorted_and_escaped)
{
	const char *line = line_of(
		"PUT /metrics {\"metrics_path\":\"$L\",\"properties\":{"
		"\"b\":\"2\",\"a\\\"q\":\"x\\ny\\\\\",\"B\":\"\",\"ab\":\"\xc3\xbc\"}}");

	cr_expect(strstr(line,
			  ",\"properties\":{\"B\":\"\",\"a\\\"q\":\"x\\u000ay\\\\\","
			  "\"ab\":\"\xc3\xbc\",\"b\":\"2\"},"),
		"%s", line);
}

Test(api_log, has_id_and_empty_properties_together)
{
	const char *line = line_of("PUT /metrics {\"metrics_path\":\"$L\","
				   "\"emit_id\":true,\"properties\":{}}");

	cr_expect(strstr(line, ",\"id\":\"test-1\",\"properties\":{},"), "%s", line);
}

/* --- what is counted --- */

static void expect_count(const char *key, uint64_t want)
{
	static char all[65536];
	const size_t n = machine_render_metrics(fake_api.machine, all, sizeof(all));

	cr_assert_gt(n, 0);
	cr_expect_eq(metrics_get(all, key), want, "%s is %llu", key,
		(unsigned long long)metrics_get(all, key));
}

Test(api_log, counts_each_request_and_the_bodies_that_it_cannot_read)
{
	static const struct {
		const char *good, *bad, *key;
	} rows[] = {
		{ "GET /", NULL, "get_api_requests.instance_info" },
		{ "GET /version", NULL, "get_api_requests.vmm_version" },
		{ "GET /machine-config", NULL, "get_api_requests.machine_cfg" },
		{ "PUT /actions {\"action_type\":\"FlushMetrics\"}", "PUT /actions {}",
			"put_api_requests.actions" },
		{ "PUT /boot-source {\"kernel_image_path\":\"/none\"}",
			"PUT /boot-source {", "put_api_requests.boot_source" },
		{ "PUT /drives/a {\"drive_id\":\"b\",\"is_root_device\":true}",
			"PUT /drives/a []", "put_api_requests.drive" },
		{ "PUT /logger {\"level\":\"bad\"}", "PUT /logger {\"x\":1}",
			"put_api_requests.logger" },
		{ "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":1}",
			"PUT /machine-config {\"vcpu_count\":0,\"mem_size_mib\":1}",
			"put_api_requests.machine_cfg" },
		{ "PUT /metrics {\"metrics_path\":\"/none/m\"}", "PUT /metrics {}",
			"put_api_requests.metrics" },
		{ "PUT /cpu-config {}", "PUT /cpu-config []",
			"put_api_requests.cpu_cfg" },
		{ "PUT /network-interfaces/e {\"iface_id\":\"e\",\"host_dev_name\":"
		  "\"\"}",
			"PUT /network-interfaces/e {}", "put_api_requests.network" },
		{ "PATCH /network-interfaces/e {\"iface_id\":\"e\"}",
			"PATCH /network-interfaces/e {}",
			"patch_api_requests.network" },
		{ "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"\"}",
			"PUT /vsock {\"guest_cid\":2}", "put_api_requests.vsock" },
		{ "PUT /serial {}", "PUT /serial {\"serial_out_path\":{}}",
			"put_api_requests.serial" },
		{ "PATCH /drives/a {\"drive_id\":\"a\"}", "PATCH /drives/a {}",
			"patch_api_requests.drive" },
		{ "PATCH /machine-config {}", "PATCH /machine-config {\"smt\":1}",
			"patch_api_requests.machine_cfg" },
	};
	char key[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)ask(rows[i].good);
		(void)ask(rows[i].good);
		(void)snprintf(key, sizeof(key), "%s_count", rows[i].key);
		expect_count(key, 2);
		if (!rows[i].bad)
			continue;
		cr_expect_eq(ask(rows[i].bad), 400);
		expect_count(key, 3);
		(void)snprintf(key, sizeof(key), "%s_fails", rows[i].key);
		expect_count(key, 1);
	}
}

Test(api_log, counts_nothing_for_what_finds_no_route)
{
	cr_expect_eq(ask("GET /nonsense"), 400);
	cr_expect_eq(ask("GET / {}"), 400);
	cr_expect_eq(ask("PUT /drives/a-b {}"), 400);
	cr_expect_eq(ask("PUT /machine-config"), 400);
	expect_count("get_api_requests.instance_info_count", 0);
	expect_count("put_api_requests.drive_count", 0);
	expect_count("put_api_requests.machine_cfg_count", 0);
}

Test(api_log, times_pauses_and_resumes)
{
	fake_api_enter(MACHINE_RUNNING);
	fake_api.counts.latencies_us.pause_vm = UINT64_MAX;
	fake_api.counts.latencies_us.resume_vm = UINT64_MAX;
	expect_done("PATCH /vm {\"state\":\"Paused\"}");
	cr_expect_lt(fake_api.counts.latencies_us.pause_vm, 60 * 1000000);
	cr_expect_eq(fake_api.counts.latencies_us.resume_vm, UINT64_MAX);
	expect_done("PATCH /vm {\"state\":\"Resumed\"}");
	cr_expect_lt(fake_api.counts.latencies_us.resume_vm, 60 * 1000000);
}

Test(api_log, renders_totals_for_get_metrics)
{
	cr_expect_eq(ask("GET /version"), 200);
	cr_expect_eq(ask("GET /metrics"), 200);
	cr_expect(strstr(fake_api.text, "{\"utc_timestamp_ms\":") == fake_api.text);
	expect_count("get_api_requests.vmm_version_count", 1);
	cr_expect_eq(ask("GET /metrics"), 200);
	expect_count("get_api_requests.vmm_version_count", 1);
}
