/* SPDX-License-Identifier: Apache-2.0
 *
 * net: the network device (virtio 1.2, 5.1) over a TAP: its life, and the events that
 * it waits for. The loop watches the tap only while the device can do something about
 * its events, so that a guest without buffers, or a tap without an interface, costs
 * nothing.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "virtio/net/internal.h"

enum { RETRY_NS = 100 * 1000 * 1000 };

DEFINE_VDEV(net);

static void set_config(struct net *n)
{
	struct virtio_net_config c = { .mtu = htole16(n->mtu) };

	memcpy(c.mac, n->mac, sizeof(c.mac));
	n->dev.config_len = offsetof(struct virtio_net_config, speed);
	memcpy(n->dev.config, &c, n->dev.config_len);
}

/* Has the loop watch the tap for the events that the state calls for. */
static void watch(struct net *n)
{
	uint32_t events = 0;

	if (n->rx.on && n->rx.wait == RX_RUN)
		events |= EPOLLIN;
	/* for `again`: a tap takes frames nearly always, so EPOLLOUT comes at once */
	if ((n->tx.on && n->tx.wait == TX_WAIT_TAP) || n->tx.again || n->rx.again)
		events |= EPOLLOUT;
	if (events == n->watched)
		return;
	if (loop_set(n->loop, &n->source, events) < 0) {
		n->stats.event_fails++; /* out of memory */
		timer_set_in(&n->retry, RETRY_NS);
		return;
	}
	n->watched = events;
}

static void on_retry(void *self, uint32_t events)
{
	struct net *n = self;

	(void)events;
	if (!timer_has_fired(&n->retry))
		return;
	if (n->rx.wait == RX_WAIT_RETRY)
		n->rx.wait = RX_RUN;
	watch(n);
}

/* Ends a turn that returned r. After a guest fault neither direction runs until a
 * reset.
 */
static void after(struct net *n, int r)
{
	if (r < 0) {
		n->rx.on = n->rx.again = false;
		n->tx.on = n->tx.again = false;
	}
	watch(n);
}

/* The same, for turns whose result the transport does not see. */
static void settle(struct net *n, int r)
{
	after(n, r);
	if (r < 0)
		vdev_fault(&n->dev);
}

static int run_rx(struct net *n)
{
	int r = net_rx_run(n);

	n->rx.again = r > 0;
	if (n->rx.wait == RX_WAIT_RETRY)
		timer_set_in(&n->retry, RETRY_NS);
	return r;
}

static int run_tx(struct net *n)
{
	int r = net_tx_run(n);

	n->tx.again = r > 0;
	return r;
}

static void on_tap(void *self, uint32_t events)
{
	struct net *n = self;
	int r = 0;

	/* an error or hang-up shows in the read or write below */
	if (events & EPOLLIN)
		n->stats.rx_tap_event_count++;
	if (n->rx.on && n->rx.wait == RX_RUN &&
		(n->rx.again || (events & ~(uint32_t)EPOLLOUT)))
		r = run_rx(n);
	if (r >= 0 && n->tx.on && (n->tx.again || n->tx.wait == TX_WAIT_TAP) &&
		(events & ~(uint32_t)EPOLLIN)) {
		n->tx.wait = TX_RUN;
		r = run_tx(n);
	}
	settle(n, r);
}

static void on_rx_tokens(void *self)
{
	struct net *n = self;

	n->stats.rx_event_rate_limiter_count++;
	if (!n->rx.on || n->rx.wait != RX_WAIT_TOKENS)
		return;
	n->rx.wait = RX_RUN;
	settle(n, run_rx(n));
}

static void on_tx_tokens(void *self)
{
	struct net *n = self;

	n->stats.tx_rate_limiter_event_count++;
	if (!n->tx.on || n->tx.wait != TX_WAIT_TOKENS)
		return;
	n->tx.wait = TX_RUN;
	settle(n, run_tx(n));
}

static void net_start(struct vdev *v)
{
	struct net *n = net_of(v);

	if (tap_set_offload(n->tap, v->acked) < 0) {
		n->stats.activate_fails++;
		vdev_fault(v);
		return;
	}
	net_rx_start(n);
	net_tx_start(n);
	watch(n);
}

/* The driver has posted buffers, or this is the first call after a drain. */
static int notify_rx(struct net *n)
{
	struct net_rx *rx = &n->rx;

	n->stats.rx_queue_event_count++;
	if (!rx->on || rx->wait == RX_WAIT_BUFFERS || rx->wait == RX_WAIT_RETRY ||
		rx->wait == RX_GIVEN_UP)
		net_rx_start(n);
	else if (!rx->again && (rx->wait != RX_RUN || rx->frame == 0))
		return 0; /* an event of the tap or the limiter will come */
	return run_rx(n);
}

static int notify_tx(struct net *n)
{
	n->stats.tx_queue_event_count++;
	if (!n->tx.on)
		net_tx_start(n);
	return run_tx(n);
}

static int net_notify(struct vdev *v, unsigned q)
{
	struct net *n = net_of(v);
	int r = q == NET_RX ? notify_rx(n) : notify_tx(n);

	/* the transport calls again for r > 0, not the tap */
	*(q == NET_RX ? &n->rx.again : &n->tx.again) = false;
	after(n, r);
	return r;
}

static int net_drain(struct vdev *v)
{
	struct net *n = net_of(v);

	net_rx_stop(n);
	net_tx_stop(n);
	watch(n);
	return -1;
}

/* A load keeps the MAC address and the MTU that the driver knows. */
static int net_snap(struct vdev *v, struct stream *s)
{
	struct net *n = net_of(v);
	bool has_mac = n->has_mac, ok;
	uint8_t mac[NET_MAC_BYTES];
	uint16_t mtu = n->mtu;
	int r;

	memcpy(mac, n->mac, sizeof(mac));
	(void)stream_begin(s, "NET ", 1); /* one version so far */
	stream_bool(s, &has_mac);
	stream_bytes(s, mac, sizeof(mac));
	stream_u16(s, &mtu);
	stream_end(s);
	ok = has_mac == n->has_mac && (mtu == 0) == (n->mtu == 0) &&
		(mtu == 0 || mtu >= NET_MTU_MIN);
	r = stream_check(s, ok);
	if (r == 0)
		r = limiter_snap(n->rx.limiter, s);
	if (r == 0)
		r = limiter_snap(n->tx.limiter, s);
	if (r < 0)
		return r;
	memcpy(n->mac, mac, sizeof(mac));
	n->mtu = mtu;
	set_config(n);
	return 0;
}

static void net_destroy(struct vdev *v)
{
	struct net *n = net_of(v);

	loop_remove(n->loop, &n->source);
	timer_close(&n->retry);
	limiter_destroy(n->rx.limiter);
	limiter_destroy(n->tx.limiter);
	tap_close(n->tap);
	free(n);
}

static void *net_counted(struct vdev *v)
{
	return &net_of(v)->stats;
}

const struct vdev_ops net_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.n_queues = NET_QUEUES,
	.batchable = true, /* a frame by itself costs a wake-up and an interrupt */
	.start = net_start,
	.notify = net_notify,
	.drain = net_drain,
	.snap = net_snap,
	.stats = net_counted,
	.counters = &net_counters,
	.destroy = net_destroy,
};

static uint64_t offered(const struct net_opts *opts)
{
	uint64_t features = feature_bit(VIRTIO_NET_F_CSUM) |
		feature_bit(VIRTIO_NET_F_GUEST_CSUM) |
		feature_bit(VIRTIO_NET_F_GUEST_TSO4) |
		feature_bit(VIRTIO_NET_F_GUEST_TSO6) |
		feature_bit(VIRTIO_NET_F_GUEST_ECN) |
		feature_bit(VIRTIO_NET_F_HOST_TSO4) |
		feature_bit(VIRTIO_NET_F_HOST_TSO6) |
		feature_bit(VIRTIO_NET_F_HOST_ECN) |
		feature_bit(VIRTIO_NET_F_MRG_RXBUF);

	if (opts->mac)
		features |= feature_bit(VIRTIO_NET_F_MAC);
	if (opts->mtu != 0)
		features |= feature_bit(VIRTIO_NET_F_MTU);
	return features;
}

int net_create(const char *id, struct tap *tap, const struct net_opts *opts,
	struct loop *loop, struct vdev **out, struct err *e)
{
	AUTO(tap_close) struct tap *owned = tap;
	AUTO(net_free) struct net *n = calloc(1, sizeof(*n));
	int r;

	assert(opts->mtu == 0 || opts->mtu >= NET_MTU_MIN);
	if (!n)
		return err_code(e, -ENOMEM, "interface '%s'", id);
	n->tap = TAKE(owned);
	n->loop = loop;
	n->source = (struct loop_source){
		.fd = tap_fd(n->tap), .fn = on_tap, .self = n, .batchable = true
	};
	n->retry.source.fn = on_retry;
	n->retry.source.self = n;
	n->mtu = opts->mtu;
	if (opts->mac) {
		n->has_mac = true;
		memcpy(n->mac, opts->mac, sizeof(n->mac));
	}
	r = vdev_init(&n->dev, &net_ops, id, e);
	if (r == 0)
		r = timer_open(&n->retry, loop, "a network interface", e);
	if (r == 0)
		r = limiter_create(loop, &opts->rx, on_rx_tokens, n, &n->rx.limiter, e);
	if (r == 0)
		r = limiter_create(loop, &opts->tx, on_tx_tokens, n, &n->tx.limiter, e);
	if (r < 0)
		return r;
	n->dev.features = offered(opts);
	set_config(n);
	*out = &TAKE(n)->dev;
	return 0;
}

struct net_stats *net_stats(struct vdev *v)
{
	return &net_of(v)->stats;
}

void net_patch_limiters(
	struct vdev *v, const struct limiter_patch *rx, const struct limiter_patch *tx)
{
	struct net *n = net_of(v);

	if (rx)
		limiter_patch(n->rx.limiter, rx);
	if (tx)
		limiter_patch(n->tx.limiter, tx);
}

struct limiter_cfg net_rx_limiter(const struct vdev *v)
{
	return limiter_cfg(net_of(v)->rx.limiter);
}

struct limiter_cfg net_tx_limiter(const struct vdev *v)
{
	return limiter_cfg(net_of(v)->tx.limiter);
}
