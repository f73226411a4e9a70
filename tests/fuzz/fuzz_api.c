/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_api: the input is what a client sends. It goes through the HTTP parser, the
 * routes, the JSON parser and the handlers, to a machine that never starts. Beyond the
 * sanitizers the target checks that each reply is well formed, that a refused request
 * changes no setting, and that what GET /vm/config prints makes the same machine.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/config_file.h"
#include "tests/fuzz/confine.h"
#include "vmm/base/phases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { BODY_BYTES = 51200 };

static void on_ended(void *self)
{
	(void)self;
}

static void check_fault(const struct json *body)
{
	const struct json *message = json_element(body, 0);

	assert(message && strcmp(json_name(message), "fault_message") == 0);
	assert(json_string(message) && !json_element(body, 1));
}

/* Checks that text is JSON. Settings are asked for again and again, so a text that is
 * the same as the last one is not parsed again. */
static void check_body(const struct http_reply *r)
{
	static char last[16 << 10];
	struct json *body = NULL;
	struct err e;

	if (r->status == 200 && strcmp(r->body, last) == 0)
		return;
	if (json_parse(r->body, r->body_len, &body, &e) < 0)
		abort();
	assert(json_is_object(body));
	if (r->status == 400)
		check_fault(body);
	else if (r->body_len < sizeof(last))
		memcpy(last, r->body, r->body_len + 1);
	json_free(body);
}

static void check_reply(const struct http_request *req, const struct http_reply *r)
{
	char head[HTTP_HEAD_MAX];

	assert(http_put_head(head, r, false) <= sizeof(head));
	if (r->status == 204) {
		assert(!r->body && req->method != HTTP_METHOD_GET);
		return;
	}
	assert(r->status == 200 || r->status == 400);
	assert(r->body && strlen(r->body) == r->body_len);
	assert(r->status == 400 || req->method == HTTP_METHOD_GET);
	check_body(r);
}

/* Returns the reply's body, which the caller frees, or NULL, and sets *status. */
static char *ask(struct api *a, const struct http_request *req, unsigned *status)
{
	struct http_reply reply = { 0 };

	api_handle(a, req, &reply);
	check_reply(req, &reply);
	*status = reply.status;
	return reply.body;
}

static char *settings(struct api *a)
{
	static const struct http_request get = {
		.method = HTTP_METHOD_GET, .path = "/vm/config", .body = ""
	};
	unsigned status;
	char *text = ask(a, &get, &status);

	assert(status == 200);
	return text;
}

/* With a kernel set, an action could start the machine, as far as KVM lets it. */
static bool may_start(const struct api *a, const struct http_request *req)
{
	return strstr(req->path, "actions") &&
		machine_boot_source(a->machine)->kernel_image_path;
}

/* *known: the settings as text, or NULL after a request that may have changed them. */
static void serve(struct api *a, const struct http_request *sent, char **known)
{
	struct http_request req = *sent;
	char *body = confine_json(sent->body, sent->body_len);
	char *after;
	unsigned status;

	req.body = body;
	if (!may_start(a, &req)) {
		if (!*known)
			*known = settings(a);
		free(ask(a, &req, &status));
		after = status == 204 ? NULL : settings(a);
		assert(!after || strcmp(*known, after) == 0);
		free(*known);
		*known = after;
	}
	free(body);
}

static void check_round_trip(struct api *a)
{
	char *before = settings(a), *after;
	struct err e;

	if (fuzz_on_end)
		fuzz_on_end(before, strlen(before));
	if (machine_boot_source(a->machine)->kernel_image_path &&
		config_apply(a, before, strlen(before), &e) < 0)
		abort();
	after = settings(a);
	assert(strcmp(before, after) == 0);
	free(before);
	free(after);
}

static void feed(struct api *a, const char *bytes, size_t n)
{
	struct http_parser *p = http_parser_create(BODY_BYTES);
	enum http_event ev = HTTP_EVENT_MORE;
	char *known = NULL;
	size_t used;

	assert(p);
	while (n > 0 && ev != HTTP_EVENT_ERROR) {
		ev = http_parser_feed(p, bytes, n, &used);
		assert(used > 0 && used <= n);
		bytes += used;
		n -= used;
		if (ev == HTTP_EVENT_REQUEST)
			serve(a, http_parser_request(p), &known);
	}
	free(known);
	http_parser_destroy(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct phases phases;
	struct api_counts counts = { 0 };
	struct machine_env env = {
		.lock = &lock,
		.phases = &phases,
		.api_counts = &counts,
		.ended = on_ended,
	};
	struct api a = { .counts = &counts, .id = "fuzz" };
	struct err e;

	confine_enter();
	if (loop_create(&lock, &env.loop, &e) < 0 ||
		machine_create(&env, &a.machine, &e) < 0)
		abort();
	feed(&a, (const char *)data, n);
	check_round_trip(&a);
	machine_destroy(a.machine);
	loop_destroy(env.loop);
	confine_leave();
	return 0;
}
