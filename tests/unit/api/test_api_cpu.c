/* SPDX-License-Identifier: Apache-2.0
 *
 * api_cpu: what the API takes of CPU templates (contract, 3.5, 3.10): those that have a
 * name and those that a client makes, of which the last one counts, and that the log
 * keeps the latter to itself. What such a body can be is test_cpu_config's.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fakes/fake_api.h"

TestSuite(api_cpu, .init = fake_api_init, .fini = fake_api_fini);

#define CPU                                                              \
	"PUT /cpu-config {\"msr_modifiers\":[{\"addr\":\"0x777\",\"bitm" \
	"ap\":\"0b1\"}]}"
#define SHOWN                                                                 \
	"{\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":false,\"track_dirty_" \
	"pages\":false,\"huge_pages\":\"None\""

Test(api_cpu, shows_a_template_that_is_not_none)
{
	expect_done("PATCH /machine-config {\"cpu_template\":\"T2A\"}");
	cr_expect(fake_api.deprecated);
	expect_reply("GET /machine-config", SHOWN ",\"cpu_template\":\"T2A\"}");
	expect_done("PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":128}");
	expect_reply("GET /machine-config", SHOWN ",\"cpu_template\":\"T2A\"}");
	expect_done("PATCH /machine-config {\"cpu_template\":\"None\"}");
	expect_reply("GET /machine-config", SHOWN "}");
}

Test(api_cpu, takes_the_last_of_both_kinds_of_template)
{
	expect_done("PATCH /machine-config {\"cpu_template\":\"C3\"}");
	expect_done(CPU);
	expect_reply("GET /machine-config", SHOWN "}");
	expect_done("PATCH /machine-config {\"cpu_template\":\"T2CL\"}");
	expect_reply("GET /machine-config", SHOWN ",\"cpu_template\":\"T2CL\"}");
	expect_done("PUT /cpu-config {}");
	expect_reply("GET /machine-config", SHOWN "}");
	cr_assert_eq(ask("GET /vm/config"), 200);
	cr_expect(strstr(fake_api.text, "\"cpu-config\":null"), "%s", fake_api.text);
}

Test(api_cpu, keeps_the_template_when_the_next_is_refused)
{
	static const struct refused rows[] = {
		{ "PUT /cpu-config {\"reg_modifiers\":[]}", "cpu-config",
			"unknown member 'reg_modifiers'" },
		{ "PUT /cpu-config {\"msr_modifiers\":{}}", "'msr_modifiers'",
			"not an array" },
		{ "PUT /cpu-config {\"msr_modifiers\":[{\"addr\":\"7\","
		  "\"bitmap\":\"1\"}]}",
			"msr_modifiers[0]", "'addr'" },
		{ "PUT /cpu-config {\"msr_modifiers\":[{\"addr\":\"0x7\"}]}",
			"msr_modifiers[0]", "'bitmap' is missing" },
		{ "PUT /cpu-config {\"kvm_capabilities\":[9]}", "kvm_capabilities[0]",
			"not a string" },
		{ "PUT /cpu-config []", "cpu config", "not an object" },
		{ "PUT /cpu-config {", "cpu config", "not valid JSON" },
		{ "PUT /cpu-config", "Empty PUT", NULL },
		{ "PATCH /cpu-config {}", "PATCH", "cpu-config" },
		{ "GET /cpu-config", "GET", "cpu-config" },
		{ "PUT /machine-config {\"vcpu_count\":3,\"mem_size_mib\":1,"
		  "\"smt\":true,\"cpu_template\":\"C3\"}",
			"vcpu_count 3", NULL },
	};

	expect_done("PATCH /machine-config {\"cpu_template\":\"T2S\"}");
	EXPECT_ALL_REFUSED(rows);
	expect_reply("GET /machine-config", SHOWN ",\"cpu_template\":\"T2S\"}");
}

Test(api_cpu, is_in_the_log_at_debug_only)
{
	static char text[16384];

	expect_done("PUT /logger {\"log_path\":\"$L\",\"level\":\"Info\"}");
	expect_done(CPU);
	(void)fake_file_text(&fake_api.log, text, sizeof(text));
	cr_expect(strstr(text, "Put request on \"/cpu-config\""), "%s", text);
	cr_expect_null(strstr(text, "0x777"), "%s", text);
	expect_done("PUT /logger {\"level\":\"Debug\"}");
	expect_done(CPU);
	(void)fake_file_text(&fake_api.log, text, sizeof(text));
	cr_expect(strstr(text, "0x777"), "%s", text);
}
