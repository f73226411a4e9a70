/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_api.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_machine.h"
#include "vmm/base/log.h"

struct fake_api fake_api;

void fake_api_init(void)
{
	static const char sectors[2048];
	struct fake_api *f = &fake_api;
	struct err e;

	f->machine =
		fake_machine_create(&(struct machine_env){ .api_counts = &f->counts });
	cr_assert_eq(log_open("/dev/null", &e), 0);
	log_set_level(LOG_INFO);
	f->api = (struct api){
		.machine = f->machine, .counts = &f->counts, .id = "test-1"
	};
	f->kernel = fake_file("no kernel at all", 16);
	f->disk = fake_file(sectors, 1024);
	f->other = fake_file(sectors, 2048);
	f->log = fake_file("", 0);
	f->fifo = fake_fifo();
	(void)snprintf(f->sock, sizeof(f->sock), "%.30s/s", f->fifo.dir.path);
	(void)snprintf(f->second, sizeof(f->second), "%.30s/t", f->fifo.dir.path);
}

void fake_api_fini(void)
{
	fake_machine_destroy(fake_api.machine);
	fake_file_close(&fake_api.kernel);
	fake_file_close(&fake_api.disk);
	fake_file_close(&fake_api.other);
	fake_file_close(&fake_api.log);
	fake_fifo_remove(&fake_api.fifo);
}

void fake_api_enter(enum machine_state state)
{
	fake_machine_enter(fake_api.machine, state);
}

/* Replaces $K and the like. */
static void expand(const char *from, char *to, size_t room)
{
	size_t n = 0;

	for (; *from; from++) {
		const char *path = from[0] != '$' ? NULL
			: from[1] == 'K'	  ? fake_api.kernel.path
			: from[1] == 'D'	  ? fake_api.disk.path
			: from[1] == 'E'	  ? fake_api.other.path
			: from[1] == 'L'	  ? fake_api.log.path
			: from[1] == 'F'	  ? fake_api.fifo.path
			: from[1] == 'S'	  ? fake_api.sock
			: from[1] == 'T'	  ? fake_api.second
						  : NULL;

		cr_assert_lt(n + sizeof(fake_api.sock), room);
		if (path)
			from++;
		n += (size_t)snprintf(
			to + n, room - n, "%.*s", path ? 99 : 1, path ? path : from);
	}
	to[n] = '\0';
}

/* The text of an error, which is all that the body of a 400 has. */
static const char *fault(const struct json *body)
{
	const struct json *message = json_find(body, "fault_message");

	cr_expect_not_null(message, "%s", fake_api.text);
	cr_expect_null(json_element(body, 1), "%s", fake_api.text);
	return message ? json_string(message) : NULL;
}

static void judge(const char *request, const struct http_reply *r)
{
	struct json *body = NULL;
	struct err e;

	if (r->status == 204) {
		cr_expect(!r->body && r->body_len == 0, "%s", request);
		return;
	}
	cr_assert(r->status == 200 || r->status == 400, "%s: %u", request, r->status);
	cr_assert(r->body && strlen(r->body) == r->body_len, "%s", request);
	cr_assert_eq(json_parse(r->body, r->body_len, &body, &e), 0, "%s: %s: %s",
		request, r->body, e.text);
	if (r->status == 400)
		cr_expect_not_null(fault(body), "%s: %s", request, r->body);
	json_free(body);
}

unsigned ask(const char *request)
{
	static const char *const methods[] = { [HTTP_METHOD_GET] = "GET ",
		[HTTP_METHOD_PUT] = "PUT ",
		[HTTP_METHOD_PATCH] = "PATCH ",
		[HTTP_METHOD_DELETE] = "DELETE " };
	static char text[1 << 16];
	struct http_request req = { .body = "" };
	struct http_reply reply = { 0 };
	size_t method = 0, n;
	char *path;

	expand(request, text, sizeof(text));
	while (strncmp(text, methods[method], strlen(methods[method])) != 0)
		cr_assert_lt(++method, ARRAY_LEN(methods), "%s", request);
	req.method = (enum http_method)method;
	path = text + strlen(methods[method]);
	n = strcspn(path, " ");
	cr_assert_lt(n, sizeof(req.path));
	memcpy(req.path, path, n);
	if (path[n] == ' ') {
		req.body = path + n + 1;
		req.body_len = strlen(req.body);
	}
	do
		api_handle(&fake_api.api, &req, &reply);
	while (reply.later && loop_poll(fake_machine.loop, 1) == 0);
	judge(request, &reply);
	fake_api.status = reply.status;
	fake_api.deprecated = reply.deprecated;
	(void)snprintf(fake_api.text, sizeof(fake_api.text), "%s",
		reply.body ? reply.body : "");
	free(reply.body);
	return fake_api.status;
}

void expect_done(const char *request)
{
	cr_expect_eq(ask(request), 204, "%s: %s", request, fake_api.text);
}

void expect_reply(const char *request, const char *body)
{
	char want[4096];

	expand(body, want, sizeof(want));
	cr_expect_eq(ask(request), 200, "%s: %s", request, fake_api.text);
	cr_expect_str_eq(fake_api.text, want, "%s", request);
}

/* All that can be read of the machine, but for its metrics. */
static const char *settings(char all[static 8192])
{
	static const char *const reads[] = { "GET /", "GET /machine-config",
		"GET /vm/config" };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
		cr_assert_eq(ask(reads[i]), 200);
		n += (size_t)snprintf(all + n, 8192 - n, "%s\n", fake_api.text);
	}
	return all;
}

void expect_refused(const char *request, const char *const *what)
{
	char before[8192], after[8192], text[4096];

	(void)settings(before);
	cr_expect_eq(ask(request), 400, "%s", request);
	(void)snprintf(text, sizeof(text), "%s", fake_api.text);
	for (; *what; what++)
		cr_expect(strstr(text, *what), "%s: %s is not in %s", request, *what,
			text);
	cr_expect_str_eq(settings(after), before, "%s changed something", request);
}

void expect_all_refused(const struct refused *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		REFUSED(rows[i].request, rows[i].what,
			rows[i].more ? rows[i].more : "fault_message");
}
