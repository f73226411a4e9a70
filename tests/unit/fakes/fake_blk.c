/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_blk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"

char fb_path[FAKE_PATH_MAX];
pthread_mutex_t fb_lock = PTHREAD_MUTEX_INITIALIZER;
struct fake_driver fb_drv;
struct loop *fb_loop;
struct mmio *fb_t;
struct disk *fb_disk;
struct disk_req *fb_held[QUEUE_SIZE_MAX];
unsigned fb_n_held, fb_n_submit_alls;
bool fb_is_quick = true;

static void held_submit(struct disk *d, struct disk_req *req)
{
	cr_assert(d == fb_disk && fb_n_held < QUEUE_SIZE_MAX);
	fb_held[fb_n_held++] = req;
}

static void held_submit_all(struct disk *d)
{
	(void)d;
	fb_n_submit_alls++;
}

void fb_complete(unsigned i, int result)
{
	struct disk_req *req = fb_held[i];

	memmove(&fb_held[i], &fb_held[i + 1],
		(--fb_n_held - i) * sizeof(struct disk_req *));
	req->done(req, result < 0 ? result : disk_run(fb_disk, req));
}

void fb_batch(void)
{
	fb_disk->batch(fb_disk->batch_self);
}

void fb_complete_all(void)
{
	while (fb_n_held > 0)
		fb_complete(fb_n_held - 1, 0);
	fb_batch();
}

static int held_drain(struct disk *d)
{
	cr_assert_eq(d, fb_disk);
	if (fb_n_held > 0 && !fb_is_quick)
		return FB_HELD_FD;
	if (fb_n_held > 0)
		fb_complete_all();
	return -1;
}

static void held_close(struct disk *d)
{
	cr_assert(d && fb_n_held == 0);
}

static struct disk *open_file(bool read_only)
{
	struct disk *d;

	cr_assert_eq(disk_open(fb_path, read_only, &d, NULL), 0);
	return d;
}

struct disk *fb_open_held(void)
{
	static const struct disk_engine engine = { held_submit, held_submit_all,
		held_drain, held_close };
	struct disk *d = open_file(false);

	d->engine = &engine;
	return d;
}

static struct vdev *attach(struct disk *d, bool flush, struct limiter_cfg limits)
{
	struct vdev *v;

	mmio_destroy(fb_t);
	fb_disk = d;
	cr_assert_eq(blk_create("disk0", d, flush, fb_loop, &limits, &v, NULL), 0);
	cr_assert_eq(mmio_create(v, fb_drv.mem, fb_loop, &fb_t, NULL), 0);
	return v;
}

struct vdev *fb_attach_file(bool read_only, bool flush)
{
	return attach(
		open_file(read_only), flush, (struct limiter_cfg){ .ops.size = 0 });
}

void fb_attach(struct disk *d, struct limiter_cfg limits)
{
	(void)attach(d, true, limits);
	fake_reboot(&fb_drv);
	fake_bring_up(fb_t, &fb_drv, FB_BASIC | FB_WRITABLE | FB_FLUSH);
}

void fb_attach_limited(uint64_t bytes, uint64_t ops, uint64_t ms)
{
	fb_attach(open_file(false),
		(struct limiter_cfg){ { bytes, 0, ms }, { ops, 0, ms } });
}

void fb_attach_real(void)
{
	struct disk *d = open_file(false);
	int r = disk_go_async(d, fb_loop, NULL);

	if (r == -ENOSYS || r == -EPERM)
		cr_skip_test("no io_uring here");
	cr_assert_eq(r, 0);
	fb_attach(d, (struct limiter_cfg){ .ops.size = 0 });
}

void fb_init_bare(uint16_t ring_size)
{
	log_set_level(LOG_OFF);
	close_fd(fake_disk_file(fb_path));
	fake_init(&fb_drv, ring_size);
	cr_assert_eq(loop_create(&fb_lock, &fb_loop, NULL), 0);
}

static void fill_file(void)
{
	int fd = open(fb_path, O_WRONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	for (uint64_t i = 0; i < FB_SECTORS; i++) {
		uint64_t sector[DISK_SECTOR / sizeof(i)] = { i };

		cr_assert_eq(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	close(fd);
}

void fb_init(void)
{
	fb_init_bare(256);
	fill_file();
	fb_attach(fb_open_held(), (struct limiter_cfg){ .ops.size = 0 });
}

void fb_fini(void)
{
	fb_is_quick = true;
	mmio_destroy(fb_t);
	loop_destroy(fb_loop);
	fake_fini(&fb_drv);
	(void)unlink(fb_path);
}

static struct posted post_spans(
	uint32_t type, uint64_t sector, gpa_t data, uint32_t len, unsigned n)
{
	static struct fake_span spans[CHAIN_SPANS_MAX];
	struct virtio_blk_outhdr h = { .type = htole32(type),
		.sector = htole64(sector) };
	struct posted p = { .data = data,
		.status = fake_alloc(&fb_drv, 1, FB_STATUS_UNSET) };
	gpa_t at = fake_alloc(&fb_drv, sizeof(h), 0);
	unsigned n_spans = 0;

	cr_assert_lt(n, CHAIN_SPANS_MAX - 1);
	memcpy(fake_at(&fb_drv, at, sizeof(h)), &h, sizeof(h));
	spans[n_spans++] = (struct fake_span){ at, sizeof(h), false };
	while (n-- > 0)
		spans[n_spans++] = (struct fake_span){ data, len,
			type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID };
	spans[n_spans++] = (struct fake_span){ p.status, 1, true };
	p.head = fake_post_indirect(&fb_drv, spans, n_spans, NULL);
	return p;
}

struct posted fb_post(uint32_t type, uint64_t sector, uint32_t len, uint8_t fill)
{
	return post_spans(
		type, sector, fake_alloc(&fb_drv, len + 1, fill), len, len > 0);
}

struct posted fb_post_many(uint32_t type, uint64_t sector, uint32_t len, unsigned n)
{
	cr_assert_leq(len, FAKE_LOW_END / 2);
	return post_spans(type, sector, FAKE_LOW_END / 2, len, n);
}

struct posted fb_post_ranges(
	uint32_t type, const uint64_t *at, unsigned n, uint32_t sectors)
{
	struct virtio_blk_discard_write_zeroes r[16] = { 0 };
	uint32_t bytes = n * (uint32_t)sizeof(*r);
	struct posted p = fb_post(type, 0, bytes, 0);

	for (unsigned i = 0; i < n; i++)
		r[i] = (struct virtio_blk_discard_write_zeroes){ htole64(at[i]),
			htole32(sectors), 0 };
	memcpy(fake_at(&fb_drv, p.data, bytes), r, bytes);
	return p;
}

uint8_t fb_status(const struct posted *p)
{
	return *(uint8_t *)fake_at(&fb_drv, p->status, 1);
}

uint64_t fb_first(const struct posted *p)
{
	return *(uint64_t *)fake_at(&fb_drv, p->data, sizeof(uint64_t));
}

void fb_poll(int ms)
{
	cr_assert_eq(loop_poll(fb_loop, ms), 0);
}

bool fb_has_notify(void)
{
	struct pollfd p = { .fd = mmio_notify_fd(fb_t, 0), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

void fb_notify_once(void)
{
	fake_set_reg(fb_t, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	fb_poll(0);
}

void fb_notify(void)
{
	fb_notify_once();
	while (fb_has_notify())
		fb_poll(0);
}

void fb_wait_used(uint16_t n)
{
	for (unsigned i = 0; i < 5000 && fake_used_idx(&fb_drv) != n; i++)
		fb_poll(10);
	cr_assert_eq(fake_used_idx(&fb_drv), n);
}

const struct blk_stats *fb_stats(void)
{
	return blk_stats(mmio_vdev(fb_t));
}
