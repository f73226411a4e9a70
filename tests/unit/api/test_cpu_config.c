/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_config: the body of PUT /cpu-config: what it becomes, and what a careless or
 * hostile client is told.
 */
#include "api/cpu_config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cpu_template t;
static struct err e;

static int read_text(const char *text)
{
	AUTO(json_free) struct json *v = NULL;

	e.text[0] = '\0';
	cr_assert_eq(json_parse(text, strlen(text), &v, &e), 0, "%s: %s", text, e.text);
	return cpu_config_read(v, &t, &e);
}

static void expect_taken(const char *text)
{
	cpu_template_fini(&t);
	cr_assert_eq(read_text(text), 0, "%s: %s", text, e.text);
	cr_assert_str_eq(t.name, "cpu-config");
	cr_assert_eq(t.vendor, CPU_VENDOR_ANY);
}

static void expect_refused(const char *text, const char *why)
{
	struct cpu_template before;

	cpu_template_fini(&t);
	before = t;
	cr_expect_eq(read_text(text), -EINVAL, "%s", text);
	cr_expect_str_eq(e.text, why, "%.200s: %s", text, e.text);
	cr_expect_eq(memcmp(&t, &before, sizeof(t)), 0, "%s: not untouched", text);
}

static void tear_down(void)
{
	cpu_template_fini(&t);
}

TestSuite(cpu_config, .fini = tear_down);

Test(cpu_config, nothing_makes_a_template_that_changes_nothing)
{
	static const char *const texts[] = {
		"{}", "{\"kvm_capabilities\":[]}",
		"{\"cpuid_modifiers\":[],\"msr_modifiers\":[],\"kvm_capabilities\":[]}"
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		expect_taken(texts[i]);
		cr_assert_eq(t.n_cpuid + t.n_msrs + t.n_caps, 0);
		cr_assert(!t.cpuid && !t.msr && !t.cap);
	}
}

Test(cpu_config, reads_every_member)
{
	expect_taken(
		"{\"kvm_capabilities\":[\"121\",\"!56\"],"
		"\"cpuid_modifiers\":[{\"leaf\":\"0x80000001\",\"subleaf\":\"0b11\","
		"\"flags\":1,\"modifiers\":["
		"{\"register\":\"edx\",\"bitmap\":\"0bx00100xxx1xxxxxxxxxxxxxxxxxxxxx1\"},"
		"{\"register\":\"eax\",\"bitmap\":\"10\"}]},"
		"{\"leaf\":\"0x80000001\",\"subleaf\":\"0x0\",\"flags\":4294967295,"
		"\"modifiers\":[]}],"
		"\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"0b0_1_x\"}]}");
	cr_assert_eq(t.n_caps, 2);
	cr_assert(t.cap[0].cap == 121 && !t.cap[0].drop);
	cr_assert(t.cap[1].cap == 56 && t.cap[1].drop);
	cr_assert_eq(t.n_cpuid, 2);
	cr_assert_eq(t.cpuid[0].leaf, 0x80000001);
	cr_assert_eq(t.cpuid[0].subleaf, 3);
	cr_assert_eq(t.cpuid[0].flags, 1);
	cr_assert_eq(t.cpuid[0].edx.clear, 0x6c000000);
	cr_assert_eq(t.cpuid[0].edx.set, 0x10400001);
	cr_assert_eq(t.cpuid[0].eax.clear, 1);
	cr_assert_eq(t.cpuid[0].eax.set, 2);
	cr_assert_eq(t.cpuid[0].ebx.clear | t.cpuid[0].ebx.set, 0);
	cr_assert_eq(t.cpuid[0].ecx.clear | t.cpuid[0].ecx.set, 0);
	cr_assert_eq(t.cpuid[1].subleaf, 0);
	cr_assert_eq(t.cpuid[1].flags, UINT32_MAX);
	cr_assert_eq(t.n_msrs, 1);
	cr_assert_eq(t.msr[0].addr, 0x10a);
	cr_assert_eq(t.msr[0].clear, 4);
	cr_assert_eq(t.msr[0].set, 2);
}

Test(cpu_config, members_that_it_does_not_know_count_at_the_top_only)
{
	expect_taken(
		"{\"cpuid_modifiers\":[{\"leaf\":\"0x1\",\"subleaf\":\"0x0\","
		"\"flags\":0,\"comment\":{\"a\":[1]},\"modifiers\":["
		"{\"register\":\"eax\",\"bitmap\":\"0b1\",\"why\":null}]}],"
		"\"msr_modifiers\":[{\"addr\":\"0x1\",\"bitmap\":\"1\",\"b\":1}]}");
	cr_assert_eq(t.cpuid[0].eax.set, 1);
	expect_refused(
		"{\"reg_modifiers\":[]}", "cpu-config: unknown member 'reg_modifiers'");
	expect_refused(
		"{\"vcpu_features\":[]}", "cpu-config: unknown member 'vcpu_features'");
	expect_refused("{\"kvm_capabilities\":[],\"CPUID_MODIFIERS\":[]}",
		"cpu-config: unknown member 'CPUID_MODIFIERS'");
	expect_refused("{\"\":0}", "cpu-config: unknown member ''");
}

Test(cpu_config, refuses_what_is_no_object_and_lists_that_are_none)
{
	static const char *const bad[] = { "[]", "null", "0", "\"/x\"", "true" };
	static const char *const names[] = { "kvm_capabilities", "cpuid_modifiers",
		"msr_modifiers" };
	static const char *const values[] = { "{}", "null", "1", "\"1\"", "false" };
	char text[64], why[80];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(bad[i], "cpu-config: not an object");
	for (size_t n = 0; n < ARRAY_LEN(names); n++)
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			(void)snprintf(
				text, sizeof(text), "{\"%s\":%s}", names[n], values[i]);
			(void)snprintf(why, sizeof(why),
				"cpu-config: member '%s' is not an array", names[n]);
			expect_refused(text, why);
		}
}

Test(cpu_config, refuses_elements_of_the_wrong_type)
{
	static const char *const values[] = { "[]", "null", "1", "\"1\"", "false" };
	char text[80];

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		(void)snprintf(
			text, sizeof(text), "{\"cpuid_modifiers\":[%s]}", values[i]);
		expect_refused(text, "cpu-config: cpuid_modifiers[0]: not an object");
		(void)snprintf(text, sizeof(text),
			"{\"msr_modifiers\":[{\"addr\":\"0x1\",\"bitmap\":\"\"},%s]}",
			values[i]);
		expect_refused(text, "cpu-config: msr_modifiers[1]: not an object");
	}
	expect_refused("{\"kvm_capabilities\":[\"1\",2]}",
		"cpu-config: kvm_capabilities[1]: not a string");
	expect_refused("{\"kvm_capabilities\":[null]}",
		"cpu-config: kvm_capabilities[0]: not a string");
}

Test(cpu_config, names_the_member_that_is_missing)
{
	static const char *const bad[][2] = {
		{ "{\"cpuid_modifiers\":[{}]}",
			"cpuid_modifiers[0]: member 'leaf' is missing" },
		{ "{\"cpuid_modifiers\":[{\"leaf\":\"0x1\"}]}",
			"cpuid_modifiers[0]: member 'subleaf' is missing" },
		{ "{\"cpuid_modifiers\":[{\"leaf\":\"0x1\",\"subleaf\":\"0x0\"}]}",
			"cpuid_modifiers[0]: member 'flags' is missing" },
		{ "{\"cpuid_modifiers\":[{\"leaf\":\"0x1\",\"subleaf\":\"0x0\","
		  "\"flags\":0}]}",
			"cpuid_modifiers[0]: member 'modifiers' is missing" },
		{ "{\"cpuid_modifiers\":[{\"leaf\":\"0x1\",\"subleaf\":\"0x0\","
		  "\"flags\":0,\"modifiers\":[{}]}]}",
			"cpuid_modifiers[0]: modifiers[0]: member 'register' is missing" },
		{ "{\"cpuid_modifiers\":[{\"leaf\":\"0x1\",\"subleaf\":\"0x0\","
		  "\"flags\":0,\"modifiers\":[{\"register\":\"eax\",\"bitmap\":\"1\"},"
		  "{\"register\":\"ebx\"}]}]}",
			"cpuid_modifiers[0]: modifiers[1]: member 'bitmap' is missing" },
		{ "{\"msr_modifiers\":[{\"bitmap\":\"1\"}]}",
			"msr_modifiers[0]: member 'addr' is missing" },
		{ "{\"msr_modifiers\":[{\"addr\":\"0x1\"}]}",
			"msr_modifiers[0]: member 'bitmap' is missing" },
	};
	char why[160];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(why, sizeof(why), "cpu-config: %s", bad[i][1]);
		expect_refused(bad[i][0], why);
	}
}

/* In the element of a list: $ stands for the value given. */
static void expect_each_refused(const char *pattern, const char *const *values,
	size_t n, const char *where, const char *why)
{
	const char *at = strchr(pattern, '$');
	char text[512], expected[640];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - pattern),
			pattern, values[i], at + 1);
		(void)snprintf(
			expected, sizeof(expected), "cpu-config: %s: %s", where, why);
		/* '%' in why: the value without its quotes */
		if (strchr(why, '%')) {
			size_t head = (size_t)(strchr(why, '%') - why);

			(void)snprintf(expected, sizeof(expected),
				"cpu-config: %s: %.*s%.*s%s", where, (int)head, why,
				(int)strlen(values[i]) - 2, values[i] + 1,
				why + head + 1);
		}
		expect_refused(text, expected);
	}
}

#define LEAF(leaf, subleaf, flags, modifiers)                           \
	"{\"cpuid_modifiers\":[{\"leaf\":" leaf ",\"subleaf\":" subleaf \
	",\"flags\":" flags ",\"modifiers\":" modifiers "}]}"
#define REGISTER(name, bitmap)          \
	LEAF("\"0x1\"", "\"0x0\"", "0", \
		"[{\"register\":" name ",\"bitmap\":" bitmap "}]")
#define MSR(addr, bitmap) \
	"{\"msr_modifiers\":[{\"addr\":" addr ",\"bitmap\":" bitmap "}]}"

static const char *const no_strings[] = { "1", "null", "[]", "{}", "true" };

Test(cpu_config, refuses_numbers_without_a_prefix_or_over_32_bits)
{
	static const char *const bad[] = { "\"\"", "\"0x\"", "\"0b\"", "\"1\"",
		"\"10\"", "\"x1\"", "\"0X1\"", "\"0B1\"", "\"0x1_0\"", "\"0x 1\"",
		"\" 0x1\"", "\"0x1 \"", "\"-0x1\"", "\"0x-1\"", "\"0x+1\"", "\"0xg\"",
		"\"0b2\"", "\"0x100000000\"", "\"0xffffffffffffffff\"",
		"\"0x10000000000000000\"", "\"0o17\"",
		("\"0b1111111111111111"
		 "11111111111111111\"") };

	expect_each_refused(LEAF("$", "\"0x0\"", "0", "[]"), bad, ARRAY_LEN(bad),
		"cpuid_modifiers[0]",
		"member 'leaf' cannot be '%': not 0x or 0b and 32 bits");
	expect_each_refused(LEAF("\"0x1\"", "$", "0", "[]"), bad, ARRAY_LEN(bad),
		"cpuid_modifiers[0]",
		"member 'subleaf' cannot be '%': not 0x or 0b and 32 bits");
	expect_each_refused(MSR("$", "\"1\""), bad, ARRAY_LEN(bad), "msr_modifiers[0]",
		"member 'addr' cannot be '%': not 0x or 0b and 32 bits");
	expect_each_refused(LEAF("$", "\"0x0\"", "0", "[]"), no_strings,
		ARRAY_LEN(no_strings), "cpuid_modifiers[0]",
		"member 'leaf' is not a string");
	expect_each_refused(MSR("$", "\"1\""), no_strings, ARRAY_LEN(no_strings),
		"msr_modifiers[0]", "member 'addr' is not a string");
}

Test(cpu_config, takes_every_number_of_32_bits)
{
	static const struct {
		const char *text;
		uint32_t value;
	} good[] = {
		{ "0x0", 0 },
		{ "0b0", 0 },
		{ "0xffffffff", UINT32_MAX },
		{ "0xFFffFFff", UINT32_MAX },
		{ "0x0000000000000000000000001", 1 },
		{ "0b11111111111111111111111111111111", UINT32_MAX },
		{ "0b10", 2 },
		{ "0xb1", 0xb1 },
	};
	char text[160];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		(void)snprintf(text, sizeof(text),
			"{\"msr_modifiers\":[{\"addr\":\"%s\",\"bitmap\":\"\"}]}",
			good[i].text);
		expect_taken(text);
		cr_expect_eq(t.msr[0].addr, good[i].value, "%s", good[i].text);
	}
}

Test(cpu_config, refuses_flags_that_are_no_number_of_32_bits)
{
	static const char *const bad[] = { "-1", "-0", "4294967296",
		"18446744073709551616", "\"0\"", "null", "[]", "true" };

	expect_each_refused(LEAF("\"0x1\"", "\"0x0\"", "$", "[]"), bad, ARRAY_LEN(bad),
		"cpuid_modifiers[0]",
		"member 'flags' is not an unsigned integer of 32 bits");
}

Test(cpu_config, refuses_registers_that_there_are_not)
{
	static const char *const bad[] = { "\"\"", "\"EAX\"", "\"eax \"", "\"esi\"",
		"\"rax\"", "\"eaxx\"" };
	static const char *const no_lists[] = { "1", "null", "\"eax\"", "{}" };

	expect_each_refused(REGISTER("$", "\"1\""), bad, ARRAY_LEN(bad),
		"cpuid_modifiers[0]: modifiers[0]", "member 'register' cannot be '%'");
	expect_each_refused(REGISTER("$", "\"1\""), no_strings, ARRAY_LEN(no_strings),
		"cpuid_modifiers[0]: modifiers[0]",
		"member 'register' is not a string");
	expect_each_refused(LEAF("\"0x1\"", "\"0x0\"", "0", "$"), no_lists,
		ARRAY_LEN(no_lists), "cpuid_modifiers[0]",
		"member 'modifiers' is not an array");
	expect_refused(LEAF("\"0x1\"", "\"0x0\"", "0", "[\"eax\"]"),
		"cpu-config: cpuid_modifiers[0]: modifiers[0]: not an object");
}

Test(cpu_config, reads_bitmaps_from_the_right)
{
	static const struct {
		const char *text;
		uint64_t clear, set;
	} good[] = {
		{ "", 0, 0 },
		{ "0b", 0, 0 },
		{ "_", 0, 0 },
		{ "x", 0, 0 },
		{ "0", 1, 0 },
		{ "1", 0, 1 },
		{ "0b0", 1, 0 },
		{ "0b1", 0, 1 },
		{ "01x", 4, 2 },
		{ "__1__0__", 1, 2 },
		{ "0x1", 4, 1 }, /* three digits, not a prefix */
		{ "0b1_xxxx_xxxx_xxxx_xxxx_xxxx_xxxx_xxxx_xxx0", 1, 1ull << 32 },
		{ "1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx0", 1,
			1ull << 63 },
	};
	char text[160];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		(void)snprintf(text, sizeof(text),
			"{\"msr_modifiers\":[{\"addr\":\"0x1\",\"bitmap\":\"%s\"}]}",
			good[i].text);
		expect_taken(text);
		cr_expect_eq(t.msr[0].clear, good[i].clear, "%s", good[i].text);
		cr_expect_eq(t.msr[0].set, good[i].set, "%s", good[i].text);
	}
}

/* A string of n digits. */
static const char *digits(unsigned n, char digit)
{
	static char text[80];

	cr_assert_lt(n + 3, sizeof(text));
	text[0] = '"';
	memset(text + 1, digit, n);
	text[n + 1] = '"';
	text[n + 2] = '\0';
	return text;
}

Test(cpu_config, a_bitmap_is_as_wide_as_its_register)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		LEAF("\"0x1\"", "\"0x0\"", "0",
			"[{\"register\":\"ecx\",\"bitmap\":%s}]"),
		digits(32, '1'));
	expect_taken(text);
	cr_assert_eq(t.cpuid[0].ecx.set, UINT32_MAX);
	(void)snprintf(text, sizeof(text), MSR("\"0x1\"", "%s"), digits(64, '0'));
	expect_taken(text);
	cr_assert_eq(t.msr[0].clear, UINT64_MAX);
	expect_refused(REGISTER("\"ecx\"", "\"x11111111111111111111111111111111\""),
		"cpu-config: cpuid_modifiers[0]: modifiers[0]: member 'bitmap' has more "
		"than 32 bits: 'x11111111111111111111111111111111'");
	(void)snprintf(text, sizeof(text), MSR("\"0x1\"", "%s"), digits(65, '0'));
	expect_refused(text,
		"cpu-config: msr_modifiers[0]: member 'bitmap' has more than 64 bits: "
		"'00000000000000000000000000000000000000000000000000000000000000000'");
}

Test(cpu_config, refuses_what_is_no_bitmap)
{
	static const char *const bad[] = { "\"2\"", "\"0xf\"", "\"0b0b1\"", "\"_0b1\"",
		"\"0bX\"", "\"1 \"", "\" 1\"", "\"-1\"", "\"b1\"", "\"1é\"" };

	expect_each_refused(REGISTER("\"eax\"", "$"), bad, ARRAY_LEN(bad),
		"cpuid_modifiers[0]: modifiers[0]", "member 'bitmap' cannot be '%'");
	expect_each_refused(MSR("\"0x1\"", "$"), bad, ARRAY_LEN(bad),
		"msr_modifiers[0]", "member 'bitmap' cannot be '%'");
	expect_each_refused(MSR("\"0x1\"", "$"), no_strings, ARRAY_LEN(no_strings),
		"msr_modifiers[0]", "member 'bitmap' is not a string");
}

Test(cpu_config, refuses_capabilities_that_are_no_numbers)
{
	static const char *const bad[] = { "\"\"", "\"!\"", "\"!!1\"", "\"1!\"",
		"\"0x79\"", "\"-1\"", "\"+1\"", "\" 1\"", "\"1 \"", "\"a\"",
		"\"4294967296\"", "\"!4294967296\"", "\"99999999999999999999999\"" };

	expect_each_refused("{\"kvm_capabilities\":[$]}", bad, ARRAY_LEN(bad),
		"kvm_capabilities[0]", "'%' is not a capability's number");
	expect_taken("{\"kvm_capabilities\":[\"4294967295\",\"!0\",\"0121\"]}");
	cr_assert_eq(t.cap[0].cap, UINT32_MAX);
	cr_assert_eq(t.cap[1].cap, 0);
	cr_assert_eq(t.cap[2].cap, 121);
}

Test(cpu_config, refuses_what_is_given_twice)
{
	expect_refused("{\"cpuid_modifiers\":["
		       "{\"leaf\":\"0x7\",\"subleaf\":\"0x0\",\"flags\":1,"
		       "\"modifiers\":[]},"
		       "{\"leaf\":\"0x7\",\"subleaf\":\"0x1\",\"flags\":1,"
		       "\"modifiers\":[]},"
		       "{\"leaf\":\"0b111\",\"subleaf\":\"0b0\",\"flags\":0,"
		       "\"modifiers\":[]}]}",
		"cpu-config: cpuid_modifiers[2]: leaf 0x7 subleaf 0 is given twice");
	expect_refused("{\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"1\"},"
		       "{\"addr\":\"0x10b\",\"bitmap\":\"1\"},"
		       "{\"addr\":\"0x010A\",\"bitmap\":\"0\"}]}",
		"cpu-config: msr_modifiers[2]: MSR 0x10a is given twice");
	expect_refused(LEAF("\"0x1\"", "\"0x0\"", "0",
			       "[{\"register\":\"edx\",\"bitmap\":\"1\"},"
			       "{\"register\":\"ecx\",\"bitmap\":\"1\"},"
			       "{\"register\":\"edx\",\"bitmap\":\"1\"}]"),
		"cpu-config: cpuid_modifiers[0]: modifiers[2]: register edx is given "
		"twice");
}

/* A list of n elements, each by fmt from its number. Freed by the caller. */
static char *list_of(const char *name, unsigned n, const char *fmt)
{
	size_t room = 64 + n * (strlen(fmt) + 16);
	char *text = malloc(room);
	size_t at;

	cr_assert_not_null(text);
	at = (size_t)snprintf(text, room, "{\"%s\":[", name);
	for (unsigned i = 0; i < n; i++) {
		at += (size_t)snprintf(text + at, room - at, i > 0 ? "," : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		at += (size_t)snprintf(text + at, room - at, fmt, i);
#pragma GCC diagnostic pop
	}
	(void)snprintf(text + at, room - at, "]}");
	return text;
}

Test(cpu_config, lists_have_a_limit)
{
	static const struct {
		const char *name, *fmt;
		unsigned max;
	} lists[] = {
		{ "cpuid_modifiers",
			"{\"leaf\":\"0x1\",\"subleaf\":\"0x%x\",\"flags\":0,"
			"\"modifiers\":[]}",
			256 },
		{ "msr_modifiers", "{\"addr\":\"0x%x\",\"bitmap\":\"1\"}", 256 },
		{ "kvm_capabilities", "\"%u\"", 64 },
	};
	char why[96];

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		char *text = list_of(lists[i].name, lists[i].max, lists[i].fmt);

		expect_taken(text);
		cr_assert_eq(t.n_cpuid + t.n_msrs + t.n_caps, lists[i].max);
		free(text);
		text = list_of(lists[i].name, lists[i].max + 1, lists[i].fmt);
		(void)snprintf(why, sizeof(why),
			"cpu-config: member '%s' has more than %u elements",
			lists[i].name, lists[i].max);
		expect_refused(text, why);
		free(text);
	}
	cr_assert_eq(CPUID_CHANGES_MAX, 256);
}

Test(cpu_config, a_list_far_over_its_limit_is_refused_at_once, .timeout = 5)
{
	char *text = list_of("kvm_capabilities", 200000, "\"%u\"");

	expect_refused(text,
		"cpu-config: member 'kvm_capabilities' has more than 64 elements");
	free(text);
	text = list_of("cpuid_modifiers", 200000, "%u");
	expect_refused(text,
		"cpu-config: member 'cpuid_modifiers' has more than 256 elements");
	free(text);
}

Test(cpu_config, a_long_value_is_cut_in_the_text)
{
	char text[4200];
	size_t at = (size_t)snprintf(
		text, sizeof(text), "{\"msr_modifiers\":[{\"addr\":\"");

	memset(text + at, '7', 4096);
	(void)snprintf(text + at + 4096, sizeof(text) - at - 4096, "\"}]}");
	cr_assert_eq(read_text(text), -EINVAL);
	cr_assert_lt(strlen(e.text), 200);
	cr_assert(strstr(e.text, "msr_modifiers[0]: member 'addr' cannot be '777"));
}
