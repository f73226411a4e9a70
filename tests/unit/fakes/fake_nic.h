/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_nic: a network device between two fakes: a driver of both its rings, in the
 * memory of a fake_driver, and a wire, which is the other end of a socket in the tap's
 * place. Failures of its own end the test.
 */
#ifndef HUSK_FAKE_NIC_H
#define HUSK_FAKE_NIC_H

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "tests/unit/fakes/fake_driver.h"
#include "virtio/net/net.h"

enum { NIC_RX, NIC_TX, NIC_RING_SIZE = 64, NIC_HEADER = 12, NIC_ETH = 14 };

#define NIC_FEATURE(f) ((uint64_t)1 << (f))
#define NIC_BASIC                                                          \
	(NIC_FEATURE(VIRTIO_F_VERSION_1) | NIC_FEATURE(VIRTIO_NET_F_MAC) | \
		NIC_FEATURE(VIRTIO_RING_F_INDIRECT_DESC))
#define NIC_MERGING (NIC_BASIC | NIC_FEATURE(VIRTIO_NET_F_MRG_RXBUF))
#define NIC_OFFLOADS                                                            \
	(NIC_FEATURE(VIRTIO_NET_F_CSUM) | NIC_FEATURE(VIRTIO_NET_F_HOST_TSO4) | \
		NIC_FEATURE(VIRTIO_NET_F_HOST_TSO6) |                           \
		NIC_FEATURE(VIRTIO_NET_F_GUEST_CSUM) |                          \
		NIC_FEATURE(VIRTIO_NET_F_GUEST_TSO4) |                          \
		NIC_FEATURE(VIRTIO_NET_F_GUEST_TSO6))

/* The driver's place in one ring, which is at FAKE_HIGH + q * 0x30000. */
struct fake_ring {
	uint16_t next_desc, avail_idx, used_idx;
};

struct fake_nic {
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

extern const uint8_t nic_mac[NET_MAC_BYTES];

/* A device with nic_mac and an MTU of 1400; opts NULL: without limits. Not brought up.
 */
void nic_init(struct fake_nic *nic, const struct net_opts *opts);
void nic_fini(struct fake_nic *nic);
/* The same driver with a new device and wire, as on another host. */
void nic_replace(struct fake_nic *nic, const struct net_opts *opts);
/* A new device over a tap of the caller's, which it takes over; there is no wire then.
 */
void nic_use_tap(struct fake_nic *nic, struct tap *tap);

/* Forgets the rings and initialises the device to DRIVER_OK. */
void nic_bring_up(struct fake_nic *nic, uint64_t features, uint16_t size);

/* Posts a chain to ring q, and returns its head. */
uint16_t nic_post(
	struct fake_nic *nic, unsigned q, const struct fake_span *spans, unsigned n);
/* Posts a new buffer of len bytes of 0xee to the reception ring; its address. */
gpa_t nic_post_buffer(struct fake_nic *nic, uint32_t len);
/* Posts a frame with this header and len bytes of Ethernet, from nic_mac and filled
 * with `fill`, in one span. */
void nic_post_frame(struct fake_nic *nic, const struct virtio_net_hdr_v1 *h, size_t len,
	uint8_t fill);
bool nic_take_used(struct fake_nic *nic, unsigned q, uint32_t *id, uint32_t *len);
/* How many used entries of q there are to take; takes them. */
unsigned nic_count_used(struct fake_nic *nic, unsigned q);

/* Notifies the device and lets the loop serve what is there. */
void nic_kick(struct fake_nic *nic, unsigned q);
void nic_poll(struct fake_nic *nic);
bool nic_faulted(struct fake_nic *nic);

/* Sends a frame of a zeroed header and len bytes of `fill` to the guest. */
void nic_wire_send(struct fake_nic *nic, size_t len, uint8_t fill);
void nic_wire_send_raw(struct fake_nic *nic, const void *bytes, size_t n);
/* The next frame from the guest, with its header: its length, 0 when there is none. */
size_t nic_wire_take(struct fake_nic *nic, void *buf, size_t room);

/* Makes the wire take a few frames only before it is read. */
void nic_narrow_wire(struct fake_nic *nic);

/* Sets a real interface up and sends a frame of len bytes of Ethernet out of it, as the
 * host does; others of the host's may come before and after. */
void nic_host_send(const char *interface, size_t len);

struct net_stats *nic_stats(struct fake_nic *nic);

#endif
