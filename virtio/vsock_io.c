/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock_io: the life of a connection: steps through the table of vsock_conn, bytes
 * between the host's socket and guest memory without a copy in between, the ring for
 * what a slow host does not take, deadlines. See vsock_parts.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "virtio/vsock_parts.h"

enum { SPANS_MAX = 16 }; /* of one system call: a longer list is a shorter packet */

static void on_host(void *self, uint32_t events);

static void disarm(struct vsock_conn *c)
{
	if (c->due_us != 0)
		TAILQ_REMOVE(&c->owner->timed, c, timed);
	c->due_us = 0;
}

/* All deadlines are equally far, so the last to come is the last to pass; while the
 * device sleeps its clock stands still. */
static void arm(struct vsock_conn *c)
{
	disarm(c);
	c->due_us =
		VSOCK_TIMEOUT_US + (c->owner->awake ? clock_us() : c->owner->slept_us);
	TAILQ_INSERT_TAIL(&c->owner->timed, c, timed);
	if (c->owner->awake)
		vsock_set_timer(c->owner, c->due_us);
}

/* The list that a connection in this state is in. */
static struct vsock_conns *list_of(struct vsock *s, enum vsock_state state)
{
	if (state == VSOCK_LINE)
		return &s->lines;
	return state == VSOCK_DEAD ? &s->dead : &s->all;
}

static void set_state(struct vsock_conn *c, enum vsock_state state)
{
	struct vsock_conns *from = list_of(c->owner, c->state);
	struct vsock_conns *to = list_of(c->owner, state);

	c->state = (uint8_t)state;
	if (from == to)
		return;
	TAILQ_REMOVE(from, c, all);
	TAILQ_INSERT_TAIL(to, c, all);
}

bool vsock_has_place(const struct vsock *s)
{
	return s->n_conns < VSOCK_CONNS_MAX || !TAILQ_EMPTY(&s->lines);
}

struct vsock_conn *vsock_conn_create(struct vsock *s, int fd, enum vsock_state state)
{
	AUTO(close_fd) int owned = fd;
	struct vsock_conn *c;

	if (!vsock_has_place(s))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->host =
		(struct loop_source){ .fd = TAKE_FD(owned), .fn = on_host, .self = c };
	c->owner = s;
	c->state = (uint8_t)state;
	/* a client may take its time to say the line, but not another's place */
	if (s->n_conns == VSOCK_CONNS_MAX)
		vsock_conn_forget(TAILQ_FIRST(&s->lines));
	TAILQ_INSERT_TAIL(list_of(s, state), c, all);
	s->n_conns++;
	return c;
}

void vsock_conn_enter(struct vsock_conn *c, uint32_t local, uint32_t peer)
{
	c->link.local = local;
	c->link.peer = peer;
	vsock_table_add(&c->owner->table, &c->link);
	c->owner->stats.conns_added++;
}

void vsock_shift_deadlines(struct vsock *s, uint64_t by_us)
{
	struct vsock_conn *c;

	for (c = TAILQ_FIRST(&s->timed); c; c = TAILQ_NEXT(c, timed))
		c->due_us += by_us;
	c = TAILQ_FIRST(&s->timed);
	if (c)
		vsock_set_timer(s, c->due_us);
}

void vsock_expire(struct vsock *s, uint64_t now_us)
{
	struct vsock_conn *c;

	while ((c = TAILQ_FIRST(&s->timed)) && c->due_us <= now_us) {
		(void)vsock_conn_event(c, VSOCK_EV_DEADLINE);
		vsock_conn_refresh(c);
	}
	if (c)
		vsock_set_timer(s, c->due_us);
}

static void drop_buf(struct vsock_conn *c)
{
	free(TAKE(c->buf));
	c->buf_at = c->buf_len = 0;
}

static void close_host(struct vsock_conn *c)
{
	if (c->host.fd < 0)
		return;
	loop_remove(c->owner->loop, &c->host);
	close_fd(TAKE_FD(c->host.fd));
	c->watched = 0;
	drop_buf(c);
}

void vsock_conn_forget(struct vsock_conn *c)
{
	struct vsock *s = c->owner;

	if (c->state == VSOCK_DEAD)
		return;
	if (c->state != VSOCK_LINE)
		s->stats.conns_removed++;
	disarm(c);
	close_host(c);
	vsock_table_remove(&s->table, &c->link);
	if (c->is_waiting)
		TAILQ_REMOVE(&s->waiting, c, waiting);
	c->is_waiting = false;
	set_state(c, VSOCK_DEAD); /* freed when no caller can hold it any more */
	s->n_conns--;
}

static int say_ok(const struct vsock_conn *c)
{
	char line[VSOCK_LINE_MAX];
	int n = snprintf(line, sizeof(line), "OK %u\n", c->link.local);
	ssize_t sent = send(c->host.fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);

	/* the first bytes on this socket: part of them is not possible */
	return sent == n ? 0 : -EPIPE;
}

static void act(struct vsock_conn *c, unsigned actions)
{
	if (actions & VSOCK_ARM)
		arm(c);
	if (actions & VSOCK_DISARM)
		disarm(c);
	c->say_shutdown = c->say_shutdown || (actions & VSOCK_SAY_SHUTDOWN);
	c->say_credit = c->say_credit || (actions & VSOCK_SAY_CREDIT);
	/* a host that is gone already shows in the next transfer */
	if (actions & VSOCK_SHUT_RD)
		(void)shutdown(c->host.fd, SHUT_RD);
	if (actions & VSOCK_SHUT_WR)
		(void)shutdown(c->host.fd, SHUT_WR);
	if (actions & VSOCK_CLOSE)
		close_host(c);
	if ((actions & VSOCK_SAY_OK) && say_ok(c) < 0)
		(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
	if ((actions & VSOCK_DRAIN) && c->buf_len == 0)
		(void)vsock_conn_event(c, VSOCK_EV_DRAINED);
}

unsigned vsock_conn_event(struct vsock_conn *c, enum vsock_event event)
{
	struct vsock_step step = vsock_next(c->state, event);
	enum vsock_state before = c->state;

	if (before == VSOCK_DEAD)
		return 0;
	if (step.state == VSOCK_DEAD) {
		vsock_conn_forget(c);
		return 0;
	}
	set_state(c, step.state);
	if (step.state == VSOCK_DYING && before != VSOCK_DYING)
		c->owner->stats.conns_killed++;
	act(c, step.actions);
	return step.actions;
}

/* Whether there is something for the guest that it can take. */
static bool has_packet(const struct vsock_conn *c)
{
	uint32_t flags;

	return vsock_conn_op(c, &flags) != 0 ||
		(c->readable && vsock_reads_host(c->state) &&
			vsock_credit_room(&c->credit) > 0);
}

/* Asks a guest that has no room, once, to say when it has. */
static void ask_credit(struct vsock_conn *c)
{
	if (vsock_credit_room(&c->credit) > 0) {
		c->asked_credit = c->say_credit_request = false;
	} else if (c->readable && !c->asked_credit && vsock_reads_host(c->state)) {
		c->asked_credit = c->say_credit_request = true;
	}
}

static uint32_t wanted_events(const struct vsock_conn *c)
{
	uint32_t events = c->buf_len > 0 ? EPOLLOUT : 0;

	if (c->state == VSOCK_LINE || (vsock_reads_host(c->state) && !c->stalled))
		events |= EPOLLIN;
	/* Nothing but a hang-up: no socket ever has EPOLLMSG. */
	if (c->state == VSOCK_GUEST_DEAF)
		events |= EPOLLMSG;
	return events;
}

void vsock_conn_refresh(struct vsock_conn *c)
{
	struct vsock *s = c->owner;
	uint32_t events;

	if (c->state == VSOCK_DEAD)
		return;
	ask_credit(c);
	if (!c->is_waiting && has_packet(c)) {
		TAILQ_INSERT_TAIL(&s->waiting, c, waiting);
		c->is_waiting = true;
	}
	events = c->host.fd >= 0 ? wanted_events(c) : 0;
	if (events == c->watched)
		return;
	c->watched = (uint16_t)events;
	if (loop_set(s->loop, &c->host, events) < 0) {
		s->stats.conn_event_fails++;
		(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
		vsock_conn_refresh(c); /* its socket is closed: no further try */
	}
}

/* The ring's bytes [from, from + n) as one or two spans; returns how many. */
static unsigned ring_spans(
	struct vsock_conn *c, uint32_t from, uint32_t n, struct iovec out[2])
{
	uint32_t at = from % VSOCK_BUF_BYTES, first = MIN(n, VSOCK_BUF_BYTES - at);

	out[0] = (struct iovec){ c->buf + at, first };
	out[1] = (struct iovec){ c->buf, n - first };
	return first < n ? 2 : 1;
}

/* Sends spans to the host: the number of bytes that it took, 0 for none now, or -errno.
 */
static ssize_t send_spans(struct vsock_conn *c, struct iovec *iov, unsigned n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent;

	do
		sent = sendmsg(c->host.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? 0 : -errno;
	return sent;
}

/* The first len bytes of a list of spans, as many as fit in out; returns how many
 * spans, and in *bytes what they hold. skip: bytes at the front that are left out. */
static unsigned cut_spans(const struct iovec *in, unsigned n_in, size_t skip,
	size_t len, struct iovec out[SPANS_MAX], size_t *bytes)
{
	unsigned n = 0;

	*bytes = 0;
	for (unsigned i = 0; i < n_in && n < SPANS_MAX && *bytes < len; i++) {
		size_t hidden = MIN(skip, in[i].iov_len);
		size_t part = MIN(in[i].iov_len - hidden, len - *bytes);

		skip -= hidden;
		if (part == 0)
			continue;
		out[n++] = (struct iovec){ (uint8_t *)in[i].iov_base + hidden, part };
		*bytes += part;
	}
	return n;
}

static void tell_credit_if_low(struct vsock_conn *c)
{
	if (vsock_credit_is_low(&c->credit))
		c->say_credit = true;
}

/* Sends from the ring until it is empty or the host takes no more. */
static void flush(struct vsock_conn *c)
{
	struct iovec iov[2];
	unsigned n = ring_spans(c, c->buf_at, c->buf_len, iov);
	ssize_t sent = send_spans(c, iov, n);

	if (sent < 0) {
		c->owner->stats.tx_flush_fails++;
		(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
		return;
	}
	c->buf_at = (c->buf_at + (uint32_t)sent) % VSOCK_BUF_BYTES;
	c->buf_len -= (uint32_t)sent;
	vsock_credit_forward(&c->credit, (uint32_t)sent);
	tell_credit_if_low(c);
	if (c->buf_len > 0)
		return;
	drop_buf(c);
	c->say_credit = c->say_credit || vsock_credit_is_stale(&c->credit);
	(void)vsock_conn_event(c, VSOCK_EV_DRAINED);
}

/* Keeps the next len bytes of ch, for which there is room, in the ring. */
static int keep(struct vsock_conn *c, struct chain *ch, uint32_t len)
{
	struct iovec iov[2];
	unsigned n;
	int r = 0;

	if (!c->buf)
		c->buf = malloc(VSOCK_BUF_BYTES);
	if (!c->buf)
		return -ENOMEM;
	n = ring_spans(c, c->buf_at + c->buf_len, len, iov);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = chain_read(ch, iov[i].iov_base, iov[i].iov_len);
	c->buf_len += len;
	return r;
}

/* Sends the next *len bytes of ch in place, until the host takes no more; *len becomes
 * what is left. 0 or -errno. */
static int send_chain(struct vsock_conn *c, struct chain *ch, uint32_t *len)
{
	while (*len > 0) {
		struct iovec iov[SPANS_MAX];
		unsigned n_in;
		const struct iovec *in = chain_rd(ch, &n_in);
		size_t bytes;
		unsigned n = cut_spans(in, n_in, 0, *len, iov, &bytes);
		ssize_t sent = send_spans(c, iov, n);
		int r;

		if (sent < 0)
			return (int)sent;
		vsock_credit_forward(&c->credit, (uint32_t)sent);
		*len -= (uint32_t)sent;
		r = chain_skip(ch, (size_t)sent);
		if (r < 0 || (size_t)sent < bytes)
			return r;
	}
	return 0;
}

void vsock_conn_take(struct vsock_conn *c, struct chain *ch, uint32_t len)
{
	struct vsock_stats *stats = &c->owner->stats;
	int r = 0;

	/* guest: more than it was told that there is room for */
	if (!vsock_credit_receive(&c->credit, len)) {
		(void)vsock_conn_event(c, VSOCK_EV_BAD);
		return;
	}
	stats->tx_bytes_count += len;
	if (c->buf_len == 0)
		r = send_chain(c, ch, &len);
	if (r == 0 && len > 0)
		r = keep(c, ch, len);
	if (r < 0) {
		stats->tx_write_fails++;
		(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
		return;
	}
	tell_credit_if_low(c);
}

/* The host had nothing more at the last read: wait until the loop says it has. */
static void all_read(struct vsock_conn *c)
{
	c->readable = c->stalled = false;
}

uint32_t vsock_conn_fill(struct vsock_conn *c, struct chain *ch)
{
	struct iovec iov[SPANS_MAX];
	uint32_t room = MIN(vsock_credit_room(&c->credit), (uint32_t)VSOCK_PAYLOAD_MAX);
	unsigned n_in, n;
	const struct iovec *in = chain_wr(ch, &n_in);
	size_t bytes;
	ssize_t got;

	if (!c->readable || !vsock_reads_host(c->state) || room == 0)
		return 0;
	n = cut_spans(in, n_in, sizeof(struct virtio_vsock_hdr), room, iov, &bytes);
	do
		got = readv(c->host.fd, iov, (int)n);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		if ((size_t)got < bytes)
			all_read(c);
		vsock_credit_send(&c->credit, (uint32_t)got);
		return (uint32_t)got;
	}
	all_read(c);
	if (got == 0) {
		(void)vsock_conn_event(c, VSOCK_EV_HOST_EOF);
	} else if (errno != EAGAIN) {
		c->owner->stats.rx_read_fails++;
		(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
	}
	return 0;
}

uint16_t vsock_conn_op(const struct vsock_conn *c, uint32_t *flags)
{
	*flags = 0;
	switch (c->state) {
	case VSOCK_LINE:
	case VSOCK_ASKED:
	case VSOCK_DEAD:
		return 0;
	case VSOCK_ASKING:
		return VIRTIO_VSOCK_OP_REQUEST;
	case VSOCK_ANSWERING:
		return VIRTIO_VSOCK_OP_RESPONSE;
	case VSOCK_DYING:
		return VIRTIO_VSOCK_OP_RST;
	default:
		break;
	}
	if (c->say_shutdown && c->state == VSOCK_HOST_CLOSED) {
		*flags = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
		return VIRTIO_VSOCK_OP_SHUTDOWN;
	}
	if (c->say_credit_request)
		return VIRTIO_VSOCK_OP_CREDIT_REQUEST;
	return c->say_credit ? VIRTIO_VSOCK_OP_CREDIT_UPDATE : 0;
}

void vsock_conn_sent(struct vsock_conn *c, uint16_t op)
{
	vsock_credit_tell(&c->credit);
	c->say_credit = false;
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
		c->say_shutdown = false;
	if (op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		c->say_credit_request = false;
	if (op == VIRTIO_VSOCK_OP_REQUEST || op == VIRTIO_VSOCK_OP_RESPONSE ||
		op == VIRTIO_VSOCK_OP_RST)
		(void)vsock_conn_event(c, VSOCK_EV_SENT);
}

static void on_host(void *self, uint32_t events)
{
	struct vsock_conn *c = self;
	struct vsock *s = c->owner;
	bool hangup = events & (EPOLLHUP | EPOLLERR);

	vsock_forget_old(s); /* c perhaps: then it is dead, and nothing below applies */
	if (c->state == VSOCK_LINE) {
		/* Without a driver it stays where it is: for the next one, or until the
		 * timer that the reset has set ends it. */
		if (s->awake || s->dev.queue[VSOCK_RX].ready)
			vsock_read_line(c);
	} else {
		if (c->buf_len > 0 && (hangup || (events & EPOLLOUT)))
			flush(c);
		if (vsock_reads_host(c->state) && (hangup || (events & EPOLLIN))) {
			/* again before it was read: the guest does not take it now */
			c->stalled = c->readable;
			c->readable = true;
		} else if (c->state == VSOCK_GUEST_DEAF && hangup) {
			(void)vsock_conn_event(c, VSOCK_EV_HOST_EOF);
		}
	}
	vsock_conn_refresh(c);
	vsock_run(s);
}
