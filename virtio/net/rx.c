/* SPDX-License-Identifier: Apache-2.0
 *
 * rx: frames from the tap to the guest (virtio 1.2, 5.1.6.3 and 5.1.6.4). Nothing is
 * read while the driver has posted no buffer, so that frames queue up in the host and
 * not here. A frame that was read is lost only when the guest's ring can never hold it.
 */
#include <endian.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <string.h>

#include "virtio/net/internal.h"

enum {
	/* The budget of a turn: a frame costs 1, and each chain its chain_room_cost. */
	RX_TURN_COST = 64,
	RX_ERRORS_MAX = 16, /* in a row, before the timer is set */
};

static struct queue *ring(struct net *n)
{
	return &n->dev.queue[NET_RX];
}

static bool merges(const struct net *n)
{
	return vdev_has(&n->dev, VIRTIO_NET_F_MRG_RXBUF);
}

/* Whether rx->iov has room for the longest chain beside those that are gathered. */
static bool has_iov_room(const struct net_rx *rx)
{
	return rx->n_iov + CHAIN_SPANS_MAX < RX_IOV_MAX;
}

/* Adds the chain just taken to the gathered ones. Its readable spans are ignored. */
static void keep(struct net_rx *rx)
{
	struct spans room = chain_wr(&rx->chain);

	memcpy(&rx->iov[rx->n_iov], room.iov, room.n * sizeof(*room.iov));
	rx->n_iov += room.n;
	rx->room += chain_wr_bytes(&rx->chain);
	rx->spent += chain_room_cost(&rx->chain);
	rx->buf[rx->n_bufs++] =
		(struct rx_buf){ rx->chain.head, room.n, chain_wr_bytes(&rx->chain) };
}

/* Gathers chains until any frame fits, or there are no more. 0 or -EPROTO. */
static int gather(struct net *n)
{
	struct net_rx *rx = &n->rx;
	unsigned max = merges(n) ? ring(n)->size : 1;

	while (rx->n_bufs < max && rx->room < FRAME_MAX && has_iov_room(rx)) {
		int r = queue_pop(ring(n), &rx->chain);

		if (r <= 0)
			return r;
		keep(rx);
	}
	return 0;
}

/* Whether more chains could be gathered, if the driver posted some. */
static bool can_grow(struct net *n)
{
	return merges(n) && n->rx.n_bufs < ring(n)->size && has_iov_room(&n->rx);
}

/* Waits for the driver to post a chain, unless there is one already. */
static void wait_for_buffers(struct net *n)
{
	if (!queue_want_notify(ring(n), true)) {
		(void)queue_want_notify(ring(n), false); /* gather looks again */
		return;
	}
	n->rx.wait = RX_WAIT_BUFFERS;
	n->stats.no_rx_avail_buffer++;
}

static void forget_frame(struct net_rx *rx)
{
	rx->frame = 0;
	rx->paid = false;
}

static void drop_frame(struct net *n)
{
	n->stats.rx_fails++;
	forget_frame(&n->rx);
}

/* The memory of the gathered chains from byte `at` on. */
static struct spans gathered(const struct net_rx *rx, size_t at)
{
	struct spans s = { rx->iov, rx->n_iov, 0 };

	spans_skip(&s, at);
	return s;
}

/* A read has failed. A tap that fails may stay readable for ever, so that husk must
 * stop trying: for good if the interface is gone, since the tap never gets another; or
 * for a while after RX_ERRORS_MAX other errors. */
static void note_error(struct net_rx *rx, int r)
{
	rx->errors++;
	if (r == -EBADFD || r == -EBADF || r == -ENODEV || r == -ENXIO)
		rx->wait = RX_GIVEN_UP;
	else if (rx->errors >= RX_ERRORS_MAX)
		rx->wait = RX_WAIT_RETRY;
}

/* Reads a frame into the gathered chains and `over`. False when there is none, or the
 * tap failed. */
static bool read_frame(struct net *n)
{
	struct net_rx *rx = &n->rx;
	ssize_t got;

	rx->iov[rx->n_iov] = (struct iovec){ rx->over, sizeof(rx->over) };
	got = tap_read(n->tap, rx->iov, rx->n_iov + 1);
	if (got == -EAGAIN || got == -EINTR)
		return false;
	if (got < 0) {
		n->stats.tap_read_fails++;
		note_error(rx, (int)got);
		return false;
	}
	rx->errors = 0;
	n->stats.rx_count++;
	rx->frame = (size_t)got;
	rx->placed = MIN(rx->frame, rx->room);
	rx->over_at = 0;
	if (got <= TAP_HEADER_BYTES || got > FRAME_MAX)
		drop_frame(n);
	return true;
}

/* Copies what is in `over` to the gathered chains. True when all of the frame is there.
 * If not, it waits for more chains, or was dropped. */
static bool place_rest(struct net *n)
{
	struct net_rx *rx = &n->rx;
	size_t part = MIN(rx->frame, rx->room) - rx->placed;

	if (part > 0) {
		struct spans to = gathered(rx, rx->placed);

		spans_write(&to, rx->over + rx->over_at, part);
	}
	rx->placed += part;
	rx->over_at += part;
	if (rx->placed == rx->frame)
		return true;
	if (can_grow(n))
		wait_for_buffers(n);
	else
		drop_frame(n); /* guest: buffers too small for a frame */
	return false;
}

static bool pay(struct net *n)
{
	struct net_rx *rx = &n->rx;

	if (!rx->paid && !limiter_take(rx->limiter, rx->frame)) {
		rx->wait = RX_WAIT_TOKENS;
		n->stats.rx_rate_limiter_throttled++;
		return false;
	}
	rx->paid = true;
	return true;
}

/* Whether a driver with these features can take the frame. The host knows them, but a
 * frame that it queued before it did may use other offloads. */
static bool is_taken(uint64_t acked, const struct virtio_net_hdr_v1 *h)
{
	unsigned flags = tap_offload_flags(acked);

	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !(flags & TUN_F_CSUM))
		return false;
	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return flags & TUN_F_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return flags & TUN_F_TSO6;
	default:
		return false;
	}
}

/* Completes the header that the host wrote (5.1.6.4.1). False when this driver cannot
 * take the frame. The header is in guest memory; a guest that changes it meanwhile only
 * harms itself. */
static bool finish_header(struct net *n, uint16_t n_bufs)
{
	struct spans from = gathered(&n->rx, 0), to = from;
	struct virtio_net_hdr_v1 h;

	spans_read(&from, &h, sizeof(h));
	if (!is_taken(n->dev.acked, &h))
		return false;
	if (!vdev_has(&n->dev, VIRTIO_NET_F_GUEST_CSUM))
		h.flags = 0; /* the host may call checksums valid unasked */
	h.num_buffers = htole16(n_bufs);
	spans_write(&to, &h, sizeof(h));
	return true;
}

/* How many of the gathered chains the frame needs. */
static unsigned bufs_of_frame(const struct net_rx *rx)
{
	uint64_t bytes = 0;
	unsigned i = 0;

	while (bytes < rx->frame)
		bytes += rx->buf[i++].bytes;
	return i;
}

/* Returns the first n_bufs gathered chains, which hold the frame, to the driver. */
static void push_bufs(struct net *n, unsigned n_bufs)
{
	struct queue_used used[QUEUE_SIZE_MAX];
	struct net_rx *rx = &n->rx;
	size_t left = rx->frame;
	unsigned n_iov = 0;

	for (unsigned i = 0; i < n_bufs; i++) {
		const struct rx_buf *b = &rx->buf[i];
		uint32_t part = (uint32_t)MIN(left, b->bytes);

		used[i] = (struct queue_used){ b->head, part };
		left -= part;
		rx->room -= b->bytes;
		n_iov += b->n_iov;
	}
	queue_push_all(ring(n), used, n_bufs);
	rx->n_bufs -= n_bufs;
	rx->n_iov -= n_iov;
	memmove(rx->buf, &rx->buf[n_bufs], rx->n_bufs * sizeof(*rx->buf));
	memmove(rx->iov, &rx->iov[n_iov], rx->n_iov * sizeof(*rx->iov));
}

/* Delivers a frame that is all in guest memory, or drops it. */
static void push_frame(struct net *n)
{
	unsigned n_bufs = bufs_of_frame(&n->rx);

	if (!finish_header(n, (uint16_t)n_bufs)) {
		drop_frame(n);
		return;
	}
	n->stats.rx_bytes_count += n->rx.frame;
	n->stats.rx_packets_count++;
	push_bufs(n, n_bufs);
	forget_frame(&n->rx);
}

int net_rx_run(struct net *n)
{
	struct net_rx *rx = &n->rx;
	int r = 0;

	/* guest: huge buffers must not keep the loop, so they cost too */
	for (rx->spent = 0; rx->spent < RX_TURN_COST && rx->wait == RX_RUN;
		rx->spent++) {
		r = gather(n);
		if (r < 0)
			break;
		if (rx->n_bufs == 0) {
			wait_for_buffers(n);
			continue;
		}
		if (rx->frame == 0 && !read_frame(n))
			break;
		if (rx->frame > 0 && place_rest(n) && pay(n))
			push_frame(n);
	}
	vdev_interrupt(&n->dev, NET_RX);
	if (r < 0)
		return r;
	return rx->frame > 0 && rx->wait == RX_RUN;
}

void net_rx_start(struct net *n)
{
	struct net_rx *rx = &n->rx;

	rx->on = true;
	rx->wait = RX_RUN;
	rx->errors = 0;
	(void)queue_want_notify(ring(n), false);
	limiter_resume(rx->limiter);
}

void net_rx_stop(struct net *n)
{
	struct net_rx *rx = &n->rx;

	rx->on = rx->again = false;
	limiter_pause(rx->limiter);
	if (rx->frame > 0) {
		/* it is delivered without tokens, since it cannot be kept */
		if (rx->placed == rx->frame) {
			push_frame(n);
			vdev_interrupt(&n->dev, NET_RX);
		} else {
			drop_frame(n);
		}
	}
	while (rx->n_bufs > 0) {
		queue_unpop(ring(n));
		rx->n_bufs--;
	}
	rx->n_iov = 0;
	rx->room = 0;
}
