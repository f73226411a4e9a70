/* SPDX-License-Identifier: Apache-2.0
 *
 * bodies: the field tables of what the API and the config file are given (contract,
 * sections 3 and 10), and the structs of those bodies that no lower room has.
 */
#ifndef HUSK_API_BODIES_H
#define HUSK_API_BODIES_H

#include "vmm/codec/json.h"
#include "vmm/machine/config.h"

enum action { ACTION_START, ACTION_FLUSH_METRICS, ACTION_CTRL_ALT_DEL };

struct action_body {
	uint32_t action; /* enum action */
};

enum vm_state { VM_PAUSED, VM_RESUMED };

struct vm_body {
	uint32_t state; /* enum vm_state */
};

struct vsock_body {
	struct vsock_cfg cfg;
	char *vsock_id; /* deprecated; has no effect */
	bool has_vsock_id;
};

/* NULL, or a has_ that is false: as it is. */
struct logger_body {
	char *log_path, *level, *module;
	bool show_level, show_log_origin;
	bool has_show_level, has_show_log_origin;
};

struct metrics_body {
	char *metrics_path;
	bool emit_id;
	const struct json *properties; /* of strings, or NULL; the document's */
};

void vsock_body_fini(struct vsock_body *b);
void logger_body_fini(struct logger_body *b);
void metrics_body_fini(struct metrics_body *b);

extern const struct fields machine_cfg_fields; /* struct machine_cfg */
extern const struct fields boot_cfg_fields; /* struct boot_cfg */
extern const struct fields drive_cfg_fields; /* struct drive_cfg */
extern const struct fields drive_patch_fields; /* struct drive_patch */
extern const struct fields net_cfg_fields; /* struct net_cfg */
extern const struct fields net_patch_fields; /* struct net_patch */
extern const struct fields vsock_fields; /* struct vsock_body */
extern const struct fields serial_cfg_fields; /* struct serial_cfg */
extern const struct fields action_fields; /* struct action_body */
extern const struct fields vm_fields; /* struct vm_body */
extern const struct fields logger_fields; /* struct logger_body */
extern const struct fields metrics_fields; /* struct metrics_body */

#endif
