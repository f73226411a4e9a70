/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/device_list.h"

#include "vmm/base/clock.h"
#include "vmm/legacy/no_uart.h"

static void on_reset(void *self)
{
	const struct device_list *d = self;

	d->end(d->self, "reset through the i8042");
}

static void on_key(void *self)
{
	const struct device_list *d = self;

	kvm_pulse_irq(d->kvm, X86_KEYBOARD_GSI);
}

static int add_power(struct device_list *d, struct err *e)
{
	int r = bus_add(&d->ports, X86_PORT_A, 1, power_port_a_bus_ops(), &d->power, e);

	if (r == 0)
		r = bus_add(&d->ports, X86_ACPI_PORT, POWER_ACPI_PORTS,
			power_acpi_bus_ops(), &d->power, e);
	if (r == 0)
		r = bus_add(&d->ports, X86_RESET_PORT, 1, power_reset_bus_ops(),
			&d->power, e);
	return r;
}

int device_list_init(struct device_list *d, pthread_mutex_t *lock, struct kvm *kvm,
	struct guest_mem *mem, struct loop *loop,
	void (*end)(void *self, const char *how), void *self, struct err *e)
{
	const struct i8042_ops ops = { on_reset, on_key, d };
	int r;

	*d = (struct device_list){
		.kvm = kvm, .mem = mem, .loop = loop, .end = end, .self = self
	};
	bus_init(&d->ports, lock);
	bus_init(&d->mmio, lock);
	i8042_init(&d->i8042, &ops);
	power_init(&d->power, end, self);
	r = bus_add(
		&d->ports, X86_I8042_PORT, I8042_PORTS, i8042_bus_ops(), &d->i8042, e);
	if (r == 0)
		r = bus_add(
			&d->ports, X86_RTC_PORT, RTC_PORTS, rtc_bus_ops(), &d->rtc, e);
	return r < 0 ? r : add_power(d, e);
}

void device_list_fini(struct device_list *d)
{
	while (d->n_virtio > 0)
		mmio_destroy(d->virtio[--d->n_virtio]);
	serial_destroy(d->serial);
	d->serial = NULL;
}

int device_list_add_boot_timer(struct device_list *d, struct phases *phases,
	uint64_t started_us, struct err *e)
{
	d->boot_timer = (struct boot_timer){
		.phases = phases,
		.started_us = started_us,
		.started_cpu_us = clock_cpu_us(),
	};
	return bus_add(&d->mmio, X86_BOOT_TIMER_GPA, BOOT_TIMER_BYTES,
		boot_timer_bus_ops(), &d->boot_timer, e);
}

int device_list_add_serial(struct device_list *d, int in_fd, int out_fd, struct err *e)
{
	int r = serial_create(d->loop, in_fd, out_fd, &d->serial, e);

	if (r == 0)
		r = bus_add(&d->ports, X86_COM1_PORT, SERIAL_PORTS, serial_bus_ops(),
			d->serial, e);
	if (r == 0)
		r = kvm_add_irqfd(d->kvm, serial_irq_fd(d->serial), X86_COM1_GSI, e);
	return r;
}

int device_list_add_no_uarts(struct device_list *d, struct err *e)
{
	static const uint16_t base[] = { X86_COM1_PORT, X86_COM2_PORT, X86_COM3_PORT,
		X86_COM4_PORT };
	int r = 0;

	for (unsigned i = d->serial ? 1 : 0; r == 0 && i < ARRAY_LEN(base); i++)
		r = bus_add(&d->ports, base[i] + NO_UART_LSR, NO_UART_PORTS,
			no_uart_bus_ops(), NULL, e);
	return r;
}

/* Binds the notifications of a transport (ioeventfd) and its interrupt (irqfd), so that
 * neither leaves the kernel. */
static int bind_to_kvm(struct device_list *d, const struct mmio *t, unsigned n_queues,
	const struct boot_device *at, struct err *e)
{
	int r = kvm_add_irqfd(d->kvm, mmio_irq_fd(t), at->gsi, e);

	for (unsigned q = 0; r == 0 && q < n_queues; q++)
		r = kvm_add_ioeventfd(d->kvm, mmio_notify_fd(t, q),
			at->start + MMIO_NOTIFY_OFFSET, q, e);
	return r;
}

int device_list_add_virtio(struct device_list *d, struct vdev *dev, struct err *e)
{
	unsigned i = d->n_virtio, n_queues = dev->ops->n_queues;
	struct boot_device at = {
		.start = X86_MMIO_GPA + (gpa_t)i * MMIO_BYTES,
		.len = MMIO_BYTES,
		.gsi = X86_DEVICE_GSI_FIRST + i,
	};
	AUTO(mmio_destroy) struct mmio *t = NULL;
	int r;

	if (i == VIRTIO_DEVICES_MAX) {
		dev->ops->destroy(dev);
		return err_bad(e, "more than %d virtio devices", VIRTIO_DEVICES_MAX);
	}
	r = mmio_create(dev, d->mem, d->loop, &t, e);
	if (r == 0)
		r = bus_add(&d->mmio, at.start, at.len, mmio_bus_ops(), t, e);
	if (r == 0)
		r = bind_to_kvm(d, t, n_queues, &at, e);
	if (r < 0)
		return r;
	d->place[i] = at;
	d->virtio[i] = TAKE(t);
	d->n_virtio++;
	return 0;
}

uint64_t device_list_faults(const struct device_list *d)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->n_virtio; i++)
		sum += mmio_faults(d->virtio[i]);
	return sum;
}

struct mmio_irqs device_list_irqs(const struct device_list *d)
{
	struct mmio_irqs sum = { 0 };

	for (unsigned i = 0; i < d->n_virtio; i++) {
		struct mmio_irqs one = mmio_irqs(d->virtio[i]);

		sum.triggers += one.triggers;
		sum.config_updates += one.config_updates;
	}
	return sum;
}
