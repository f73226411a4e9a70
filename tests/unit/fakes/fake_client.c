/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/base/log.h"
#include "vmm/codec/json.h"

struct fake_server fake;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static char *copy_of(const char *bytes, size_t n)
{
	char *copy = malloc(n + 1);

	cr_assert(copy);
	memcpy(copy, bytes, n);
	copy[n] = '\0';
	return copy;
}

void fake_handle(void *self, const struct http_request *q, struct http_reply *r)
{
	cr_assert_eq(self, &fake);
	cr_assert_eq(pthread_mutex_trylock(&lock), 0, "the device lock is held");
	pthread_mutex_unlock(&lock);
	fake.served++;
	if (strncmp(q->path, "/later", 6) == 0 && !fake.is_ready) {
		r->later = true;
		return;
	}
	r->status = 204;
	r->deprecated = strcmp(q->path, "/old") == 0;
	if (strncmp(q->path, "/echo", 5) == 0) {
		r->status = 200;
		r->body_len = q->body_len > 0 ? q->body_len : strlen(q->path);
		r->body = copy_of(q->body_len > 0 ? q->body : q->path, r->body_len);
	} else if (strcmp(q->path, "/big") == 0) {
		r->status = 200;
		r->body_len = FAKE_BIG;
		r->body = malloc(FAKE_BIG);
		cr_assert(r->body);
		memset(r->body, 'b', FAKE_BIG);
	}
}

void client_set_up(void)
{
	struct err e;
	int fd;

	log_set_level(LOG_OFF);
	fake.dir = fake_dir();
	(void)snprintf(fake.path, sizeof(fake.path), "%s/api.sock", fake.dir.path);
	cr_assert_eq(loop_create(&lock, &fake.loop, &e), 0);
	fd = unix_listen(fake.path, &fake.file, &e);
	cr_assert_geq(fd, 0, "%s", e.text);
	cr_assert_eq(server_create(fake.loop, fd, FAKE_MAX_BODY, fake_handle, &fake,
			     &fake.server, &e),
		0);
}

void client_tear_down(void)
{
	server_destroy(fake.server);
	loop_destroy(fake.loop);
	unix_file_remove(&fake.file);
	fake_dir_remove(&fake.dir);
}

void turns(int n)
{
	for (int i = 0; i < n; i++)
		cr_assert_eq(loop_poll(fake.loop, 0), 0);
}

int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert_geq(fd, 0);
	return fd;
}

void connect_to(int fd)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", fake.path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

int join(void)
{
	int fd = new_socket();

	connect_to(fd);
	turns(2);
	return fd;
}

void say_bytes(int fd, const char *bytes, size_t n)
{
	cr_assert_eq(
		send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n, "%s", strerror(errno));
}

void say(int fd, const char *bytes)
{
	say_bytes(fd, bytes, strlen(bytes));
}

bool hear(int fd)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = recv(fd, fake.text + n, sizeof(fake.text) - 1 - n, 0);

		fake.text[n + (size_t)MAX(got, 0)] = '\0';
		if (got <= 0)
			cr_assert(got == 0 || errno == EAGAIN, "%s", strerror(errno));
		if (got <= 0)
			return got < 0;
		n += (size_t)got;
	}
}

void expect_heard(int fd, const char *want)
{
	turns(20);
	cr_assert(hear(fd), "the connection has ended after '%s'", fake.text);
	cr_assert_str_eq(fake.text, want);
}

void expect_end(int fd)
{
	turns(20);
	cr_assert(!hear(fd), "open, and said '%s'", fake.text);
	cr_assert_str_empty(fake.text);
}

void expect_error_body(const char *reply)
{
	const char *body = strstr(reply, "\r\n\r\n");
	AUTO(json_free) struct json *v = NULL;
	struct err e;
	char want[64];

	cr_assert(body);
	body += 4;
	(void)snprintf(want, sizeof(want), "Content-Length: %zu\r\n\r\n", strlen(body));
	cr_assert(strstr(reply, want), "'%s' has no '%s'", reply, want);
	cr_assert_eq(
		json_parse(body, strlen(body), &v, &e), 0, "'%s': %s", body, e.text);
	cr_assert(json_find(v, "error"));
	cr_assert_eq(strncmp(body, "{\"error\":\"", 10), 0);
	cr_assert_null(strstr(body + 9, "\":"), "more keys than one: '%s'", body);
}

void expect_refusal(int fd)
{
	turns(50);
	cr_assert(!hear(fd), "open after '%s'", fake.text);
	cr_assert_eq(strncmp(fake.text, "HTTP/1.1 400 \r\nServer: husk\r\n", 29), 0,
		"'%s'", fake.text);
	cr_assert(strstr(fake.text, "\r\nConnection: close\r\n"));
	expect_error_body(fake.text);
}
