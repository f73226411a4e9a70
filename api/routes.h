/* SPDX-License-Identifier: Apache-2.0
 *
 * routes: every request that husk knows, as one table: method and resource, the states
 * of the machine in which it is allowed, the table of its body's members, and what
 * serves it.
 */
#ifndef HUSK_API_ROUTES_H
#define HUSK_API_ROUTES_H

#include "api/api.h"

enum route_sub {
	SUB_ANY, /* what follows the resource is ignored */
	SUB_ID, /* an id, which the body repeats */
	SUB_NAMED, /* the word in route.sub */
};

enum {
	IN_NOT_STARTED = 1 << MACHINE_NOT_STARTED,
	IN_RUNNING = 1 << MACHINE_RUNNING,
	IN_PAUSED = 1 << MACHINE_PAUSED,
	IN_STARTED = IN_RUNNING | IN_PAUSED,
	IN_ALL = IN_NOT_STARTED | IN_STARTED,
	IN_BY_ACTION = IN_ALL, /* PUT /actions: each action says when itself */
};

enum { BODY_MAX = 512 }; /* at least KIND_CFG_MAX */
_Static_assert((int)BODY_MAX >= (int)KIND_CFG_MAX, "room for a device's settings");

/* A request on its way through its handler. */
struct call {
	const struct device_kind *kind; /* the route's */
	const struct json *body; /* as parsed; NULL for a GET */
	void *cfg; /* the route's struct, filled from the body */
	FILE *out; /* for the JSON of a GET */
	bool deprecated; /* out: a deprecated member was used */
};

struct route {
	enum http_method method;
	const char *resource; /* the path's first segment */
	enum route_sub sub_kind;
	const char *sub;
	unsigned states; /* in which it is allowed */
	const char *area; /* what error texts begin with */
	/* The body: the table that reads it into a struct, and what initialises and
	 * frees that struct. Strings of `fields` are freed without an `end`. */
	const struct fields *fields;
	int (*read)(const struct json *body, void *cfg,
		struct err *e); /* reads the body instead of `fields` */
	bool is_patch; /* no member is required, null is as absent */
	void (*begin)(const struct api *a, void *cfg); /* NULL: all zero */
	void (*end)(void *cfg);
	size_t id_at; /* SUB_ID: offset of the char * with the body's id */
	/* 1 + offset in its struct of a bool: a deprecated member was used; 0: none is.
	 */
	size_t deprecated;
	const struct device_kind
		*kind; /* the kind of device that it is about, or NULL */
	/* Does it. -errno with text. */
	int (*serve)(struct api *a, struct call *c, struct err *e);
	/* Its counters in the metrics: "drive" means drive_count in the method's group,
	 * and drive_fails for bodies that could not be read. NULL: it is not counted.
	 */
	const char *counter;
};

/* The i-th route: husk's own, then those of each kind of device. False after the last.
 */
bool route_at(size_t i, struct route *out);

/* Finds the route of that method and resource. sub is the path's next segment, which a
 * SUB_NAMED route compares; NULL matches all. False if there is none. */
bool route_find(enum http_method method, const char *resource, const char *sub,
	struct route *out);

#endif
