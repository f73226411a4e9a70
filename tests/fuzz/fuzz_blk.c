/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_blk: a hostile driver of transport, queue and block device. The input is a list
 * of steps: register accesses, bytes in guest memory, descriptors, whole requests,
 * notifications, and events on the host. Invariants are checked after every step. It is
 * deterministic, because each input starts with new memory, a new disk and a new
 * device. The first byte may choose a disk whose requests stay in flight until the
 * input completes them, in any order, and a limiter that only a patch refills.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/confine.h"
#include "tests/fuzz/driver.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/disk_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
	DISK_BYTES = 64 << 10,
	PIECE = 64 << 10, /* of guest memory: at 0, and at twice this, after a hole */
	REQUESTS = 0x4000, /* headers and status bytes of whole requests */
};

static const struct driver_layout layout = {
	.piece = PIECE, .has_two = true, .desc = 0x1000, .avail = 0x2000, .used = 0x3000
};
static int disk_fd;
static bool is_async, is_limited;
static struct disk *disk_now;
static struct disk_req *held; /* in flight, the newest first */
static unsigned n_held;

static void engine_submit(struct disk *d, struct disk_req *req)
{
	(void)d;
	req->next = held;
	held = req;
	n_held++;
}

static void engine_submit_all(struct disk *d)
{
	(void)d;
}

/* Completes number i of the requests in flight. */
static void complete(unsigned i, bool fail)
{
	struct disk_req **at = &held, *req;

	for (; i > 0; i--)
		at = &(*at)->next;
	req = *at;
	*at = req->next;
	n_held--;
	req->done(req, fail ? -EIO : disk_run(disk_now, req));
}

static int engine_drain(struct disk *d)
{
	bool any = held != NULL;

	while (held)
		complete(n_held - 1, false);
	if (any)
		d->batch(d->batch_self);
	return -1;
}

static void engine_close(struct disk *d)
{
	assert(d != disk_now || !held);
}

static struct disk *open_disk(bool read_only)
{
	static const struct disk_engine engine = { engine_submit, engine_submit_all,
		engine_drain, engine_close };
	char path[64];
	struct disk *disk;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", disk_fd);
	r = disk_open(path, read_only, &disk, NULL);
	assert(r == 0);
	(void)r;
	if (is_async)
		disk->engine = &engine;
	return disk;
}

/* how: 1 is read-only. */
static void attach(uint8_t how)
{
	/* refilled in an hour, so that no input depends on the time */
	static const struct limiter_cfg some = { { 16384, 4096, 3600000 },
		{ 8, 2, 3600000 } },
					none;
	struct vdev *v;
	int r;

	disk_now = open_disk(how == 1);
	r = blk_create(
		"fuzz", disk_now, true, loop, is_limited ? &some : &none, &v, NULL);
	assert(r == 0);
	r = mmio_create(v, mem, loop, &t, NULL);
	assert(r == 0);
	(void)r;
}

static void bring_up(struct input *in)
{
	uint32_t features = take_u32(in);

	negotiate(features & (uint32_t)(mmio_vdev(t)->features | 3u << 28));
	set_queue(0, true);
	set_driver_ok();
}

/* A request of the form that a driver uses, with numbers from the input. */
static void request(struct input *in)
{
	unsigned first = take_u8(in) % RING_SIZE;
	unsigned second = (first + 1) % RING_SIZE, third = (first + 2) % RING_SIZE;
	struct virtio_blk_outhdr h = { .type = take_u8(in) % 16u };
	gpa_t at = REQUESTS + first * 32u, data;
	uint16_t wr = h.type & 1 ? 0 : VRING_DESC_F_WRITE;

	h.sector = take_u16(in);
	h.sector <<= take_u8(in) % 64;
	poke(at, &h, sizeof(h));
	data = take_u32(in) % (3u * PIECE);
	set_desc(0, first, at, sizeof(h), VRING_DESC_F_NEXT, (uint16_t)second);
	set_desc(
		0, second, data, take_u16(in), wr | VRING_DESC_F_NEXT, (uint16_t)third);
	set_desc(0, third, at + 16, 1, VRING_DESC_F_WRITE, 0);
	offer(0, (uint16_t)first);
}

static void snapshot(struct input *in)
{
	uint16_t at = take_u16(in);
	uint8_t xor = take_u8(in), how = take_u8(in);

	if (!may_snapshot())
		return;
	mmio_pause(t);
	reload(at, xor, attach, how);
	mmio_resume(t);
}

static void access_odd(struct input *in)
{
	uint8_t data[8];
	size_t n = (size_t)1 << (take_u8(in) % 4);
	uint64_t at = take_u16(in) % (MMIO_BYTES - n + 1);

	take(in, data, sizeof(data));
	if (data[0] & 1)
		mmio_bus_ops()->write(t, at, data, n);
	else
		mmio_bus_ops()->read(t, at, data, n);
}

/* What only an asynchronous disk's inputs do. */
static void step_async(struct input *in, uint8_t what)
{
	struct limiter_patch p = { true, true, blk_limiter(mmio_vdev(t)) };
	struct disk *next;
	uint8_t which = take_u8(in);

	if (what < 240 && n_held > 0) {
		complete(which % n_held, which >= 200);
		if (what % 2 == 0)
			disk_now->batch(disk_now->batch_self);
	} else if (what < 250) {
		blk_patch_limiter(mmio_vdev(t), &p);
		poll_loop();
	} else {
		next = open_disk(which == 1);
		while (!blk_hold(mmio_vdev(t)))
			poll_loop();
		if (blk_set_disk(mmio_vdev(t), next) == 0)
			disk_now = next;
		blk_release(mmio_vdev(t));
	}
}

/* Checks that no write went past the end of the disk. */
static void check_file(void)
{
	struct stat st = { 0 };
	int r = fstat(disk_fd, &st);

	assert(r == 0 && st.st_size <= DISK_BYTES);
	(void)r;
}

static void step(struct input *in)
{
	uint8_t what = take_u8(in);

	if (is_async && what >= 220) {
		step_async(in, what);
		return;
	}
	switch (what % 11) {
	case 0:
		write_register(in);
		break;
	case 1:
		access_odd(in);
		break;
	case 2:
		poke_bytes(in, take_u16(in) % (3u * PIECE));
		break;
	case 3:
		poke_desc(in, 0);
		break;
	case 4:
		offer(0, take_u8(in));
		break;
	case 5:
		notify(0);
		break;
	case 6:
		bring_up(in);
		break;
	case 7:
		snapshot(in);
		break;
	case 8: /* the file changes behind husk's back */
		check_file();
		(void)!ftruncate(disk_fd, take_u16(in) % (DISK_BYTES + 1));
		break;
	default:
		request(in);
		break;
	}
}

/* Checks that every request that was taken has been answered or is in flight. */
static void check(void)
{
	const struct queue *q = &mmio_vdev(t)->queue[0];

	if (!loaded_garbage && !has_faulted())
		assert((uint16_t)(q->last_avail - q->next_used) == n_held);
}

/* A checksum of what the guest and the disk hold at the end. */
static void tell_result(void)
{
	static uint8_t bytes[DISK_BYTES];
	ssize_t n;

	tell_memory();
	if (!fuzz_on_end)
		return;
	n = pread(disk_fd, bytes, DISK_BYTES, 0);
	fuzz_on_end(bytes, n > 0 ? (size_t)n : 0);
}

static void make_disk(void)
{
	disk_fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (disk_fd < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };
	uint8_t how;

	driver_begin(&layout);
	clear_memory();
	if (disk_fd == 0)
		make_disk();
	(void)!ftruncate(disk_fd, 0);
	(void)!ftruncate(disk_fd, DISK_BYTES);
	how = take_u8(&in);
	is_async = how == 2 || how == 3;
	is_limited = how == 3;
	attach(how);
	run_steps(&in, step, check);
	check_file();
	tell_result();
	mmio_destroy(t);
	t = NULL;
	return 0;
}
