/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_net: a hostile driver of a network device, and hostile frames from the host. The
 * input is a list of steps: register accesses, bytes in guest memory, descriptors,
 * chains for both rings, notifications, frames from the TAP, pauses and snapshots.
 * Invariants are checked after every step. It is deterministic: each input starts with
 * empty memory, an empty TAP and a device that is new or reset; limiters are never
 * refilled, so time does not matter.
 */
#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/confine.h"
#include "tests/fuzz/input.h"
#include "virtio/mmio.h"
#include "virtio/net/net.h"
#include "vmm/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
	STEPS_MAX = 200,
	SNAPSHOTS_MAX =
		2, /* each makes a new device, which costs as much as 20 steps */
	PIECE = 256 << 10, /* of guest memory: at 0, and at twice this, after a hole */
	RING_SIZE = 16,
	RING_BYTES = 0x4000, /* of each queue's rings: the second follows the first */
	DESC = 0x1000,
	AVAIL = 0x2000,
	USED = 0x3000,
	HEADERS = 0x9000,
	FRAME_MAX = 12 + ETH_HLEN + (64 << 10),
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct guest_mem *mem;
static struct loop *loop;
static struct mmio *t;
static int wire, tap_end;
static uint16_t avail_idx[2];
static unsigned n_snapshots;
static bool is_worn; /* the device has changed in a way that a reset does not undo */
static bool loaded_garbage; /* a snapshot that was tampered with was loaded */
static uint8_t frame[FRAME_MAX + 1024];

static void poke(gpa_t at, const void *p, size_t n)
{
	int r = guest_write(mem, at, p, n);

	(void)r; /* outside guest memory a guest cannot write either */
}

static void set_reg(uint64_t at, uint32_t value)
{
	value = htole32(value);
	mmio_bus_ops()->write(t, at, &value, sizeof(value));
}

static void attach(uint8_t limits)
{
	static const uint8_t mac[NET_MAC_BYTES] = { 2, 0, 0, 0, 0, 1 };
	struct bucket_cfg few = { .size = 4, .refill_time = UINT32_MAX };
	struct net_opts opts = { .mac = mac, .mtu = 1500 };
	struct tap *tap;
	struct vdev *v;
	int pair[2];
	int r = socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);

	assert(r == 0);
	if (limits & 1)
		opts.rx.ops = few;
	if (limits & 2)
		opts.tx.ops = few;
	close_fd(wire);
	close_fd(tap_end);
	wire = pair[1];
	tap_end = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	is_worn = limits != 0;
	r = tap_from_fd(pair[0], &tap, NULL);
	assert(r == 0);
	r = net_create("fuzz", tap, &opts, loop, &v, NULL);
	assert(r == 0);
	r = mmio_create(v, mem, loop, &t, NULL);
	assert(r == 0);
	(void)r;
}

/* A device is made for the first input, and after each input that wore it. Other inputs
 * get the old one, reset and with nothing on the TAP; that its snapshot is the same as
 * that of a new device is checked each time. */
static void attach_or_reuse(uint8_t limits)
{
	static struct stream fresh;
	const uint8_t *end;
	struct stream now;
	int r;

	if (!t || is_worn || limits != 0) {
		mmio_destroy(t);
		attach(limits);
	}
	if (limits != 0)
		return;
	set_reg(VIRTIO_MMIO_STATUS, 0);
	set_reg(VIRTIO_MMIO_QUEUE_SEL, 0);
	set_reg(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	while (recv(tap_end, frame, sizeof(frame), 0) > 0)
		;
	mmio_pause(t);
	stream_init_save(&now);
	r = mmio_snap(t, &now);
	assert(r == 0);
	(void)r;
	mmio_resume(t);
	if (!fresh.buf) {
		fresh = now;
		return;
	}
	/* limiters come after this; they hold the time, and no limit is set */
	end = memmem(now.buf, now.len, "NET ", 4);
	assert(end && memcmp(now.buf, fresh.buf, (size_t)(end - now.buf)) == 0);
	(void)end;
	stream_fini(&now);
}

static void poll_loop(void)
{
	int r = loop_poll(loop, 0);

	assert(r == 0);
	(void)r;
}

static void set_queue(unsigned q)
{
	uint32_t at = q * RING_BYTES;
	uint16_t zero = 0;

	set_reg(VIRTIO_MMIO_QUEUE_SEL, q);
	set_reg(VIRTIO_MMIO_QUEUE_NUM, RING_SIZE);
	set_reg(VIRTIO_MMIO_QUEUE_DESC_LOW, at + DESC);
	set_reg(VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + AVAIL);
	set_reg(VIRTIO_MMIO_QUEUE_USED_LOW, at + USED);
	set_reg(VIRTIO_MMIO_QUEUE_READY, 1);
	avail_idx[q] = 0;
	poke(at + AVAIL + 2, &zero, sizeof(zero));
}

static void bring_up(struct input *in)
{
	uint32_t features = take_u32(in);

	set_reg(VIRTIO_MMIO_STATUS, 0);
	set_reg(VIRTIO_MMIO_STATUS, 1);
	set_reg(VIRTIO_MMIO_STATUS, 3);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES,
		features & (uint32_t)(mmio_vdev(t)->features | 3u << 28));
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	set_reg(VIRTIO_MMIO_STATUS, 11);
	set_queue(0);
	set_queue(1);
	set_reg(VIRTIO_MMIO_STATUS, 15);
}

static void offer(unsigned q, uint16_t head)
{
	gpa_t at = q * RING_BYTES + AVAIL;

	head = htole16(head);
	poke(at + 4u + 2u * (avail_idx[q] % RING_SIZE), &head, sizeof(head));
	avail_idx[q]++;
	poke(at + 2, &avail_idx[q], sizeof(avail_idx[q]));
}

static void set_desc(
	unsigned q, unsigned i, gpa_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { addr, len, flags, next };

	poke(q * RING_BYTES + DESC + i * sizeof(d), &d, sizeof(d));
}

/* A buffer for reception, of one or two spans. */
static void post_buffer(struct input *in)
{
	unsigned first = take_u8(in) % RING_SIZE, second = (first + 1) % RING_SIZE;
	gpa_t at = 0x10000u + take_u16(in);
	uint32_t len = take_u16(in);
	uint8_t part = take_u8(in);

	if (part == 0 || part >= len) {
		set_desc(0, first, at, len, VRING_DESC_F_WRITE, 0);
	} else {
		set_desc(0, first, at, part, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT,
			(uint16_t)second);
		set_desc(0, second, at + part, len - part, VRING_DESC_F_WRITE, 0);
	}
	offer(0, (uint16_t)first);
}

/* A frame of the form that a driver posts, with numbers from the input. */
static void post_frame(struct input *in)
{
	unsigned first = take_u8(in) % RING_SIZE, second = (first + 1) % RING_SIZE;
	gpa_t at = HEADERS + first * 16u;
	struct virtio_net_hdr_v1 h;
	uint32_t len;

	take(in, &h, 10);
	poke(at, &h, sizeof(h));
	len = take_u16(in);
	len += take_u8(in);
	set_desc(1, first, at, sizeof(h), VRING_DESC_F_NEXT, (uint16_t)second);
	set_desc(1, second, 0x10000u + take_u16(in), len, 0, 0);
	offer(1, (uint16_t)first);
}

static void send_wire(struct input *in)
{
	size_t len = take_u16(in);

	len += take_u16(in) % 1024;
	memset(frame, 0, 12);
	take(in, frame, 2); /* flags, segmentation */
	(void)!send(wire, frame, MIN(len, sizeof(frame)), 0);
}

static uint16_t le16_at(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* Checks that what reaches the TAP is a frame with a valid header. */
static void take_wire(void)
{
	ssize_t got;

	while ((got = recv(wire, frame, sizeof(frame), 0)) > 0) {
		size_t bytes = (size_t)got - 12;
		unsigned end = le16_at(frame + 6) + le16_at(frame + 8) + 2u;

		assert(got >= 12 + ETH_HLEN && got <= FRAME_MAX);
		assert((frame[0] & ~1) == 0);
		assert(frame[0] == 0 ? end == 2 : end <= bytes);
		assert(frame[1] == 0 || le16_at(frame + 2) <= bytes);
		assert(le16_at(frame + 10) == 0);
		(void)bytes;
		(void)end;
	}
}

static void snapshot(struct input *in)
{
	struct stream s, l;
	uint16_t at = take_u16(in);
	uint8_t xor = take_u8(in), limits = take_u8(in);
	int r;

	if (n_snapshots++ >= SNAPSHOTS_MAX)
		return;
	mmio_pause(t);
	stream_init_save(&s);
	r = mmio_snap(t, &s);
	assert(r == 0);
	mmio_destroy(t);
	attach(limits);
	is_worn = true;
	mmio_pause(t);
	/* no checksum, so that the input reaches the fields */
	l = (struct stream){ .loading = true, .buf = s.buf, .len = s.len };
	s.buf[at % s.len] ^= xor;
	loaded_garbage = loaded_garbage || xor != 0;
	r = mmio_snap(t, &l);
	assert(r == 0 || l.error == r);
	stream_fini(&s);
	mmio_resume(t);
}

static uint32_t status(void)
{
	uint32_t value = 0;

	mmio_bus_ops()->read(t, VIRTIO_MMIO_STATUS, &value, sizeof(value));
	return le32toh(value);
}

/* Checks that a paused device holds no chain of the guest. */
static void pause_resume(void)
{
	mmio_pause(t);
	for (unsigned i = 0; i < 2; i++) {
		const struct queue *q = &mmio_vdev(t)->queue[i];

		if (!loaded_garbage && !(status() & VIRTIO_CONFIG_S_NEEDS_RESET))
			assert(q->last_avail == q->next_used);
	}
	poll_loop();
	mmio_resume(t);
}

static void poke_bytes(struct input *in)
{
	uint8_t bytes[32];
	gpa_t at = take_u32(in) % (3u * PIECE);
	size_t n = 1u + take_u8(in) % sizeof(bytes);

	take(in, bytes, n);
	poke(at, bytes, n);
}

static void poke_desc(struct input *in)
{
	unsigned q = take_u8(in) & 1, i = take_u8(in);
	gpa_t addr = take_u32(in);
	uint32_t len;
	uint8_t flags;

	addr <<= take_u8(in) % 33;
	len = take_u32(in);
	flags = take_u8(in);
	set_desc(q, i, addr, len, flags, take_u8(in));
}

static void patch_limits(struct input *in)
{
	struct limiter_patch p = { .has_ops = true };
	uint8_t which = take_u8(in);

	is_worn = true;
	p.to.ops.size = take_u8(in);
	p.to.ops.refill_time = UINT32_MAX;
	net_patch_limiters(mmio_vdev(t), which & 1 ? &p : NULL, which & 2 ? &p : NULL);
}

static void step(struct input *in)
{
	uint8_t what = take_u8(in), q;
	uint64_t at;

	switch (what % 13) {
	case 0:
		at = take_u8(in) * 4u;
		set_reg(at, take_u32(in));
		break;
	case 1:
		poke_bytes(in);
		break;
	case 2:
		poke_desc(in);
		break;
	case 3:
		q = take_u8(in);
		offer(q & 1, q >> 1);
		break;
	case 4:
		set_reg(VIRTIO_MMIO_QUEUE_NOTIFY, take_u8(in) & 1);
		poll_loop();
		break;
	case 5:
		bring_up(in);
		break;
	case 6:
		snapshot(in);
		break;
	case 7:
		pause_resume();
		break;
	case 8:
		patch_limits(in);
		break;
	case 9:
		send_wire(in);
		poll_loop();
		break;
	case 10:
		post_frame(in);
		break;
	case 11:
		take_wire();
		break;
	default:
		post_buffer(in);
		break;
	}
}

static void tell_result(void)
{
	static uint8_t bytes[PIECE];

	for (gpa_t at = 0; fuzz_on_end && at <= 2 * PIECE; at += 2 * PIECE)
		if (guest_read(mem, at, bytes, PIECE) == 0)
			fuzz_on_end(bytes, PIECE);
}

static void set_up_once(void)
{
	static const struct guest_range ranges[] = { { 0, PIECE },
		{ 2 * PIECE, PIECE } };
	int r;

	if (mem)
		return;
	log_set_level(LOG_OFF);
	(void)signal(SIGPIPE, SIG_IGN);
	r = guest_mem_create(ranges, ARRAY_LEN(ranges), GUEST_PAGES_NONE, &mem, NULL);
	assert(r == 0);
	r = guest_track_dirty(mem);
	assert(r == 0);
	r = loop_create(&lock, &loop, NULL);
	assert(r == 0);
	wire = tap_end = -1;
	(void)r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t zero[PIECE];
	struct input in = { data, n };

	set_up_once();
	poke(0, zero, sizeof(zero));
	poke(2 * PIECE, zero, sizeof(zero));
	avail_idx[0] = avail_idx[1] = 0;
	loaded_garbage = false;
	n_snapshots = 0;
	attach_or_reuse(take_u8(&in) & 3);
	memset(frame, 0, sizeof(frame)); /* what it received last would be sent */
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
		step(&in);
	for (unsigned i = 0; i < 4; i++) {
		poll_loop();
		take_wire();
	}
	pause_resume();
	tell_result();
	return 0;
}
