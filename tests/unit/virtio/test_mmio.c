/* SPDX-License-Identifier: Apache-2.0
 *
 * mmio: the registers and the status state machine, with a toy device of two queues
 * that counts what it is asked to do. Faults, notifications and snapshots:
 * test_mmio_life.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_driver.h"
#include "tests/unit/fakes/toy_device.h"

enum {
	ACK = VIRTIO_CONFIG_S_ACKNOWLEDGE,
	DRIVER = ACK | VIRTIO_CONFIG_S_DRIVER,
	FEATURES = DRIVER | VIRTIO_CONFIG_S_FEATURES_OK,
	LIVE = FEATURES | VIRTIO_CONFIG_S_DRIVER_OK,
	FAILED = VIRTIO_CONFIG_S_FAILED,
	NEEDS_RESET = VIRTIO_CONFIG_S_NEEDS_RESET,
};

static struct toy toy;
static struct fake_driver *const drv = &toy.drv;
static struct mmio *t;

static unsigned n_signals;
static int signalled_fd; /* the last */

/* Replaces the C library's function. */
int eventfd_write(int fd, eventfd_t value)
{
	n_signals++;
	signalled_fd = fd;
	return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}

static void set_up(void)
{
	toy_init(&toy);
	t = toy.t;
}

static void tear_down(void)
{
	toy_fini(&toy);
}

TestSuite(mmio, .init = set_up, .fini = tear_down);

static uint32_t status(void)
{
	return fake_reg(t, VIRTIO_MMIO_STATUS);
}

static void set_status(uint32_t value)
{
	fake_set_reg(t, VIRTIO_MMIO_STATUS, value);
}

Test(mmio, tells_what_it_is)
{
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_VERSION), 2);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_DEVICE_ID), TOY_ID);
	cr_assert_eq(status(), 0);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

Test(mmio, offers_the_features_of_transport_and_device)
{
	uint64_t all;

	all = fake_reg(t, VIRTIO_MMIO_DEVICE_FEATURES);
	fake_set_reg(t, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	all |= (uint64_t)fake_reg(t, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	cr_assert_eq(all, TOY_FEATURES | TOY_TRANSPORT);
	fake_set_reg(t, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	fake_set_reg(t, VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

Test(mmio, has_no_shared_memory_and_no_queue_reset)
{
	fake_set_reg(t, VIRTIO_MMIO_SHM_SEL, 0);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_SHM_BASE_LOW), UINT32_MAX);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_SHM_BASE_HIGH), UINT32_MAX);
	cr_assert_eq(fake_reg(t, 0xc0), 0);
}

Test(mmio, has_queues_of_256_and_none_past_the_last)
{
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_NUM_MAX), 256);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_SEL, 1);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_NUM_MAX), 256);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_SEL, 2);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_READY), 0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

Test(mmio, reads_the_configuration_in_every_width_up_to_its_end)
{
	uint64_t value = 0;

	for (size_t n = 1; n <= 8; n *= 2) {
		mmio_bus_ops()->read(t, VIRTIO_MMIO_CONFIG + 8 - n, &value, n);
		cr_assert_eq(((uint8_t *)&value)[n - 1], 7, "width %zu", n);
	}
	value = UINT64_MAX;
	mmio_bus_ops()->read(t, VIRTIO_MMIO_CONFIG + TOY_CONFIG - 2, &value, 8);
	cr_assert_eq(value, (TOY_CONFIG - 2) | (TOY_CONFIG - 1) << 8);
	value = UINT64_MAX;
	mmio_bus_ops()->read(t, MMIO_BYTES - 8, &value, 8);
	cr_assert_eq(value, 0);
}

Test(mmio, reads_zeroes_past_the_configuration_whatever_is_there)
{
	uint32_t value = UINT32_MAX;

	toy.dev.config[TOY_CONFIG] = 0xaa;
	mmio_bus_ops()->read(t, VIRTIO_MMIO_CONFIG + TOY_CONFIG - 1, &value, 4);
	cr_assert_eq(value, TOY_CONFIG - 1);
	mmio_bus_ops()->read(t, VIRTIO_MMIO_CONFIG + TOY_CONFIG, &value, 4);
	cr_assert_eq(value, 0);
}

Test(mmio, notifies_no_queue_past_the_last)
{
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	cr_assert_eq(n_signals, 1);
	cr_assert_geq(signalled_fd, 0);
	for (uint32_t q = 2; q < 70000; q++)
		fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, q);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	cr_assert_eq(n_signals, 1);
}

Test(mmio, ignores_writes_to_the_configuration)
{
	fake_set_reg(t, VIRTIO_MMIO_CONFIG, UINT32_MAX);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_CONFIG), 0x03020100);
}

Test(mmio, answers_only_whole_aligned_register_accesses)
{
	uint64_t value = UINT64_MAX, one = ACK;

	mmio_bus_ops()->read(t, 0, &value, 1);
	cr_assert_eq((uint8_t)value, 0);
	mmio_bus_ops()->read(t, 0, &value, 8);
	cr_assert_eq(value, 0);
	value = UINT64_MAX;
	mmio_bus_ops()->read(t, 2, &value, 4);
	cr_assert_eq((uint32_t)value, 0);
	mmio_bus_ops()->write(t, VIRTIO_MMIO_STATUS, &one, 1);
	mmio_bus_ops()->write(t, VIRTIO_MMIO_STATUS, &one, 2);
	mmio_bus_ops()->write(t, VIRTIO_MMIO_STATUS, &one, 8);
	mmio_bus_ops()->write(t, VIRTIO_MMIO_STATUS + 2, &one, 4);
	cr_assert_eq(status(), 0);
}

Test(mmio, walks_the_status_in_order)
{
	uint64_t accept = TOY_TRANSPORT | TOY_FEATURES;

	cr_assert(fake_negotiate(t, accept));
	fake_set_queue(t, 0, drv);
	cr_assert_eq(toy.starts, 0);
	set_status(LIVE);
	cr_assert_eq(status(), LIVE);
	cr_assert_eq(toy.starts, 1);
	cr_assert_eq(mmio_vdev(t)->acked, accept);
}

Test(mmio, lets_no_status_bit_come_early)
{
	set_status(VIRTIO_CONFIG_S_DRIVER);
	cr_assert_eq(status(), 0);
	set_status(ACK | VIRTIO_CONFIG_S_DRIVER_OK);
	cr_assert_eq(status(), ACK);
	set_status(DRIVER | VIRTIO_CONFIG_S_DRIVER_OK);
	cr_assert_eq(status(), DRIVER);
	cr_assert_eq(toy.starts, 0);
}

Test(mmio, takes_status_bits_back_only_by_reset)
{
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	set_status(DRIVER);
	cr_assert_eq(status(), FEATURES);
	set_status(VIRTIO_CONFIG_S_DRIVER_OK);
	cr_assert_eq(status(), FEATURES);
	set_status(0);
	cr_assert_eq(status(), 0);
}

Test(mmio, ignores_status_bits_that_mean_nothing)
{
	set_status(ACK | 0x30 | 0xffffff00);
	cr_assert_eq(status(), ACK);
	set_status(ACK | NEEDS_RESET);
	cr_assert_eq(status(), ACK);
}

Test(mmio, does_nothing_more_once_the_driver_failed)
{
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	set_status(FEATURES | FAILED);
	cr_assert_eq(status(), FEATURES | FAILED);
	set_status(LIVE | FAILED);
	cr_assert_eq(status(), FEATURES | FAILED);
	cr_assert_eq(toy.starts, 0);
	set_status(0);
	cr_assert_eq(status(), 0);
}

Test(mmio, refuses_a_legacy_driver)
{
	cr_assert_not(fake_negotiate(t, TOY_FEATURES));
	cr_assert_eq(status(), DRIVER);
}

Test(mmio, refuses_features_that_it_did_not_offer)
{
	cr_assert_not(fake_negotiate(t, TOY_TRANSPORT | (uint64_t)1 << 40));
	cr_assert_not(fake_negotiate(t, TOY_TRANSPORT | (uint64_t)1 << 3));
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
}

Test(mmio, keeps_features_once_they_are_agreed)
{
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	fake_set_queue(t, 0, drv);
	set_status(LIVE);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	cr_assert_eq(mmio_vdev(t)->acked, TOY_TRANSPORT);
}

Test(mmio, takes_no_features_before_driver)
{
	set_status(ACK);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES, 8);
	set_status(DRIVER);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES, 8);
	set_status(FEATURES);
	cr_assert_eq(status(), FEATURES);
}

Test(mmio, takes_no_queue_before_features_ok)
{
	fake_set_queue(t, 0, drv);
	cr_assert_eq(mmio_vdev(t)->queue[0].size, 0);
	set_status(DRIVER);
	fake_set_queue(t, 0, drv);
	cr_assert_eq(mmio_vdev(t)->queue[0].size, 0);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_READY), 0);
}

Test(mmio, changes_no_queue_that_is_ready_or_live)
{
	struct queue *q = &mmio_vdev(t)->queue[0];

	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	fake_set_queue(t, 0, drv);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NUM, 16);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	cr_assert_eq(q->size, drv->size);
	cr_assert_eq(q->desc_gpa, FAKE_DESC);
	set_status(LIVE);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_READY, 0); /* CVE-2026-5747's way in */
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NUM, 16);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_USED_HIGH, 1);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_READY), 1);
	cr_assert_eq(q->size, drv->size);
	cr_assert_eq(q->used_gpa, FAKE_USED);
	fake_set_queue(t, 1, drv); /* nor one that was left out */
	cr_assert_not(mmio_vdev(t)->queue[1].ready);
	cr_assert_eq(mmio_vdev(t)->queue[1].desc_gpa, 0);
}

Test(mmio, lets_a_queue_be_unmade_during_set_up)
{
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	fake_set_queue(t, 0, drv);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_READY, 0);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_QUEUE_READY), 0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NUM, 16);
	cr_assert_eq(mmio_vdev(t)->queue[0].size, 16);
}

Test(mmio, keeps_both_halves_of_an_address)
{
	cr_assert(fake_negotiate(t, TOY_TRANSPORT));
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x12345678);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x9abcdef0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0xffffffff);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 1);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 2);
	cr_assert_eq(mmio_vdev(t)->queue[0].desc_gpa, 0x123456789abcdef0);
	cr_assert_eq(mmio_vdev(t)->queue[0].avail_gpa, 0x100000002);
}

Test(mmio, acknowledges_only_the_interrupts_named)
{
	fake_bring_up(t, drv, TOY_TRANSPORT);
	mmio_vdev(t)->transport->interrupt(mmio_vdev(t));
	vdev_config_changed(mmio_vdev(t));
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	cr_assert_eq(fake_irqs(t), 2);
	cr_assert_eq(mmio_irqs(t).triggers, 2);
	cr_assert_eq(mmio_irqs(t).config_updates, 1);
	fake_set_reg(t, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	fake_set_reg(t, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

Test(mmio, counts_generations_of_the_configuration)
{
	uint32_t before = fake_reg(t, VIRTIO_MMIO_CONFIG_GENERATION);

	vdev_config_changed(mmio_vdev(t));
	cr_assert_eq(fake_reg(t, VIRTIO_MMIO_CONFIG_GENERATION), before + 1);
	cr_assert_eq(fake_irqs(t), 0); /* nobody to tell yet */
	cr_assert_eq(mmio_irqs(t).triggers, 0);
}
