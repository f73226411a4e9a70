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

enum { BODY_MAX = 512 };

/* A request on its way through its handler. */
struct call {
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
	/* The body: its members, and how the struct for them begins and ends. */
	const struct fields *fields;
	int (*read)(const struct json *body, void *cfg, struct err *e); /* instead */
	bool is_patch; /* no member is required, null is as absent */
	void (*begin)(const struct api *a, void *cfg); /* NULL: all zero */
	void (*end)(void *cfg);
	size_t id_at; /* SUB_ID: offset of the char * with the body's id */
	/* Does it. -errno with text. */
	int (*serve)(struct api *a, struct call *c, struct err *e);
	/* 1 + offset in struct api_counts of how often it came, and how often its body
	 * could not be read; 0: not counted. */
	size_t count, fails;
	/* 1 + offset in its struct of a bool: a deprecated member was used; 0: none is.
	 */
	size_t deprecated;
};

extern const struct route routes[];
extern const size_t n_routes;

/* Resources that husk does not have, and why. */
struct refusal {
	const char *resource, *why;
};

extern const struct refusal refusals[];
extern const size_t n_refusals;

/* Why husk does not have the resource, or NULL. */
const char *routes_refusal(const char *resource);

#endif
