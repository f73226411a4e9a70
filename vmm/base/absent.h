/* SPDX-License-Identifier: Apache-2.0
 *
 * absent: what of Firecracker's surface husk leaves out (DESIGN.md says why), in one
 * list: resources of the API, sections of the config file, options, groups of metrics.
 * A request for one is refused with its reason; a config file may name it as nothing;
 * readers of metrics get its numbers, which are zero.
 */
#ifndef HUSK_BASE_ABSENT_H
#define HUSK_BASE_ABSENT_H

#include "vmm/base/base.h"

struct counter_group;

struct absent {
	const char *resource; /* the first segment of a path, or NULL */
	const char *section; /* of the config file and GET /vm/config, or NULL */
	bool is_list; /* the section is an array */
	const char *why;
	const char *options[2]; /* of the command line: refused; NULL: none */
	const struct counter_group *counters; /* or NULL */
};

extern const struct absent absents[];
extern const size_t n_absents;

/* Why husk does not have the resource, or NULL when nothing is known of it. */
const char *absent_resource(const char *resource);

#endif
