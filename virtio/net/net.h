/* SPDX-License-Identifier: Apache-2.0
 *
 * net: the network device (virtio 1.2, 5.1), as the machine sees it. Loop thread,
 * device lock held, but for net_create, which needs no lock.
 */
#ifndef HUSK_VIRTIO_NET_NET_H
#define HUSK_VIRTIO_NET_NET_H

#include "virtio/limiter/limiter.h"
#include "virtio/net/tap.h"
#include "virtio/virtio.h"
#include "vmm/base/counter.h"

/* What a device counted since its creation, named as in the metrics (contract, 9.2),
 * which read it without the device lock. Bytes of frames include the header of 12
 * bytes. */
struct net_stats {
	uint64_t activate_fails, cfg_fails, event_fails;
	uint64_t no_rx_avail_buffer, no_tx_avail_buffer;
	uint64_t rx_queue_event_count, rx_tap_event_count, rx_event_rate_limiter_count;
	uint64_t rx_rate_limiter_throttled;
	uint64_t rx_bytes_count, rx_packets_count, rx_fails, rx_count;
	uint64_t tap_read_fails, tap_write_fails;
	struct latency tap_write_agg;
	uint64_t tx_bytes_count, tx_packets_count, tx_fails, tx_count;
	uint64_t tx_malformed_frames, tx_spoofed_mac_count, tx_remaining_reqs_count;
	uint64_t tx_queue_event_count, tx_rate_limiter_event_count;
	uint64_t tx_rate_limiter_throttled;
};

/* Describes that struct to the metrics. */
extern const struct counter_group net_counters;

enum { NET_MAC_BYTES = 6, NET_MTU_MIN = 68 };

struct net_opts {
	const uint8_t *mac; /* NET_MAC_BYTES, or NULL: the driver chooses */
	uint16_t mtu; /* at least NET_MTU_MIN, or 0: not offered */
	struct limiter_cfg rx, tx; /* to the guest, and from it */
};

/* Creates a network device named id over an open tap, which it watches on the loop. The
 * device owns the tap; on failure the tap is closed. opts is copied, loop is borrowed.
 * The caller owns *out until a transport takes it. -errno with text. */
MUST_CHECK int net_create(const char *id, struct tap *tap, const struct net_opts *opts,
	struct loop *loop, struct vdev **out, struct err *e);

/* For all below, v is a network device. */

/* Borrowed. */
struct net_stats *net_stats(struct vdev *v);

/* Applies changes of the limits. NULL: no change. */
void net_patch_limiters(
	struct vdev *v, const struct limiter_patch *rx, const struct limiter_patch *tx);

/* The limits in force. */
struct limiter_cfg net_rx_limiter(const struct vdev *v);
struct limiter_cfg net_tx_limiter(const struct vdev *v);

#endif
