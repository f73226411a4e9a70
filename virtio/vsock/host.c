/* SPDX-License-Identifier: Apache-2.0
 *
 * host: how connections come about on the host (contract, 5.1): a client of the
 * listening socket says "CONNECT port\n"; a guest's request goes to the socket whose
 * path ends in "_port".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "virtio/vsock/internal.h"

enum { ACCEPTS_PER_TURN = 16 };

int vsock_listen(struct vsock *s, struct err *e)
{
	int fd = unix_listen(s->path, &s->file, e);

	s->listener.fd = MAX(fd, -1);
	return MIN(fd, 0);
}

/* A pending client cannot be told to try again later, so accepting pauses. */
void vsock_pause_accepting(struct vsock *s)
{
	s->accept_us = clock_us() + VSOCK_ACCEPT_RETRY_US;
	(void)loop_set(s->loop, &s->listener, 0); /* nothing is added: cannot fail */
	vsock_clock_set(s, s->accept_us);
}

void vsock_accept(struct vsock *s)
{
	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(
			s->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct vsock_conn *c;

		if (fd < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
				return;
			s->stats.muxer_event_fails++;
			vsock_pause_accepting(s);
			return;
		}
		c = vsock_conn_create(s, fd, VSOCK_LINE);
		if (c)
			vsock_conn_refresh(c);
	}
}

/* Skips blanks; a client that ends its lines with "\r\n" is understood too. */
static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* "CONNECT port", n bytes with the newline. 0 or -EINVAL. */
static int parse_line(const char *line, size_t n, uint32_t *port)
{
	static const char word[] = "connect";
	char text[VSOCK_LINE_MAX + 1];
	uint64_t value = 0;
	const char *p;

	memcpy(text, line, n);
	text[n] = '\0';
	if (strlen(text) != n)
		return -EINVAL;
	p = skip_blanks(text);
	if (strncasecmp(p, word, sizeof(word) - 1) != 0)
		return -EINVAL;
	p += sizeof(word) - 1;
	if (skip_blanks(p) == p)
		return -EINVAL;
	p = skip_blanks(p);
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > UINT32_MAX)
			return -EINVAL;
	}
	if (*skip_blanks(p) != '\0')
		return -EINVAL;
	*port = (uint32_t)value;
	return 0;
}

static void end_line(struct vsock_conn *c)
{
	struct vsock *s = c->owner;
	uint32_t port;

	if (parse_line(c->line, c->line_len, &port) < 0) {
		(void)vsock_conn_event(c, VSOCK_EV_BAD);
		return;
	}
	s->last_port = vsock_table_free_port(&s->table, s->last_port);
	vsock_conn_enter(c, s->last_port, port);
	(void)vsock_conn_event(c, VSOCK_EV_LINE);
}

/* Takes no more than the line out of the socket: what follows is payload. */
void vsock_read_line(struct vsock_conn *c)
{
	char *at = c->line + c->line_len;
	size_t room = sizeof(c->line) - c->line_len;
	ssize_t n = recv(c->socket.fd, at, room, MSG_PEEK | MSG_DONTWAIT);
	const char *end;

	if (n > 0) {
		end = memchr(at, '\n', (size_t)n);
		n = recv(c->socket.fd, at, end ? (size_t)(end - at) + 1 : (size_t)n,
			MSG_DONTWAIT);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		(void)vsock_conn_event(
			c, n == 0 ? VSOCK_EV_HOST_EOF : VSOCK_EV_HOST_ERROR);
		return;
	}
	c->line_len = (uint8_t)(c->line_len + n);
	if (c->line[c->line_len - 1] == '\n')
		end_line(c);
	else if (c->line_len == sizeof(c->line))
		(void)vsock_conn_event(c, VSOCK_EV_BAD);
}

int vsock_connect_host(const struct vsock *s, uint32_t port)
{
	AUTO(close_fd)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path, sizeof(at.sun_path), "%s_%u", s->path, port);

	if (fd < 0)
		return -errno;
	/* a uds_path may be too long to leave room for every port: nobody can listen
	 * there */
	if (n >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	if (!vsock_has_place(s, fd))
		return -EMFILE;
	/* a Unix socket connects at once, or fails because its backlog is full */
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return TAKE_FD(fd);
}
