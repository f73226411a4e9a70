/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_async: a block device with many requests in flight, over an engine that keeps
 * them until the test completes them, and over the kernel's own; and its limits.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_driver.h"
#include "virtio/devices.h"
#include "virtio/disk_parts.h"

enum { SECTORS = 256, STATUS_UNSET = 0xee, LONG_MS = 86400000 };

#define FEATURE(f) ((uint64_t)1 << (f))
#define FEATURES                                                              \
	(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | \
		FEATURE(VIRTIO_BLK_F_FLUSH) | FEATURE(VIRTIO_BLK_F_DISCARD) | \
		FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))

static char path[] = "/tmp/husk-blk-XX"
		     "XX"
		     "XX";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_driver drv;
static struct loop *loop;
static struct mmio *t;
static struct disk *disk;

/* An engine that keeps requests, in order of submission. */
static struct disk_req *held[QUEUE_SIZE_MAX];
static unsigned n_held, n_kicks;

static void held_submit(struct disk *d, struct disk_req *req)
{
	cr_assert(d == disk && n_held < QUEUE_SIZE_MAX);
	held[n_held++] = req;
}

static void held_kick(struct disk *d)
{
	(void)d;
	n_kicks++;
}

static void complete(unsigned i, int result)
{
	struct disk_req *req = held[i];

	memmove(&held[i], &held[i + 1], (--n_held - i) * sizeof(held[0]));
	req->done(req, result < 0 ? result : disk_run(disk, req));
}

static void batch(void)
{
	disk->batch(disk->batch_self);
}

static void held_drain(struct disk *d)
{
	cr_assert_eq(d, disk);
	if (n_held == 0)
		return;
	while (n_held > 0)
		complete(n_held - 1, 0);
	batch();
}

static void held_close(struct disk *d)
{
	cr_assert(d && n_held == 0);
}

static struct disk *open_held(void)
{
	static const struct disk_engine engine = { held_submit, held_kick, held_drain,
		held_close };
	struct disk *d;

	cr_assert_eq(disk_open(path, false, &d, NULL), 0);
	d->engine = &engine;
	return d;
}

static void attach(struct disk *d, struct limiter_cfg limits)
{
	struct vdev *v;

	mmio_destroy(t);
	disk = d;
	cr_assert_eq(blk_create("disk0", d, true, loop, &limits, &v, NULL), 0);
	cr_assert_eq(mmio_create(v, drv.mem, loop, &t, NULL), 0);
	fake_reboot(&drv);
	fake_bring_up(t, &drv, FEATURES);
}

static void attach_real(void)
{
	struct disk *d;
	int r;

	cr_assert_eq(disk_open(path, false, &d, NULL), 0);
	r = disk_go_async(d, loop, NULL);
	if (r == -ENOSYS || r == -EPERM)
		cr_skip_test("no io_uring here");
	cr_assert_eq(r, 0);
	attach(d, (struct limiter_cfg){ .ops.size = 0 });
}

static void set_up(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	for (uint64_t i = 0; i < SECTORS; i++) {
		uint64_t sector[64] = { i };

		cr_assert_eq(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	close(fd);
	fake_init(&drv, 256);
	cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
	attach(open_held(), (struct limiter_cfg){ .ops.size = 0 });
}

static void tear_down(void)
{
	mmio_destroy(t);
	loop_destroy(loop);
	fake_fini(&drv);
	(void)unlink(path);
}

TestSuite(blk_async, .init = set_up, .fini = tear_down, .timeout = 60);

struct posted {
	gpa_t data, status;
	uint16_t head;
};

/* Posts a request of len bytes of data; indirectly, so that 256 fit the ring. */
static struct posted post(uint32_t type, uint64_t sector, uint32_t len, uint8_t fill)
{
	struct virtio_blk_outhdr h = { .type = htole32(type),
		.sector = htole64(sector) };
	struct posted p = { .data = fake_alloc(&drv, len + 1, fill),
		.status = fake_alloc(&drv, 1, STATUS_UNSET) };
	gpa_t at = fake_alloc(&drv, sizeof(h), 0);
	struct fake_span spans[3] = { { at, sizeof(h), false },
		{ p.data, len, type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID },
		{ p.status, 1, true } };

	memcpy(fake_at(&drv, at, sizeof(h)), &h, sizeof(h));
	if (len == 0)
		spans[1] = spans[2];
	p.head = fake_post_indirect(&drv, spans, len == 0 ? 2 : 3, NULL);
	return p;
}

static void poll_once(int ms)
{
	cr_assert_eq(loop_poll(loop, ms), 0);
}

static void kick(void)
{
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	poll_once(0);
}

static uint8_t status(const struct posted *p)
{
	return *(uint8_t *)fake_at(&drv, p->status, 1);
}

static uint64_t first(const struct posted *p)
{
	return *(uint64_t *)fake_at(&drv, p->data, sizeof(uint64_t));
}

static const struct blk_stats *stats(void)
{
	return blk_stats(mmio_vdev(t));
}

Test(blk_async, has_many_requests_in_flight_and_starts_them_together)
{
	struct posted p[32];

	for (unsigned i = 0; i < 32; i++)
		p[i] = post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	kick();
	cr_assert_eq(n_held, 32);
	cr_assert_eq(n_kicks, 1);
	cr_assert_eq(fake_used_idx(&drv), 0);
	cr_assert_eq(fake_irqs(t), 0);
	while (n_held > 0)
		complete(0, 0);
	batch();
	cr_assert_eq(fake_irqs(t), 1);
	for (unsigned i = 0; i < 32; i++) {
		cr_assert_eq(status(&p[i]), 0);
		cr_assert_eq(first(&p[i]), i);
	}
	cr_assert_eq(stats()->read_count, 32);
}

Test(blk_async, answers_in_the_order_of_completion)
{
	static const unsigned order[] = { 2, 0, 1, 0 }; /* requests 2, 0, 3, 1 */
	static const unsigned answers[] = { 2, 0, 3, 1 };
	struct posted p[4];
	uint32_t id, len;

	for (unsigned i = 0; i < 4; i++)
		p[i] = post(VIRTIO_BLK_T_IN, 10 + i, 512, 0xff);
	kick();
	for (unsigned i = 0; i < 4; i++) {
		complete(order[i], 0);
		batch();
		cr_assert(fake_take_used(&drv, &id, &len));
		cr_assert_eq(id, p[answers[i]].head);
		cr_assert_eq(len, 513);
		cr_assert_eq(first(&p[answers[i]]), 10 + answers[i]);
	}
	cr_assert_eq(fake_irqs(t), 4);
}

Test(blk_async, fails_only_the_requests_that_the_disk_fails)
{
	struct posted a = post(VIRTIO_BLK_T_OUT, 1, 512, 1),
		      b = post(VIRTIO_BLK_T_OUT, 2, 512, 2),
		      c = post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);

	kick();
	complete(0, -ENOSPC);
	complete(1, -EIO);
	complete(0, 0);
	batch();
	cr_assert_eq(status(&a), VIRTIO_BLK_S_IOERR);
	cr_assert_eq(status(&b), VIRTIO_BLK_S_OK);
	cr_assert_eq(status(&c), VIRTIO_BLK_S_IOERR);
	cr_assert_eq(stats()->execute_fails, 2);
}

/* guest: the same descriptors again and again, so more requests than it has. */
Test(blk_async, bounds_what_is_in_flight)
{
	struct posted p = post(VIRTIO_BLK_T_IN, 3, 512, 0xff);

	kick();
	for (unsigned i = 0; i < 299; i++) {
		fake_offer(&drv, p.head);
		if (i % 50 == 0)
			kick();
	}
	for (unsigned i = 0; i < 5; i++)
		kick();
	cr_assert_eq(n_held, QUEUE_SIZE_MAX);
	cr_assert_gt(stats()->io_engine_throttled_events, 0);
	cr_assert_gt(stats()->remaining_reqs_count, 0);
	complete(7, 0);
	batch();
	cr_assert_eq(n_held, QUEUE_SIZE_MAX - 1);
	poll_once(0); /* no kick is needed */
	cr_assert_eq(n_held, QUEUE_SIZE_MAX);
	for (unsigned i = 0; i < 10; i++) {
		while (n_held > 0)
			complete(0, 0);
		batch();
		poll_once(0);
	}
	cr_assert_eq(fake_used_idx(&drv), 300);
	cr_assert_eq(stats()->read_count, 300);
}

Test(blk_async, has_nothing_in_flight_when_paused_and_goes_on_when_resumed)
{
	struct posted a = post(VIRTIO_BLK_T_IN, 5, 512, 0xff), b;

	kick();
	mmio_pause(t);
	cr_assert_eq(n_held, 0);
	cr_assert_eq(status(&a), 0);
	b = post(VIRTIO_BLK_T_IN, 6, 512, 0xff);
	kick();
	cr_assert_eq(n_held, 0);
	mmio_resume(t);
	poll_once(0);
	cr_assert_eq(n_held, 1);
	complete(0, 0);
	batch();
	cr_assert_eq(status(&b), 0);
}

Test(blk_async, does_not_write_to_guest_memory_after_a_reset)
{
	struct posted p[8];
	uint8_t *memory = fake_at(&drv, 0, FAKE_LOW_END), *before;

	for (unsigned i = 0; i < 8; i++)
		p[i] = post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	kick();
	cr_assert_eq(n_held, 8);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(n_held, 0);
	before = malloc(FAKE_LOW_END);
	memcpy(before, memory, FAKE_LOW_END);
	for (unsigned i = 0; i < 5; i++)
		poll_once(5);
	cr_assert_arr_eq(memory, before, FAKE_LOW_END);
	free(before);
	fake_reboot(&drv);
	fake_bring_up(t, &drv, FEATURES);
	p[0] = post(VIRTIO_BLK_T_IN, 9, 512, 0xff);
	kick();
	complete(0, 0);
	cr_assert_eq(first(&p[0]), 9);
}

Test(blk_async, discards_range_by_range)
{
	struct virtio_blk_discard_write_zeroes r[2] = {
		{ htole64(8), htole32(8), 0 },
		{ htole64(UINT64_MAX), htole32(8), 0 }, /* not in the disk */
	};
	struct posted p = post(VIRTIO_BLK_T_DISCARD, 0, sizeof(r), 0);

	memcpy(fake_at(&drv, p.data, sizeof(r)), r, sizeof(r));
	kick();
	cr_assert_eq(n_held, 1);
	cr_assert_eq(held[0]->at, 4096);
	complete(0, 0);
	batch();
	cr_assert_eq(n_held, 0);
	cr_assert_eq(status(&p), VIRTIO_BLK_S_IOERR);
	cr_assert_eq(stats()->invalid_reqs_count, 1);
}

Test(blk_async, answers_what_is_in_flight_after_a_fault_and_serves_no_more)
{
	struct posted p = post(VIRTIO_BLK_T_IN, 5, 512, 0xff);

	fake_offer(&drv, 256); /* past the ring */
	kick();
	cr_assert(fake_reg(t, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	cr_assert_eq(stats()->event_fails, 1);
	cr_assert_eq(n_held, 1);
	complete(0, 0);
	batch();
	poll_once(0);
	cr_assert_eq(status(&p), 0);
	cr_assert_eq(fake_used_idx(&drv), 1);
}

static void wait_used(uint16_t n)
{
	for (unsigned i = 0; i < 5000 && fake_used_idx(&drv) != n; i++)
		poll_once(10);
	cr_assert_eq(fake_used_idx(&drv), n);
}

/* Each round writes 32 sectors and reads 32 that the round before wrote. */
Test(blk_async, moves_the_right_bytes_at_depth_64)
{
	struct posted w[32], r[32];

	attach_real();
	for (unsigned round = 0; round < 100; round++) {
		unsigned to = round % 2 * 32, from = 32 - to;

		for (unsigned i = 0; i < 32; i++) {
			w[i] = post(
				VIRTIO_BLK_T_OUT, to + i, 512, (uint8_t)(round + i));
			r[i] = post(VIRTIO_BLK_T_IN, from + i, 512, 0xee);
		}
		kick();
		wait_used((uint16_t)((round + 1) * 64));
		for (unsigned i = 0; i < 32; i++) {
			uint8_t byte = (uint8_t)(round + i - 1);

			cr_assert_eq(status(&w[i]), 0);
			cr_assert_eq(status(&r[i]), 0);
			if (round > 0)
				cr_assert_eq(first(&r[i]), byte * 0x0101010101010101u);
		}
		drv.heap = FAKE_HEAP;
	}
	cr_assert_eq(stats()->write_bytes, 100 * 32 * 512);
	cr_assert_gt(stats()->read_agg.low, 0);
}

Test(blk_async, is_reset_under_load)
{
	attach_real();
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 64; i++)
			(void)post(i % 4 == 0 ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT,
				i, i % 4 == 0 ? 0 : 512, (uint8_t)round);
		kick();
		fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
		fake_reboot(&drv);
		poll_once(0);
		cr_assert_eq(fake_used_idx(&drv), 0);
		fake_bring_up(t, &drv, FEATURES);
	}
}

static unsigned on_disk(uint64_t sector)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t byte;

	cr_assert_eq(pread(fd, &byte, 1, (off_t)sector * DISK_SECTOR), 1);
	close(fd);
	return byte;
}

Test(blk_async, changes_its_disk_under_load)
{
	static struct posted p[200];
	struct disk *next;

	attach_real();
	for (unsigned i = 0; i < 200; i++)
		p[i] = post(VIRTIO_BLK_T_OUT, i, 512, 0x77);
	kick();
	cr_assert_eq(disk_open(path, false, &next, NULL), 0);
	cr_assert_eq(disk_go_async(next, loop, NULL), 0);
	cr_assert_eq(blk_set_disk(mmio_vdev(t), next), 0);
	for (unsigned i = 0; i < 100; i++)
		poll_once(0);
	wait_used(200);
	for (unsigned i = 0; i < 200; i++) {
		cr_assert_eq(status(&p[i]), 0);
		cr_assert_eq(on_disk(i), 0x77);
	}
}

Test(blk_async, tells_the_driver_of_another_disk)
{
	struct posted p = post(VIRTIO_BLK_T_IN, 1, 512, 0xff);
	uint64_t capacity = 0;
	struct disk *next;

	kick();
	cr_assert_eq(n_held, 1);
	cr_assert_eq(truncate(path, 1000 * 512), 0);
	next = open_held();
	cr_assert_eq(blk_set_disk(mmio_vdev(t), next), 0);
	disk = next;
	cr_assert_eq(n_held, 0); /* the old one was drained */
	cr_assert_eq(status(&p), 0);
	for (unsigned i = 0; i < 8; i++)
		mmio_bus_ops()->read(
			t, VIRTIO_MMIO_CONFIG + i, (uint8_t *)&capacity + i, 1);
	cr_assert_eq(capacity, 1000);
	cr_assert(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	p = post(VIRTIO_BLK_T_IN, 999, 512, 0xff);
	kick();
	complete(0, 0);
	cr_assert_eq(status(&p), 0);
}

Test(blk_async, refuses_a_disk_of_the_other_kind)
{
	struct disk *next;

	cr_assert_eq(disk_open(path, true, &next, NULL), 0);
	cr_assert_eq(blk_set_disk(mmio_vdev(t), next), -EINVAL);
	(void)post(VIRTIO_BLK_T_OUT, 1, 512, 0xff);
	kick();
	cr_assert_eq(n_held, 1);
}

static void attach_limited(uint64_t bytes, uint64_t ops, uint64_t ms)
{
	struct disk *d;

	cr_assert_eq(disk_open(path, false, &d, NULL), 0);
	attach(d, (struct limiter_cfg){ { bytes, 0, ms }, { ops, 0, ms } });
}

Test(blk_async, serves_as_many_operations_as_it_may)
{
	attach_limited(0, 3, LONG_MS);
	for (unsigned i = 0; i < 2; i++)
		(void)post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		(void)post(VIRTIO_BLK_T_IN, 0, 512, 0);
	kick();
	cr_assert_eq(fake_used_idx(&drv), 3);
	cr_assert_eq(fake_irqs(t), 1);
	cr_assert_eq(stats()->rate_limiter_throttled_events, 1);
	cr_assert_eq(stats()->remaining_reqs_count, 2);
	for (unsigned i = 0; i < 10; i++)
		kick(); /* changes nothing */
	cr_assert_eq(fake_used_idx(&drv), 3);
	cr_assert_eq(stats()->rate_limiter_event_count, 0);
}

Test(blk_async, counts_the_bytes_of_reads_and_writes_only)
{
	attach_limited(1024, 0, LONG_MS);
	for (unsigned i = 0; i < 20; i++) {
		(void)post(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
		(void)post(VIRTIO_BLK_T_GET_ID, 0, 20, 0);
	}
	(void)post(VIRTIO_BLK_T_IN, 5000, 4096, 0); /* past the disk: moves nothing */
	(void)post(VIRTIO_BLK_T_IN, 0, 512, 0);
	(void)post(VIRTIO_BLK_T_OUT, 0, 512, 0);
	(void)post(VIRTIO_BLK_T_IN, 0, 512, 0);
	for (unsigned i = 0; i < 10; i++)
		kick();
	cr_assert_eq(fake_used_idx(&drv), 43);
}

/* 40 operations at 10 in 20 ms, the first 10 at once. */
Test(blk_async, goes_on_by_itself_when_the_limiter_allows)
{
	uint64_t start = clock_us(), took;

	attach_limited(0, 10, 20);
	for (unsigned i = 0; i < 40; i++)
		(void)post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	kick();
	wait_used(40);
	took = clock_us() - start;
	cr_assert_geq(took, 60000);
	cr_assert_lt(took, 1000000);
	cr_assert_gt(stats()->rate_limiter_event_count, 0);
}

Test(blk_async, is_limited_again_after_a_reset)
{
	attach_limited(0, 2, LONG_MS);
	for (unsigned i = 0; i < 3; i++)
		(void)post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	kick();
	cr_assert_eq(fake_used_idx(&drv), 2);
	fake_reboot(&drv);
	fake_bring_up(t, &drv, FEATURES);
	(void)post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	kick();
	cr_assert_eq(fake_used_idx(&drv), 0);
}

Test(blk_async, is_told_of_new_limits_while_it_waits)
{
	struct limiter_patch p = { .has_ops = true, .to.ops = { 5, 0, LONG_MS } };

	attach_limited(0, 2, LONG_MS);
	for (unsigned i = 0; i < 9; i++)
		(void)post(VIRTIO_BLK_T_IN, i, 512, 0xff);
	kick();
	cr_assert_eq(fake_used_idx(&drv), 2);
	blk_patch_limiter(mmio_vdev(t), &p);
	cr_assert_eq(blk_limiter(mmio_vdev(t)).ops.size, 5);
	wait_used(7);
	p.to.ops.size = 0;
	blk_patch_limiter(mmio_vdev(t), &p);
	wait_used(9);
}

Test(blk_async, keeps_its_limits_in_a_snapshot)
{
	struct snap s, l;

	attach_limited(0, 3, LONG_MS);
	(void)post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	(void)post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	kick();
	mmio_pause(t);
	snap_init_save(&s);
	cr_assert_eq(mmio_snap(t, &s), 0);
	cr_assert_eq(snap_finish(&s), 0);
	mmio_resume(t);
	mmio_pause(t);
	snap_init_load(&l, s.buf, s.len);
	cr_assert_eq(mmio_snap(t, &l), 0);
	snap_fini(&s);
	mmio_resume(t);
	(void)post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	(void)post(VIRTIO_BLK_T_IN, 0, 512, 0xff);
	kick();
	poll_once(0);
	cr_assert_eq(fake_used_idx(&drv), 3);
	cr_assert_eq(blk_limiter(mmio_vdev(t)).ops.size, 3);
}
