/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_net: a network device between two fakes: a driver of both its rings, in the
 * memory of a fake_driver, and a wire, which is the other end of a socket in the tap's
 * place. Failures of its own end the test.
 */
#ifndef FAKE_NET_H
#define FAKE_NET_H

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "tests/unit/fakes/fake_driver.h"
#include "virtio/net/net.h"

enum { FN_RX, FN_TX, FN_RING_SIZE = 64, FN_HEADER = 12, FN_ETH = 14 };

#define FN_BASIC                                                             \
	(FAKE_FEATURE(VIRTIO_F_VERSION_1) | FAKE_FEATURE(VIRTIO_NET_F_MAC) | \
		FAKE_FEATURE(VIRTIO_RING_F_INDIRECT_DESC))
#define FN_MERGING (FN_BASIC | FAKE_FEATURE(VIRTIO_NET_F_MRG_RXBUF))
#define FN_OFFLOADS                                                               \
	(FAKE_FEATURE(VIRTIO_NET_F_CSUM) | FAKE_FEATURE(VIRTIO_NET_F_HOST_TSO4) | \
		FAKE_FEATURE(VIRTIO_NET_F_HOST_TSO6) |                            \
		FAKE_FEATURE(VIRTIO_NET_F_GUEST_CSUM) |                           \
		FAKE_FEATURE(VIRTIO_NET_F_GUEST_TSO4) |                           \
		FAKE_FEATURE(VIRTIO_NET_F_GUEST_TSO6))

/* The driver's place in one ring, which is at FAKE_HIGH + q * 0x30000. */
struct fake_ring {
	uint16_t next_desc, avail_idx, used_idx;
};

struct fake_net {
	struct fake_driver drv; /* for its memory and heap */
	struct fake_ring ring[2];
	uint16_t size; /* of both rings */
	uint64_t features; /* accepted */
	pthread_mutex_t lock;
	struct loop *loop;
	struct mmio *t;
	int wire;
	int tap_fd; /* the device's */
};

extern const uint8_t fn_mac[NET_MAC_BYTES];

/* A device with fn_mac and an MTU of 1400; opts NULL: without limits. Not brought up.
 */
void fn_init(struct fake_net *net, const struct net_opts *opts);
void fn_fini(struct fake_net *net);
/* The same driver with a new device and wire, as on another host. */
void fn_replace(struct fake_net *net, const struct net_opts *opts);
/* A new device over a tap of the caller's, which it takes over; there is no wire then.
 */
void fn_use_tap(struct fake_net *net, struct tap *tap);

/* Forgets the rings and initialises the device to DRIVER_OK. */
void fn_bring_up(struct fake_net *net, uint64_t features, uint16_t size);

/* Posts a chain to ring q, and returns its head. */
uint16_t fn_post(
	struct fake_net *net, unsigned q, const struct fake_span *spans, unsigned n);
/* Posts a new buffer of len bytes of 0xee to the reception ring; its address. */
gpa_t fn_post_buffer(struct fake_net *net, uint32_t len);
/* Posts a frame with this header and len bytes of Ethernet, from fn_mac and filled
 * with `fill`, in one span. */
void fn_post_frame(struct fake_net *net, const struct virtio_net_hdr_v1 *h, size_t len,
	uint8_t fill);
bool fn_take_used(struct fake_net *net, unsigned q, uint32_t *id, uint32_t *len);
/* How many used entries of q there are to take; takes them. */
unsigned fn_count_used(struct fake_net *net, unsigned q);

/* Notifies the device and lets the loop serve what is there. */
void fn_notify(struct fake_net *net, unsigned q);
void fn_poll(struct fake_net *net);
bool fn_faulted(struct fake_net *net);

/* Sends a frame of a zeroed header and len bytes of `fill` to the guest. */
void fn_wire_send(struct fake_net *net, size_t len, uint8_t fill);
void fn_wire_send_raw(struct fake_net *net, const void *bytes, size_t n);
/* The next frame from the guest, with its header: its length, 0 when there is none. */
size_t fn_wire_take(struct fake_net *net, void *buf, size_t room);

/* Makes the wire take a few frames only before it is read. */
void fn_narrow_wire(struct fake_net *net);

/* Sets a real interface up and sends a frame of len bytes of Ethernet out of it, as the
 * host does; others of the host's may come before and after. */
void fn_host_send(const char *interface, size_t len);

struct net_stats *fn_stats(struct fake_net *net);

#endif
