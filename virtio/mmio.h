/* SPDX-License-Identifier: Apache-2.0
 *
 * mmio: the virtio-mmio transport, version 2 (virtio 1.2, 4.2): registers, status,
 * features, reset, interrupts, guest faults, and the snapshot of all that, once for all
 * devices. It knows no KVM: the machine binds its eventfds to addresses and interrupts.
 */
#ifndef HUSK_VIRTIO_MMIO_H
#define HUSK_VIRTIO_MMIO_H

#include "virtio/virtio.h"
#include "vmm/base/loop.h"
#include "vmm/core/bus.h"

struct mmio;

enum { MMIO_BYTES = 4096, MMIO_NOTIFY_OFFSET = 0x50 };

/* Takes dev over, also on failure. Borrows mem and loop, which must outlive it. */
MUST_CHECK int mmio_create(struct vdev *dev, struct guest_mem *mem, struct loop *loop,
	struct mmio **out, struct err *e);
/* Destroys the device too, when all that is in flight has ended: this waits, without
 * end. After mmio_pause has given -1 there is nothing to wait for. */
void mmio_destroy(struct mmio *t);
DEFINE_AUTO(struct mmio *, mmio_destroy);

struct vdev *mmio_vdev(struct mmio *t);

/* The register page of MMIO_BYTES, for bus_add; self is the struct mmio. */
const struct bus_ops *mmio_bus_ops(void);

/* Eventfds of the transport: signalled by KVM when the guest writes q to the notify
 * register (an ioeventfd), and by the transport for an interrupt (an edge of an irqfd).
 * Borrowed. A notify write that reaches the register instead signals the same eventfd.
 */
int mmio_notify_fd(const struct mmio *t, unsigned q);
int mmio_irq_fd(const struct mmio *t);

/* Stops serving, and starts again: for pause and snapshots. mmio_pause does not wait:
 * -1 when nothing is in flight, so that the device is still; else a descriptor,
 * borrowed, that is readable when there is progress, and mmio_pause is to be called
 * again then or later. mmio_resume may come at any time. Notifications that come in
 * between are not lost: resuming looks at every queue. */
int mmio_pause(struct mmio *t);
void mmio_resume(struct mmio *t);

/* Saves or loads transport, queues and device, while paused and still. After a load
 * that succeeded the device is as it was; after one that failed (-EBADMSG when the
 * values make no sense, the rings do not fit guest memory, or the device no longer
 * offers what the driver accepted) it is reset. */
MUST_CHECK int mmio_snap(struct mmio *t, struct stream *s);

/* Guest faults since creation. */
uint64_t mmio_faults(const struct mmio *t);

/* Interrupts since creation, in the names of the metrics (contract, 9.2). */
struct mmio_irqs {
	uint64_t triggers; /* of all kinds */
	uint64_t config_updates; /* those of them for a change of the configuration */
};

struct mmio_irqs mmio_irqs(const struct mmio *t);

#endif
