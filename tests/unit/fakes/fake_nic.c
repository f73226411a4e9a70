/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_nic.h"

#include <assert.h>
#include <endian.h>
#include <linux/if.h>
#include <linux/if_packet.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { RING_BYTES = 0x30000, AVAIL_AT = 0x10000, USED_AT = 0x20000 };

const uint8_t nic_mac[NET_MAC_BYTES] = { 0x06, 0, 0xac, 0x10, 0, 2 };

static void attach(struct fake_nic *nic, const struct net_opts *opts, struct tap *tap)
{
	struct net_opts o = opts ? *opts : (struct net_opts){ .mtu = 0 };
	struct vdev *v;
	int r;

	o.mac = nic_mac;
	o.mtu = 1400;
	nic->tap_fd = tap_fd(tap);
	r = net_create("eth0", tap, &o, nic->loop, &v, NULL);
	assert(r == 0);
	r = mmio_create(v, nic->drv.mem, nic->loop, &nic->t, NULL);
	assert(r == 0);
	(void)r;
}

static struct tap *new_wire(struct fake_nic *nic)
{
	struct tap *tap;
	int pair[2];
	int r = socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);

	assert(r == 0);
	nic->wire = pair[1];
	r = tap_from_fd(pair[0], &tap, NULL);
	assert(r == 0);
	(void)r;
	return tap;
}

void nic_init(struct fake_nic *nic, const struct net_opts *opts)
{
	int r;

	*nic = (struct fake_nic){ .wire = -1 };
	fake_init(&nic->drv, NIC_RING_SIZE);
	pthread_mutex_init(&nic->lock, NULL);
	r = loop_create(&nic->lock, &nic->loop, NULL);
	assert(r == 0);
	(void)r;
	attach(nic, opts, new_wire(nic));
}

static void detach(struct fake_nic *nic)
{
	mmio_destroy(nic->t);
	close_fd(nic->wire);
}

void nic_fini(struct fake_nic *nic)
{
	detach(nic);
	loop_destroy(nic->loop);
	fake_fini(&nic->drv);
}

void nic_replace(struct fake_nic *nic, const struct net_opts *opts)
{
	detach(nic);
	attach(nic, opts, new_wire(nic));
}

void nic_use_tap(struct fake_nic *nic, struct tap *tap)
{
	detach(nic);
	nic->wire = -1;
	attach(nic, NULL, tap);
}

static gpa_t ring_at(unsigned q)
{
	return FAKE_HIGH + (gpa_t)q * RING_BYTES;
}

static void set_queue(struct fake_nic *nic, unsigned q)
{
	uint32_t at = (uint32_t)ring_at(q);

	fake_set_reg(nic->t, VIRTIO_MMIO_QUEUE_SEL, q);
	fake_set_reg(nic->t, VIRTIO_MMIO_QUEUE_NUM, nic->size);
	fake_set_reg(nic->t, VIRTIO_MMIO_QUEUE_DESC_LOW, at);
	fake_set_reg(nic->t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + AVAIL_AT);
	fake_set_reg(nic->t, VIRTIO_MMIO_QUEUE_USED_LOW, at + USED_AT);
	fake_set_reg(nic->t, VIRTIO_MMIO_QUEUE_READY, 1);
}

void nic_bring_up(struct fake_nic *nic, uint64_t features, uint16_t size)
{
	bool agreed = fake_negotiate(nic->t, features);

	assert(agreed);
	(void)agreed;
	fake_reboot(&nic->drv);
	memset(nic->ring, 0, sizeof(nic->ring));
	nic->features = features;
	nic->size = size;
	set_queue(nic, NIC_RX);
	set_queue(nic, NIC_TX);
	fake_set_reg(nic->t, VIRTIO_MMIO_STATUS,
		fake_reg(nic->t, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A 16 bit field of a ring. */
static uint16_t *unit(struct fake_nic *nic, unsigned q, unsigned part, size_t i)
{
	return fake_at(
		&nic->drv, ring_at(q) + part + i * sizeof(uint16_t), sizeof(uint16_t));
}

static void offer(struct fake_nic *nic, unsigned q, uint16_t head)
{
	struct fake_ring *r = &nic->ring[q];

	*unit(nic, q, AVAIL_AT, 2u + r->avail_idx % nic->size) = htole16(head);
	r->avail_idx++;
	*unit(nic, q, AVAIL_AT, 1) = htole16(r->avail_idx);
}

uint16_t nic_post(
	struct fake_nic *nic, unsigned q, const struct fake_span *spans, unsigned n)
{
	struct fake_ring *r = &nic->ring[q];
	uint16_t head = r->next_desc;

	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = spans[i].wr ? VRING_DESC_F_WRITE : 0;
		uint16_t next = (uint16_t)((head + i + 1) % nic->size);

		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		fake_set_desc(&nic->drv, ring_at(q) + 16u * ((head + i) % nic->size),
			spans[i].at, spans[i].len, flags, next);
	}
	r->next_desc = (uint16_t)((head + n) % nic->size);
	offer(nic, q, head);
	return head;
}

gpa_t nic_post_buffer(struct fake_nic *nic, uint32_t len)
{
	gpa_t at = fake_alloc(&nic->drv, len, 0xee);

	(void)nic_post(nic, NIC_RX, &(struct fake_span){ at, len, true }, 1);
	return at;
}

void nic_post_frame(struct fake_nic *nic, const struct virtio_net_hdr_v1 *h, size_t len,
	uint8_t fill)
{
	gpa_t at = fake_alloc(&nic->drv, NIC_HEADER + len, fill);
	uint8_t *p = fake_at(&nic->drv, at, NIC_HEADER + len);

	memcpy(p, h, NIC_HEADER);
	memcpy(p + NIC_HEADER + NET_MAC_BYTES, nic_mac, NET_MAC_BYTES);
	(void)nic_post(nic, NIC_TX,
		&(struct fake_span){ at, (uint32_t)(NIC_HEADER + len), false }, 1);
}

bool nic_take_used(struct fake_nic *nic, unsigned q, uint32_t *id, uint32_t *len)
{
	struct fake_ring *r = &nic->ring[q];
	struct vring_used_elem elem;
	gpa_t at = ring_at(q) + USED_AT + 4 + r->used_idx % nic->size * sizeof(elem);

	if (le16toh(*unit(nic, q, USED_AT, 1)) == r->used_idx)
		return false;
	memcpy(&elem, fake_at(&nic->drv, at, sizeof(elem)), sizeof(elem));
	r->used_idx++;
	*id = le32toh(elem.id);
	*len = le32toh(elem.len);
	return true;
}

unsigned nic_count_used(struct fake_nic *nic, unsigned q)
{
	uint32_t id, len;
	unsigned n = 0;

	while (nic_take_used(nic, q, &id, &len))
		n++;
	return n;
}

void nic_poll(struct fake_nic *nic)
{
	int r = loop_poll(nic->loop, 0);

	assert(r == 0);
	(void)r;
}

void nic_kick(struct fake_nic *nic, unsigned q)
{
	fake_set_reg(nic->t, VIRTIO_MMIO_QUEUE_NOTIFY, q);
	nic_poll(nic);
}

bool nic_faulted(struct fake_nic *nic)
{
	return fake_reg(nic->t, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

void nic_wire_send(struct fake_nic *nic, size_t len, uint8_t fill)
{
	static uint8_t frame[1 << 17];

	assert(NIC_HEADER + len <= sizeof(frame));
	memset(frame, 0, NIC_HEADER);
	memset(frame + NIC_HEADER, fill, len);
	nic_wire_send_raw(nic, frame, NIC_HEADER + len);
}

void nic_wire_send_raw(struct fake_nic *nic, const void *bytes, size_t n)
{
	ssize_t sent = send(nic->wire, bytes, n, 0);

	assert(sent == (ssize_t)n);
	(void)sent;
}

size_t nic_wire_take(struct fake_nic *nic, void *buf, size_t room)
{
	ssize_t got = recv(nic->wire, buf, room, 0);

	return got < 0 ? 0 : (size_t)got;
}

void nic_narrow_wire(struct fake_nic *nic)
{
	int bytes = 1; /* the host makes it the least there is: about 4 KiB */
	int r = setsockopt(nic->tap_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));

	assert(r == 0);
	(void)r;
}

void nic_host_send(const char *interface, size_t len)
{
	static const uint8_t frame[2048];
	AUTO(close_fd) int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_flags = IFF_UP };
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	int r;

	assert(s >= 0 && len <= sizeof(frame));
	strcpy(req.ifr_name, interface);
	r = ioctl(s, SIOCSIFFLAGS, &req);
	assert(r == 0);
	r = ioctl(s, SIOCGIFINDEX, &req);
	assert(r == 0);
	to.sll_ifindex = req.ifr_ifindex;
	r = (int)sendto(s, frame, len, 0, (struct sockaddr *)&to, sizeof(to));
	assert(r == (int)len);
	(void)r;
}

struct net_stats *nic_stats(struct fake_nic *nic)
{
	return net_stats(mmio_vdev(nic->t));
}
