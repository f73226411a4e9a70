/* SPDX-License-Identifier: Apache-2.0 */
#include "api/bodies.h"

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

/* clang-format off */
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

/* clang-format on */

const struct fields action_fields = FIELDS("actions", action_rows);
const struct fields vm_fields = FIELDS("vm", vm_rows);
const struct fields logger_fields = FIELDS("logger", logger_rows);
const struct fields metrics_fields = {
	"metrics", metrics_rows, ARRAY_LEN(metrics_rows), true, /* contract, 2.5 */
};
