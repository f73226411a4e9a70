/* SPDX-License-Identifier: Apache-2.0
 *
 * device_list: every device of a machine, where it answers and how it interrupts. The
 * list decides the address layout and drives creation and teardown; its order is the
 * order of addresses and interrupt lines. Built by the machine's thread before the
 * vCPUs run.
 */
#ifndef HUSK_MACHINE_DEVICE_LIST_H
#define HUSK_MACHINE_DEVICE_LIST_H

#include "virtio/mmio.h"
#include "vmm/core/bus.h"
#include "vmm/core/kvm.h"
#include "vmm/legacy/boot_timer.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/power.h"
#include "vmm/legacy/rtc.h"
#include "vmm/legacy/serial.h"
#include "vmm/x86/layout.h"

struct device_list {
	struct bus ports, mmio;
	struct kvm *kvm; /* borrowed, as are the next two */
	struct guest_mem *mem;
	struct loop *loop;
	/* Called when the guest resets or powers off the machine; `how` is a phrase for
	 * the log. */
	void (*end)(void *self, const char *how);
	void *self;
	struct i8042 i8042;
	struct power power;
	struct rtc rtc;
	struct boot_timer boot_timer;
	struct serial *serial; /* or NULL */
	unsigned n_virtio;
	struct mmio *virtio[VIRTIO_DEVICES_MAX];
	struct boot_device place[VIRTIO_DEVICES_MAX]; /* of virtio[i] */
};

/* What every machine has: an i8042, a clock, and the other ports by which a guest can
 * reset or power off the machine. That calls `end` on a vCPU's thread, with the device
 * lock held. */
MUST_CHECK int device_list_init(struct device_list *d, pthread_mutex_t *lock,
	struct kvm *kvm, struct guest_mem *mem, struct loop *loop,
	void (*end)(void *self, const char *how), void *self, struct err *e);
/* Destroys all devices. A zeroed list is fine. */
void device_list_fini(struct device_list *d);

MUST_CHECK int device_list_add_boot_timer(struct device_list *d, struct phases *phases,
	uint64_t started_us, struct err *e);
/* The UART at COM1. */
MUST_CHECK int device_list_add_serial(
	struct device_list *d, int in_fd, int out_fd, struct err *e);
/* Makes serial ports without a UART read as idle, so that a driver which does not probe
 * for a UART does not hang on them. Call it after device_list_add_serial, if that is
 * called at all. */
MUST_CHECK int device_list_add_no_uarts(struct device_list *d, struct err *e);

/* Places a virtio device at the next page and interrupt line; takes it over, also on
 * failure. */
MUST_CHECK int device_list_add_virtio(
	struct device_list *d, struct vdev *dev, struct err *e);

/* Guest faults of all virtio devices so far. */
uint64_t device_list_faults(const struct device_list *d);
/* Their interrupts so far. */
struct mmio_irqs device_list_irqs(const struct device_list *d);

#endif
