/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_ranges: discards and write-zeroes of the length that the configuration announces
 * as the longest are served, and one sector more is refused, on a sparse disk on which
 * both would fit.
 */
#include <criterion/criterion.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "tests/unit/fakes/fake_driver.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/disk.h"
#include "vmm/base/log.h"

#define FEATURE(f) ((uint64_t)1 << (f))

enum { STATUS_UNSET = 0xee };

static char path[] = "/tmp/husk-blk-XX"
		     "XX"
		     "XX";
static const struct limiter_cfg no_limits;
static const off_t disk_size = (off_t)3 << 30; /* more than the longest range */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_driver drv;
static struct loop *loop;
static struct mmio *t;

static void set_up(void)
{
	int fd = mkstemp(path);
	struct disk *disk;
	struct vdev *v;

	log_set_level(LOG_OFF);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, disk_size), 0);
	close(fd);
	fake_init(&drv, 64);
	cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
	cr_assert_eq(disk_open(path, false, &disk, NULL), 0);
	cr_assert_eq(blk_create("disk0", disk, true, loop, &no_limits, &v, NULL), 0);
	cr_assert_eq(mmio_create(v, drv.mem, loop, &t, NULL), 0);
	fake_bring_up(t, &drv,
		FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_BLK_F_DISCARD) |
			FEATURE(VIRTIO_BLK_F_WRITE_ZEROES));
}

static void tear_down(void)
{
	mmio_destroy(t);
	loop_destroy(loop);
	fake_fini(&drv);
	(void)unlink(path);
}

TestSuite(blk_ranges, .init = set_up, .fini = tear_down, .timeout = 60);

static uint32_t config32(size_t at)
{
	uint32_t value;

	mmio_bus_ops()->read(t, VIRTIO_MMIO_CONFIG + at, &value, sizeof(value));
	return le32toh(value);
}

static gpa_t put(const void *p, size_t n)
{
	gpa_t at = fake_alloc(&drv, n, 0);

	memcpy(fake_at(&drv, at, n), p, n);
	return at;
}

/* The status of a request for the first n sectors. */
static uint8_t request(uint32_t type, uint32_t n)
{
	struct virtio_blk_outhdr h = { .type = htole32(type) };
	struct virtio_blk_discard_write_zeroes r = { .num_sectors = htole32(n) };
	gpa_t status = fake_alloc(&drv, 1, STATUS_UNSET);
	struct fake_span spans[] = { { put(&h, sizeof(h)), sizeof(h), false },
		{ put(&r, sizeof(r)), sizeof(r), false }, { status, 1, true } };
	uint32_t id, used;

	fake_post(&drv, spans, ARRAY_LEN(spans));
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (!fake_take_used(&drv, &id, &used))
		cr_assert_eq(loop_poll(loop, 1000), 0);
	return *(uint8_t *)fake_at(&drv, status, 1);
}

Test(blk_ranges, discards_as_much_as_it_announces_and_no_more)
{
	uint32_t max =
		config32(offsetof(struct virtio_blk_config, max_discard_sectors));

	cr_assert_gt(max, 0);
	cr_assert_lt(max, disk_size / 512);
	cr_expect_eq(request(VIRTIO_BLK_T_DISCARD, max), VIRTIO_BLK_S_OK);
	cr_expect_eq(request(VIRTIO_BLK_T_DISCARD, max + 1), VIRTIO_BLK_S_IOERR);
}

Test(blk_ranges, zeroes_as_much_as_it_announces_and_no_more)
{
	uint32_t max =
		config32(offsetof(struct virtio_blk_config, max_write_zeroes_sectors));

	cr_assert_gt(max, 0);
	cr_assert_lt(max, disk_size / 512);
	cr_expect_eq(request(VIRTIO_BLK_T_WRITE_ZEROES, max), VIRTIO_BLK_S_OK);
	cr_expect_eq(request(VIRTIO_BLK_T_WRITE_ZEROES, max + 1), VIRTIO_BLK_S_IOERR);
}
