/* SPDX-License-Identifier: Apache-2.0 */
#include "api/bodies.h"

#include <stdlib.h>

#include "vmm/machine/config.h"

#define FIELDS(what, rows)                         \
	{                                          \
		what, rows, ARRAY_LEN(rows), false \
	}

static const char *const huge_page_names[] = {
	[GUEST_PAGES_NONE] = "None",
	[GUEST_PAGES_TRANSPARENT] = "Transparent",
	[GUEST_PAGES_2M] = "2M",
	NULL,
};
static const char *const cache_names[] = {
	[CACHE_UNSAFE] = "Unsafe",
	[CACHE_WRITEBACK] = "Writeback",
	NULL,
};
static const char *const template_names[] = {
	[CPU_TEMPLATE_NONE] = "None",
	[CPU_TEMPLATE_C3] = "C3",
	[CPU_TEMPLATE_T2] = "T2",
	[CPU_TEMPLATE_T2S] = "T2S",
	[CPU_TEMPLATE_T2CL] = "T2CL",
	[CPU_TEMPLATE_T2A] = "T2A",
	[CPU_TEMPLATES] = NULL,
};
static const char *const action_names[] = {
	[ACTION_START] = "InstanceStart",
	[ACTION_FLUSH_METRICS] = "FlushMetrics",
	[ACTION_CTRL_ALT_DEL] = "SendCtrlAltDel",
	NULL,
};
static const char *const state_names[] = {
	[VM_PAUSED] = "Paused",
	[VM_RESUMED] = "Resumed",
	NULL,
};
static const char *const engine_names[] = {
	[IO_SYNC] = "Sync",
	[IO_ASYNC] = "Async",
	NULL,
};

static bool is_zero(const void *member)
{
	return *(const uint32_t *)member == 0;
}

static bool is_never_shown(const void *member)
{
	(void)member;
	return true;
}

static bool is_false(const void *member)
{
	return !*(const bool *)member;
}

static bool is_zero64(const void *member)
{
	return *(const uint64_t *)member == 0;
}

static bool is_no_bucket(const void *member)
{
	return !bucket_is_limit(member);
}

static bool is_no_limiter(const void *member)
{
	const struct limiter_cfg *c = member;

	return is_no_bucket(&c->bandwidth) && is_no_bucket(&c->ops);
}

/* clang-format off */
static const struct field bucket_rows[] = {
	{ .name = "size", .type = FIELD_UINT, .required = true, .max = UINT64_MAX,
	  FIELD_AT(struct bucket_cfg, size) },
	{ .name = "one_time_burst", .type = FIELD_UINT, .nullable = true, .max = UINT64_MAX,
	  .is_null = is_zero64, FIELD_AT(struct bucket_cfg, one_time_burst) },
	{ .name = "refill_time", .type = FIELD_UINT, .required = true, .max = UINT64_MAX,
	  FIELD_AT(struct bucket_cfg, refill_time) },
};
static const struct fields bucket_fields = {
	"token bucket", bucket_rows, ARRAY_LEN(bucket_rows), true, /* contract, 2.5 */
};

static const struct field limiter_rows[] = {
	{ .name = "bandwidth", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  .is_null = is_no_bucket, FIELD_AT(struct limiter_cfg, bandwidth) },
	{ .name = "ops", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  .is_null = is_no_bucket, FIELD_AT(struct limiter_cfg, ops) },
};
static const struct fields limiter_fields = FIELDS("rate limiter", limiter_rows);

static const struct field limiter_patch_rows[] = {
	{ .name = "bandwidth", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  FIELD_AT(struct limiter_patch, to.bandwidth), FIELD_GIVEN(struct limiter_patch, has_bandwidth) },
	{ .name = "ops", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  FIELD_AT(struct limiter_patch, to.ops), FIELD_GIVEN(struct limiter_patch, has_ops) },
};
static const struct fields limiter_patch_fields = FIELDS("rate limiter", limiter_patch_rows);

static const struct field machine_rows[] = {
	{ .name = "vcpu_count", .type = FIELD_UINT, .required = true,
	  .min = 1, .max = VCPUS_MAX, FIELD_AT(struct machine_cfg, vcpu_count) },
	{ .name = "mem_size_mib", .type = FIELD_UINT, .required = true,
	  .min = 1, .max = UINT64_MAX, FIELD_AT(struct machine_cfg, mem_size_mib) },
	{ .name = "smt", .type = FIELD_BOOL, FIELD_AT(struct machine_cfg, smt) },
	{ .name = "track_dirty_pages", .type = FIELD_BOOL,
	  FIELD_AT(struct machine_cfg, track_dirty_pages) },
	{ .name = "huge_pages", .type = FIELD_ENUM, .names = huge_page_names,
	  FIELD_AT(struct machine_cfg, huge_pages) },
	{ .name = "cpu_template", .type = FIELD_ENUM, .names = template_names, .nullable = true,
	  .is_null = is_zero, .omit_null = true,
	  FIELD_AT(struct machine_cfg, cpu_template), FIELD_GIVEN(struct machine_cfg, cpu_template_given) },
};

static const struct field boot_rows[] = {
	{ .name = "kernel_image_path", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct boot_cfg, kernel_image_path) },
	{ .name = "initrd_path", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct boot_cfg, initrd_path) },
	{ .name = "boot_args", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct boot_cfg, boot_args) },
	{ .name = "share_kernel_pages", .type = FIELD_BOOL,
	  .is_null = is_false, .omit_null = true, /* Firecracker does not know it */
	  FIELD_AT(struct boot_cfg, share_kernel) },
};

static const struct field drive_rows[] = {
	{ .name = "drive_id", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct drive_cfg, drive_id) },
	{ .name = "path_on_host", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct drive_cfg, path_on_host) },
	{ .name = "is_root_device", .type = FIELD_BOOL, .required = true,
	  FIELD_AT(struct drive_cfg, is_root_device) },
	{ .name = "is_read_only", .type = FIELD_BOOL, .nullable = true,
	  FIELD_AT(struct drive_cfg, is_read_only) },
	{ .name = "partuuid", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct drive_cfg, partuuid) },
	{ .name = "cache_type", .type = FIELD_ENUM, .names = cache_names,
	  FIELD_AT(struct drive_cfg, cache_type) },
	{ .name = "io_engine", .type = FIELD_ENUM, .names = engine_names, .nullable = true,
	  FIELD_AT(struct drive_cfg, io_engine) },
	{ .name = "rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_fields,
	  .is_null = is_no_limiter, FIELD_AT(struct drive_cfg, rate_limiter) },
	{ .name = "socket", .type = FIELD_ABSENT, .nullable = true,
	  .reason = "is for vhost-user, which husk does not have" },
};

static const struct field drive_patch_rows[] = {
	{ .name = "drive_id", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct drive_patch, drive_id) },
	{ .name = "path_on_host", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct drive_patch, path_on_host) },
	{ .name = "rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_patch_fields,
	  FIELD_AT(struct drive_patch, rate_limiter), FIELD_GIVEN(struct drive_patch, has_rate_limiter) },
};

static const struct field net_rows[] = {
	{ .name = "iface_id", .type = FIELD_STRING, .required = true, FIELD_AT(struct net_cfg, iface_id) },
	{ .name = "host_dev_name", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct net_cfg, host_dev_name) },
	{ .name = "guest_mac", .type = FIELD_STRING, .nullable = true, FIELD_AT(struct net_cfg, guest_mac) },
	{ .name = "mtu", .type = FIELD_UINT, .nullable = true, .min = 68, .max = 65535, .is_null = is_zero,
	  FIELD_AT(struct net_cfg, mtu) },
	{ .name = "rx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_fields,
	  .is_null = is_no_limiter, FIELD_AT(struct net_cfg, rx) },
	{ .name = "tx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_fields,
	  .is_null = is_no_limiter, FIELD_AT(struct net_cfg, tx) },
};

static const struct field net_patch_rows[] = {
	{ .name = "iface_id", .type = FIELD_STRING, .required = true, FIELD_AT(struct net_patch, iface_id) },
	{ .name = "rx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_patch_fields,
	  FIELD_AT(struct net_patch, rx) },
	{ .name = "tx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_patch_fields,
	  FIELD_AT(struct net_patch, tx) },
};

static const struct field vsock_rows[] = {
	{ .name = "guest_cid", .type = FIELD_UINT, .required = true, .min = 3, .max = UINT32_MAX - 1,
	  FIELD_AT(struct vsock_body, cfg.guest_cid) },
	{ .name = "uds_path", .type = FIELD_STRING, .required = true, FIELD_AT(struct vsock_body, cfg.uds_path) },
	{ .name = "vsock_id", .type = FIELD_STRING, .nullable = true, .is_null = is_never_shown, .omit_null = true,
	  FIELD_AT(struct vsock_body, vsock_id), FIELD_GIVEN(struct vsock_body, has_vsock_id) },
};

static const struct field action_rows[] = {
	{ .name = "action_type", .type = FIELD_ENUM, .names = action_names, .required = true,
	  FIELD_AT(struct action_body, action) },
};

static const struct field vm_rows[] = {
	{ .name = "state", .type = FIELD_ENUM, .names = state_names, .required = true,
	  FIELD_AT(struct vm_body, state) },
};

static const struct field logger_rows[] = {
	{ .name = "log_path", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct logger_body, log_path) },
	{ .name = "level", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct logger_body, level) },
	{ .name = "show_level", .type = FIELD_BOOL, .nullable = true,
	  FIELD_AT(struct logger_body, show_level), FIELD_GIVEN(struct logger_body, has_show_level) },
	{ .name = "show_log_origin", .type = FIELD_BOOL, .nullable = true,
	  FIELD_AT(struct logger_body, show_log_origin), FIELD_GIVEN(struct logger_body, has_show_log_origin) },
	{ .name = "module", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct logger_body, module) },
};

static const struct field metrics_rows[] = {
	{ .name = "metrics_path", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct metrics_body, metrics_path) },
	{ .name = "emit_id", .type = FIELD_BOOL, FIELD_AT(struct metrics_body, emit_id) },
	{ .name = "properties", .type = FIELD_JSON, .nullable = true,
	  FIELD_JSON_AT(struct metrics_body, properties) },
};

static const struct field serial_rows[] = {
	{ .name = "serial_out_path", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct serial_cfg, serial_out_path) },
	{ .name = "rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  .is_null = is_no_bucket, FIELD_AT(struct serial_cfg, rate_limiter) },
};
/* clang-format on */

const struct fields machine_cfg_fields = FIELDS("machine-config", machine_rows);
const struct fields boot_cfg_fields = FIELDS("boot-source", boot_rows);
const struct fields drive_cfg_fields = FIELDS("drive", drive_rows);
const struct fields drive_patch_fields = FIELDS("drive", drive_patch_rows);
const struct fields net_cfg_fields = FIELDS("network interface", net_rows);
const struct fields net_patch_fields = FIELDS("network interface", net_patch_rows);
const struct fields vsock_fields = FIELDS("vsock", vsock_rows);
const struct fields serial_cfg_fields = FIELDS("serial", serial_rows);
const struct fields action_fields = FIELDS("actions", action_rows);
const struct fields vm_fields = FIELDS("vm", vm_rows);
const struct fields logger_fields = FIELDS("logger", logger_rows);
const struct fields metrics_fields = {
	"metrics", metrics_rows, ARRAY_LEN(metrics_rows), true, /* contract, 2.5 */
};

void vsock_body_fini(struct vsock_body *b)
{
	vsock_cfg_fini(&b->cfg);
	free(b->vsock_id);
}

void logger_body_fini(struct logger_body *b)
{
	free(b->log_path);
	free(b->level);
	free(b->module);
}

void metrics_body_fini(struct metrics_body *b)
{
	free(b->metrics_path);
}
