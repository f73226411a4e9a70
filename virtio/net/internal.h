/* SPDX-License-Identifier: Apache-2.0
 *
 * internal: the struct of a network device, shared by net.c (its life and events), rx.c
 * (from the tap to the guest) and tx.c (from the guest to the tap). Device lock held.
 */
#ifndef HUSK_VIRTIO_NET_INTERNAL_H
#define HUSK_VIRTIO_NET_INTERNAL_H

#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#include "virtio/net/net.h"
#include "vmm/base/timer.h"

enum { NET_RX, NET_TX, NET_QUEUES };

enum {
	/* The largest frame, with both headers: 64 KiB, by segmentation offload. */
	FRAME_MAX = TAP_HEADER_BYTES + ETH_HLEN + (64 << 10),
	RX_IOV_MAX = 1024, /* spans that one readv takes (UIO_MAXIOV) */
};

/* A gathered chain: one that was taken from the ring and is not returned yet. */
struct rx_buf {
	uint16_t head;
	unsigned n_iov;
	uint64_t bytes;
};

/* Reception. As many chains are gathered as the largest frame needs, and a frame is
 * read straight into them. Bytes that do not fit go to `over`, and wait there until the
 * driver posts more chains. */
struct net_rx {
	bool on;
	bool again; /* the turn's budget was spent, and a frame can go on */
	enum {
		RX_RUN,
		RX_WAIT_BUFFERS, /* for a notification: the driver has posted chains */
		RX_WAIT_TOKENS, /* for the limiter */
		RX_WAIT_RETRY, /* reads fail: for the timer or a notification */
		RX_GIVEN_UP, /* the interface is gone: for a notification */
	} wait;
	unsigned errors; /* reads of the tap that failed, in a row */
	struct limiter *limiter;

	unsigned n_bufs, n_iov; /* gathered chains and their spans, oldest first */
	uint64_t room; /* bytes in them */
	uint64_t spent; /* the cost of this turn so far */
	struct rx_buf buf[QUEUE_SIZE_MAX];
	struct iovec iov[RX_IOV_MAX]; /* the last one used is `over` */

	/* The frame that was read and is not delivered yet. */
	size_t frame; /* bytes; 0: none */
	size_t placed; /* how many of them are in the gathered chains */
	size_t over_at; /* where the others begin in `over` */
	bool paid; /* the limiter has let it go */

	struct chain chain; /* the one that is being gathered */
	uint8_t over[FRAME_MAX + 1]; /* a frame that fills it is too long */
};

/* Transmission: one frame at a time. */
struct net_tx {
	bool on;
	bool again; /* the turn's budget was spent, and work is left */
	enum {
		TX_RUN,
		TX_WAIT_TAP, /* until the tap takes more frames */
		TX_WAIT_TOKENS, /* for the limiter */
	} wait;
	struct limiter *limiter;

	bool held; /* chain was taken from the ring and is not returned yet, */
	bool checked; /* its frame is right, */
	bool paid; /* and the limiter has let it go */
	size_t frame; /* bytes, with the header */
	struct chain chain;
	/* Both headers, fetched once and sent as they were checked. */
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
	uint32_t watched; /* the events that the loop waits for */
	struct timer retry; /* set when the host refused something */
	bool has_mac;
	uint8_t mac[NET_MAC_BYTES];
	uint16_t mtu; /* 0: not offered */
	struct net_stats stats;
	struct net_rx rx;
	struct net_tx tx;
};

/* A turn of one direction, with at most one interrupt. Returns 1 when the turn's budget
 * is spent and work is left that no event will announce; otherwise 0 or -EPROTO. */
MUST_CHECK int net_rx_run(struct net *n);
MUST_CHECK int net_tx_run(struct net *n);

/* Lets a direction run; or stops it, and puts the chains that it holds back into the
 * ring. */
void net_rx_start(struct net *n);
void net_rx_stop(struct net *n);
void net_tx_start(struct net *n);
void net_tx_stop(struct net *n);

extern const struct vdev_ops net_ops;

#endif
