/* SPDX-License-Identifier: Apache-2.0
 *
 * http_client: what the tests' and the benchmarks' clients of the API share: a Unix
 * socket, text out, replies in. What fails ends the program, with a line on stderr.
 */
#ifndef HUSK_TESTS_HTTP_CLIENT_H
#define HUSK_TESTS_HTTP_CLIENT_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLY_MAX = 128 << 10, REQUEST_MAX = 128 << 10 };

/* A connection, and what came over it and is not used yet. */
struct client {
	int fd;
	size_t n;
	char in[REPLY_MAX + 1];
};

_Noreturn static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(at.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	strcpy(at.sun_path, path);
	return at;
}

static inline void client_connect(struct client *c, const char *path)
{
	struct sockaddr_un at = address_of(path);

	c->n = 0;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(path);
}

static inline void client_send(const struct client *c, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(c->fd, text, n, MSG_NOSIGNAL);

		if (sent < 0)
			die("send");
		text += sent;
		n -= (size_t)sent;
	}
}

/* One request, whole, in one send; body: NULL for none. */
static inline void client_request(
	const struct client *c, const char *method, const char *path, const char *body)
{
	static char text[REQUEST_MAX];
	int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\n", method, path);

	if (body)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			"Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	else
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	client_send(c, text, (size_t)n);
}

/* Reads more; false at the end, which a reset is too. */
static inline int client_fill(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->n, REPLY_MAX - c->n, 0);

	if (n < 0 && errno != ECONNRESET)
		die("recv");
	if (n <= 0)
		return 0;
	c->n += (size_t)n;
	c->in[c->n] = '\0';
	return 1;
}

/* The next reply's status and its body as a string, cut at room; 0 when the connection
 * ended before it. */
static inline int client_reply(struct client *c, char *body, size_t room)
{
	char *end;
	const char *length;
	size_t head, len = 0;
	int status;

	while (c->n == 0 || !(end = strstr(c->in, "\r\n\r\n")))
		if (!client_fill(c))
			return 0;
	*end = '\0';
	head = (size_t)(end - c->in) + 4;
	length = strcasestr(c->in, "\r\nContent-Length:");
	if (length)
		len = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
	if (sscanf(c->in, "HTTP/1.1 %d", &status) != 1 || len > REPLY_MAX - head) {
		errno = EPROTO;
		die(c->in);
	}
	while (c->n < head + len)
		if (!client_fill(c))
			return 0;
	(void)snprintf(body, room, "%.*s", (int)len, c->in + head);
	c->n -= head + len;
	memmove(c->in, c->in + head + len, c->n + 1);
	return status;
}

#endif
