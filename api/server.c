/* SPDX-License-Identifier: Apache-2.0
 *
 * server: a connection reads, serves one request, writes, and only when its reply is
 * taken goes on; so it needs one input buffer and one reply. Requests that wait in the
 * input buffer are continued by EPOLLOUT, which comes in the next turn without bytes.
 */
#include "api/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "vmm/base/log.h"
#include "vmm/base/timer.h"

enum {
	INPUT_MAX = 4096, /* read at once */
	DRAIN_MAX =
		1 << 20, /* read and dropped after the last reply, so that it arrives */
	/* before accepting is tried again after a lack of descriptors */
	RETRY_NS = 100 * 1000 * 1000,
	WAIT_NS = 2 * 1000 *
		1000, /* before a handler that answers later is asked again */
	FULL_STATUS = 503,
	ERROR_STATUS = 400,
};

static const char full_body[] = "{\"error\":\"the 10 connections are taken\"}";
_Static_assert(SERVER_CONNECTIONS == 10, "full_body says so");

/* What a connection holds from the first byte of a request to the last of its reply. */
struct work {
	struct http_parser *parser;
	size_t in_at, in_len;
	char in[INPUT_MAX];
	/* the reply: head, then body; sent counts both */
	size_t head_len, body_len, sent;
	char head[HTTP_HEAD_MAX];
	char *body;
};

struct conn {
	struct loop_source source; /* fd: -1 when the slot is free */
	struct server *server;
	struct work *work; /* NULL while idle */
	uint32_t watched;
	uint64_t used_at; /* when it was last accepted or served, by server.clock */
	bool is_waiting; /* the handler will be asked again about its request */
	bool is_last; /* the reply under way ends the connection */
	bool is_draining; /* the last reply is sent; input is dropped */
	size_t drained;
};

struct server {
	struct loop *loop;
	struct loop_source listener;
	struct timer timer; /* set while accepting is paused or one is waiting */
	bool is_paused; /* no descriptor for the connection that waits */
	uint64_t clock; /* counts connections and requests */
	size_t max_body;
	http_handler *handler;
	void *self;
	struct conn conns[SERVER_CONNECTIONS];
};

/* --- the reply --- */

static bool has_output(const struct conn *c)
{
	return c->work && c->work->head_len > 0;
}

static bool has_input(const struct conn *c)
{
	return c->work && c->work->in_at < c->work->in_len;
}

static void drop_reply(struct work *w)
{
	free(TAKE(w->body));
	w->head_len = w->body_len = w->sent = 0;
}

/* Sends what the socket takes now. 0 or -errno; has_output tells whether some is left.
 */
static int send_reply(struct conn *c)
{
	struct work *w = c->work;
	size_t total = w->head_len + w->body_len;

	while (w->sent < total) {
		size_t of_head = MIN(w->sent, w->head_len), of_body = w->sent - of_head;
		struct iovec iov[2] = {
			{ w->head + of_head, w->head_len - of_head },
			{ w->body ? w->body + of_body : NULL, w->body_len - of_body },
		};
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n = sendmsg(c->source.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		w->sent += (size_t)n;
	}
	drop_reply(w);
	return 0;
}

/* Takes over the reply's body. */
static int reply(struct conn *c, const struct http_reply *r)
{
	struct work *w = c->work;

	assert(!has_output(c));
	w->head_len = http_put_head(w->head, r, c->is_last);
	w->body = r->body;
	w->body_len = r->body_len;
	w->sent = 0;
	return send_reply(c);
}

/* Makes the next reply the last one: what follows its request is not served. */
static void end_input(struct conn *c)
{
	c->is_last = true;
	c->work->in_len = c->work->in_at = 0;
}

static int reply_continue(struct conn *c)
{
	return reply(c, &(struct http_reply){ .status = 100 });
}

static int reply_error(struct conn *c)
{
	const char *text = http_parser_error(c->work->parser);
	struct http_reply r = { .status = ERROR_STATUS };
	int n;

	log_guest("API: %s", text);
	n = asprintf(&r.body, "{\"error\":\"%s\"}", text);
	if (n < 0)
		return -ENOMEM;
	r.body_len = (size_t)n;
	end_input(c); /* what follows an error has no known beginning */
	return reply(c, &r);
}

static bool is_anyone_waiting(const struct server *s)
{
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		if (s->conns[i].source.fd >= 0 && s->conns[i].is_waiting)
			return true;
	return false;
}

/* Sets the timer once, for the first thing that has to be tried again. */
static void set_timer(struct server *s)
{
	timer_set_in(&s->timer,
		is_anyone_waiting(s)   ? WAIT_NS
			: s->is_paused ? RETRY_NS
				       : 0);
}

static int serve(struct conn *c)
{
	struct server *s = c->server;
	const struct http_request *q = http_parser_request(c->work->parser);
	struct http_reply r = { 0 };

	s->handler(s->self, q, &r);
	c->is_waiting = r.later;
	if (r.later) {
		set_timer(s);
		return 0;
	}
	assert(r.status >= 200 && (r.status != 204 || !r.body));
	c->used_at = ++s->clock;
	if (q->is_last)
		end_input(c);
	return reply(c, &r);
}

/* --- a connection's turn --- */

static void work_destroy(struct work *w)
{
	if (!w)
		return;
	http_parser_destroy(w->parser);
	free(w->body);
	free(w);
}
DEFINE_AUTO(struct work *, work_destroy);

static int work_create(size_t max_body, struct work **out)
{
	AUTO(work_destroy) struct work *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->in_at = w->in_len = 0;
	w->body = NULL;
	drop_reply(w);
	w->parser = http_parser_create(max_body);
	if (!w->parser)
		return -ENOMEM;
	*out = TAKE(w);
	return 0;
}

/* plain recv: a descriptor that a client passes is closed by the kernel. 1, or 0 when
 * there is nothing now, or -errno; the end of the input is -ENODATA. */
static int fill(struct conn *c)
{
	struct work *w = c->work;
	ssize_t n = recv(c->source.fd, w->in, sizeof(w->in), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ENODATA;
	w->in_at = 0;
	w->in_len = (size_t)n;
	return 1;
}

/* Parses input up to the end of one request, and serves it. */
static int advance(struct conn *c)
{
	struct work *w = c->work;
	int r = 0;

	while (r == 0 && has_input(c) && !has_output(c)) {
		size_t used;
		enum http_event ev = http_parser_feed(
			w->parser, w->in + w->in_at, w->in_len - w->in_at, &used);

		w->in_at += used;
		if (ev == HTTP_EVENT_REQUEST)
			return serve(c);
		if (ev == HTTP_EVENT_ERROR)
			return reply_error(c);
		if (ev == HTTP_EVENT_CONTINUE)
			r = reply_continue(c);
	}
	return r;
}

/* The last reply is sent, but closing now would cut it short for a client that is still
 * sending. */
static void start_drain(struct conn *c)
{
	(void)shutdown(c->source.fd, SHUT_WR); /* fails when the client is gone: fine */
	c->is_draining = true;
	work_destroy(TAKE(c->work));
}

static int drain(struct conn *c)
{
	char sink[INPUT_MAX];
	ssize_t n = recv(c->source.fd, sink, sizeof(sink), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->drained += (size_t)n;
	return n == 0 || c->drained > DRAIN_MAX ? -ENODATA : 0;
}

/* Ends a turn: begins to drain after the last reply, and frees the buffers when idle.
 */
static int after_turn(struct conn *c)
{
	if (has_output(c) || c->is_waiting)
		return 0;
	if (c->is_last)
		start_drain(c);
	else if (!has_input(c) && http_parser_is_idle(c->work->parser))
		work_destroy(TAKE(c->work));
	return 0;
}

static int take_turn(struct conn *c)
{
	int r = 0;

	if (c->is_draining)
		return drain(c);
	if (!c->work)
		r = work_create(c->server->max_body, &c->work);
	if (r == 0 && has_output(c))
		r = send_reply(c);
	if (r == 0 && !has_output(c) && !has_input(c) && !c->is_last)
		r = fill(c);
	if (r >= 0 && !has_output(c))
		r = advance(c);
	return r < 0 ? r : after_turn(c);
}

/* --- connections come and go --- */

/* When husk has no free descriptor, accept fails but the listener stays readable:
 * watching it would spin. The timer tries again. */
static void pause_accepting(struct server *s)
{
	s->is_paused = true;
	(void)loop_set(s->loop, &s->listener, 0); /* nothing is added: cannot fail */
	set_timer(s);
}

static void accept_again(struct server *s)
{
	s->is_paused = false;
	if (loop_set(s->loop, &s->listener, EPOLLIN) == 0)
		return;
	log_guest("API: no new connection can be seen");
	pause_accepting(s);
}

static void conn_close(struct conn *c)
{
	struct server *s = c->server;

	loop_remove(s->loop, &c->source);
	close_fd(TAKE_FD(c->source.fd));
	work_destroy(TAKE(c->work));
	if (s->is_paused) /* there is a descriptor now */
		accept_again(s);
}

/* A connection whose request is being served is not watched: if the client hangs up,
 * its request is carried out all the same. */
static int watch(struct conn *c)
{
	uint32_t events = c->is_waiting		? 0
		: has_output(c) || has_input(c) ? EPOLLOUT
						: EPOLLIN;
	int r = 0;

	if (events != c->watched)
		r = loop_set(c->server->loop, &c->source, events);
	c->watched = events;
	return r;
}

static void on_conn(void *self, uint32_t events)
{
	struct conn *c = self;

	(void)events; /* a hang-up is found by whichever of recv and send comes next */
	if (take_turn(c) < 0 || watch(c) < 0)
		conn_close(c);
}

/* Whether the connection is idle: no part of a request has arrived or waits to be read,
 * and no reply is being sent. */
static bool is_idle(const struct conn *c)
{
	char byte;

	return !c->work &&
		(c->is_draining ||
			recv(c->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0);
}

/* Whether a is closed for a new connection before b is: first those that are draining,
 * then the one that has been idle longest. */
static bool goes_before(const struct conn *a, const struct conn *b)
{
	if (a->is_draining != b->is_draining)
		return a->is_draining;
	return a->used_at < b->used_at;
}

static void ask_again(struct conn *c)
{
	int r = serve(c);

	if (r == 0)
		r = after_turn(c);
	if (r < 0 || watch(c) < 0)
		conn_close(c);
}

static void on_timer(void *self, uint32_t events)
{
	struct server *s = self;

	(void)events;
	if (!timer_has_fired(&s->timer))
		return;
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		if (s->conns[i].source.fd >= 0 && s->conns[i].is_waiting)
			ask_again(&s->conns[i]);
	if (s->is_paused)
		accept_again(s);
	set_timer(s);
}

/* Returns a free slot, if need be by closing an idle connection; NULL if all are busy.
 */
static struct conn *find_slot(struct server *s)
{
	struct conn *over = NULL;

	for (int i = 0; i < SERVER_CONNECTIONS; i++) {
		struct conn *c = &s->conns[i];

		if (c->source.fd < 0)
			return c;
		if (is_idle(c) && (!over || goes_before(c, over)))
			over = c;
	}
	if (over)
		conn_close(over);
	return over;
}

static void log_peer(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	if (log_is_on(LOG_DEBUG) &&
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0)
		log_debug("API: connection from pid=%d uid=%u", who.pid, who.uid);
}

/* Refuses a connection with one write, which an empty socket always takes. */
static void turn_away(int fd)
{
	struct http_reply r = { .status = FULL_STATUS,
		.body = (char *)full_body,
		.body_len = sizeof(full_body) - 1 };
	char text[HTTP_HEAD_MAX + sizeof(full_body)], sink[INPUT_MAX];
	size_t n = http_put_head(text, &r, true);

	memcpy(text + n, full_body, r.body_len);
	log_guest("API: more than %d connections", SERVER_CONNECTIONS);
	/* both may fail if the client is gone; it is closed in any case */
	(void)send(fd, text, n + r.body_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	(void)recv(fd, sink, sizeof(sink), MSG_DONTWAIT); /* unread, it would reset */
}

static void conn_open(struct server *s, int accepted)
{
	AUTO(close_fd) int fd = accepted;
	struct conn *c = find_slot(s);

	log_peer(fd);
	if (!c) {
		turn_away(fd);
		return;
	}
	*c = (struct conn){
		.source = { .fd = fd, .fn = on_conn, .self = c, .unlocked = true },
		.server = s,
		.watched = EPOLLIN,
		.used_at = ++s->clock,
	};
	if (loop_add(s->loop, &c->source, EPOLLIN) < 0) {
		log_guest("API: a connection cannot be watched");
		c->source.fd = -1;
		return;
	}
	TAKE_FD(fd);
}

static void on_listener(void *self, uint32_t events)
{
	struct server *s = self;
	int fd = accept4(s->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return;
	if (fd < 0) {
		log_guest("API: cannot accept: %s", strerrordesc_np(errno));
		pause_accepting(s);
		return;
	}
	conn_open(s, fd);
}

/* --- set-up --- */

static bool has_option(int fd, int option, int value)
{
	int got;
	socklen_t n = sizeof(got);

	return getsockopt(fd, SOL_SOCKET, option, &got, &n) == 0 && got == value;
}

static int check_listener(int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_sys(e, "API descriptor %d", fd);
	if (!has_option(fd, SO_DOMAIN, AF_UNIX) ||
		!has_option(fd, SO_TYPE, SOCK_STREAM) ||
		!has_option(fd, SO_ACCEPTCONN, 1))
		return err_bad(e,
			"API descriptor %d is not a listening Unix stream socket", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(e, "API descriptor %d", fd);
	return 0;
}

int server_create(struct loop *loop, int listen_fd, size_t max_body,
	http_handler *handler, void *self, struct server **out, struct err *e)
{
	AUTO(close_fd) int fd = listen_fd;
	AUTO(server_destroy) struct server *s = NULL;
	int r = check_listener(fd, e);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_code(e, -ENOMEM, "API server");
	s->loop = loop;
	s->max_body = max_body;
	s->handler = handler;
	s->self = self;
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		s->conns[i].source.fd = -1;
	s->listener = (struct loop_source){
		.fd = TAKE_FD(fd), .fn = on_listener, .self = s, .unlocked = true
	};
	s->timer.source =
		(struct loop_source){ .fn = on_timer, .self = s, .unlocked = true };
	r = timer_open(&s->timer, loop, "the API server", NULL);
	if (r == 0)
		r = loop_add(loop, &s->listener, EPOLLIN);
	if (r < 0)
		return err_code(e, r, "API server");
	*out = TAKE(s);
	return 0;
}

void server_destroy(struct server *s)
{
	if (!s)
		return;
	s->is_paused = false;
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		if (s->conns[i].source.fd >= 0)
			conn_close(&s->conns[i]);
	loop_remove(s->loop, &s->listener);
	close_fd(s->listener.fd);
	timer_close(&s->timer);
	free(s);
}
