/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi: resources/openapi.yaml against the route and field tables, in both
 * directions, and against the replies that the API gives. From the root of the sources.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "api/cpu_config.h"
#include "api/routes.h"
#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_machine.h"
#include "vmm/base/version.h"
#include "vmm/machine/kinds.h"

#define OPENAPI "resources/openapi.yaml"

static yaml_document_t doc;

static void load(void)
{
	FILE *f = fopen(OPENAPI, "re");
	yaml_parser_t parser;

	cr_assert_not_null(f, "run it where " OPENAPI " is");
	cr_assert(yaml_parser_initialize(&parser));
	yaml_parser_set_input_file(&parser, f);
	cr_assert(yaml_parser_load(&parser, &doc), OPENAPI ":%zu: %s",
		parser.problem_mark.line + 1, parser.problem);
	yaml_parser_delete(&parser);
	(void)fclose(f);
	fake_api_init();
}

static void unload(void)
{
	fake_api_fini();
	yaml_document_delete(&doc);
}

TestSuite(openapi, .init = load, .fini = unload);

/* --- reading the file --- */

static yaml_node_t *node(int index)
{
	return yaml_document_get_node(&doc, index);
}

static const char *scalar(const yaml_node_t *n)
{
	cr_assert(n && n->type == YAML_SCALAR_NODE);
	return (const char *)n->data.scalar.value;
}

static size_t n_pairs(const yaml_node_t *map)
{
	cr_assert(map && map->type == YAML_MAPPING_NODE);
	return (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start);
}

static const char *key(const yaml_node_t *map, size_t i)
{
	return scalar(node(map->data.mapping.pairs.start[i].key));
}

static yaml_node_t *value(const yaml_node_t *map, size_t i)
{
	return node(map->data.mapping.pairs.start[i].value);
}

static yaml_node_t *find_raw(const yaml_node_t *map, const char *name)
{
	for (size_t i = 0; i < n_pairs(map); i++)
		if (strcmp(key(map, i), name) == 0)
			return value(map, i);
	return NULL;
}

/* What a reference to "#/a/b" means, or the node itself. */
static yaml_node_t *resolve(yaml_node_t *n)
{
	yaml_node_t *ref =
		n && n->type == YAML_MAPPING_NODE ? find_raw(n, "$ref") : NULL;
	char path[128], *next = path, *part;

	if (!ref)
		return n;
	(void)snprintf(path, sizeof(path), "%s", scalar(ref));
	cr_assert_str_eq(strsep(&next, "/"), "#", "%s", scalar(ref));
	n = yaml_document_get_root_node(&doc);
	while ((part = strsep(&next, "/")))
		cr_assert((n = find_raw(n, part)), "%s leads nowhere", scalar(ref));
	return n;
}

static yaml_node_t *find(const yaml_node_t *map, const char *name)
{
	return resolve(find_raw(map, name));
}

/* The node at a path of names, which ends with NULL; all must be there. */
static yaml_node_t *get(yaml_node_t *n, const char *const *names)
{
	for (; *names; names++)
		cr_assert((n = find(n, *names)), "no %s", *names);
	return n;
}
#define GET_NODE(n, ...) get(n, (const char *const[]){ __VA_ARGS__, NULL })
#define ROOT yaml_document_get_root_node(&doc)

/* The i-th item of a list, as text, or NULL after the last. */
static const char *item(const yaml_node_t *list, size_t i)
{
	size_t n;

	cr_assert_eq(list->type, YAML_SEQUENCE_NODE);
	n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
	return i < n ? scalar(node(list->data.sequence.items.start[i])) : NULL;
}

static bool has_item(const yaml_node_t *list, const char *what)
{
	const char *text;

	for (size_t i = 0; list && (text = item(list, i)); i++)
		if (strcmp(text, what) == 0)
			return true;
	return false;
}

/* The text of a member, or "" without it. */
static const char *text_of(const yaml_node_t *map, const char *name)
{
	yaml_node_t *n = find(map, name);

	return n ? scalar(n) : "";
}

/* --- routes --- */

static const char *const method_names[] = {
	[HTTP_METHOD_GET] = "get",
	[HTTP_METHOD_PUT] = "put",
	[HTTP_METHOD_PATCH] = "patch",
	[HTTP_METHOD_DELETE] = "delete",
};

/* The name of the member with the id, for a route that has one. */
static const char *id_name(const struct route *r)
{
	for (size_t i = 0; i < r->fields->n; i++)
		if (r->fields->field[i].offset == r->id_at &&
			r->fields->field[i].type == FIELD_STRING)
			return r->fields->field[i].name;
	return NULL;
}

static const char *path_of(const struct route *r)
{
	static char path[128];

	(void)snprintf(path, sizeof(path),
		r->sub_kind == SUB_ID		   ? "/%s/{%s}"
			: r->sub_kind == SUB_NAMED ? "/%s/%s"
						   : "/%s",
		r->resource, r->sub_kind == SUB_ID ? id_name(r) : r->sub);
	return path;
}

static yaml_node_t *operation(const struct route *r)
{
	return GET_NODE(ROOT, "paths", path_of(r), method_names[r->method]);
}

static bool is_route(const char *path, const char *method)
{
	struct route r;

	for (size_t i = 0; route_at(i, &r); i++)
		if (strcmp(path_of(&r), path) == 0 &&
			strcmp(method_names[r.method], method) == 0)
			return true;
	return false;
}

static yaml_node_t *body_schema(const struct route *r)
{
	return GET_NODE(
		operation(r), "requestBody", "content", "application/json", "schema");
}

Test(openapi, names_the_version)
{
	cr_expect_str_eq(text_of(find(ROOT, "info"), "version"), HUSK_VERSION);
}

Test(openapi, has_every_route)
{
	struct route route;

	for (size_t i = 0; route_at(i, &route); i++) {
		const struct route *r = &route;
		yaml_node_t *op = operation(r), *answers = find(op, "responses");
		const char *good = r->method == HTTP_METHOD_GET ? "200" : "204";

		cr_expect_eq(n_pairs(answers), 2, "%s", path_of(r));
		cr_expect(find(answers, good), "%s without %s", path_of(r), good);
		cr_expect_eq(find(answers, "400"),
			GET_NODE(ROOT, "components", "responses", "Fault"));
		cr_expect_eq(find(op, "requestBody") != NULL, r->fields || r->read,
			"%s", path_of(r));
	}
}

Test(openapi, has_no_route_that_there_is_not)
{
	yaml_node_t *paths = find(ROOT, "paths");

	for (size_t p = 0; p < n_pairs(paths); p++) {
		yaml_node_t *ops = value(paths, p);

		for (size_t m = 0; m < n_pairs(ops); m++)
			cr_expect(strcmp(key(ops, m), "parameters") == 0 ||
					is_route(key(paths, p), key(ops, m)),
				"%s %s is no route", key(ops, m), key(paths, p));
	}
}

Test(openapi, describes_the_id_in_a_path)
{
	struct route route;

	for (size_t i = 0; route_at(i, &route); i++) {
		yaml_node_t *params, *param;

		if (route.sub_kind != SUB_ID)
			continue;
		params = GET_NODE(ROOT, "paths", path_of(&route), "parameters");
		param = resolve(node(params->data.sequence.items.start[0]));
		cr_expect_str_eq(text_of(param, "name"), id_name(&route));
		cr_expect_str_eq(text_of(param, "in"), "path");
		cr_expect_str_eq(text_of(param, "required"), "true");
	}
}

/* --- bodies --- */

static void compare_enum(const struct field *f, const yaml_node_t *p, bool nullable)
{
	const yaml_node_t *list = find(p, "enum");
	size_t n = 0;

	cr_assert(list, "%s without an enum", f->name);
	for (; f->type == FIELD_ENUM && f->names[n]; n++)
		cr_expect(item(list, n) && strcmp(item(list, n), f->names[n]) == 0,
			"%s: %s is %s", f->name, f->names[n], item(list, n));
	if (nullable)
		cr_expect(item(list, n) && strcmp(item(list, n++), "null") == 0,
			"%s can be null", f->name);
	cr_expect_null(item(list, n), "%s: what is %s?", f->name, item(list, n));
}

static void compare_number(const struct field *f, const yaml_node_t *p)
{
	char min[32], max[32] = "";

	(void)snprintf(min, sizeof(min), "%llu", (unsigned long long)f->min);
	if (f->max < UINT64_MAX)
		(void)snprintf(max, sizeof(max), "%llu", (unsigned long long)f->max);
	cr_expect_str_eq(text_of(p, "minimum"), min, "%s", f->name);
	cr_expect_str_eq(text_of(p, "maximum"), max, "%s", f->name);
	cr_expect_str_eq(text_of(p, "format"), f->max <= INT32_MAX ? "int32" : "int64",
		"%s", f->name);
}

/* What a member is when a PUT leaves it out, "" when that is nothing of its own. cfg: a
 * struct of which nothing was given. */
static const char *default_of(const struct field *f, bool patch, const char *cfg)
{
	const char *at = cfg + f->offset;

	if (patch || f->required || f->given)
		return "";
	if (f->type == FIELD_BOOL)
		return *(const bool *)at ? "true" : "false";
	if (f->type == FIELD_ENUM)
		return f->names[*(const uint32_t *)(const void *)at];
	return "";
}

static void compare_fields(
	const struct fields *t, const yaml_node_t *schema, bool patch, const char *cfg);

static void compare_field(
	const struct field *f, const yaml_node_t *p, bool patch, const char *cfg)
{
	static const char *const types[] = {
		[FIELD_STRING] = "string",
		[FIELD_TEXT] = "string",
		[FIELD_BOOL] = "boolean",
		[FIELD_UINT] = "integer",
		[FIELD_ENUM] = "string",
		[FIELD_OBJECT] = "object",
		[FIELD_JSON] = "object",
	};
	bool nullable = f->nullable || patch;

	cr_expect_str_eq(text_of(p, "nullable"), nullable ? "true" : "", "%s", f->name);
	cr_expect_str_eq(
		text_of(p, "default"), default_of(f, patch, cfg), "%s", f->name);
	if (f->type == FIELD_ABSENT) {
		compare_enum(f, p, true);
		return;
	}
	cr_expect_str_eq(text_of(p, "type"), types[f->type], "%s", f->name);
	if (f->type == FIELD_ENUM)
		compare_enum(f, p, nullable);
	else
		cr_expect_null(find(p, "enum"), "%s", f->name);
	if (f->type == FIELD_UINT)
		compare_number(f, p);
	/* a PATCH's objects are whole: json_patch lets the outermost members be absent
	 */
	if (f->type == FIELD_OBJECT)
		compare_fields(f->fields, p, false, cfg + f->offset);
}

static void compare_fields(
	const struct fields *t, const yaml_node_t *schema, bool patch, const char *cfg)
{
	yaml_node_t *list = find(schema, "properties");
	yaml_node_t *required = find(schema, "required");
	size_t n_required = 0;

	cr_expect_str_eq(text_of(schema, "type"), "object", "%s", t->what);
	cr_expect_str_eq(text_of(schema, "additionalProperties"),
		t->lax ? "true" : "false", "%s", t->what);
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->field[i];
		yaml_node_t *p = find(list, f->name);

		cr_expect(p, "%s lacks %s", t->what, f->name);
		if (p)
			compare_field(f, p, patch, cfg);
		if (patch || !f->required)
			continue;
		n_required++;
		cr_expect(has_item(required, f->name), "%s is required", f->name);
	}
	cr_expect_eq(n_pairs(list), t->n, "%s has more than there is", t->what);
	cr_expect(!required || !item(required, n_required), "%s requires too much",
		t->what);
}

static void compare_body(const struct route *r)
{
	_Alignas(max_align_t) char cfg[BODY_MAX] = { 0 };

	if (r->begin)
		r->begin(&fake_api.api, cfg);
	compare_fields(r->fields, body_schema(r), r->is_patch, cfg);
}

Test(openapi, has_every_member_of_every_body_as_it_is)
{
	struct route route;

	for (size_t i = 0; route_at(i, &route); i++)
		if (route.fields)
			compare_body(&route);
}

Test(openapi, marks_what_is_deprecated)
{
	struct route route;

	for (size_t i = 0; route_at(i, &route); i++) {
		const struct route *r = &route;
		yaml_node_t *list =
			r->fields ? find(body_schema(r), "properties") : NULL;

		for (size_t f = 0; list && f < r->fields->n; f++)
			cr_expect_str_eq(text_of(find(list, r->fields->field[f].name),
						 "deprecated"),
				r->deprecated &&
						r->fields->field[f].given ==
							r->deprecated
					? "true"
					: "",
				"%s", r->fields->field[f].name);
	}
}

/* --- replies --- */

/* Every member of the value is in the schema, and what that requires is there. */
static void compare_reply(
	const char *what, const struct json *v, const yaml_node_t *schema)
{
	const yaml_node_t *list = find(schema, "properties");
	const yaml_node_t *required = find(schema, "required");
	const struct json *member;
	const char *name;

	for (unsigned i = 0; (member = json_element(v, i)); i++) {
		yaml_node_t *p = find(list, json_name(member));

		cr_expect(p || find(schema, "additionalProperties"), "%s has %s", what,
			json_name(member));
		if (!p)
			continue;
		if (json_is_null(member))
			cr_expect_str_eq(text_of(p, "nullable"), "true", "%s",
				json_name(member));
		if (json_is_object(member))
			compare_reply(what, member, p);
		cr_expect_eq(json_is_array(member),
			strcmp(text_of(p, "type"), "array") == 0, "%s", what);
		if (json_is_array(member) && json_is_object(json_element(member, 0)))
			compare_reply(what, json_element(member, 0), find(p, "items"));
		if (json_string(member) && find(p, "enum"))
			cr_expect(has_item(find(p, "enum"), json_string(member)),
				"%s: %s", json_name(member), json_string(member));
	}
	for (size_t i = 0; required && (name = item(required, i)); i++)
		cr_expect(json_find(v, name), "%s lacks %s", what, name);
}

static void compare_get(const struct route *r)
{
	struct http_request req = { .method = HTTP_METHOD_GET, .body = "" };
	struct http_reply reply = { 0 };
	struct json *v = NULL;
	struct err e;

	strcpy(req.path, path_of(r));
	api_handle(&fake_api.api, &req, &reply);
	cr_assert_eq(reply.status, 200, "%s", req.path);
	cr_assert_eq(json_parse(reply.body, reply.body_len, &v, &e), 0, "%s", e.text);
	compare_reply(req.path, v,
		GET_NODE(operation(r), "responses", "200", "content",
			"application/json", "schema"));
	json_free(v);
	free(reply.body);
}

Test(openapi, describes_every_reply_as_it_is)
{
	struct route route;

	expect_done("PUT /boot-source {\"kernel_image_path\":\"$K\"}");
	expect_done("PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$D\","
		    "\"is_root_device\":false,\"rate_limiter\":{\"ops\":{"
		    "\"size\":1,\"refill_time\":1}}}");
	expect_done("PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$S\"}");
	fake_machine_add_interface(fake_api.machine, "eth0");
	for (size_t i = 0; route_at(i, &route); i++)
		if (route.method == HTTP_METHOD_GET)
			compare_get(&route);
}

Test(openapi, describes_each_kind_of_device_in_the_whole_configuration)
{
	yaml_node_t *list = GET_NODE(
		ROOT, "components", "schemas", "FullConfiguration", "properties");

	for (unsigned k = 0; device_kinds[k]; k++) {
		const struct fields *t = device_kinds[k]->cfg.fields;
		yaml_node_t *p = GET_NODE(list, device_kinds[k]->resource);

		p = GET_NODE(
			device_kinds[k]->is_list ? find(p, "items") : p, "properties");
		for (size_t i = 0; i < t->n; i++)
			cr_expect(t->field[i].omit_null || find(p, t->field[i].name),
				"%s lacks %s", device_kinds[k]->resource,
				t->field[i].name);
	}
}

/* --- the one body that no table reads --- */

static int read_cpu(const char *text)
{
	struct cpu_template t = { 0 };
	struct json *v = NULL;
	struct err e;
	int r;

	cr_assert_eq(json_parse(text, strlen(text), &v, &e), 0, "%s", e.text);
	compare_reply(text, v, GET_NODE(ROOT, "components", "schemas", "CpuConfig"));
	r = cpu_config_read(v, &t, &e);
	cpu_template_fini(&t);
	json_free(v);
	return r;
}

/* A list of n times what. */
static int read_cpu_list(const char *name, const char *what, unsigned n)
{
	char text[2048];
	size_t at = (size_t)snprintf(text, sizeof(text), "{\"%s\":[", name);

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "%s%s", i > 0 ? "," : "", what);
	(void)snprintf(text + at, sizeof(text) - at, "]}");
	return read_cpu(text);
}

Test(openapi, describes_cpu_config_as_it_is_read)
{
	static const struct {
		const char *name, *element;
		unsigned max;
	} lists[] = {
		{ "kvm_capabilities", "\"!9\"", KVM_CAP_CHANGES_MAX },
		{ "cpuid_modifiers",
			"{\"leaf\":\"0x1\",\"subleaf\":\"0b0\",\"flags\":0,"
			"\"modifiers\":[{\"register\":\"eax\",\"bitmap\":\"0bx1_0\"}]}",
			CPUID_CHANGES_MAX },
		{ "msr_modifiers", "{\"addr\":\"0x10a\",\"bitmap\":\"1\"}",
			MSR_CHANGES_MAX },
	};
	yaml_node_t *schema = GET_NODE(ROOT, "components", "schemas", "CpuConfig");
	char max[16];

	cr_expect_str_eq(text_of(schema, "additionalProperties"), "false");
	cr_expect_null(find(schema, "required"));
	cr_expect_eq(n_pairs(find(schema, "properties")), ARRAY_LEN(lists));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		yaml_node_t *p = GET_NODE(schema, "properties", lists[i].name);

		(void)snprintf(max, sizeof(max), "%u", lists[i].max);
		cr_expect_str_eq(text_of(p, "maxItems"), max, "%s", lists[i].name);
		cr_expect_eq(read_cpu_list(lists[i].name, lists[i].element, 1), 0);
	}
	cr_expect_eq(read_cpu_list(lists[0].name, lists[0].element, lists[0].max), 0);
	cr_expect_lt(
		read_cpu_list(lists[0].name, lists[0].element, lists[0].max + 1), 0);
	cr_expect_eq(read_cpu("{}"), 0);
}

Test(openapi, describes_errors_as_they_are)
{
	struct json *v = NULL;
	struct err e;

	cr_assert_eq(ask("GET /nonsense"), 400);
	cr_assert_eq(json_parse(fake_api.text, strlen(fake_api.text), &v, &e), 0);
	compare_reply("a fault", v, GET_NODE(ROOT, "components", "schemas", "Error"));
	cr_expect_str_eq(text_of(GET_NODE(ROOT, "components", "schemas", "Error",
					 "properties", "fault_message"),
				 "type"),
		"string");
	json_free(v);
}

/* --- the file by itself --- */

static void expect_no_pair_twice(const yaml_node_t *map)
{
	for (size_t i = 0; i < n_pairs(map); i++)
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(key(map, i), key(map, j), "line %zu",
				map->start_mark.line + 1);
}

Test(openapi, names_nothing_twice)
{
	for (yaml_node_t *n = doc.nodes.start; n < doc.nodes.top; n++)
		if (n->type == YAML_MAPPING_NODE)
			expect_no_pair_twice(n);
}

/* Whether something refers to a component. */
static bool is_used(const char *kind, const char *name)
{
	char ref[128];

	(void)snprintf(ref, sizeof(ref), "#/components/%s/%s", kind, name);
	for (yaml_node_t *n = doc.nodes.start; n < doc.nodes.top; n++)
		if (n->type == YAML_MAPPING_NODE && find_raw(n, "$ref") &&
			strcmp(scalar(find_raw(n, "$ref")), ref) == 0)
			return true;
	return false;
}

Test(openapi, has_no_component_that_nothing_uses)
{
	yaml_node_t *kinds = find(ROOT, "components");

	for (size_t k = 0; k < n_pairs(kinds); k++)
		for (size_t i = 0; i < n_pairs(value(kinds, k)); i++)
			cr_expect(is_used(key(kinds, k), key(value(kinds, k), i)),
				"%s is not used", key(value(kinds, k), i));
}

Test(openapi, refers_to_nothing_that_there_is_not)
{
	for (yaml_node_t *n = doc.nodes.start; n < doc.nodes.top; n++)
		(void)resolve(n);
}
