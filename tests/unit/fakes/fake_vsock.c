/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_vsock.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/fakes/fake_file.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

enum { HDR = sizeof(struct virtio_vsock_hdr), RX_HEAD = 32, RX_SLOTS = FV_RING / 2 };

/* A ring of FV_RING entries; all its descriptors are in turn. */
struct ring {
	gpa_t desc, avail, used;
	uint16_t next_desc, avail_idx, used_idx;
};

struct loop *fv_loop;
struct mmio *fv_t;
struct fake_driver fv_drv;
char fv_path[UNIX_PATH_MAX + 1];
bool fv_recycle, fv_post_only;
uint8_t fv_noise[FV_NOISE];

static struct fake_dir dir;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring ring[3];
static uint64_t negotiated;
static unsigned tx_posted, tx_seen;
static uint32_t rx_len[FV_RING]; /* payload of the buffer whose first descriptor is i */

static uint16_t load(gpa_t at)
{
	return le16toh(
		__atomic_load_n((uint16_t *)fake_at(&fv_drv, at, 2), __ATOMIC_ACQUIRE));
}

static void store(gpa_t at, uint16_t v)
{
	__atomic_store_n(
		(uint16_t *)fake_at(&fv_drv, at, 2), htole16(v), __ATOMIC_RELEASE);
}

static void offer(struct ring *r, uint16_t head)
{
	store(r->avail + 4 + 2u * (r->avail_idx % FV_RING), head);
	store(r->avail + 2, ++r->avail_idx);
}

static bool take_used(struct ring *r, uint32_t *id, uint32_t *len)
{
	struct vring_used_elem e;

	if (load(r->used + 2) == r->used_idx)
		return false;
	memcpy(&e,
		fake_at(&fv_drv, r->used + 4 + 8u * (r->used_idx % FV_RING), sizeof(e)),
		sizeof(e));
	r->used_idx++;
	/* used_event: every use is worth an interrupt */
	store(r->avail + 4 + 2 * FV_RING, r->used_idx);
	*id = le32toh(e.id);
	*len = le32toh(e.len);
	return true;
}

static gpa_t rx_at(unsigned first)
{
	return 0x10000 + first / 2 * 0x4000u; /* up to 16 KiB each, 512 KiB in all */
}

static void post_rx(unsigned first, uint32_t len)
{
	struct ring *r = &ring[FV_RX];

	rx_len[first] = len;
	fake_set_desc(&fv_drv, r->desc + 16u * first, rx_at(first), RX_HEAD,
		VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, (uint16_t)(first + 1));
	fake_set_desc(&fv_drv, r->desc + 16u * (first + 1), rx_at(first) + RX_HEAD,
		HDR - RX_HEAD + len, VRING_DESC_F_WRITE, 0);
	offer(r, (uint16_t)first);
}

void fv_give_rx(unsigned n, uint32_t len)
{
	struct ring *r = &ring[FV_RX];

	cr_assert_leq(len, 0x4000 - HDR);
	for (unsigned i = 0; i < n; i++) {
		post_rx(r->next_desc, len);
		r->next_desc = (uint16_t)((r->next_desc + 2) % FV_RING);
	}
}

void fv_give_event(void)
{
	struct ring *r = &ring[FV_EVENT];

	fake_set_desc(&fv_drv, r->desc + 16u * r->next_desc,
		0x8000 + 16u * r->next_desc, sizeof(struct virtio_vsock_event),
		VRING_DESC_F_WRITE, 0);
	offer(r, r->next_desc);
	r->next_desc = (uint16_t)((r->next_desc + 1) % FV_RING);
}

int fv_recv_event(void)
{
	uint32_t id, len, value;

	if (!take_used(&ring[FV_EVENT], &id, &len))
		return -1;
	cr_assert_eq(len, sizeof(value));
	memcpy(&value, fake_at(&fv_drv, 0x8000 + 16u * id, sizeof(value)),
		sizeof(value));
	return (int)le32toh(value);
}

static void from_wire(struct fv_packet *p, const struct virtio_vsock_hdr *h)
{
	p->src_cid = le64toh(h->src_cid);
	p->dst_cid = le64toh(h->dst_cid);
	p->src_port = le32toh(h->src_port);
	p->dst_port = le32toh(h->dst_port);
	p->len = le32toh(h->len);
	p->type = le16toh(h->type);
	p->op = le16toh(h->op);
	p->flags = le32toh(h->flags);
	p->buf_alloc = le32toh(h->buf_alloc);
	p->fwd_cnt = le32toh(h->fwd_cnt);
}

bool fv_recv(struct fv_packet *p)
{
	struct virtio_vsock_hdr h;
	uint32_t id, len;

	if (!take_used(&ring[FV_RX], &id, &len))
		return false;
	memcpy(&h, fake_at(&fv_drv, rx_at(id), HDR), HDR);
	from_wire(p, &h);
	cr_assert_eq(len, HDR + p->len);
	cr_assert_leq(p->len, rx_len[id]);
	memcpy(p->data, fake_at(&fv_drv, rx_at(id) + HDR, p->len), p->len);
	if (fv_recycle) {
		post_rx(id, rx_len[id]);
		fv_notify(FV_RX);
	}
	return true;
}

struct fv_packet *fv_expect(uint16_t op)
{
	static struct fv_packet p;

	fv_settle();
	cr_assert(fv_recv(&p), "no packet, expected op %u", op);
	cr_assert_eq(p.op, op, "op %u, expected %u", p.op, op);
	return &p;
}

void fv_expect_nothing(void)
{
	static struct fv_packet p;

	fv_settle();
	cr_assert_not(fv_recv(&p), "a packet with op %u", p.op);
}

void fv_send_raw(const void *p, uint32_t n)
{
	struct ring *r = &ring[FV_TX];
	gpa_t at = FAKE_HIGH + 0x80000;
	uint32_t first = n / 3; /* no framing is to be assumed */
	uint16_t d = r->next_desc;

	if (!fv_post_only)
		fv_settle(); /* one at a time, in the same place */
	memcpy(fake_at(&fv_drv, at, n), p, n);
	if (first == 0)
		first = n;
	fake_set_desc(&fv_drv, r->desc + 16u * d, at, first,
		first < n ? VRING_DESC_F_NEXT : 0, (uint16_t)((d + 1) % FV_RING));
	if (first < n)
		fake_set_desc(&fv_drv, r->desc + 16u * ((d + 1u) % FV_RING), at + first,
			n - first, 0, 0);
	r->next_desc = (uint16_t)((d + 2) % FV_RING);
	offer(r, d);
	tx_posted++;
	if (fv_post_only)
		return;
	fv_notify(FV_TX);
	fv_settle();
}

void fv_send(const struct fv_packet *p)
{
	static uint8_t bytes[HDR + (64 << 10)];
	struct virtio_vsock_hdr h = {
		.src_cid = htole64(p->src_cid),
		.dst_cid = htole64(p->dst_cid),
		.src_port = htole32(p->src_port),
		.dst_port = htole32(p->dst_port),
		.len = htole32(p->len),
		.type = htole16(p->type),
		.op = htole16(p->op),
		.flags = htole32(p->flags),
		.buf_alloc = htole32(p->buf_alloc),
		.fwd_cnt = htole32(p->fwd_cnt),
	};
	uint32_t n = MIN(p->len, (uint32_t)sizeof(p->data));

	memcpy(bytes, &h, HDR);
	memcpy(bytes + HDR, p->data, n);
	fv_send_raw(bytes, HDR + n);
}

unsigned fv_tx_done(void)
{
	uint32_t id, len;
	unsigned n = 0;

	while (take_used(&ring[FV_TX], &id, &len))
		n++;
	tx_seen += n;
	cr_assert_leq(tx_seen, tx_posted);
	return n;
}

struct fv_packet fv_packet(const struct fv_conn *c, uint16_t op)
{
	return (struct fv_packet){ .src_cid = FV_CID,
		.dst_cid = 2,
		.src_port = c->guest_port,
		.dst_port = c->host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = c->buf_alloc,
		.fwd_cnt = c->fwd_cnt };
}

void fv_say(struct fv_conn *c, uint16_t op, uint32_t flags)
{
	static struct fv_packet p;

	p = fv_packet(c, op);
	p.flags = flags;
	fv_send(&p);
}

void fv_write(struct fv_conn *c, const void *data, uint32_t len)
{
	static struct fv_packet p;

	p = fv_packet(c, VIRTIO_VSOCK_OP_RW);
	p.len = len;
	memcpy(p.data, data, len);
	c->sent += len;
	fv_send(&p);
}

uint32_t fv_room(const struct fv_conn *c)
{
	return c->host_alloc - (c->sent - c->host_fwd);
}

void fv_hear(struct fv_conn *c, const struct fv_packet *p)
{
	c->host_alloc = p->buf_alloc;
	c->host_fwd = p->fwd_cnt;
}

void fv_notify(unsigned q)
{
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

void fv_settle(void)
{
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(loop_poll(fv_loop, 0), 0);
}

bool fv_is_idle(void)
{
	uint64_t start;

	fv_settle();
	start = clock_us();
	cr_assert_eq(loop_poll(fv_loop, 30), 0);
	return clock_us() - start >= 25000;
}

const struct vsock_stats *fv_stats(void)
{
	return vsock_stats(mmio_vdev(fv_t));
}

bool fv_faulted(void)
{
	return fake_reg(fv_t, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void set_ring(unsigned q)
{
	struct ring *r = &ring[q];

	*r = (struct ring){ .desc = FAKE_HIGH + q * 0x20000,
		.avail = FAKE_HIGH + q * 0x20000 + 0x8000,
		.used = FAKE_HIGH + q * 0x20000 + 0x10000 };
	memset(fake_at(&fv_drv, r->desc, 0x20000), 0, 0x20000);
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_SEL, q);
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_NUM, FV_RING);
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)r->desc);
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)r->avail);
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)r->used);
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fv_bring_up(uint64_t features)
{
	negotiated = features;
	cr_assert(fake_negotiate(fv_t, features));
	for (unsigned q = 0; q < 3; q++)
		set_ring(q);
	tx_posted = tx_seen = 0;
	fake_set_reg(fv_t, VIRTIO_MMIO_STATUS,
		fake_reg(fv_t, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void create_device(void)
{
	struct vdev *v;
	struct err e;

	cr_assert_eq(vsock_create(FV_CID, fv_path, fv_loop, &v, &e), 0, "%s", e.text);
	cr_assert_eq(mmio_create(v, fv_drv.mem, fv_loop, &fv_t, NULL), 0);
}

void fv_replace(void)
{
	mmio_destroy(fv_t);
	create_device();
}

/* By xorshift, eight bytes at a time, since every test makes it anew. */
static void make_noise(void)
{
	uint64_t x = 88172645463325252;

	for (size_t i = 0; i < FV_NOISE; i += sizeof(x)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(fv_noise + i, &x, sizeof(x));
	}
}

void fv_attach(void)
{
	log_set_level(LOG_OFF);
	fv_recycle = true;
	fv_post_only = false;
	make_noise();
	dir = fake_dir();
	(void)snprintf(fv_path, sizeof(fv_path), "%s/v.sock", dir.path);
	fake_init(&fv_drv, FV_RING);
	cr_assert_eq(loop_create(&lock, &fv_loop, NULL), 0);
	create_device();
}

static void init(uint64_t features)
{
	fv_attach();
	fv_bring_up(features);
	fv_give_rx(FV_RING / 2, FV_BUF);
}

void fv_init_basic(void)
{
	init(FV_BASIC);
}

void fv_init_event_idx(void)
{
	init(FV_BASIC | FAKE_FEATURE(VIRTIO_RING_F_EVENT_IDX));
}

void fv_fini(void)
{
	mmio_destroy(fv_t);
	loop_destroy(fv_loop);
	fake_fini(&fv_drv);
	fake_dir_remove(&dir);
}

static struct sockaddr_un address(const char *suffix)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	cr_assert_lt(strlen(fv_path) + strlen(suffix), sizeof(at.sun_path));
	strcpy(at.sun_path, fv_path);
	strcat(at.sun_path, suffix);
	return at;
}

int fv_connect(void)
{
	struct sockaddr_un at = address("");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%s",
		strerror(errno));
	return fd;
}

int fv_listen(uint32_t port)
{
	struct sockaddr_un at;
	char suffix[20];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)snprintf(suffix, sizeof(suffix), "_%u", port);
	at = address(suffix);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(fd, 2000), 0);
	return fd;
}

bool fv_is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

int fv_client(const char *line)
{
	int fd = fv_connect();

	fv_put(fd, line);
	return fd;
}

int fv_open_host(struct fv_conn *c, uint32_t guest_port)
{
	char line[32], want[32];
	struct fv_packet *p;
	int fd = fv_connect(),
	    n = snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);

	cr_assert_eq(write(fd, line, (size_t)n), n);
	p = fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	cr_assert_eq(p->dst_port, guest_port);
	*c = (struct fv_conn){ .host_port = p->src_port,
		.guest_port = guest_port,
		.buf_alloc = c->buf_alloc ? c->buf_alloc : FV_ALLOC };
	fv_hear(c, p);
	fv_say(c, VIRTIO_VSOCK_OP_RESPONSE, 0);
	n = snprintf(want, sizeof(want), "OK %u\n", c->host_port);
	cr_assert_eq(read(fd, line, (size_t)n), n);
	cr_assert_arr_eq(line, want, (size_t)n);
	return fd;
}

int fv_open_guest(struct fv_conn *c, int listen_fd, uint32_t host_port)
{
	struct fv_packet *p;
	int fd;

	c->host_port = host_port;
	c->buf_alloc = c->buf_alloc ? c->buf_alloc : FV_ALLOC;
	fv_say(c, VIRTIO_VSOCK_OP_REQUEST, 0);
	p = fv_expect(VIRTIO_VSOCK_OP_RESPONSE);
	cr_assert_eq(p->src_port, host_port);
	cr_assert_eq(p->dst_port, c->guest_port);
	fv_hear(c, p);
	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

void fv_put(int fd, const char *text)
{
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

void fv_expect_text(int fd, const char *text)
{
	char buf[64];
	ssize_t n = read(fd, buf, sizeof(buf));

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd bytes", n);
	cr_assert_arr_eq(buf, text, strlen(text));
}

void fv_expect_data(struct fv_conn *c, const char *text)
{
	struct fv_packet *p = fv_expect(VIRTIO_VSOCK_OP_RW);

	cr_assert_eq(p->len, strlen(text));
	cr_assert_arr_eq(p->data, text, strlen(text));
	c->fwd_cnt += p->len;
}

uint32_t fv_clog(struct fv_conn *c)
{
	uint32_t sent = 0;

	for (;;) {
		uint32_t n = MIN(fv_room(c), 8192u);
		struct fv_packet p;

		if (n == 0)
			return sent;
		fv_write(c, fv_noise + sent, n);
		sent += n;
		while (fv_recv(&p)) {
			cr_assert_eq(p.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			fv_hear(c, &p);
		}
		cr_assert_lt(sent, FV_NOISE - 8192);
	}
}

void fv_read_all(int fd, uint32_t n)
{
	static uint8_t buf[FV_NOISE];
	uint32_t at = 0;

	while (at < n) {
		ssize_t r = read(fd, buf + at, 30000);

		fv_settle();
		if (r > 0)
			at += (uint32_t)r;
		else
			cr_assert(r < 0 && errno == EAGAIN);
	}
	cr_assert_arr_eq(buf, fv_noise, n);
}
