/* SPDX-License-Identifier: Apache-2.0
 *
 * api: see the header. Checks come in the contract's order (2.5): the route, the id's
 * syntax, the JSON and its members, the id in the body, the machine's state; what the
 * values mean is the handler's.
 */
#include "api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "vmm/base/absent.h"
#include "vmm/base/clock.h"
#include "vmm/base/ids.h"
#include "vmm/base/log.h"

static const char *const method_names[] = {
	[HTTP_METHOD_GET] = "GET",
	[HTTP_METHOD_PUT] = "PUT",
	[HTTP_METHOD_PATCH] = "PATCH",
	[HTTP_METHOD_DELETE] = "DELETE",
};

/* The first two segments of a path; what comes after is ignored. */
struct target {
	char resource[64], sub[HTTP_LINE_MAX];
};

/* Copies a segment of a path into room bytes, cut when it is longer. */
static void take_segment(const char **path, char *to, size_t room)
{
	const char *at = *path + strspn(*path, "/");
	size_t n = strcspn(at, "/");

	memcpy(to, at, MIN(n, room - 1));
	to[MIN(n, room - 1)] = '\0';
	*path = at + n;
}

static void split_path(const char *path, struct target *t)
{
	/* one that is cut matches no route: all names are shorter */
	take_segment(&path, t->resource, sizeof(t->resource));
	take_segment(&path, t->sub, sizeof(t->sub)); /* as long as a path can be */
}

static int refuse_route(enum http_method method, const struct target *t, struct err *e)
{
	const char *why = absent_resource(t->resource);

	if (why)
		return err_bad(e, "%s: %s", t->resource, why);
	return err_bad(e, "Invalid request method and/or path: %s %.64s%s%.64s",
		method_names[method], t->resource, t->sub[0] ? "/" : "", t->sub);
}

/* Checks that a body is there if the method needs one, whatever the path (contract,
 * 2.6). */
static int check_body(const struct http_request *req, struct err *e)
{
	switch (req->method) {
	case HTTP_METHOD_GET:
		return req->body_len == 0
			? 0
			: err_bad(e, "GET request cannot have a body.");
	case HTTP_METHOD_PUT:
		return req->body_len > 0 ? 0 : err_bad(e, "Empty PUT request.");
	case HTTP_METHOD_PATCH:
		return req->body_len > 0 ? 0 : err_bad(e, "Empty PATCH request.");
	case HTTP_METHOD_DELETE:
		break;
	}
	return 0;
}

static int check_id(const struct target *t, struct err *e)
{
	if (t->sub[0] == '\0')
		return err_bad(e, "The ID in the path of '%s' is empty.", t->resource);
	if (!ids_is_device(t->sub))
		return err_bad(e,
			"The ID '%.64s' in the path can only contain alphanumeric "
			"characters and underscores.",
			t->sub);
	return 0;
}

static int check_state(const struct api *a, const struct route *r, struct err *e)
{
	if (r->states >> machine_state(a->machine) & 1)
		return 0;
	return err_bad(e, "The requested operation is not supported %s the microVM.",
		machine_state(a->machine) == MACHINE_NOT_STARTED ? "before starting"
								 : "after starting");
}

/* suffix: "_count" or "_fails". */
static void count(struct api *a, const struct route *route, const char *suffix)
{
	static const char *const groups[] = {
		[HTTP_METHOD_GET] = "get_api_requests",
		[HTTP_METHOD_PUT] = "put_api_requests",
		[HTTP_METHOD_PATCH] = "patch_api_requests",
	};
	uint64_t *counter = route->counter
		? metrics_api_counter(
			  a->counts, groups[route->method], route->counter, suffix)
		: NULL;

	if (counter)
		(*counter)++;
}

static int read_body(
	const struct route *route, const struct json *body, void *cfg, struct err *e)
{
	if (route->read)
		return route->read(body, cfg, e);
	return route->is_patch ? json_patch(body, route->fields, cfg, e)
			       : json_read(body, route->fields, cfg, e);
}

/* Reads a body by its route's table and serves it. id: what the id in the body has to
 * be, or NULL for any. */
static int serve_body(struct api *a, const struct route *route, const char *id,
	struct call *c, struct err *e)
{
	_Alignas(max_align_t) char cfg[BODY_MAX] = { 0 };
	int r;

	if (route->begin)
		route->begin(a, cfg);
	r = read_body(route, c->body, cfg, e);
	if (r < 0) {
		count(a, route, "_fails");
		return err_add(e, r, "%s", route->area);
	}
	c->kind = route->kind;
	c->cfg = cfg;
	c->deprecated =
		route->deprecated && *(bool *)(void *)(cfg + route->deprecated - 1);
	if (id && strcmp(*(char **)(void *)(cfg + route->id_at), id) != 0)
		r = err_bad(
			e, "The ID '%s' in the path is not the one in the body.", id);
	if (r == 0)
		r = check_state(a, route, e);
	if (r == 0) {
		r = route->serve(a, c, e);
		if (r < 0 && r != -EINPROGRESS)
			err_add(e, r, "%s", route->area);
	}
	if (route->end)
		route->end(cfg);
	if (route->fields)
		fields_fini(route->fields, cfg);
	c->cfg = NULL;
	return r;
}

static int serve_route(struct api *a, const struct route *route, const struct target *t,
	const struct http_request *req, struct call *c, struct err *e)
{
	AUTO(json_free) struct json *body = NULL;
	int r = route->sub_kind == SUB_ID ? check_id(t, e) : 0;

	if (r < 0)
		return r;
	if (a->waiting != req)
		count(a, route, "_count");
	if (req->method == HTTP_METHOD_GET) {
		r = check_state(a, route, e);
		return r < 0 ? r : route->serve(a, c, e);
	}
	r = json_parse(req->body, req->body_len, &body, e);
	if (r < 0) {
		count(a, route, "_fails");
		return err_add(e, r, "%s: the body is not valid JSON", route->area);
	}
	c->body = body;
	return serve_body(a, route, route->sub_kind == SUB_ID ? t->sub : NULL, c, e);
}

static int serve(
	struct api *a, const struct http_request *req, struct call *c, struct err *e)
{
	struct route route;
	struct target t;
	int r = check_body(req, e);

	if (r < 0)
		return r;
	split_path(req->path, &t);
	return route_find(req->method, t.resource, t.sub, &route)
		? serve_route(a, &route, &t, req, c, e)
		: refuse_route(req->method, &t, e);
}

static bool is_secret(const struct http_request *req)
{
	struct target t;

	split_path(req->path, &t);
	return strcmp(t.resource, "mmds") == 0 ||
		(strcmp(t.resource, "cpu-config") == 0 && !log_is_on(LOG_DEBUG));
}

/* Escapes a body for a line of the log, and cuts it to fit. */
static void quote(const char *body, char *to, size_t room)
{
	size_t n = 0;

	for (; *body != '\0' && n + 2 < room; body++) {
		if (*body == '"' || *body == '\\')
			to[n++] = '\\';
		to[n++] = *body;
	}
	to[n] = '\0';
}

/* Clients of Firecracker look for these lines word by word: contract, 9.1. */
static void log_request(const struct http_request *req)
{
	static const char *const names[] = {
		[HTTP_METHOD_GET] = "Get",
		[HTTP_METHOD_PUT] = "Put",
		[HTTP_METHOD_PATCH] = "Patch",
		[HTTP_METHOD_DELETE] = "Delete",
	};
	char body[1024];

	if (!log_is_on(LOG_INFO))
		return;
	if (req->body_len == 0 || is_secret(req)) {
		log_info("The API server received a %s request on \"%s\".",
			names[req->method], req->path);
		return;
	}
	quote(req->body, body, sizeof(body));
	log_info("The API server received a %s request on \"%s\" with body \"%s\".",
		names[req->method], req->path, body);
}

static void log_reply(
	const struct http_reply *reply, uint64_t since_us, const char *why)
{
	if (reply->status >= 400)
		log_error("Received Error. Status code: 400 Bad Request. Message: %s",
			why);
	else
		log_info("The request was executed successfully. Status code: %s.",
			reply->status == 200 ? "200 OK" : "204 No Content");
	log_debug("Total previous API call duration: %llu us.",
		(unsigned long long)(clock_us() - since_us));
}

/* Whether a request has to wait until another one is answered. */
static bool is_blocked(const struct api *a, const struct http_request *req)
{
	return a->waiting && a->waiting != req && req->method != HTTP_METHOD_GET;
}

static void write_fault(FILE *out, const struct err *e)
{
	rewind(out);
	(void)fputs("{\"fault_message\":", out);
	json_write_string(out, e->text);
	(void)putc('}', out);
}

/* Serves a request and fills the reply. 0 or -errno; the reply then has the error's
 * text. */
static int answer(struct api *a, const struct http_request *req,
	struct http_reply *reply, struct err *e)
{
	struct call c = { .out = open_memstream(&reply->body, &reply->body_len) };
	int r = c.out ? serve(a, req, &c, e) : err_code(e, -ENOMEM, "reply");

	if (r < 0 && r != -EINPROGRESS && c.out)
		write_fault(c.out, e);
	if (c.out && fclose(c.out) != 0) {
		r = err_code(e, -ENOMEM, "reply");
		reply->body_len = 0;
	}
	if (reply->body_len == 0)
		free(TAKE(reply->body));
	if (r == -EINPROGRESS)
		return r;
	reply->deprecated = c.deprecated;
	if (c.deprecated)
		a->counts->deprecated_api.deprecated_http_api_calls++;
	return r;
}

void api_handle(void *self, const struct http_request *req, struct http_reply *reply)
{
	struct api *a = self;
	bool again = a->waiting == req;
	uint64_t since_us = again ? a->since_us : clock_us();
	struct err e = { "" };
	int r;

	reply->later = is_blocked(a, req);
	if (reply->later)
		return;
	log_set_thread("fc_api");
	if (!again)
		log_request(req);
	log_set_thread("main");
	if (!again && req->method != HTTP_METHOD_GET)
		a->since_us = since_us;
	r = answer(a, req, reply, &e);
	reply->later = r == -EINPROGRESS;
	if (reply->later)
		a->waiting = req;
	else if (again)
		a->waiting = NULL;
	if (reply->later)
		return;
	reply->status = r < 0 ? 400 : reply->body ? 200 : 204;
	log_set_thread("fc_api");
	log_reply(reply, since_us, e.text);
	log_set_thread("main");
}

int api_put(struct api *a, const char *resource, const struct json *body, struct err *e)
{
	struct call c = { .body = body };
	struct route route;

	return route_find(HTTP_METHOD_PUT, resource, NULL, &route)
		? serve_body(a, &route, NULL, &c, e)
		: err_bad(e, "%s: not in this version of husk", resource);
}
