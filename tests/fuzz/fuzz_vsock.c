/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_vsock: a hostile driver of the socket device, and hostile programs on the host.
 * The input is a list of steps: packets with chosen fields, receive buffers,
 * notifications, pauses, resets, snapshots, clients and servers on the host. Invariants
 * are checked after every step. It is deterministic, because no deadline ever passes
 * (fake_timer.c).
 */
#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/confine.h"
#include "tests/fuzz/driver.h"
#include "virtio/vsock/vsock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
	STARTS_MAX = 6,
	PIECE = 512 << 10, /* of guest memory, at 0 */
	RING_BYTES = 0x1000, /* each: descriptors, available and used ring in a page */
	QUEUES = 3,
	HEADERS = 0x8000, /* of packets, 64 bytes each */
	PAYLOAD = 0x10000, /* read by packets, written by nobody */
	BUFFERS = 0x40000, /* of the receive queue */
	CLIENTS = 8,
};

static const struct driver_layout layout = {
	.piece = PIECE, .stride = RING_BYTES, .avail = 0x400, .used = 0x800
};
static char path[64];
static int client[CLIENTS], server;
static unsigned n_starts;
static uint8_t buf[64 << 10]; /* of the host: received into, sent from */
static bool rings_are_garbage, gave_buffers;

static void attach(uint8_t how)
{
	struct vdev *v;
	int r = vsock_create(3, path, loop, &v, NULL);

	(void)how; /* all are the same */
	assert(r == 0);
	r = mmio_create(v, mem, loop, &t, NULL);
	assert(r == 0);
	(void)r;
}

static void detach(void)
{
	mmio_destroy(t);
	t = NULL;
}

static void bring_up(struct input *in)
{
	static const uint8_t zero[QUEUES * RING_BYTES];
	uint32_t features = take_u8(in);

	if (n_starts++ >= STARTS_MAX)
		return;
	negotiate((features & 3) << 28);
	poke(0, zero, sizeof(zero));
	for (unsigned q = 0; q < QUEUES; q++) /* a driver may leave queues out */
		set_queue(q, !(features >> (2 + q) & 1));
	set_driver_ok();
	rings_are_garbage = false;
}

/* A descriptor of the ring, which the next one of the ring may follow. */
static void set_ring_desc(
	unsigned q, unsigned i, gpa_t addr, uint32_t len, uint16_t flags)
{
	set_desc(q, i % RING_SIZE, addr, len, flags, (uint16_t)((i + 1) % RING_SIZE));
}

/* A port that some connection is likely to have. */
static uint32_t take_port(struct input *in)
{
	uint8_t b = take_u8(in);

	if (b >= 0xf0)
		return take_u32(in);
	return b & 0x80 ? ((uint32_t)1 << 30) + b % 16 : b % 8;
}

/* A valid packet, in which the input may change fields. */
static void packet(struct input *in)
{
	unsigned first = 2u * (avail_idx[1] % (RING_SIZE / 2));
	gpa_t at = HEADERS + first * 64;
	uint8_t odd = take_u8(in), size;
	struct virtio_vsock_hdr h = { .src_cid = 3, .dst_cid = 2, .type = 1 };

	h.op = take_u8(in) % 10;
	h.src_port = take_port(in);
	h.dst_port = take_port(in);
	h.flags = take_u8(in);
	h.buf_alloc = (uint32_t)take_u8(in) << 8;
	h.fwd_cnt = take_u8(in);
	size = take_u8(in);
	h.len = size < 0xf8 ? size * 257u : take_u32(in);
	if (odd & 1)
		h.fwd_cnt = take_u32(in);
	if (odd & 2)
		h.buf_alloc = take_u32(in);
	if (odd & 4)
		h.type = take_u8(in);
	if (odd & 8)
		h.src_cid = take_u8(in);
	if (odd & 16)
		h.dst_cid = take_u8(in);
	poke(at, &h, sizeof(h));
	set_ring_desc(
		1, first, at, odd & 32 ? take_u8(in) : sizeof(h), VRING_DESC_F_NEXT);
	set_ring_desc(
		1, first + 1, PAYLOAD, odd & 64 ? take_u32(in) % 0x20000 : 0x10000, 0);
	offer(1, (uint16_t)(first % RING_SIZE));
	if (!(odd & 128))
		notify(1);
}

static void give_buffers(struct input *in)
{
	unsigned n = take_u8(in) % RING_SIZE;
	uint32_t len = 44u + take_u8(in) * 64u;

	gave_buffers = true;
	for (unsigned i = 0; i < n; i++) {
		unsigned d = avail_idx[0] % RING_SIZE;

		set_ring_desc(0, d, BUFFERS + d * 0x4100u, len, VRING_DESC_F_WRITE);
		offer(0, (uint16_t)d);
	}
	notify(0);
}

static void give_event(struct input *in)
{
	unsigned d = avail_idx[2] % RING_SIZE;

	gave_buffers = true;
	set_ring_desc(2, d, BUFFERS, take_u8(in) % 16, VRING_DESC_F_WRITE);
	offer(2, (uint16_t)d);
	notify(2);
}

static struct sockaddr_un address(const char *suffix)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.50s%.12s", path, suffix);
	return at;
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A step of a program on the host with one of its sockets. */
static void host_step(struct input *in)
{
	uint8_t b = take_u8(in);
	int *fd = &client[b % CLIENTS];
	struct sockaddr_un at = address("");
	char line[32];

	switch (b / CLIENTS % 8) {
	case 0: /* a new client with its line */
		hang_up(fd);
		*fd = new_socket();
		(void)!connect(*fd, (struct sockaddr *)&at, sizeof(at));
		(void)snprintf(line, sizeof(line), "CONNECT %u\n", take_port(in));
		(void)!send(*fd, line, strlen(line), MSG_NOSIGNAL);
		break;
	case 1: /* a new client with something else */
		hang_up(fd);
		*fd = new_socket();
		(void)!connect(*fd, (struct sockaddr *)&at, sizeof(at));
		take(in, line, 16);
		(void)!send(*fd, line, 16, MSG_NOSIGNAL);
		break;
	case 2: /* the guest's connection */
		hang_up(fd);
		*fd = server < 0 ? -1 : accept4(server, NULL, NULL, SOCK_NONBLOCK);
		break;
	case 3:
		(void)!recv(*fd, buf, take_u8(in) * 256u, 0);
		break;
	case 4:
	case 5:
		(void)!send(*fd, buf, take_u8(in) * 256u + 1, MSG_NOSIGNAL);
		break;
	case 6:
		(void)!shutdown(*fd, take_u8(in) % 3);
		break;
	default:
		hang_up(fd);
		break;
	}
	poll_loop();
}

static void serve_or_not(void)
{
	struct sockaddr_un at = address("_5");

	if (server >= 0) {
		hang_up(&server);
		(void)unlink(at.sun_path);
		return;
	}
	server = new_socket();
	(void)!bind(server, (struct sockaddr *)&at, sizeof(at));
	(void)!listen(server, 4);
}

static void snapshot(struct input *in)
{
	uint8_t how = take_u8(in), at = take_u8(in), xor = take_u8(in);

	mmio_pause(t);
	if (how & 1)
		poll_loop();
	if (how & 2)
		vsock_reset_transport(mmio_vdev(t));
	if ((how & 4) && may_snapshot())
		reload(at, xor, attach, 0);
	mmio_resume(t);
}

static void garbage(struct input *in)
{
	uint8_t bytes[8];
	gpa_t at = take_u32(in) % (QUEUES * RING_BYTES);

	take(in, bytes, sizeof(bytes));
	poke(at, bytes, sizeof(bytes));
	rings_are_garbage = true;
}

static void step(struct input *in)
{
	switch (take_u8(in) % 16) {
	case 0:
		bring_up(in);
		break;
	case 1:
	case 2:
		give_buffers(in);
		break;
	case 3:
		give_event(in);
		break;
	case 4:
		snapshot(in);
		break;
	case 5:
		garbage(in);
		break;
	case 6:
		serve_or_not();
		break;
	case 7:
		set_reg(VIRTIO_MMIO_STATUS, take_u8(in));
		break;
	case 8:
		notify(take_u8(in) % 4);
		break;
	case 9:
	case 10:
	case 11:
		host_step(in);
		break;
	default:
		packet(in);
		break;
	}
}

/* Checks that every chain that was taken came back, that the counts of connections add
 * up, and that a driver that keeps the rings' rules sees no fault but for a buffer or a
 * header that is too small. */
static void check(void)
{
	const struct vsock_stats *s = vsock_stats(mmio_vdev(t));

	assert(s->conns_removed <= s->conns_added);
	assert(s->conns_killed <= s->conns_added);
	assert(s->conns_added - s->conns_removed <= 1023);
	if (loaded_garbage || rings_are_garbage || has_faulted())
		return;
	for (unsigned q = 0; q < QUEUES; q++)
		assert(mmio_vdev(t)->queue[q].last_avail ==
			mmio_vdev(t)->queue[q].next_used);
}

/* Checks that after a reset no connection is left, and that the loop has nothing to do.
 */
static void check_end(void)
{
	const struct vsock_stats *s = vsock_stats(mmio_vdev(t));

	set_reg(VIRTIO_MMIO_STATUS, 0);
	for (unsigned i = 0; i < 8; i++)
		poll_loop();
	assert(s->conns_removed == s->conns_added);
	(void)s;
}

/* Memory as it was when it was new; buffers only if they may have been used. */
static void clear_used_memory(void)
{
	static const uint8_t zero[PIECE - BUFFERS];

	poke(0, zero, PAYLOAD);
	if (gave_buffers)
		poke(BUFFERS, zero, sizeof(zero));
	gave_buffers = false;
	memset(buf, 0, sizeof(buf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };

	driver_begin(&layout);
	clear_used_memory();
	if (path[0] == '\0')
		(void)snprintf(path, sizeof(path), "%s/husk-fuzz-%d", confine_tmp(),
			(int)getpid());
	rings_are_garbage = false;
	n_starts = 0;
	for (unsigned i = 0; i < CLIENTS; i++)
		client[i] = -1;
	server = -1;
	attach(0);
	bring_up(&in);
	run_steps(&in, step, check);
	check_end();
	tell_memory();
	for (unsigned i = 0; i < CLIENTS; i++)
		hang_up(&client[i]);
	if (server >= 0)
		serve_or_not();
	detach();
	return 0;
}
