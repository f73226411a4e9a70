/* SPDX-License-Identifier: Apache-2.0
 *
 * net_parts: what a network device is made of, shared by net.c (life, events),
 * net_rx.c (tap to guest) and net_tx.c (guest to tap). Not for other files.
 */
#ifndef HUSK_VIRTIO_NET_INTERNAL_H
#define HUSK_VIRTIO_NET_INTERNAL_H

#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#include "virtio/net/net.h"
#include "vmm/base/timer.h"

enum { NET_RX, NET_TX, NET_QUEUES };

enum {
	/* A frame of 64 KiB as segmentation makes them, with both headers. */
	FRAME_MAX = TAP_HEADER_BYTES + ETH_HLEN + (64 << 10),
	RX_IOV_MAX = 1024, /* what one readv takes (UIO_MAXIOV) */
};

/* A chain that was taken from the ring and is not returned yet. */
struct rx_buf {
	uint16_t head;
	unsigned n_iov;
	uint64_t bytes;
};

/* Reception. Chains are gathered ahead, as many as the largest frame needs, and a frame
 * is read straight into them. What does not fit goes to `over`, behind them, and waits
 * there for more chains. */
struct net_rx {
	bool on;
	bool again; /* a turn ended with a frame that can go on */
	enum {
		RX_RUN,
		RX_WAIT_BUFFERS, /* for a notification */
		RX_WAIT_TOKENS, /* for the limiter */
		RX_WAIT_RETRY, /* the tap only fails; for the timer, or a notification
				*/
		RX_GIVEN_UP, /* the tap is gone; until a notification */
	} wait;
	unsigned errors; /* of the tap, in a row */
	struct limiter *limiter;

	unsigned n_bufs, n_iov; /* gathered, oldest first */
	uint64_t room; /* bytes in them */
	uint64_t spent; /* what this turn has cost so far */
	struct rx_buf buf[QUEUE_SIZE_MAX];
	struct iovec iov[RX_IOV_MAX]; /* and one more span, for `over` */

	/* The frame that was read and is not delivered yet. */
	size_t frame; /* bytes; 0: none */
	size_t placed; /* of them, in the gathered chains; the rest is in `over` */
	size_t over_at; /* where the rest begins */
	bool paid; /* its tokens are taken */

	struct chain chain; /* the one that is being gathered */
	uint8_t over[FRAME_MAX + 1]; /* one byte more shows a frame that is too long */
};

/* Transmission: one frame at a time. */
struct net_tx {
	bool on;
	bool again; /* a turn ended with work left */
	enum {
		TX_RUN,
		TX_WAIT_TAP, /* until it takes more */
		TX_WAIT_TOKENS, /* for the limiter */
	} wait;
	struct limiter *limiter;

	bool held; /* chain is taken from the ring and not returned */
	bool checked; /* and its frame can be sent */
	bool paid; /* and its tokens are taken */
	size_t frame; /* bytes, with the header */
	struct chain chain;
	/* Both headers, fetched once: what was checked is what is sent. */
	struct tx_head {
		struct virtio_net_hdr_v1 net;
		struct ethhdr eth;
	} head;
	unsigned n_iov;
	struct iovec iov[1 + CHAIN_SPANS_MAX]; /* head, then the rest in the guest */
};

struct net {
	struct vdev dev;
	struct tap *tap;
	struct loop *loop;
	struct loop_source source; /* the tap's descriptor */
	uint32_t watched; /* its events that the loop waits for */
	struct timer retry; /* when to try again what the host refused */
	bool has_mac;
	uint8_t mac[NET_MAC_BYTES];
	uint16_t mtu; /* 0: not offered */
	struct net_stats stats;
	struct net_rx rx;
	struct net_tx tx;
};

/* One turn of each direction: 0; 1 when it stopped with work left that no event will
 * announce; -EPROTO. At most one interrupt for all of it. */
MUST_CHECK int net_rx_run(struct net *n);
MUST_CHECK int net_tx_run(struct net *n);

/* Lets a direction run, or makes it still with nothing taken from its ring. */
void net_rx_start(struct net *n);
void net_rx_stop(struct net *n);
void net_tx_start(struct net *n);
void net_tx_stop(struct net *n);

extern const struct vdev_ops net_ops;

#endif
