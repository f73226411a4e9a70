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

#include "tests/fuzz/driver.h"
#include "virtio/net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
	PIECE = 256 << 10, /* of guest memory: at 0, and at twice this, after a hole */
	HEADERS = 0x9000,
	FRAME_MAX = 12 + ETH_HLEN + (64 << 10),
};

static const struct driver_layout layout = { .piece = PIECE,
	.has_two = true,
	.stride = 0x4000,
	.desc = 0x1000,
	.avail = 0x2000,
	.used = 0x3000 };
static int wire = -1, tap_end = -1;
static bool is_worn; /* the device: by what a reset does not undo */
static uint8_t frame[FRAME_MAX + 1024];

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

static void bring_up(struct input *in)
{
	uint32_t features = take_u32(in);

	negotiate(features & (uint32_t)(mmio_vdev(t)->features | 3u << 28));
	set_queue(0, true);
	set_queue(1, true);
	set_driver_ok();
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
	uint16_t at = take_u16(in);
	uint8_t xor = take_u8(in), limits = take_u8(in);

	if (!may_snapshot())
		return;
	mmio_pause(t);
	reload(at, xor, attach, limits);
	is_worn = true;
	mmio_resume(t);
}

/* Paused, a device has nothing of the guest's. */
static void pause_resume(void)
{
	mmio_pause(t);
	for (unsigned i = 0; i < 2; i++) {
		const struct queue *q = &mmio_vdev(t)->queue[i];

		if (!loaded_garbage && !has_faulted())
			assert(q->last_avail == q->next_used);
	}
	poll_loop();
	mmio_resume(t);
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

	switch (what % 13) {
	case 0:
		write_register(in);
		break;
	case 1:
		poke_bytes(in, take_u32(in) % (3u * PIECE));
		break;
	case 2:
		poke_desc(in, take_u8(in) & 1);
		break;
	case 3:
		q = take_u8(in);
		offer(q & 1, q >> 1);
		break;
	case 4:
		notify(take_u8(in) & 1);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };

	(void)signal(SIGPIPE, SIG_IGN);
	driver_begin(&layout);
	clear_memory();
	attach_or_reuse(take_u8(&in) & 3);
	memset(frame, 0, sizeof(frame)); /* what it received last would be sent */
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
		step(&in);
	for (unsigned i = 0; i < 4; i++) {
		poll_loop();
		take_wire();
	}
	pause_resume();
	tell_memory();
	return 0;
}
