/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: the socket device, as the machine sees it. The caller owns a new device until
 * a transport takes it over.
 */
#ifndef HUSK_VSOCK_H
#define HUSK_VSOCK_H

#include "virtio/virtio.h"
#include "vmm/base/counter.h"

struct loop;

enum {
	GUEST_CID_MIN = 3, /* virtio 1.2, 5.10.4 */
};

/* Checks that a guest can have that CID, and a socket that path, a string of 1 to
 * UNIX_PATH_MAX bytes.
 * -EINVAL with text. */
MUST_CHECK int vsock_check(uint32_t guest_cid, const char *uds_path, struct err *e);

/* A socket device (virtio 1.2, 5.10) whose guest has guest_cid, with the host's side on
 * Unix sockets (contract, 5). It listens at uds_path from now on, which must not exist
 * and is as vsock_check has it; nobody is accepted before the driver is ready.
 * A port whose path, "<uds_path>_<port>", is longer than an address can be is refused
 * to the guest like one at which nobody listens. Destroying the device removes its
 * file, see unix_file_remove. Borrows loop, which must outlive it; uds_path for the
 * call. -errno with text. */
MUST_CHECK int vsock_create(uint32_t guest_cid, const char *uds_path, struct loop *loop,
	struct vdev **out, struct err *e);

/* Ends all connections, for a snapshot: while paused, before the device is saved. The
 * guest learns of it by an event, and gets nothing else before it has seen that. */
void vsock_reset_transport(struct vdev *v);

/* What a socket device counted since its creation, by Firecracker's names (contract,
 * 9.2); rx is towards the guest. conns_killed counts connections that husk ended with
 * an RST; conns_removed all that ended. */
struct vsock_stats {
	uint64_t activate_fails, cfg_fails;
	/* guest faults by queue */
	uint64_t rx_queue_event_fails, tx_queue_event_fails, ev_queue_event_fails;
	uint64_t muxer_event_fails; /* clients that could not be accepted */
	uint64_t conn_event_fails;
	uint64_t rx_queue_event_count, tx_queue_event_count; /* notifications served */
	uint64_t rx_bytes_count, tx_bytes_count; /* payload */
	uint64_t rx_packets_count, tx_packets_count;
	uint64_t conns_added, conns_killed, conns_removed;
	uint64_t killq_resync; /* times that the guest had to wait because RST_MAX of
				  its RSTs waited */
	uint64_t tx_flush_fails, tx_write_fails, rx_read_fails; /* of host sockets */
};

/* That struct, as the metrics show it. */
extern const struct counter_group vsock_counters;

/* Borrowed; v is a socket device. */
const struct vsock_stats *vsock_stats(const struct vdev *v);

#endif
