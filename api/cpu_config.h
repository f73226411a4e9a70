/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_config: the body of PUT /cpu-config (contract, 3.5), which is a section of a
 * config file too, into a CPU template. No I/O; any thread.
 */
#ifndef HUSK_API_CPU_CONFIG_H
#define HUSK_API_CPU_CONFIG_H

#include "vmm/codec/json.h"
#include "vmm/machine/config.h"

/* Makes a template of the body; {} makes one that changes nothing. On success *out is
 * the caller's, to hand to machine_set_cpu_config or to cpu_template_fini; what it held
 * is not freed. -EINVAL with text that names the member, and in a list the element, of
 * which the first is 0; then *out is untouched. What the host can do is not asked. */
MUST_CHECK int cpu_config_read(
	const struct json *body, struct cpu_template *out, struct err *e);

#endif
