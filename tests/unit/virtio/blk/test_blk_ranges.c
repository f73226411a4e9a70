/* SPDX-License-Identifier: Apache-2.0
 *
 * blk_ranges: discards and write-zeroes of the length that the configuration announces
 * as the longest are served, and one sector more is refused, on a sparse disk on which
 * both would fit.
 */
#include <criterion/criterion.h>
#include <linux/virtio_mmio.h>

#include "tests/unit/fakes/fake_blk.h"

static const off_t disk_size = (off_t)3 << 30; /* more than the longest range */

static void set_up(void)
{
	fb_init_bare(64);
	cr_assert_eq(truncate(fb_path, disk_size), 0);
	(void)fb_attach_file(false, true);
	fake_bring_up(fb_t, &fb_drv, FB_BASIC | FB_WRITABLE);
}

TestSuite(blk_ranges, .init = set_up, .fini = fb_fini, .timeout = 60);

static uint32_t config32(size_t at)
{
	uint32_t value;

	mmio_bus_ops()->read(fb_t, VIRTIO_MMIO_CONFIG + at, &value, sizeof(value));
	return le32toh(value);
}

/* The status of a request for the first n sectors. */
static uint8_t request(uint32_t type, uint32_t n)
{
	static const uint64_t first = 0;
	struct posted p = fb_post_ranges(type, &first, 1, n);
	uint16_t used = fake_used_idx(&fb_drv);

	fb_notify();
	fb_wait_used((uint16_t)(used + 1));
	return fb_status(&p);
}

/* A range of the length that the configuration announces is served; a sector more is
 * refused. */
static void expect_longest(uint32_t type, size_t max_at)
{
	uint32_t max = config32(max_at);

	cr_assert_gt(max, 0);
	cr_assert_lt(max, disk_size / 512);
	cr_expect_eq(request(type, max), VIRTIO_BLK_S_OK);
	cr_expect_eq(request(type, max + 1), VIRTIO_BLK_S_IOERR);
}

Test(blk_ranges, discards_as_much_as_it_announces_and_no_more)
{
	expect_longest(VIRTIO_BLK_T_DISCARD,
		offsetof(struct virtio_blk_config, max_discard_sectors));
}

Test(blk_ranges, zeroes_as_much_as_it_announces_and_no_more)
{
	expect_longest(VIRTIO_BLK_T_WRITE_ZEROES,
		offsetof(struct virtio_blk_config, max_write_zeroes_sectors));
}
