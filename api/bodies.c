/* SPDX-License-Identifier: Apache-2.0 */
#include "api/bodies.h"

#include "vmm/config.h"

#define NOT_YET "is not in this version of husk"

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
static const char *const template_names[] = { "None", NULL };
static const char *const engine_names[] = { "Sync", NULL };

/* clang-format off */
static const struct field machine_rows[] = {
	{ .name = "vcpu_count", .type = FIELD_UINT, .required = true,
	  .min = 1, .max = VCPU_COUNT_MAX, FIELD_AT(struct machine_cfg, vcpu_count) },
	{ .name = "mem_size_mib", .type = FIELD_UINT, .required = true,
	  .min = 1, .max = UINT64_MAX, FIELD_AT(struct machine_cfg, mem_size_mib) },
	{ .name = "smt", .type = FIELD_BOOL, FIELD_AT(struct machine_cfg, smt) },
	{ .name = "track_dirty_pages", .type = FIELD_BOOL,
	  FIELD_AT(struct machine_cfg, track_dirty_pages) },
	{ .name = "huge_pages", .type = FIELD_ENUM, .names = huge_page_names,
	  FIELD_AT(struct machine_cfg, huge_pages) },
	{ .name = "cpu_template", .type = FIELD_ENUM, .names = template_names, .nullable = true,
	  FIELD_AT(struct machine_cfg, cpu_template) },
};

static const struct field boot_rows[] = {
	{ .name = "kernel_image_path", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct boot_cfg, kernel_image_path) },
	{ .name = "initrd_path", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct boot_cfg, initrd_path) },
	{ .name = "boot_args", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct boot_cfg, boot_args) },
	{ .name = "share_kernel_pages", .type = FIELD_BOOL,
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
	{ .name = "rate_limiter", .type = FIELD_ABSENT, .nullable = true, .reason = NOT_YET },
	{ .name = "socket", .type = FIELD_ABSENT, .nullable = true,
	  .reason = "is for vhost-user, which husk does not have" },
};

static const struct field serial_rows[] = {
	{ .name = "serial_out_path", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct serial_cfg, serial_out_path) },
	{ .name = "rate_limiter", .type = FIELD_ABSENT, .nullable = true, .reason = NOT_YET },
};
/* clang-format on */

const struct fields machine_cfg_fields = {
	"machine-config",
	machine_rows,
	ARRAY_LEN(machine_rows),
};
const struct fields boot_cfg_fields = { "boot-source", boot_rows,
	ARRAY_LEN(boot_rows) };
const struct fields drive_cfg_fields = { "drive", drive_rows, ARRAY_LEN(drive_rows) };
const struct fields serial_cfg_fields = { "serial", serial_rows,
	ARRAY_LEN(serial_rows) };
