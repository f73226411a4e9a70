/* SPDX-License-Identifier: Apache-2.0
 *
 * config_file: the sections as a table, in the order in which they are applied. Each is
 * the body of a PUT; what husk refuses as a resource may be null or [], which is what
 * GET /vm/config prints for it.
 */
#include "api/config_file.h"

#include <stdlib.h>

#include "api/routes.h"
#include "vmm/base/io.h"

struct section {
	const char *name;
	const char *resource; /* whose PUT it is */
	bool required;
	bool is_list; /* an array of bodies, else one body */
	bool may_be_a_path; /* of a file with the body */
};

/* clang-format off */
static const struct section sections[] = {
	{ .name = "logger", .resource = "logger" },
	{ .name = "metrics", .resource = "metrics" },
	{ .name = "machine-config", .resource = "machine-config" },
	{ .name = "cpu-config", .resource = "cpu-config", .may_be_a_path = true },
	{ .name = "boot-source", .resource = "boot-source", .required = true },
	{ .name = "drives", .resource = "drives", .required = true, .is_list = true },
	{ .name = "network-interfaces", .resource = "network-interfaces", .is_list = true },
	{ .name = "vsock", .resource = "vsock" },
	{ .name = "mmds-config", .resource = "mmds" },
	{ .name = "serial", .resource = "serial" },
	{ .name = "balloon", .resource = "balloon" },
	{ .name = "entropy", .resource = "entropy" },
	{ .name = "pmem", .resource = "pmem" },
	{ .name = "memory-hotplug", .resource = "hotplug" },
};
/* clang-format on */

static int apply_list(
	struct api *a, const struct section *s, const struct json *list, struct err *e)
{
	const struct json *body;

	if (!json_is_array(list))
		return err_bad(e, "%s: not an array", s->name);
	for (unsigned i = 0; (body = json_element(list, i)); i++) {
		int r = api_put(a, s->resource, body, e);

		if (r < 0)
			return err_add(e, r, "%s[%u]", s->name, i);
	}
	return 0;
}

static int apply_path(
	struct api *a, const struct section *s, const char *path, struct err *e)
{
	AUTO(json_free) struct json *body = NULL;
	char *text;
	size_t n;
	int r = io_read_file(path, CONFIG_FILE_MAX, &text, &n, e);

	if (r < 0)
		return err_add(e, r, "%s", s->name);
	r = json_parse(text, n, &body, e);
	free(text);
	if (r == 0)
		r = api_put(a, s->resource, body, e);
	return r < 0 ? err_add(e, r, "%s: '%s'", s->name, path) : 0;
}

static int apply_section(
	struct api *a, const struct section *s, const struct json *v, struct err *e)
{
	const char *refusal = routes_refusal(s->resource);

	if (!v && s->required)
		return err_bad(e, "section '%s' is missing", s->name);
	if (!v || (json_is_null(v) && !s->required))
		return 0;
	if (refusal) {
		bool empty = json_is_array(v) && !json_element(v, 0);

		return empty ? 0 : err_bad(e, "section '%s': %s", s->name, refusal);
	}
	if (s->may_be_a_path && json_string(v))
		return apply_path(a, s, json_string(v), e);
	return s->is_list ? apply_list(a, s, v, e) : api_put(a, s->resource, v, e);
}

int config_apply(struct api *a, const char *text, size_t n, struct err *e)
{
	AUTO(json_free) struct json *doc = NULL;
	int r = json_parse(text, n, &doc, e);

	if (r < 0)
		return r;
	if (!json_is_object(doc))
		return err_bad(e, "not an object");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sections); i++)
		r = apply_section(a, &sections[i], json_find(doc, sections[i].name), e);
	return r;
}

int config_load(struct api *a, const char *path, struct err *e)
{
	char *text;
	size_t n;
	int r = io_read_file(path, CONFIG_FILE_MAX, &text, &n, e);

	if (r < 0)
		return r;
	r = config_apply(a, text, n, e);
	free(text);
	return r < 0 ? err_add(e, r, "config file '%s'", path) : 0;
}
