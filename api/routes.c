/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes.h"

#include <string.h>

#include "api/bodies.h"
#include "api/cpu_config.h"
#include "api/handlers.h"

#define COUNTED(group, what)                                                         \
	.count = 1 + offsetof(struct api_counts, group##_api_requests.what##_count), \
	.fails = 1 + offsetof(struct api_counts, group##_api_requests.what##_fails)
#define COUNT(group, what) \
	.count = 1 + offsetof(struct api_counts, group##_api_requests.what##_count)

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

static void end_boot(void *cfg)
{
	boot_cfg_fini(cfg);
}

static void end_drive(void *cfg)
{
	drive_cfg_fini(cfg);
}

static void end_drive_patch(void *cfg)
{
	drive_patch_fini(cfg);
}

static void end_net(void *cfg)
{
	net_cfg_fini(cfg);
}

static void end_net_patch(void *cfg)
{
	net_patch_fini(cfg);
}

static void end_vsock(void *cfg)
{
	vsock_body_fini(cfg);
}

static void end_serial(void *cfg)
{
	serial_cfg_fini(cfg);
}

static void end_logger(void *cfg)
{
	logger_body_fini(cfg);
}

static void end_metrics(void *cfg)
{
	metrics_body_fini(cfg);
}

/* clang-format off */
const struct route routes[] = {
	{ .method = HTTP_METHOD_GET, .resource = "", .states = IN_ALL, .area = "instance",
	  .serve = get_instance, COUNT(get, instance_info) },
	{ .method = HTTP_METHOD_GET, .resource = "version", .states = IN_ALL, .area = "version",
	  .serve = get_version, COUNT(get, vmm_version) },
	{ .method = HTTP_METHOD_GET, .resource = "machine-config", .states = IN_ALL, .area = "machine config",
	  .serve = get_machine_config, COUNT(get, machine_cfg) },
	{ .method = HTTP_METHOD_GET, .resource = "vm", .sub_kind = SUB_NAMED, .sub = "config",
	  .states = IN_ALL, .area = "vm config", .serve = get_vm_config },
	{ .method = HTTP_METHOD_GET, .resource = "metrics", .states = IN_ALL, .area = "metrics",
	  .serve = get_metrics },

	{ .method = HTTP_METHOD_PUT, .resource = "actions", .states = IN_BY_ACTION, .area = "action",
	  .fields = &action_fields, .serve = put_actions, COUNTED(put, actions) },
	{ .method = HTTP_METHOD_PUT, .resource = "boot-source", .states = IN_NOT_STARTED, .area = "boot source",
	  .fields = &boot_cfg_fields, .end = end_boot, .serve = put_boot_source, COUNTED(put, boot_source) },
	{ .method = HTTP_METHOD_PUT, .resource = "cpu-config", .states = IN_NOT_STARTED, .area = "cpu config",
	  .read = read_cpu, .end = end_cpu, .serve = put_cpu_config, COUNTED(put, cpu_cfg) },
	{ .method = HTTP_METHOD_PUT, .resource = "drives", .sub_kind = SUB_ID, .states = IN_NOT_STARTED,
	  .area = "drive config", .fields = &drive_cfg_fields, .end = end_drive,
	  .id_at = offsetof(struct drive_cfg, drive_id), .serve = put_drive, COUNTED(put, drive) },
	{ .method = HTTP_METHOD_PATCH, .resource = "drives", .sub_kind = SUB_ID, .states = IN_STARTED,
	  .area = "drive config", .fields = &drive_patch_fields, .end = end_drive_patch,
	  .id_at = offsetof(struct drive_patch, drive_id), .serve = patch_drive, COUNTED(patch, drive) },
	{ .method = HTTP_METHOD_PUT, .resource = "network-interfaces", .sub_kind = SUB_ID,
	  .states = IN_NOT_STARTED, .area = "network config", .fields = &net_cfg_fields, .end = end_net,
	  .id_at = offsetof(struct net_cfg, iface_id), .serve = put_net, COUNTED(put, network) },
	{ .method = HTTP_METHOD_PATCH, .resource = "network-interfaces", .sub_kind = SUB_ID,
	  .states = IN_STARTED, .area = "network config", .fields = &net_patch_fields, .end = end_net_patch,
	  .id_at = offsetof(struct net_patch, iface_id), .serve = patch_net, COUNTED(patch, network) },
	{ .method = HTTP_METHOD_PUT, .resource = "logger", .states = IN_NOT_STARTED, .area = "logger",
	  .fields = &logger_fields, .end = end_logger, .serve = put_logger, COUNTED(put, logger) },
	{ .method = HTTP_METHOD_PUT, .resource = "metrics", .states = IN_NOT_STARTED, .area = "metrics",
	  .fields = &metrics_fields, .end = end_metrics, .serve = put_metrics, COUNTED(put, metrics) },
	{ .method = HTTP_METHOD_PUT, .resource = "machine-config", .states = IN_NOT_STARTED, .area = "machine config",
	  .fields = &machine_cfg_fields, .begin = begin_machine, .serve = put_machine_config,
	  COUNTED(put, machine_cfg), DEPRECATED(struct machine_cfg, cpu_template_given) },
	{ .method = HTTP_METHOD_PATCH, .resource = "machine-config", .states = IN_NOT_STARTED,
	  .area = "machine config", .fields = &machine_cfg_fields, .is_patch = true,
	  .begin = begin_machine_patch, .serve = put_machine_config, COUNTED(patch, machine_cfg),
	  DEPRECATED(struct machine_cfg, cpu_template_given) },
	{ .method = HTTP_METHOD_PUT, .resource = "serial", .states = IN_NOT_STARTED, .area = "serial",
	  .fields = &serial_cfg_fields, .end = end_serial, .serve = put_serial, COUNTED(put, serial) },
	{ .method = HTTP_METHOD_PUT, .resource = "vsock", .states = IN_NOT_STARTED, .area = "vsock config",
	  .fields = &vsock_fields, .end = end_vsock, .serve = put_vsock, COUNTED(put, vsock),
	  DEPRECATED(struct vsock_body, has_vsock_id) },
	{ .method = HTTP_METHOD_PATCH, .resource = "vm", .states = IN_STARTED, .area = "vm",
	  .fields = &vm_fields, .serve = patch_vm },
};

#define NOT_YET "not in this version of husk"
#define NEVER "husk has virtio-net, virtio-blk and virtio-vsock only"

const struct refusal refusals[] = {
	{ "snapshot", NOT_YET },
	{ "mmds", NOT_YET },
	{ "balloon", NEVER },
	{ "entropy", NEVER },
	{ "pmem", NEVER },
	{ "hotplug", NEVER },
};
/* clang-format on */

const size_t n_routes = ARRAY_LEN(routes);
const size_t n_refusals = ARRAY_LEN(refusals);

const char *routes_refusal(const char *resource)
{
	for (size_t i = 0; i < n_refusals; i++)
		if (strcmp(refusals[i].resource, resource) == 0)
			return refusals[i].why;
	return NULL;
}
