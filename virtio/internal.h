/* SPDX-License-Identifier: Apache-2.0
 *
 * internal: the transport's struct, for mmio.c and mmio_snap.c. No other room includes
 * this. Device lock held.
 */
#ifndef HUSK_VIRTIO_INTERNAL_H
#define HUSK_VIRTIO_INTERNAL_H

#include "virtio/mmio.h"

struct notify_source {
	struct loop_source source; /* its eventfd */
	struct mmio *t;
	unsigned q;
};

struct mmio {
	struct vdev *dev;
	struct vdev_transport transport; /* dev->transport points here */
	struct guest_mem *mem;
	struct loop *loop;
	struct notify_source notify[VDEV_QUEUES_MAX];
	int irq_fd;
	bool paused; /* notifications are not served */
	bool is_still; /* paused, and mmio_pause found nothing in flight */
	/* A reset has begun and waits for what the device has in flight. Until it is
	 * complete the registers keep their values and ignore writes, so the driver
	 * reads a status other than 0 (virtio 1.2, 2.4.1). */
	bool resetting;
	uint64_t faults;
	struct mmio_irqs irqs;

	/* The driver's view. */
	uint32_t status, isr, generation;
	uint32_t device_features_sel, driver_features_sel, queue_sel;
	uint64_t driver_features;
};

/* Whether the driver is ready (DRIVER_OK), and neither it nor the device has failed. */
bool mmio_is_live(const struct mmio *t);
/* Whether the driver accepted only offered features, virtio 1 among them. */
bool mmio_features_ok(const struct mmio *t);
/* Brings registers and queues to their state at power-on. Nothing is in flight. */
void mmio_clear(struct mmio *t);
/* Checks the rings and starts the device. 0, or -EPROTO for a bad ring. */
MUST_CHECK int mmio_start(struct mmio *t);

#endif
