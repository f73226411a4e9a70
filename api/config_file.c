/* SPDX-License-Identifier: Apache-2.0
 *
 * config_file: the sections as a table, in the order in which they are applied. A
 * section of a device that husk will have says "not in this version", one that it will
 * never have says so; null and [] are what GET /vm/config prints for them and are
 * accepted.
 */
#include "api/config_file.h"

#include <stdlib.h>

#include "api/bodies.h"
#include "vmm/base/io.h"

struct section {
	const char *name;
	bool required;
	bool is_list; /* an array of bodies, else one body */
	int (*apply)(struct machine *m, const struct json *body, struct err *e);
	const char *refusal; /* instead of apply: why it must be null or empty */
};

static int apply_machine(struct machine *m, const struct json *body, struct err *e)
{
	struct machine_cfg cfg = MACHINE_CFG_DEFAULT;
	int r = json_read(body, &machine_cfg_fields, &cfg, e);

	return r < 0 ? r : machine_set_config(m, &cfg, e);
}

static int apply_boot_source(struct machine *m, const struct json *body, struct err *e)
{
	struct boot_cfg cfg = { 0 };
	int r = json_read(body, &boot_cfg_fields, &cfg, e);

	if (r == 0)
		r = machine_set_boot_source(m, &cfg, e);
	boot_cfg_fini(&cfg);
	return r;
}

static int apply_drive(struct machine *m, const struct json *body, struct err *e)
{
	struct drive_cfg cfg = { 0 };
	int r = json_read(body, &drive_cfg_fields, &cfg, e);

	if (r == 0)
		r = machine_put_drive(m, &cfg, e);
	drive_cfg_fini(&cfg);
	return r;
}

static int apply_serial(struct machine *m, const struct json *body, struct err *e)
{
	struct serial_cfg cfg = { 0 };
	int r = json_read(body, &serial_cfg_fields, &cfg, e);

	if (r == 0)
		r = machine_set_serial(m, &cfg, e);
	serial_cfg_fini(&cfg);
	return r;
}

#define NOT_YET "not in this version of husk"
#define NEVER "husk has virtio-net, virtio-blk and virtio-vsock only"

/* clang-format off */
static const struct section sections[] = {
	{ .name = "logger", .refusal = NOT_YET ": see --log-path" },
	{ .name = "metrics", .refusal = NOT_YET ": see --metrics-path" },
	{ .name = "machine-config", .apply = apply_machine },
	{ .name = "cpu-config", .refusal = NOT_YET },
	{ .name = "boot-source", .required = true, .apply = apply_boot_source },
	{ .name = "drives", .required = true, .is_list = true, .apply = apply_drive },
	{ .name = "network-interfaces", .refusal = NOT_YET },
	{ .name = "vsock", .refusal = NOT_YET },
	{ .name = "mmds-config", .refusal = NOT_YET },
	{ .name = "serial", .apply = apply_serial },
	{ .name = "balloon", .refusal = NEVER },
	{ .name = "entropy", .refusal = NEVER },
	{ .name = "pmem", .refusal = NEVER },
	{ .name = "memory-hotplug", .refusal = NEVER },
};
/* clang-format on */

static int apply_list(struct machine *m, const struct section *s,
	const struct json *list, struct err *e)
{
	const struct json *body;

	if (!json_is_array(list))
		return err_bad(e, "%s: not an array", s->name);
	for (unsigned i = 0; (body = json_element(list, i)); i++) {
		int r = s->apply(m, body, e);

		if (r < 0)
			return err_add(e, r, "%s[%u]", s->name, i);
	}
	return 0;
}

static int apply_section(
	struct machine *m, const struct section *s, const struct json *v, struct err *e)
{
	if (!v && s->required)
		return err_bad(e, "section '%s' is missing", s->name);
	if (!v || (json_is_null(v) && !s->required))
		return 0;
	if (s->refusal) {
		bool empty = json_is_array(v) && !json_element(v, 0);

		return empty ? 0 : err_bad(e, "section '%s': %s", s->name, s->refusal);
	}
	return s->is_list ? apply_list(m, s, v, e) : s->apply(m, v, e);
}

int config_apply(struct machine *m, const char *text, size_t n, struct err *e)
{
	AUTO(json_free) struct json *doc = NULL;
	int r = json_parse(text, n, &doc, e);

	if (r < 0)
		return r;
	if (!json_is_object(doc))
		return err_bad(e, "not an object");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sections); i++)
		r = apply_section(m, &sections[i], json_find(doc, sections[i].name), e);
	return r;
}

int config_load(struct machine *m, const char *path, struct err *e)
{
	char *text;
	size_t n;
	int r = io_read_file(path, CONFIG_FILE_MAX, &text, &n, e);

	if (r < 0)
		return r;
	r = config_apply(m, text, n, e);
	free(text);
	return r < 0 ? err_add(e, r, "config file '%s'", path) : 0;
}
