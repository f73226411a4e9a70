/* SPDX-License-Identifier: Apache-2.0
 *
 * json_read: an object carried into a struct by a field table, or a refusal that names
 * the member and leaves the struct alone. The tables of api/bodies.c too.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/bodies.h"
#include "virtio/blk/kind.h"
#include "virtio/net/kind.h"
#include "vmm/machine/config.h"

struct toy {
	char *name;
	char *alias;
	bool on, maybe;
	uint32_t small;
	uint64_t large;
	uint32_t kind;
};

static const char *const kinds[] = { "None", "2M", NULL };
static const struct field toy_rows[] = {
	{ .name = "name",
		.type = FIELD_STRING,
		.required = true,
		FIELD_AT(struct toy, name) },
	{ .name = "alias",
		.type = FIELD_STRING,
		.nullable = true,
		FIELD_AT(struct toy, alias) },
	{ .name = "on", .type = FIELD_BOOL, FIELD_AT(struct toy, on) },
	{ .name = "maybe",
		.type = FIELD_BOOL,
		.nullable = true,
		FIELD_AT(struct toy, maybe) },
	{ .name = "small",
		.type = FIELD_UINT,
		.min = 1,
		.max = 32,
		FIELD_AT(struct toy, small) },
	{ .name = "large",
		.type = FIELD_UINT,
		.max = UINT64_MAX,
		FIELD_AT(struct toy, large) },
	{ .name = "kind",
		.type = FIELD_ENUM,
		.names = kinds,
		FIELD_AT(struct toy, kind) },
	{ .name = "later",
		.type = FIELD_ABSENT,
		.nullable = true,
		.reason = "is not yet" },
};
static const struct fields toy_fields = { "toy", toy_rows, ARRAY_LEN(toy_rows), false };

static struct err e;

static int read_text(const char *text, const struct fields *t, void *out)
{
	struct json *v;
	int r;

	cr_assert_eq(json_parse(text, strlen(text), &v, &e), 0, "%s: %s", text, e.text);
	r = json_read(v, t, out, &e);
	json_free(v);
	return r;
}

static void expect_refused(const char *text, const char *why)
{
	struct toy t = { .small = 7, .large = 8, .on = true }, before = t;

	cr_expect_eq(read_text(text, &toy_fields, &t), -EINVAL, "%s", text);
	cr_expect(strstr(e.text, "toy: "), "%s: %s", text, e.text);
	cr_expect(strstr(e.text, why), "%s: %s", text, e.text);
	cr_expect_eq(memcmp(&t, &before, sizeof(t)), 0, "%s touched the struct", text);
}

Test(json_read, carries_members_into_the_struct)
{
	struct toy t = { 0 };

	cr_assert_eq(
		read_text(
			"{\"name\":\"n\\u00e4\",\"alias\":\"\",\"on\":true,"
			"\"small\":32,\"large\":18446744073709551615,\"kind\":\"2M\"}",
			&toy_fields, &t),
		0);
	cr_assert_str_eq(t.name, "n\xc3\xa4");
	cr_assert_str_eq(t.alias, "");
	cr_assert(t.on && !t.maybe);
	cr_assert_eq(t.small, 32);
	cr_assert_eq(t.large, UINT64_MAX);
	cr_assert_eq(t.kind, 1);
	free(t.name);
	free(t.alias);
}

Test(json_read, keeps_defaults_of_absent_and_null_members)
{
	struct toy t = { .small = 7, .large = 8, .on = true, .maybe = true, .kind = 1 };

	cr_assert_eq(read_text("{\"alias\":null,\"maybe\":null,\"later\":null,"
			       "\"name\":\"x\"}",
			     &toy_fields, &t),
		0);
	cr_assert(t.small == 7 && t.large == 8 && t.on && t.maybe && t.kind == 1);
	cr_assert_null(t.alias);
	free(t.name);
}

Test(json_read, refuses_an_unknown_member)
{
	expect_refused("{\"name\":\"x\",\"nam\":1}", "unknown member 'nam'");
	expect_refused("{\"Name\":\"x\"}", "unknown member 'Name'");
	expect_refused("{\"name\":\"x\",\"\":null}", "unknown member ''");
}

Test(json_read, refuses_a_missing_member)
{
	expect_refused("{}", "member 'name' is missing");
	expect_refused(
		"{\"on\":true,\"alias\":\"freed again\"}", "member 'name' is missing");
}

Test(json_read, refuses_null_where_it_is_not_absence)
{
	expect_refused("{\"name\":null}", "member 'name' is not a string");
	expect_refused(
		"{\"name\":\"x\",\"on\":null}", "member 'on' is not true or false");
	expect_refused(
		"{\"name\":\"x\",\"small\":null}", "member 'small' is not an unsigned");
	expect_refused(
		"{\"name\":\"x\",\"kind\":null}", "member 'kind' is not a string");
}

Test(json_read, refuses_wrong_types)
{
	static const char *const wrong[][2] = {
		{ "{\"name\":1}", "'name' is not a string" },
		{ "{\"name\":[\"x\"]}", "'name' is not a string" },
		{ "{\"name\":\"x\",\"on\":1}", "'on' is not true or false" },
		{ "{\"name\":\"x\",\"on\":\"true\"}", "'on' is not true or false" },
		{ "{\"name\":\"x\",\"small\":\"2\"}",
			"'small' is not an unsigned integer" },
		{ "{\"name\":\"x\",\"small\":true}",
			"'small' is not an unsigned integer" },
		{ "{\"name\":\"x\",\"small\":[2]}",
			"'small' is not an unsigned integer" },
		{ "{\"name\":\"x\",\"small\":{}}",
			"'small' is not an unsigned integer" },
		{ "{\"name\":\"x\",\"kind\":1}", "'kind' is not a string" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		expect_refused(wrong[i][0], wrong[i][1]);
}

Test(json_read, refuses_numbers_out_of_range)
{
	expect_refused("{\"name\":\"x\",\"small\":0}", "'small' is 0, not in 1 to 32");
	expect_refused(
		"{\"name\":\"x\",\"small\":33}", "'small' is 33, not in 1 to 32");
	expect_refused("{\"name\":\"x\",\"small\":4294967297}", "not in 1 to 32");
	expect_refused(
		"{\"name\":\"x\",\"small\":-1}", "'small' is not an unsigned integer");
	expect_refused(
		"{\"name\":\"x\",\"large\":-1}", "'large' is not an unsigned integer");
	expect_refused(
		"{\"name\":\"x\",\"large\":-0}", "'large' is not an unsigned integer");
	expect_refused(
		"{\"name\":\"x\",\"large\":2.0}", "'large' is not an unsigned integer");
	expect_refused(
		"{\"name\":\"x\",\"large\":1e3}", "'large' is not an unsigned integer");
}

Test(json_read, refuses_2_to_the_64_and_more)
{
	expect_refused(
		"{\"name\":\"x\",\"large\":18446744073709551616}", "'large' is not");
	expect_refused(
		"{\"name\":\"x\",\"large\":99999999999999999999}", "'large' is not");
}

Test(json_read, refuses_another_spelling_of_a_choice)
{
	expect_refused("{\"name\":\"x\",\"kind\":\"none\"}", "'kind' cannot be 'none'");
	expect_refused("{\"name\":\"x\",\"kind\":\"\"}", "'kind' cannot be ''");
	expect_refused("{\"name\":\"x\",\"kind\":\"2M \"}", "'kind' cannot be '2M '");
}

Test(json_read, refuses_what_must_be_absent_by_its_reason)
{
	expect_refused("{\"name\":\"x\",\"later\":{}}", "'later' is not yet");
	expect_refused("{\"name\":\"x\",\"later\":false}", "'later' is not yet");
}

Test(json_read, refuses_what_is_no_object)
{
	expect_refused("[]", "not an object");
	expect_refused("\"name\"", "not an object");
	expect_refused("null", "not an object");
}

static void refuse_copies(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		expect_refused("{\"name\":\"x\",\"alias\":\"y\",\"on\":3}", "'on'");
		expect_refused("{\"alias\":\"y\",\"name\":7}", "'name'");
	}
}

Test(json_read, gives_back_its_copies_when_it_refuses)
{
	size_t before;

	refuse_copies(100); /* what is allocated once */
	before = mallinfo2().uordblks; /* 0 under a sanitizer */
	refuse_copies(100);
	cr_assert_eq(mallinfo2().uordblks, before);
}

Test(json_read, names_a_long_member_without_its_length)
{
	char text[5000] = "{\"";

	memset(text + 2, 'x', 4000);
	strcpy(text + 4002, "\":1}");
	expect_refused(text, "unknown member 'xxxx");
	cr_expect_lt(strlen(e.text), 200);
}

/* --- the bodies of the API --- */

static void expect_body_refused(
	const struct fields *t, const char *text, const char *why)
{
	uint8_t out[256] = { 0 };

	cr_expect_eq(read_text(text, t, out), -EINVAL, "%s", text);
	cr_expect(strstr(e.text, why), "%s: %s", text, e.text);
}

Test(bodies, read_a_machine_configuration)
{
	struct machine_cfg c = MACHINE_CFG_DEFAULT;

	cr_assert_eq(read_text("{\"vcpu_count\":32,\"mem_size_mib\":1024,\"smt\":true,"
			       "\"track_dirty_pages\":true,\"huge_pages\":\"2M\","
			       "\"cpu_template\":null}",
			     &machine_cfg_fields, &c),
		0);
	cr_assert_eq(c.vcpu_count, 32);
	cr_assert_eq(c.mem_size_mib, 1024);
	cr_assert(c.smt && c.track_dirty_pages);
	cr_assert_eq(c.huge_pages, GUEST_PAGES_2M);
}

Test(bodies, read_the_names_of_cpu_templates)
{
	static const struct {
		const char *name;
		enum cpu_template_id id;
	} names[] = {
		{ "None", CPU_TEMPLATE_NONE },
		{ "C3", CPU_TEMPLATE_C3 },
		{ "T2", CPU_TEMPLATE_T2 },
		{ "T2S", CPU_TEMPLATE_T2S },
		{ "T2CL", CPU_TEMPLATE_T2CL },
		{ "T2A", CPU_TEMPLATE_T2A },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct machine_cfg c = { .cpu_template = CPU_TEMPLATES };
		char text[96], full[32];

		(void)snprintf(text, sizeof(text),
			"{\"vcpu_count\":1,\"mem_size_mib\":1,\"cpu_template\":\"%s\"}",
			names[i].name);
		cr_assert_eq(read_text(text, &machine_cfg_fields, &c), 0, "%s", e.text);
		cr_assert_eq(c.cpu_template, names[i].id);
		(void)snprintf(full, sizeof(full), "cpu_template %s", names[i].name);
		cr_assert_str_eq(cpu_template_find(names[i].id)->name, full);
	}
}

Test(bodies, refuse_a_wrong_machine_configuration)
{
	static const char *const bad[][2] = {
		{ "{\"mem_size_mib\":1}", "'vcpu_count' is missing" },
		{ "{\"vcpu_count\":1}", "'mem_size_mib' is missing" },
		{ "{\"vcpu_count\":0,\"mem_size_mib\":1}", "'vcpu_count' is 0" },
		{ "{\"vcpu_count\":33,\"mem_size_mib\":1}", "'vcpu_count' is 33" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":0}", "'mem_size_mib' is 0" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":1,\"smt\":null}", "'smt'" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":1,\"huge_pages\":\"4K\"}",
			"'huge_pages' cannot be '4K'" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":1,\"huge_pages\":null}",
			"'huge_pages'" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":1,\"cpu_template\":\"T3\"}",
			"'cpu_template' cannot be 'T3'" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":1,\"cpu_template\":\"t2\"}",
			"'cpu_template' cannot be 't2'" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":1,\"ht_enabled\":true}",
			"unknown member 'ht_enabled'" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_body_refused(&machine_cfg_fields, bad[i][0], bad[i][1]);
}

Test(bodies, read_a_boot_source)
{
	struct boot_cfg c = { 0 };

	cr_assert_eq(read_text("{\"kernel_image_path\":\"/k\",\"initrd_path\":null,"
			       "\"boot_args\":\"\",\"share_kernel_pages\":true}",
			     &boot_cfg_fields, &c),
		0);
	cr_assert_str_eq(c.kernel_image_path, "/k");
	cr_assert_null(c.initrd_path);
	cr_assert_str_eq(c.boot_args, "", "empty is not absent");
	cr_assert(c.share_kernel);
	fields_fini(&boot_cfg_fields, &c);
	expect_body_refused(&boot_cfg_fields, "{}", "'kernel_image_path' is missing");
	expect_body_refused(
		&boot_cfg_fields, "{\"kernel_image_path\":null}", "not a string");
}

Test(bodies, read_a_drive)
{
	struct drive_cfg c = { 0 };

	cr_assert_eq(read_text("{\"drive_id\":\"r\",\"path_on_host\":\"/d\","
			       "\"is_root_device\":true,\"is_read_only\":null,"
			       "\"partuuid\":\"u\",\"cache_type\":\"Writeback\","
			       "\"io_engine\":\"Sync\",\"rate_limiter\":null,"
			       "\"socket\":null}",
			     blk_kind.cfg.fields, &c),
		0);
	cr_assert_str_eq(c.path_on_host, "/d");
	cr_assert_str_eq(c.partuuid, "u");
	cr_assert(c.is_root_device && !c.is_read_only);
	cr_assert_eq(c.cache_type, CACHE_WRITEBACK);
	fields_fini(blk_kind.cfg.fields, &c);
}

Test(bodies, refuse_a_wrong_drive)
{
#define DRIVE "{\"drive_id\":\"r\",\"is_root_device\":true"
	expect_body_refused(blk_kind.cfg.fields, "{\"drive_id\":\"r\"}",
		"'is_root_device' is missing");
	expect_body_refused(blk_kind.cfg.fields, "{\"is_root_device\":false}",
		"'drive_id' is missing");
	expect_body_refused(
		blk_kind.cfg.fields, DRIVE ",\"cache_type\":null}", "'cache_type'");
	expect_body_refused(blk_kind.cfg.fields, DRIVE ",\"cache_type\":\"unsafe\"}",
		"'cache_type'");
	expect_body_refused(
		blk_kind.cfg.fields, DRIVE ",\"io_engine\":\"async\"}", "'io_engine'");
	expect_body_refused(blk_kind.cfg.fields, DRIVE ",\"rate_limiter\":{\"x\":1}}",
		"rate limiter: unknown member 'x'");
	expect_body_refused(blk_kind.cfg.fields,
		DRIVE ",\"rate_limiter\":{\"ops\":{\"size\":1}}}",
		"token bucket: member 'refill_time' is missing");
	expect_body_refused(blk_kind.cfg.fields, DRIVE ",\"socket\":\"/s\"}",
		"'socket' is for vhost-user");
#undef DRIVE
}

Test(bodies, read_the_limits_of_a_drive)
{
	struct drive_cfg c = { 0 };

	cr_assert_eq(read_text("{\"drive_id\":\"r\",\"is_root_device\":false,"
			       "\"io_engine\":\"Async\",\"rate_limiter\":{"
			       "\"bandwidth\":{\"size\":18446744073709549568,"
			       "\"refill_time\":2,\"new\":{}},\"ops\":{\"size\":3,"
			       "\"one_time_burst\":4,\"refill_time\":5}}}",
			     blk_kind.cfg.fields, &c),
		0, "%s", e.text);
	cr_assert_eq(c.io_engine, IO_ASYNC);
	cr_assert_eq(c.rate_limiter.bandwidth.size, UINT64_MAX - 2047);
	cr_assert_eq(c.rate_limiter.bandwidth.one_time_burst, 0);
	cr_assert_eq(c.rate_limiter.bandwidth.refill_time, 2);
	cr_assert_eq(c.rate_limiter.ops.size, 3);
	cr_assert_eq(c.rate_limiter.ops.one_time_burst, 4);
	cr_assert_eq(c.rate_limiter.ops.refill_time, 5);
	fields_fini(blk_kind.cfg.fields, &c);
}

Test(bodies, tell_which_limits_a_change_gives)
{
	struct net_patch p = { 0 };

	cr_assert_eq(read_text("{\"iface_id\":\"e\",\"rx_rate_limiter\":{\"ops\":{"
			       "\"size\":0,\"refill_time\":0},\"bandwidth\":null},"
			       "\"tx_rate_limiter\":null}",
			     net_kind.patch.fields, &p),
		0, "%s", e.text);
	cr_assert(p.rx.has_ops && !p.rx.has_bandwidth);
	cr_assert(!p.tx.has_ops && !p.tx.has_bandwidth);
	fields_fini(net_kind.patch.fields, &p);
}

Test(bodies, read_a_serial_port)
{
	struct serial_cfg c = { 0 };

	cr_assert_eq(
		read_text("{\"serial_out_path\":\"/s\"}", &serial_cfg_fields, &c), 0);
	cr_assert_str_eq(c.serial_out_path, "/s");
	fields_fini(&serial_cfg_fields, &c);
	cr_assert_eq(
		read_text("{\"serial_out_path\":null}", &serial_cfg_fields, &c), 0);
	cr_assert_null(c.serial_out_path);
	cr_assert_eq(read_text("{\"rate_limiter\":{\"size\":3,\"refill_time\":7}}",
			     &serial_cfg_fields, &c),
		0);
	cr_assert_eq(c.rate_limiter.size, 3);
	cr_assert_eq(c.rate_limiter.refill_time, 7);
	expect_body_refused(&serial_cfg_fields, "{\"rate_limiter\":{\"size\":1}}",
		"token bucket: member 'refill_time' is missing");
}
