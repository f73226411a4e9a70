/* SPDX-License-Identifier: Apache-2.0
 *
 * config_file: its sections, in the order in which they are applied. Each is the body
 * of a PUT: husk's own are in the table below, those of devices come from their kinds,
 * and what husk leaves out (absent.h) may be null or [].
 */
#include "api/config_file.h"

#include <stdlib.h>

#include "api/routes.h"
#include "vmm/base/absent.h"
#include "vmm/base/io.h"

struct section {
	const char *name; /* the resource whose PUT it is */
	bool required;
	bool is_list; /* an array of bodies, else one body */
	bool may_be_a_path; /* of a file with the body */
	bool is_last; /* applied after the devices */
};

/* clang-format off */
static const struct section own[] = {
	{ .name = "logger" },
	{ .name = "metrics" },
	{ .name = "machine-config" },
	{ .name = "cpu-config", .may_be_a_path = true },
	{ .name = "boot-source", .required = true },
	{ .name = "serial", .is_last = true },
};
/* clang-format on */

static int apply_list(
	struct api *a, const struct section *s, const struct json *list, struct err *e)
{
	const struct json *body;

	if (!json_is_array(list))
		return err_bad(e, "%s: not an array", s->name);
	for (unsigned i = 0; (body = json_element(list, i)); i++) {
		int r = api_put(a, s->name, body, e);

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
		r = api_put(a, s->name, body, e);
	return r < 0 ? err_add(e, r, "%s: '%s'", s->name, path) : 0;
}

static int apply_section(
	struct api *a, const struct section *s, const struct json *v, struct err *e)
{
	if (!v && s->required)
		return err_bad(e, "section '%s' is missing", s->name);
	if (!v || (json_is_null(v) && !s->required))
		return 0;
	if (s->may_be_a_path && json_string(v))
		return apply_path(a, s, json_string(v), e);
	return s->is_list ? apply_list(a, s, v, e) : api_put(a, s->name, v, e);
}

static int apply_own(struct api *a, const struct json *doc, bool last, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(own); i++)
		if (own[i].is_last == last)
			r = apply_section(a, &own[i], json_find(doc, own[i].name), e);
	return r;
}

static int apply_kinds(struct api *a, const struct json *doc, struct err *e)
{
	int r = 0;

	for (unsigned k = 0; r == 0 && device_kinds[k]; k++) {
		const struct section s = {
			.name = device_kinds[k]->resource,
			.required = device_kinds[k]->is_required,
			.is_list = device_kinds[k]->is_list,
		};

		r = apply_section(a, &s, json_find(doc, s.name), e);
	}
	return r;
}

static int check_absent(const struct json *doc, struct err *e)
{
	for (size_t i = 0; i < n_absents; i++) {
		const char *name = absents[i].section;
		const struct json *v = name ? json_find(doc, name) : NULL;

		if (!v || json_is_null(v) || (json_is_array(v) && !json_element(v, 0)))
			continue;
		return err_bad(e, "section '%s': %s", name, absents[i].why);
	}
	return 0;
}

int config_apply(struct api *a, const char *text, size_t n, struct err *e)
{
	AUTO(json_free) struct json *doc = NULL;
	int r = json_parse(text, n, &doc, e);

	if (r < 0)
		return r;
	if (!json_is_object(doc))
		return err_bad(e, "not an object");
	r = apply_own(a, doc, false, e);
	if (r == 0)
		r = apply_kinds(a, doc, e);
	if (r == 0)
		r = check_absent(doc, e);
	return r < 0 ? r : apply_own(a, doc, true, e);
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
