/* SPDX-License-Identifier: Apache-2.0
 *
 * counter: tables that say how a struct of counters appears in the metrics. Whoever
 * counts owns the struct, which has members of the types uint64_t and struct latency
 * only, and its table.
 */
#ifndef HUSK_BASE_COUNTER_H
#define HUSK_BASE_COUNTER_H

#include "vmm/base/base.h"
#include "vmm/base/latency.h"

enum counter_type {
	COUNTER_SUM, /* uint64_t that only grows; a line shows what was added */
	COUNTER_GAUGE, /* uint64_t; a line shows its value */
	COUNTER_LATENCY, /* struct latency */
};

struct counter {
	const char *name; /* the key in the line */
	uint16_t offset; /* of the member in its struct */
	uint8_t type; /* enum counter_type */
	bool is_own; /* husk's: Firecracker has none of this name, and lines may hide it
		      */
};

/* Rows for members whose names are their keys. */
#define COUNTER_OF(st, member)                                              \
	{                                                                   \
#member, (uint16_t)offsetof(st, member), COUNTER_SUM, false \
	}
#define LATENCY_OF(st, member)                                                  \
	{                                                                       \
#member, (uint16_t)offsetof(st, member), COUNTER_LATENCY, false \
	}

/* All counters of one kind of thing. */
struct counter_group {
	const char *name; /* the key of the group: "block" */
	/* A machine may have several of the kind: the line then has a group NAME_ID for
	 * each of them, and the group NAME for their sum. */
	bool is_list;
	const struct counter *counter;
	unsigned n;
	size_t bytes; /* size of the struct, at most COUNTERS_MAX */
};

enum { COUNTERS_MAX = 320 };

#endif
