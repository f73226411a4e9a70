/* SPDX-License-Identifier: Apache-2.0
 *
 * mmio_parts: what a transport is made of, shared by mmio.c and mmio_snap.c. Not for
 * other files.
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
	bool paused, is_still; /* is_still: since mmio_pause, nothing is in flight */
	/* The driver has written 0 to the status register, and the device still has
	 * something in flight: until it has not, the registers stay as they are and
	 * nothing is written to them, so that the driver reads a status other than 0
	 * (virtio 1.2, 2.4.1). */
	bool resetting;
	uint64_t faults;
	struct mmio_irqs irqs;

	/* The driver's view; L: device lock */
	uint32_t status, isr, generation;
	uint32_t device_features_sel, driver_features_sel, queue_sel;
	uint64_t driver_features;
};

/* The driver is ready and did no wrong. */
bool mmio_is_live(const struct mmio *t);
/* The driver accepted what is offered, and virtio 1. */
bool mmio_features_ok(const struct mmio *t);
/* As if power had just come on, with nothing in flight. */
void mmio_clear(struct mmio *t);
/* Checks the rings and lets the device run. 0 or -EPROTO. */
MUST_CHECK int mmio_start(struct mmio *t);

#endif
