/* SPDX-License-Identifier: Apache-2.0
 *
 * devices: the constructors, which are all that callers see of a device. The caller
 * owns the result until a transport takes it over.
 */
#ifndef HUSK_VIRTIO_DEVICES_H
#define HUSK_VIRTIO_DEVICES_H

#include "virtio/blk/disk.h"
#include "virtio/limiter/limiter.h"
#include "virtio/net/tap.h"
#include "virtio/virtio.h"
#include "vmm/base/latency.h"

struct loop;

/* A block device (virtio 1.2, 5.2) named id over an open disk. Takes the disk over,
 * also on failure. flush: offer VIRTIO_BLK_F_FLUSH. limits: copied. Borrows loop. */
MUST_CHECK int blk_create(const char *id, struct disk *disk, bool flush,
	struct loop *loop, const struct limiter_cfg *limits, struct vdev **out,
	struct err *e);

/* For those below: v is a block device that a transport has, on the loop's thread with
 * the device lock held.
 *
 * Takes no more requests off the ring until blk_release. Returns whether none is in
 * flight: if not, ask again when the loop has served the disk. */
bool blk_hold(struct vdev *v);
void blk_release(struct vdev *v);

/* Puts another disk in the place of the old one, which is closed, while blk_hold has
 * said that none of its requests is in flight: the driver is told of the change, also
 * when the size is the same. Takes the disk over, also on failure: -EINVAL when one can
 * be written and the other not, and the old one stays. */
MUST_CHECK int blk_set_disk(struct vdev *v, struct disk *disk);

/* Merges a change of the limits. */
void blk_patch_limiter(struct vdev *v, const struct limiter_patch *p);
struct limiter_cfg blk_limiter(const struct vdev *v);

/* What a device counted since its creation, in the names of the metrics
 * (contract, 9.2). Bumped by its device alone, but where it says so, with the device
 * lock held; read, and the extremes of each struct latency restarted, by the metrics.
 */
struct blk_stats {
	uint64_t activate_fails, cfg_fails, event_fails;
	uint64_t read_bytes, write_bytes, read_count, write_count, flush_count;
	uint64_t queue_event_count; /* kicks served */
	uint64_t no_avail_buffer; /* kicks that found nothing */
	uint64_t invalid_reqs_count; /* requests that make no sense */
	uint64_t execute_fails; /* requests that the disk failed */
	uint64_t update_count, update_fails; /* PATCHes of the API; machine_run.c's */
	uint64_t rate_limiter_event_count; /* its timer, and then requests go on */
	uint64_t rate_limiter_throttled_events, io_engine_throttled_events;
	uint64_t remaining_reqs_count; /* left in the ring when it was left */
	struct latency read_agg, write_agg; /* from request to answer */
};

/* Bytes of frames include their 12 byte header. */
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

/* Borrowed; v is a block device. */
struct blk_stats *blk_stats(struct vdev *v);

enum { NET_MAC_BYTES = 6, NET_MTU_MIN = 68 };

struct net_opts {
	const uint8_t *mac; /* NET_MAC_BYTES, or NULL: the driver chooses */
	uint16_t mtu; /* at least NET_MTU_MIN, or 0: not offered */
	struct limiter_cfg rx, tx; /* to and from the guest */
};

/* A network device (virtio 1.2, 5.1) named id over an open tap, which it watches on the
 * loop. Takes the tap over, also on failure; opts is borrowed for the call. */
MUST_CHECK int net_create(const char *id, struct tap *tap, const struct net_opts *opts,
	struct loop *loop, struct vdev **out, struct err *e);

/* Borrowed; v is a network device, here and below. */
struct net_stats *net_stats(struct vdev *v);

/* Merges changes of the limits; NULL: none. */
void net_patch_limiters(
	struct vdev *v, const struct limiter_patch *rx, const struct limiter_patch *tx);

/* The limits in force. */
struct limiter_cfg net_rx_limiter(const struct vdev *v);
struct limiter_cfg net_tx_limiter(const struct vdev *v);

enum {
	GUEST_CID_MIN = 3, /* virtio 1.2, 5.10.4 */
};

/* A socket device (virtio 1.2, 5.10) whose guest has guest_cid, with the host's side on
 * Unix sockets (contract, 5). It listens at uds_path from now on, which must not exist
 * and is 1 to UNIX_PATH_MAX bytes long; nobody is accepted before the driver is ready.
 * A port whose path, "<uds_path>_<port>", is longer than an address can be is refused
 * to the guest like one at which nobody listens. Destroying the device removes its
 * file, see unix_file_remove. Borrows loop, which must outlive it; uds_path for the
 * call. -errno with text. */
MUST_CHECK int vsock_create(uint32_t guest_cid, const char *uds_path, struct loop *loop,
	struct vdev **out, struct err *e);

/* For a snapshot, while paused and before it is saved: all connections end, which the
 * guest learns by an event, and the guest gets nothing before it has seen that. */
void vsock_reset_transport(struct vdev *v);

/* What a socket device counted since its creation, in the names of the metrics file; rx
 * is towards the guest. */
struct vsock_stats {
	uint64_t activate_fails, cfg_fails;
	/* guest faults by queue */
	uint64_t rx_queue_event_fails, tx_queue_event_fails, ev_queue_event_fails;
	uint64_t muxer_event_fails; /* clients that could not be accepted */
	uint64_t conn_event_fails;
	uint64_t rx_queue_event_count, tx_queue_event_count; /* kicks served */
	uint64_t rx_bytes_count, tx_bytes_count; /* payload */
	uint64_t rx_packets_count, tx_packets_count;
	uint64_t conns_added, conns_killed, conns_removed;
	uint64_t killq_resync; /* times that the guest had to wait for its RSTs */
	uint64_t tx_flush_fails, tx_write_fails, rx_read_fails; /* of host sockets */
};

/* Borrowed; v is a socket device. */
const struct vsock_stats *vsock_stats(const struct vdev *v);

#endif
