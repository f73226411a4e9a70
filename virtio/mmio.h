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

/* Creates the transport of dev, and owns dev from then on; on failure dev is destroyed.
 * mem and loop are borrowed and must outlive it. -errno with text. Loop thread. */
MUST_CHECK int mmio_create(struct vdev *dev, struct guest_mem *mem, struct loop *loop,
	struct mmio **out, struct err *e);
/* Destroys the transport and its device. First it waits, without a limit, until nothing
 * is in flight; after a mmio_pause that returned -1 there is nothing to wait for. NULL
 * is fine. */
void mmio_destroy(struct mmio *t);
DEFINE_AUTO(struct mmio *, mmio_destroy);

/* The device; borrowed. */
struct vdev *mmio_vdev(struct mmio *t);

/* The page of registers, MMIO_BYTES long, for bus_add with the struct mmio as self. */
const struct bus_ops *mmio_bus_ops(void);

/* The transport's eventfds; borrowed. KVM signals the first (as an ioeventfd) when the
 * guest writes q to the notify register at MMIO_NOTIFY_OFFSET; where it is not bound
 * there, the register signals it. The transport signals the second for an interrupt,
 * which KVM makes an edge of the interrupt line (as an irqfd). */
int mmio_notify_fd(const struct mmio *t, unsigned q);
int mmio_irq_fd(const struct mmio *t);

/* mmio_pause stops the serving of notifications and drains the device, for a pause or a
 * snapshot. It does not wait. -1: the device is still, nothing is in flight. Otherwise
 * a borrowed descriptor: call it again when that is readable, or later. mmio_resume may
 * come at any time. It looks at every queue, so notifications in between are not lost.
 */
int mmio_pause(struct mmio *t);
void mmio_resume(struct mmio *t);

/* Saves or loads the state of transport, queues and device. Only while it is paused and
 * still. 0 or -errno. A load fails with -EBADMSG when the values make no sense, the
 * rings do not lie in guest memory, or the device no longer offers a feature that the
 * driver accepted; the device is reset then. */
MUST_CHECK int mmio_snap(struct mmio *t, struct stream *s);

/* Guest faults since creation. */
uint64_t mmio_faults(const struct mmio *t);

/* Interrupts since creation, named as in the metrics (contract, 9.2). */
struct mmio_irqs {
	uint64_t triggers; /* all */
	uint64_t config_updates; /* of these, the changes of the configuration */
};

struct mmio_irqs mmio_irqs(const struct mmio *t);

#endif
