/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_net.h"

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

const uint8_t fn_mac[NET_MAC_BYTES] = { 0x06, 0, 0xac, 0x10, 0, 2 };

static void attach(struct fake_net *net, const struct net_opts *opts, struct tap *tap)
{
	struct net_opts o = opts ? *opts : (struct net_opts){ .mtu = 0 };
	struct vdev *v;
	int r;

	o.mac = fn_mac;
	o.mtu = 1400;
	net->tap_fd = tap_fd(tap);
	r = net_create("eth0", tap, &o, net->loop, &v, NULL);
	assert(r == 0);
	r = mmio_create(v, net->drv.mem, net->loop, &net->t, NULL);
	assert(r == 0);
	(void)r;
}

static struct tap *new_wire(struct fake_net *net)
{
	struct tap *tap;
	int pair[2];
	int r = socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);

	assert(r == 0);
	net->wire = pair[1];
	r = tap_from_fd(pair[0], &tap, NULL);
	assert(r == 0);
	(void)r;
	return tap;
}

void fn_init(struct fake_net *net, const struct net_opts *opts)
{
	int r;

	*net = (struct fake_net){ .wire = -1 };
	fake_init(&net->drv, FN_RING_SIZE);
	pthread_mutex_init(&net->lock, NULL);
	r = loop_create(&net->lock, &net->loop, NULL);
	assert(r == 0);
	(void)r;
	attach(net, opts, new_wire(net));
}

static void detach(struct fake_net *net)
{
	mmio_destroy(net->t);
	close_fd(net->wire);
}

void fn_fini(struct fake_net *net)
{
	detach(net);
	loop_destroy(net->loop);
	fake_fini(&net->drv);
}

void fn_replace(struct fake_net *net, const struct net_opts *opts)
{
	detach(net);
	attach(net, opts, new_wire(net));
}

void fn_use_tap(struct fake_net *net, struct tap *tap)
{
	detach(net);
	net->wire = -1;
	attach(net, NULL, tap);
}

static gpa_t ring_at(unsigned q)
{
	return FAKE_HIGH + (gpa_t)q * RING_BYTES;
}

static void set_queue(struct fake_net *net, unsigned q)
{
	uint32_t at = (uint32_t)ring_at(q);

	fake_set_reg(net->t, VIRTIO_MMIO_QUEUE_SEL, q);
	fake_set_reg(net->t, VIRTIO_MMIO_QUEUE_NUM, net->size);
	fake_set_reg(net->t, VIRTIO_MMIO_QUEUE_DESC_LOW, at);
	fake_set_reg(net->t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + AVAIL_AT);
	fake_set_reg(net->t, VIRTIO_MMIO_QUEUE_USED_LOW, at + USED_AT);
	fake_set_reg(net->t, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fn_bring_up(struct fake_net *net, uint64_t features, uint16_t size)
{
	bool agreed = fake_negotiate(net->t, features);

	assert(agreed);
	(void)agreed;
	fake_reboot(&net->drv);
	memset(net->ring, 0, sizeof(net->ring));
	net->features = features;
	net->size = size;
	set_queue(net, FN_RX);
	set_queue(net, FN_TX);
	fake_set_reg(net->t, VIRTIO_MMIO_STATUS,
		fake_reg(net->t, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A 16 bit field of a ring. */
static uint16_t *unit(struct fake_net *net, unsigned q, unsigned part, size_t i)
{
	return fake_at(
		&net->drv, ring_at(q) + part + i * sizeof(uint16_t), sizeof(uint16_t));
}

static void offer(struct fake_net *net, unsigned q, uint16_t head)
{
	struct fake_ring *r = &net->ring[q];

	*unit(net, q, AVAIL_AT, 2u + r->avail_idx % net->size) = htole16(head);
	r->avail_idx++;
	*unit(net, q, AVAIL_AT, 1) = htole16(r->avail_idx);
}

uint16_t fn_post(
	struct fake_net *net, unsigned q, const struct fake_span *spans, unsigned n)
{
	struct fake_ring *r = &net->ring[q];
	uint16_t head = r->next_desc;

	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = spans[i].wr ? VRING_DESC_F_WRITE : 0;
		uint16_t next = (uint16_t)((head + i + 1) % net->size);

		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		fake_set_desc(&net->drv, ring_at(q) + 16u * ((head + i) % net->size),
			spans[i].at, spans[i].len, flags, next);
	}
	r->next_desc = (uint16_t)((head + n) % net->size);
	offer(net, q, head);
	return head;
}

gpa_t fn_post_buffer(struct fake_net *net, uint32_t len)
{
	gpa_t at = fake_alloc(&net->drv, len, 0xee);

	(void)fn_post(net, FN_RX, &(struct fake_span){ at, len, true }, 1);
	return at;
}

void fn_post_frame(struct fake_net *net, const struct virtio_net_hdr_v1 *h, size_t len,
	uint8_t fill)
{
	gpa_t at = fake_alloc(&net->drv, FN_HEADER + len, fill);
	uint8_t *p = fake_at(&net->drv, at, FN_HEADER + len);

	memcpy(p, h, FN_HEADER);
	memcpy(p + FN_HEADER + NET_MAC_BYTES, fn_mac, NET_MAC_BYTES);
	(void)fn_post(net, FN_TX,
		&(struct fake_span){ at, (uint32_t)(FN_HEADER + len), false }, 1);
}

bool fn_take_used(struct fake_net *net, unsigned q, uint32_t *id, uint32_t *len)
{
	struct fake_ring *r = &net->ring[q];
	struct vring_used_elem elem;
	gpa_t at = ring_at(q) + USED_AT + 4 + r->used_idx % net->size * sizeof(elem);

	if (le16toh(*unit(net, q, USED_AT, 1)) == r->used_idx)
		return false;
	memcpy(&elem, fake_at(&net->drv, at, sizeof(elem)), sizeof(elem));
	r->used_idx++;
	*id = le32toh(elem.id);
	*len = le32toh(elem.len);
	return true;
}

unsigned fn_count_used(struct fake_net *net, unsigned q)
{
	uint32_t id, len;
	unsigned n = 0;

	while (fn_take_used(net, q, &id, &len))
		n++;
	return n;
}

void fn_poll(struct fake_net *net)
{
	int r = loop_poll(net->loop, 0);

	assert(r == 0);
	(void)r;
}

void fn_notify(struct fake_net *net, unsigned q)
{
	fake_set_reg(net->t, VIRTIO_MMIO_QUEUE_NOTIFY, q);
	fn_poll(net);
}

bool fn_faulted(struct fake_net *net)
{
	return fake_reg(net->t, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

void fn_wire_send(struct fake_net *net, size_t len, uint8_t fill)
{
	static uint8_t frame[1 << 17];

	assert(FN_HEADER + len <= sizeof(frame));
	memset(frame, 0, FN_HEADER);
	memset(frame + FN_HEADER, fill, len);
	fn_wire_send_raw(net, frame, FN_HEADER + len);
}

void fn_wire_send_raw(struct fake_net *net, const void *bytes, size_t n)
{
	ssize_t sent = send(net->wire, bytes, n, 0);

	assert(sent == (ssize_t)n);
	(void)sent;
}

size_t fn_wire_take(struct fake_net *net, void *buf, size_t room)
{
	ssize_t got = recv(net->wire, buf, room, 0);

	return got < 0 ? 0 : (size_t)got;
}

void fn_narrow_wire(struct fake_net *net)
{
	int bytes = 1; /* the host makes it the least there is: about 4 KiB */
	int r = setsockopt(net->tap_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));

	assert(r == 0);
	(void)r;
}

void fn_host_send(const char *interface, size_t len)
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

struct net_stats *fn_stats(struct fake_net *net)
{
	return net_stats(mmio_vdev(net->t));
}
