/* SPDX-License-Identifier: Apache-2.0
 *
 * bodies: the field tables and structs of what the API is given (contract, section 3)
 * and that is no setting of a machine.
 */
#ifndef HUSK_API_BODIES_H
#define HUSK_API_BODIES_H

#include "vmm/codec/json.h"

enum action { ACTION_START, ACTION_FLUSH_METRICS, ACTION_CTRL_ALT_DEL };

struct action_body {
	uint32_t action; /* enum action */
};

enum vm_state { VM_PAUSED, VM_RESUMED };

struct vm_body {
	uint32_t state; /* enum vm_state */
};

/* Members that are NULL, or whose has_ is false, change nothing. */
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

extern const struct fields action_fields; /* struct action_body */
extern const struct fields vm_fields; /* struct vm_body */
extern const struct fields logger_fields; /* struct logger_body */
extern const struct fields metrics_fields; /* struct metrics_body */

#endif
