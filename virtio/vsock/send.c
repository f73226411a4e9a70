/* SPDX-License-Identifier: Apache-2.0
 *
 * send: bytes from the guest to the host: from guest memory straight into the host's
 * socket, or by way of a ring where the host is slow; and how the rest in that ring
 * reaches the host when the guest's side is over. It takes no steps: it returns what
 * happened.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "virtio/vsock/internal.h"

void vsock_send_limit(struct vsock_conn *c, int bytes)
{
	/* a size that the host does not allow becomes the largest that it does */
	(void)setsockopt(c->socket.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
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
		sent = sendmsg(c->socket.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? 0 : -errno;
	return sent;
}

void vsock_send_credit(struct vsock_conn *c)
{
	if (vsock_credit_is_low(&c->credit))
		c->say_credit = true;
}

/* Sends from the ring until it is empty or the host takes no more. 0 or -errno. */
static int send_ring(struct vsock_conn *c)
{
	struct iovec iov[2];
	unsigned n = ring_spans(c, c->buf_at, c->buf_len, iov);
	ssize_t sent = send_spans(c, iov, n);

	if (sent < 0) {
		c->owner->stats.tx_flush_fails++;
		return (int)sent;
	}
	c->buf_at = (c->buf_at + (uint32_t)sent) % VSOCK_BUF_BYTES;
	c->buf_len -= (uint32_t)sent;
	vsock_credit_forward(&c->credit, (uint32_t)sent);
	return 0;
}

void vsock_send_drop(struct vsock_conn *c)
{
	vsock_credit_forward(&c->credit, c->buf_len);
	free(TAKE(c->buf));
	c->buf_at = c->buf_len = 0;
}

int vsock_send_kept(struct vsock_conn *c)
{
	int r = send_ring(c);

	if (r < 0)
		return r;
	vsock_send_credit(c);
	if (c->buf_len > 0)
		return 1;
	vsock_send_drop(c);
	c->say_credit = c->say_credit || vsock_credit_is_stale(&c->credit);
	return 0;
}

void vsock_send_last(struct vsock_conn *c)
{
	if (c->buf_len == 0)
		return;
	vsock_send_limit(c, VSOCK_SNDBUF_LAST);
	if (send_ring(c) < 0 || c->buf_len == 0)
		vsock_send_drop(c);
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
	if (r == 0)
		c->buf_len += len;
	return r;
}

/* Sends the next *len bytes of ch in place, until the host takes no more; *len becomes
 * what is left. 0 or -errno. */
static int send_chain(struct vsock_conn *c, struct chain *ch, uint32_t *len)
{
	while (*len > 0) {
		struct iovec iov[VSOCK_SPANS_MAX];
		struct spans left = chain_rd(ch);
		size_t bytes;
		unsigned n = spans_cut(&left, *len, iov, VSOCK_SPANS_MAX, &bytes);
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

int vsock_send(struct vsock_conn *c, struct chain *ch, uint32_t len)
{
	struct vsock_stats *stats = &c->owner->stats;
	int r = 0;

	stats->tx_bytes_count += len;
	if (c->state != VSOCK_HOST_DEAF && c->buf_len == 0)
		r = send_chain(c, ch, &len);
	if (c->state == VSOCK_HOST_DEAF || r < 0)
		vsock_credit_forward(&c->credit, len);
	else if (len > 0)
		r = keep(c, ch, len);
	if (r < 0)
		stats->tx_write_fails++;
	return r;
}

void vsock_send_later(struct vsock_conn *c, struct chain *ch, uint32_t len)
{
	struct vsock_step step = vsock_next(c->state, VSOCK_EV_RW);

	if (!(step.actions & VSOCK_TAKE) || c->state == VSOCK_HOST_DEAF)
		return;
	/* guest: more than it was told that there is room for */
	if (!vsock_credit_receive(&c->credit, len))
		return;
	if (keep(c, ch, len) < 0)
		vsock_credit_forward(&c->credit, len); /* lost: there is no memory */
	else
		c->owner->stats.tx_bytes_count += len;
}
