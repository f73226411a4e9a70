/* SPDX-License-Identifier: Apache-2.0
 *
 * tx: frames from the guest to the tap (virtio 1.2, 5.1.6.2). Both headers of a frame
 * are fetched once and sent as they were checked. The host gets the payload in place,
 * from guest memory.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "virtio/net/internal.h"
#include "vmm/base/clock.h"

enum {
	/* The budget of a turn: a frame costs 1, and 1 more for each TX_COST_BYTES. A
	 * malformed frame, which may have any size, costs 1 and its chain_room_cost. */
	TX_TURN_COST = 256,
	TX_COST_BYTES = 4 << 10,
};

_Static_assert(sizeof(struct tx_head) == TAP_HEADER_BYTES + ETH_HLEN, "");

static struct queue *ring(struct net *n)
{
	return &n->dev.queue[NET_TX];
}

/* Whether the header's request for a checksum, if it has one, is valid (5.1.6.2.1) for
 * a frame of this many bytes. Clears the fields where there is none. */
static bool check_csum(const struct net *n, struct virtio_net_hdr_v1 *h, size_t bytes)
{
	uint32_t end = le16toh(h->csum_start);

	/* 5.1.6.2.2: other bits are ignored */
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (h->flags == 0) {
		h->csum_start = h->csum_offset = 0;
		return true;
	}
	end += le16toh(h->csum_offset) + (uint32_t)sizeof(uint16_t);
	/* guest: not negotiated, or a checksum outside of the frame */
	return vdev_has(&n->dev, VIRTIO_NET_F_CSUM) && end <= bytes;
}

/* The same for segmentation. */
static bool check_gso(const struct net *n, struct virtio_net_hdr_v1 *h, size_t bytes)
{
	unsigned feature;

	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		h->gso_type = VIRTIO_NET_HDR_GSO_NONE;
		h->gso_size = h->hdr_len = 0; /* without meaning here */
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		feature = VIRTIO_NET_F_HOST_TSO4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		feature = VIRTIO_NET_F_HOST_TSO6;
		break;
	default:
		return false; /* guest: a kind that was never offered */
	}
	if ((h->gso_type & VIRTIO_NET_HDR_GSO_ECN) &&
		!vdev_has(&n->dev, VIRTIO_NET_F_HOST_ECN))
		return false;
	/* guest: not negotiated, without the checksum that segments need, with
	 * segments of 0 bytes, or with headers longer than the frame */
	return vdev_has(&n->dev, feature) && h->flags != 0 && h->gso_size != 0 &&
		le16toh(h->hdr_len) <= bytes;
}

/* Checks the chain just taken, and makes its frame ready to be sent. False for a
 * malformed one. */
static bool check_frame(struct net *n)
{
	struct net_tx *tx = &n->tx;
	uint64_t bytes = chain_rd_bytes(&tx->chain);
	struct spans rest;

	/* guest: buffers in the wrong direction, too few bytes for the headers, or more
	 * than any frame has */
	if (chain_wr_bytes(&tx->chain) > 0 || bytes > FRAME_MAX ||
		chain_read(&tx->chain, &tx->head, sizeof(tx->head)) < 0)
		return false;
	if (!check_csum(n, &tx->head.net, bytes - TAP_HEADER_BYTES) ||
		!check_gso(n, &tx->head.net, bytes - TAP_HEADER_BYTES))
		return false;
	tx->head.net.num_buffers = 0;
	rest = chain_rd(&tx->chain);
	tx->iov[0] = (struct iovec){ &tx->head, sizeof(tx->head) };
	memcpy(&tx->iov[1], rest.iov, rest.n * sizeof(*rest.iov));
	tx->n_iov = 1 + rest.n;
	tx->frame = (size_t)bytes;
	if (n->has_mac && memcmp(tx->head.eth.h_source, n->mac, sizeof(n->mac)) != 0)
		n->stats.tx_spoofed_mac_count++;
	return true;
}

static void forget_frame(struct net_tx *tx)
{
	tx->held = tx->checked = tx->paid = false;
}

static void return_frame(struct net *n)
{
	queue_push(ring(n), n->tx.chain.head, 0);
	forget_frame(&n->tx);
}

static bool pay(struct net *n)
{
	struct net_tx *tx = &n->tx;

	if (!tx->paid && !limiter_take(tx->limiter, tx->frame)) {
		tx->wait = TX_WAIT_TOKENS;
		n->stats.tx_rate_limiter_throttled++;
		return false;
	}
	tx->paid = true;
	return true;
}

/* Sends the frame, or keeps it while the tap takes none. */
static void send_frame(struct net *n)
{
	struct net_tx *tx = &n->tx;
	uint64_t from_us = clock_us();
	int r = tap_write(n->tap, tx->iov, tx->n_iov);

	if (r == -EAGAIN || r == -EINTR) {
		tx->wait = TX_WAIT_TAP;
		return;
	}
	latency_add(&n->stats.tap_write_agg, clock_us() - from_us);
	if (r < 0) {
		/* the interface is down or gone, or the host is out of memory: the
		 * frame is lost, as on a wire */
		n->stats.tap_write_fails++;
		n->stats.tx_fails++;
	} else {
		n->stats.tx_count++;
		n->stats.tx_packets_count++;
		n->stats.tx_bytes_count += tx->frame;
	}
	return_frame(n);
}

/* Serves the chain that is held. Returns its cost. */
static unsigned serve(struct net *n)
{
	struct net_tx *tx = &n->tx;
	unsigned room = chain_room_cost(&tx->chain);

	if (!tx->checked && !check_frame(n)) {
		n->stats.tx_malformed_frames++;
		return_frame(n);
		return 1 + room;
	}
	tx->checked = true;
	if (pay(n))
		send_frame(n);
	return 1 + (unsigned)(tx->frame / TX_COST_BYTES);
}

/* Takes the next chain, unless one is held. 1; 0 when there is none; or -EPROTO. */
static int next(struct net *n)
{
	struct net_tx *tx = &n->tx;
	int r;

	if (tx->held)
		return 1;
	r = queue_pop(ring(n), &tx->chain);
	tx->held = r > 0;
	return r;
}

int net_tx_run(struct net *n)
{
	struct net_tx *tx = &n->tx;
	unsigned spent = 0, looks = 0;
	int r = 0;

	do {
		(void)queue_want_notify(ring(n), false);
		while (tx->wait == TX_RUN && spent < TX_TURN_COST && (r = next(n)) > 0)
			spent += serve(n);
		/* guest: a ring that is never empty must not keep the loop */
		spent++;
		looks++;
	} while (r == 0 && tx->wait == TX_RUN && spent < TX_TURN_COST &&
		!queue_want_notify(ring(n), true));
	vdev_interrupt(
		&n->dev, NET_TX); /* once for all, also for those before a fault */
	if (r < 0)
		return r;
	if (tx->wait != TX_RUN)
		return 0;
	if (spent == looks)
		n->stats.no_tx_avail_buffer++;
	if (spent < TX_TURN_COST)
		return 0;
	n->stats.tx_remaining_reqs_count++;
	return 1;
}

void net_tx_start(struct net *n)
{
	n->tx.on = true;
	n->tx.wait = TX_RUN;
	limiter_resume(n->tx.limiter);
}

void net_tx_stop(struct net *n)
{
	struct net_tx *tx = &n->tx;

	tx->on = tx->again = false;
	limiter_pause(tx->limiter);
	if (tx->held)
		queue_unpop(ring(n));
	forget_frame(tx);
}
