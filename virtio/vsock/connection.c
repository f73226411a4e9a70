/* SPDX-License-Identifier: Apache-2.0
 *
 * connection: the life of a connection: its place among the others, its steps through
 * the table of states, and bytes from its socket straight into guest memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "virtio/vsock/internal.h"

/* The list that a connection in this state is in. */
static struct vsock_conns *list_of(struct vsock *s, enum vsock_state state)
{
	switch (state) {
	case VSOCK_LINE:
		return &s->lines;
	case VSOCK_LEFT:
		return &s->left;
	case VSOCK_DEAD:
		return &s->dead;
	default:
		return &s->all;
	}
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

/* Whether its host has hung up, and its guest does not take what the host sent. */
static bool is_stuck(const struct vsock_conn *c)
{
	return c->hung_up && c->stalled;
}

/* Finds the connection that loses least by giving up its place: the oldest client
 * without a line; else the oldest that the guest has left and whose host does not read;
 * else the oldest that is stuck. NULL if there is none. */
static struct vsock_conn *find_victim(const struct vsock *s)
{
	struct vsock_conn *c = TAILQ_FIRST(&s->lines);

	if (!c)
		c = TAILQ_FIRST(&s->left);
	if (c)
		return c;
	c = TAILQ_FIRST(&s->all);
	while (c && !is_stuck(c))
		c = TAILQ_NEXT(c, all);
	return c;
}

/* The kernel gives out the lowest free descriptor. So while a connection has a
 * descriptor of the reserve, the free ones below it take the reserve's place. */
static bool is_full(const struct vsock *s, int fd)
{
	return s->n_conns == VSOCK_CONNS_MAX || fd >= s->fd_max || s->n_high > 0;
}

bool vsock_has_place(const struct vsock *s, int fd)
{
	return !is_full(s, fd) || find_victim(s);
}

static void close_socket(struct vsock_conn *c)
{
	if (c->socket.fd < 0)
		return;
	loop_remove(c->owner->loop, &c->socket);
	if (c->socket.fd >= c->owner->fd_max)
		c->owner->n_high--;
	close_fd(TAKE_FD(c->socket.fd));
	c->watched = 0;
	vsock_send_drop(c);
}

struct vsock_conn *vsock_conn_create(struct vsock *s, int fd, enum vsock_state state)
{
	AUTO(close_fd) int owned = fd;
	struct vsock_conn *c;

	if (!vsock_has_place(s, fd))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	if (is_full(s, fd))
		vsock_conn_give_up(find_victim(s));
	c->socket = (struct loop_source){
		.fd = TAKE_FD(owned), .fn = s->on_socket, .self = c
	};
	c->owner = s;
	c->state = (uint8_t)state;
	vsock_send_limit(c, VSOCK_SNDBUF);
	TAILQ_INSERT_TAIL(list_of(s, state), c, all);
	s->n_conns++;
	if (fd >= s->fd_max)
		s->n_high++;
	return c;
}

void vsock_conn_enter(struct vsock_conn *c, uint32_t local, uint32_t peer)
{
	c->link.local = local;
	c->link.peer = peer;
	vsock_table_add(&c->owner->table, &c->link);
	c->owner->stats.conns_added++;
}

/* Takes the connection out of what is the guest's: counters, table, waiting list. */
static void leave_guest(struct vsock_conn *c)
{
	struct vsock *s = c->owner;

	if (c->state != VSOCK_LINE)
		s->stats.conns_removed++;
	vsock_table_remove(&s->table, &c->link);
	if (c->is_waiting)
		TAILQ_REMOVE(&s->waiting, c, waiting);
	c->is_waiting = false;
}

void vsock_conn_forget(struct vsock_conn *c)
{
	(void)vsock_conn_event(c, VSOCK_EV_RST);
	vsock_conn_refresh(c);
}

void vsock_conn_give_up(struct vsock_conn *c)
{
	(void)vsock_conn_event(c, VSOCK_EV_RST);
	(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
}

static int say_ok(const struct vsock_conn *c)
{
	char line[VSOCK_LINE_MAX];
	int n = snprintf(line, sizeof(line), "OK %u\n", c->link.local);
	ssize_t sent = send(c->socket.fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);

	/* these are the first bytes on this socket, so they fit whole or not at all */
	return sent == n ? 0 : -EPIPE;
}

static void act(struct vsock_conn *c, unsigned actions)
{
	if (actions & VSOCK_ARM)
		vsock_clock_arm(c);
	if (actions & VSOCK_DISARM)
		vsock_clock_disarm(c);
	if (actions & VSOCK_SAY_SENT)
		c->say_shutdown |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (actions & VSOCK_SAY_DEAF)
		c->say_shutdown |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	c->say_credit = c->say_credit || (actions & VSOCK_SAY_CREDIT);
	/* if the host is gone already, the next transfer fails */
	if (actions & VSOCK_SHUT_RD)
		(void)shutdown(c->socket.fd, SHUT_RD);
	if (actions & VSOCK_SHUT_WR)
		(void)shutdown(c->socket.fd, SHUT_WR);
	if (actions & VSOCK_DROP)
		vsock_send_drop(c);
	if (actions & VSOCK_CLOSE)
		close_socket(c);
	if ((actions & VSOCK_SAY_OK) && say_ok(c) < 0)
		(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
	if (actions & VSOCK_FINISH)
		vsock_send_last(c);
	if ((actions & (VSOCK_DRAIN | VSOCK_FINISH)) && c->buf_len == 0)
		(void)vsock_conn_event(c, VSOCK_EV_DRAINED);
}

unsigned vsock_conn_event(struct vsock_conn *c, enum vsock_event event)
{
	struct vsock_step step = vsock_next(c->state, event);
	enum vsock_state before = c->state;
	struct vsock *s = c->owner;

	if (before == VSOCK_DEAD)
		return 0;
	if (step.state >= VSOCK_LEFT && before < VSOCK_LEFT)
		leave_guest(c);
	if (step.state == VSOCK_DYING && before != VSOCK_DYING)
		s->stats.conns_killed++;
	if (step.state == VSOCK_DEAD)
		s->n_conns--; /* freed when no caller can hold it any more */
	set_state(c, step.state);
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

/* Asks a guest without room for data, once, to say when it has room. */
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
		return events | EPOLLIN;
	/* Only a hang-up is of interest: no socket ever reports EPOLLMSG. */
	if (c->state >= VSOCK_OPEN && c->state <= VSOCK_HOST_DEAF && !c->hung_up)
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
	events = c->socket.fd >= 0 ? wanted_events(c) : 0;
	if (events == c->watched)
		return;
	c->watched = (uint16_t)events;
	if (loop_set(s->loop, &c->socket, events) < 0) {
		s->stats.conn_event_fails++;
		(void)vsock_conn_event(c, VSOCK_EV_HOST_ERROR);
		vsock_conn_refresh(c); /* its socket is closed: no further try */
	}
}

/* The last read took all that the host had sent: the loop says when there is more. */
static void all_read(struct vsock_conn *c)
{
	c->readable = c->stalled = false;
}

uint32_t vsock_conn_from_host(struct vsock_conn *c, struct chain *ch)
{
	struct iovec iov[VSOCK_SPANS_MAX];
	uint32_t room = MIN(vsock_credit_room(&c->credit), (uint32_t)VSOCK_PAYLOAD_MAX);
	struct spans place = chain_wr(ch);
	unsigned n;
	size_t bytes;
	ssize_t got;

	if (!c->readable || !vsock_reads_host(c->state) || room == 0)
		return 0;
	spans_skip(&place, sizeof(struct virtio_vsock_hdr));
	n = spans_cut(&place, room, iov, VSOCK_SPANS_MAX, &bytes);
	do
		got = readv(c->socket.fd, iov, (int)n);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		if ((size_t)got < bytes)
			all_read(c);
		vsock_credit_send(&c->credit, (uint32_t)got);
		return (uint32_t)got;
	}
	all_read(c);
	if (got == 0) {
		(void)vsock_conn_event(
			c, c->hung_up ? VSOCK_EV_HOST_GONE : VSOCK_EV_HOST_EOF);
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
	case VSOCK_NONE:
	case VSOCK_LINE:
	case VSOCK_ASKED:
	case VSOCK_LEFT:
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
	*flags = c->say_shutdown;
	if (*flags != 0)
		return VIRTIO_VSOCK_OP_SHUTDOWN;
	if (c->say_credit_request)
		return VIRTIO_VSOCK_OP_CREDIT_REQUEST;
	return c->say_credit ? VIRTIO_VSOCK_OP_CREDIT_UPDATE : 0;
}

void vsock_conn_sent(struct vsock_conn *c, uint16_t op)
{
	vsock_credit_tell(&c->credit);
	c->say_credit = false;
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
		c->say_shutdown = 0;
	if (op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		c->say_credit_request = false;
	if (op == VIRTIO_VSOCK_OP_REQUEST || op == VIRTIO_VSOCK_OP_RESPONSE ||
		op == VIRTIO_VSOCK_OP_RST)
		(void)vsock_conn_event(c, VSOCK_EV_SENT);
}

/* The host's socket failed to take bytes. The host may have ended its receiving alone,
 * or have closed after it sent what is yet to be read. */
static void fail_to_send(struct vsock_conn *c, int r)
{
	bool is_deaf = r == -EPIPE || r == -ECONNRESET;

	(void)vsock_conn_event(c, is_deaf ? VSOCK_EV_HOST_DEAF : VSOCK_EV_HOST_ERROR);
}

void vsock_conn_to_host(struct vsock_conn *c, struct chain *ch, uint32_t len)
{
	int r;

	/* guest: more than it was told that there is room for */
	if (!vsock_credit_receive(&c->credit, len)) {
		(void)vsock_conn_event(c, VSOCK_EV_BAD);
		return;
	}
	r = vsock_send(c, ch, len);
	if (r < 0)
		fail_to_send(c, r);
	vsock_send_credit(c);
}

static void flush(struct vsock_conn *c)
{
	int r = vsock_send_kept(c);

	if (r < 0)
		fail_to_send(c, r);
	else if (r == 0)
		(void)vsock_conn_event(c, VSOCK_EV_DRAINED);
}

void vsock_conn_hear(struct vsock_conn *c, uint32_t events)
{
	bool hangup = events & (EPOLLHUP | EPOLLERR);

	c->hung_up = c->hung_up || (events & EPOLLHUP);
	if (c->buf_len > 0 && (hangup || (events & EPOLLOUT)))
		flush(c);
	if (vsock_reads_host(c->state) && (hangup || (events & EPOLLIN))) {
		/* it was not read since the last event: the guest does not take it now
		 */
		c->stalled = c->readable;
		c->readable = true;
	} else if (hangup) {
		(void)vsock_conn_event(c, VSOCK_EV_HOST_GONE);
	}
}
