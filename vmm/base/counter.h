/* SPDX-License-Identifier: Apache-2.0
 *
 * counter: how the numbers of a struct of counters appear in the metrics. Whoever
 * counts owns a struct of nothing but uint64_t and struct latency, and a table of
 * these.
 */
#ifndef HUSK_BASE_COUNTER_H
#define HUSK_BASE_COUNTER_H

#include "vmm/base/latency.h"

enum counter_type {
	COUNTER_SUM, /* a uint64_t that only grows: a line shows what was added */
	COUNTER_GAUGE, /* a uint64_t that is shown as it is */
	COUNTER_LATENCY, /* a struct latency */
};

struct counter {
	const char *name; /* the key */
	uint16_t offset; /* into the struct */
	uint8_t type; /* enum counter_type */
};

/* Rows for members that are called as their keys. */
#define COUNTER_OF(st, member)                                       \
	{                                                            \
#member, (uint16_t)offsetof(st, member), COUNTER_SUM \
	}
#define LATENCY_OF(st, member)                                           \
	{                                                                \
#member, (uint16_t)offsetof(st, member), COUNTER_LATENCY \
	}

/* All counters of one kind of thing. */
struct counter_group {
	const char *name; /* the key of the group: "block" */
	/* There may be several, each with an id: a group "NAME_ID" for each of them
	 * stands beside the one of their sum. */
	bool is_list;
	const struct counter *counter;
	unsigned n;
	size_t bytes; /* of the struct, at most COUNTERS_MAX */
};

enum { COUNTERS_MAX = 320 };

#endif
