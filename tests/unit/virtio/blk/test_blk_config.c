/* SPDX-License-Identifier: Apache-2.0
 *
 * blk: what a driver is told of the disk, and snapshots.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_blk.h"
#include "tests/unit/fakes/fake_stream.h"

static void set_up(void)
{
	fb_init_bare(8);
	cr_assert_eq(truncate(fb_path, 10 * 512 + 100), 0);
}

TestSuite(blk_config, .init = set_up, .fini = fb_fini);

static struct virtio_blk_config config(void)
{
	struct virtio_blk_config c;

	for (unsigned i = 0; i < sizeof(c); i++)
		mmio_bus_ops()->read(
			fb_t, VIRTIO_MMIO_CONFIG + i, (uint8_t *)&c + i, 1);
	return c;
}

Test(blk_config, offers_what_a_writable_disk_can)
{
	struct vdev *v = fb_attach_file(false, true);
	struct virtio_blk_config c = config();

	cr_assert_eq(v->features,
		FAKE_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
			FAKE_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			FAKE_FEATURE(VIRTIO_BLK_F_FLUSH) |
			FAKE_FEATURE(VIRTIO_BLK_F_DISCARD) |
			FAKE_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES));
	cr_assert_eq(c.capacity, 10);
	cr_assert_eq(c.seg_max, 254);
	cr_assert_eq(c.blk_size, 512);
	cr_assert_gt(c.max_discard_sectors, 0);
	cr_assert_eq(c.max_discard_seg, 16);
	cr_assert_gt(c.max_write_zeroes_sectors, 0);
	cr_assert_eq(c.max_write_zeroes_seg, 1);
	cr_assert_eq(c.write_zeroes_may_unmap, 1);
}

Test(blk_config, offers_less_for_a_read_only_disk)
{
	struct vdev *v = fb_attach_file(true, false);

	cr_assert_eq(v->features,
		FAKE_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
			FAKE_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			FAKE_FEATURE(VIRTIO_BLK_F_RO));
	cr_assert_eq(config().max_discard_sectors, 0);
}

Test(blk_config, refuses_a_name_that_is_too_long)
{
	char name[VDEV_ID_MAX + 2];
	static const struct limiter_cfg no_limits;
	struct disk *disk;
	struct vdev *v = NULL;

	memset(name, 'x', sizeof(name));
	name[VDEV_ID_MAX + 1] = '\0';
	cr_assert_eq(disk_open(fb_path, true, &disk, NULL), 0);
	cr_assert_eq(
		blk_create(name, disk, true, fb_loop, &no_limits, &v, NULL), -EINVAL);
	cr_assert_null(v);
}

/* Brings a disk up, saves it, attaches it anew and loads. */
static int save_and_load(off_t new_size, bool new_read_only)
{
	struct fake_stream f;

	fb_attach_file(false, true);
	fake_bring_up(fb_t, &fb_drv, FAKE_FEATURE(VIRTIO_F_VERSION_1));
	mmio_pause(fb_t);
	cr_assert_eq(mmio_snap(fb_t, fake_save(&f)), 0);
	cr_assert_eq(truncate(fb_path, new_size), 0);
	fb_attach_file(new_read_only, true);
	mmio_pause(fb_t);
	return fake_loaded(&f, mmio_snap(fb_t, fake_load(&f)));
}

Test(blk_config, survives_a_snapshot)
{
	struct fake_span spans[2] = { { fake_alloc(&fb_drv, 16, 0), 16, false } };
	uint32_t id, len;

	spans[0] = (struct fake_span){ fake_alloc(&fb_drv, 16, 0xff), 16, false };
	spans[1] = (struct fake_span){ fake_alloc(&fb_drv, 1, 0xff), 1, true };
	cr_assert_eq(save_and_load(5120, false), 0);
	cr_assert_eq(fake_reg(fb_t, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	fake_post(&fb_drv, spans, 2); /* posted while nobody looked */
	mmio_resume(fb_t);
	cr_assert_eq(loop_poll(fb_loop, 0), 0);
	cr_assert(fake_take_used(&fb_drv, &id, &len));
	cr_assert_eq(*(uint8_t *)fake_at(&fb_drv, spans[1].at, 1), VIRTIO_BLK_S_UNSUPP);
}

Test(blk_config, tells_of_a_capacity_that_changed_since_the_snapshot)
{
	cr_assert_eq(save_and_load(4096, false), 0);
	cr_assert_eq(config().capacity, 8);
	cr_assert_eq(
		fake_reg(fb_t, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	cr_assert_eq(fake_reg(fb_t, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	(void)fake_irqs(fb_t);
	mmio_resume(fb_t);
	cr_assert_eq(fake_irqs(fb_t), 1);
}

Test(blk_config, refuses_a_snapshot_of_a_disk_that_could_be_written)
{
	cr_assert_eq(save_and_load(5120, true), -EBADMSG);
	cr_assert_eq(fake_reg(fb_t, VIRTIO_MMIO_STATUS), 0);
}
