/* SPDX-License-Identifier: Apache-2.0
 *
 * toy_device: the smallest device behind a transport, for tests: two queues, a
 * configuration that counts up from 0, and counters of what the transport asked for.
 */
#ifndef HUSK_TOY_DEVICE_H
#define HUSK_TOY_DEVICE_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "tests/unit/fakes/fake_driver.h"

enum { TOY_ID = 42, TOY_CONFIG = 13 };

#define TOY_FEATURES ((uint64_t)1 << 5 | (uint64_t)1 << 50)
#define TOY_TRANSPORT                                        \
	((uint64_t)1 << VIRTIO_F_VERSION_1 |                 \
		(uint64_t)1 << VIRTIO_RING_F_INDIRECT_DESC | \
		(uint64_t)1 << VIRTIO_RING_F_EVENT_IDX)

struct toy {
	struct vdev dev;
	struct fake_driver drv;
	pthread_mutex_t lock;
	struct loop *loop;
	struct mmio *t;
	unsigned starts, notifications[2], drains, destroys;
	bool in_flight; /* drain gives in_flight_fd */
	int in_flight_fd;
	int notify_result; /* of the next notification; then 0 again */
	uint32_t saved; /* the device's own state */
	bool snap_ok;
};

void toy_init(struct toy *toy);
void toy_fini(struct toy *toy);

/* Lets the loop serve what is there now. */
void toy_poll(struct toy *toy);

#endif
