/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes.h"

#include <string.h>

#include "api/bodies.h"
#include "api/cpu_config.h"
#include "api/handlers.h"
#include "vmm/machine/kinds.h"

#define DEPRECATED(st, member) .deprecated = 1 + offsetof(st, member)

static void begin_machine(const struct api *a, void *cfg)
{
	struct machine_cfg *c = cfg;

	(void)a;
	*c = MACHINE_CFG_DEFAULT;
}

static void begin_machine_patch(const struct api *a, void *cfg)
{
	struct machine_cfg *c = cfg;

	*c = *machine_config(a->machine);
}

static int read_cpu(const struct json *body, void *cfg, struct err *e)
{
	return cpu_config_read(body, cfg, e);
}

static void end_cpu(void *cfg)
{
	cpu_template_fini(cfg);
}

/* clang-format off */
static const struct route routes[] = {
	{ .method = HTTP_METHOD_GET, .resource = "", .states = IN_ALL, .area = "instance",
	  .serve = get_instance, .counter = "instance_info" },
	{ .method = HTTP_METHOD_GET, .resource = "version", .states = IN_ALL, .area = "version",
	  .serve = get_version, .counter = "vmm_version" },
	{ .method = HTTP_METHOD_GET, .resource = "machine-config", .states = IN_ALL, .area = "machine config",
	  .serve = get_machine_config, .counter = "machine_cfg" },
	{ .method = HTTP_METHOD_GET, .resource = "vm", .sub_kind = SUB_NAMED, .sub = "config",
	  .states = IN_ALL, .area = "vm config", .serve = get_vm_config },
	{ .method = HTTP_METHOD_GET, .resource = "metrics", .states = IN_ALL, .area = "metrics",
	  .serve = get_metrics },

	{ .method = HTTP_METHOD_PUT, .resource = "actions", .states = IN_BY_ACTION, .area = "action",
	  .fields = &action_fields, .serve = put_actions, .counter = "actions" },
	{ .method = HTTP_METHOD_PUT, .resource = "boot-source", .states = IN_NOT_STARTED, .area = "boot source",
	  .fields = &boot_cfg_fields, .serve = put_boot_source, .counter = "boot_source" },
	{ .method = HTTP_METHOD_PUT, .resource = "cpu-config", .states = IN_NOT_STARTED, .area = "cpu config",
	  .read = read_cpu, .end = end_cpu, .serve = put_cpu_config, .counter = "cpu_cfg" },
	{ .method = HTTP_METHOD_PUT, .resource = "logger", .states = IN_NOT_STARTED, .area = "logger",
	  .fields = &logger_fields, .serve = put_logger, .counter = "logger" },
	{ .method = HTTP_METHOD_PUT, .resource = "metrics", .states = IN_NOT_STARTED, .area = "metrics",
	  .fields = &metrics_fields, .serve = put_metrics, .counter = "metrics" },
	{ .method = HTTP_METHOD_PUT, .resource = "machine-config", .states = IN_NOT_STARTED, .area = "machine config",
	  .fields = &machine_cfg_fields, .begin = begin_machine, .serve = put_machine_config,
	  .counter = "machine_cfg", DEPRECATED(struct machine_cfg, cpu_template_given) },
	{ .method = HTTP_METHOD_PATCH, .resource = "machine-config", .states = IN_NOT_STARTED,
	  .area = "machine config", .fields = &machine_cfg_fields, .is_patch = true,
	  .begin = begin_machine_patch, .serve = patch_machine_config, .counter = "machine_cfg",
	  DEPRECATED(struct machine_cfg, cpu_template_given) },
	{ .method = HTTP_METHOD_PUT, .resource = "serial", .states = IN_NOT_STARTED, .area = "serial",
	  .fields = &serial_cfg_fields, .serve = put_serial, .counter = "serial" },
	{ .method = HTTP_METHOD_PATCH, .resource = "vm", .states = IN_STARTED, .area = "vm",
	  .fields = &vm_fields, .serve = patch_vm },
};

/* clang-format on */

/* Each kind of device has a PUT and, if it can be changed while it runs, a PATCH. */
static struct route route_of_kind(
	const struct device_kind *k, const struct kind_body *body, bool is_patch)
{
	return (struct route){
		.method = is_patch ? HTTP_METHOD_PATCH : HTTP_METHOD_PUT,
		.resource = k->resource,
		.sub_kind = k->is_list ? SUB_ID : SUB_ANY,
		.states = is_patch ? IN_STARTED : IN_NOT_STARTED,
		.area = k->area,
		.fields = body->fields,
		.id_at = body->id_at,
		.deprecated = body->deprecated,
		.kind = k,
		.serve = is_patch ? patch_device : put_device,
		.counter = k->counter,
	};
}

bool route_at(size_t i, struct route *out)
{
	if (i < ARRAY_LEN(routes)) {
		*out = routes[i];
		return true;
	}
	i -= ARRAY_LEN(routes);
	for (unsigned k = 0; device_kinds[k]; k++) {
		const struct device_kind *kind = device_kinds[k];
		bool has_patch = kind->patch.fields;

		if (i == 0) {
			*out = route_of_kind(kind, &kind->cfg, false);
			return true;
		}
		if (i == 1 && has_patch) {
			*out = route_of_kind(kind, &kind->patch, true);
			return true;
		}
		i -= has_patch ? 2 : 1;
	}
	return false;
}

bool route_find(enum http_method method, const char *resource, const char *sub,
	struct route *out)
{
	for (size_t i = 0; route_at(i, out); i++) {
		if (out->method != method || strcmp(out->resource, resource) != 0)
			continue;
		if (!sub || out->sub_kind != SUB_NAMED || strcmp(out->sub, sub) == 0)
			return true;
	}
	return false;
}
