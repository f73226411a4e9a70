/* SPDX-License-Identifier: Apache-2.0
 *
 * mmio: see the header; section numbers are those of virtio 1.2. Register accesses come
 * from vCPU threads, notifications from the loop, all with the device lock held. A
 * write that the device's state does not allow is ignored. A guest fault stops the
 * device, and nothing else, until the driver resets it.
 */
#include "virtio/internal.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "vmm/base/log.h"

enum {
	MMIO_MAGIC = 0x74726976, /* "virt" */
	MMIO_VERSION = 2,
	MMIO_VENDOR = 0x6b737568, /* "husk" */
	MMIO_QUEUE_RESET = 0xc0, /* Linux 6.1's header has no name; not offered */
};

static void signal_fd(int fd)
{
	(void)eventfd_write(fd, 1); /* fails only when it is full, so signalled */
}

bool mmio_is_live(const struct mmio *t)
{
	return (t->status &
		       (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET |
			       VIRTIO_CONFIG_S_FAILED)) == VIRTIO_CONFIG_S_DRIVER_OK;
}

static void raise_irq(struct mmio *t, uint32_t why)
{
	t->isr |= why;
	t->irqs.triggers++;
	if (why & VIRTIO_MMIO_INT_CONFIG)
		t->irqs.config_updates++;
	signal_fd(t->irq_fd);
}

static void transport_interrupt(struct vdev *v)
{
	raise_irq(container_of(v->transport, struct mmio, transport),
		VIRTIO_MMIO_INT_VRING);
}

static void transport_config_changed(struct vdev *v)
{
	struct mmio *t = container_of(v->transport, struct mmio, transport);

	t->generation++;
	if (t->status & VIRTIO_CONFIG_S_DRIVER_OK)
		raise_irq(t, VIRTIO_MMIO_INT_CONFIG);
}

/* Sets NEEDS_RESET, and interrupts a driver that is running (2.1.2). */
static void transport_fault(struct vdev *v)
{
	struct mmio *t = container_of(v->transport, struct mmio, transport);

	if (t->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return; /* counted and reported already */
	t->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	t->faults++;
	log_guest("event=guest_fault device=%s id=%s faults=%llu", v->ops->name, v->id,
		(unsigned long long)t->faults);
	if (t->status & VIRTIO_CONFIG_S_DRIVER_OK)
		raise_irq(t, VIRTIO_MMIO_INT_CONFIG);
}

static void transport_serve_again(struct vdev *v, unsigned q)
{
	signal_fd(container_of(v->transport, struct mmio, transport)
			  ->notify[q]
			  .source.fd);
}

static void on_notify(void *self, uint32_t events)
{
	struct notify_source *k = self;
	struct mmio *t = k->t;
	eventfd_t n;
	int r;

	(void)events;
	(void)eventfd_read(k->source.fd, &n); /* to 0, however often it was signalled */
	/* guest: a notification before DRIVER_OK, after a fault or of an unready queue
	 */
	if (t->paused || t->resetting || !mmio_is_live(t) || !t->dev->queue[k->q].ready)
		return;
	r = t->dev->ops->notify(t->dev, k->q);
	if (r < 0)
		transport_fault(t->dev);
	else if (r > 0)
		signal_fd(k->source.fd);
}

void mmio_clear(struct mmio *t)
{
	for (unsigned q = 0; q < t->dev->ops->n_queues; q++)
		queue_reset(&t->dev->queue[q]);
	t->dev->acked = 0;
	t->status = t->isr = 0;
	t->device_features_sel = t->driver_features_sel = t->queue_sel = 0;
	t->driver_features = 0;
}

static int drain(struct mmio *t)
{
	return t->status & VIRTIO_CONFIG_S_DRIVER_OK ? t->dev->ops->drain(t->dev) : -1;
}

/* Continues a reset that has begun. -1 when it is complete, or drain's descriptor. */
static int go_on_resetting(struct mmio *t)
{
	int fd = drain(t);

	if (fd >= 0)
		return fd;
	if ((t->status & VIRTIO_CONFIG_S_DRIVER_OK) && t->dev->ops->leave)
		t->dev->ops->leave(t->dev);
	t->resetting = false;
	mmio_clear(t);
	return -1;
}

static void reset(struct mmio *t)
{
	t->resetting = true;
	(void)go_on_resetting(t);
}

static uint64_t offered(const struct mmio *t)
{
	return t->dev->features | feature_bit(VIRTIO_F_VERSION_1) |
		feature_bit(VIRTIO_RING_F_INDIRECT_DESC) |
		feature_bit(VIRTIO_RING_F_EVENT_IDX);
}

bool mmio_features_ok(const struct mmio *t)
{
	/* guest: a feature that was not offered, or a driver of legacy virtio */
	return (t->driver_features & ~offered(t)) == 0 &&
		(t->driver_features & feature_bit(VIRTIO_F_VERSION_1));
}

int mmio_start(struct mmio *t)
{
	struct vdev *v = t->dev;

	for (unsigned q = 0; q < v->ops->n_queues; q++) {
		int r;

		if (!v->queue[q].ready)
			continue;
		r = queue_start(&v->queue[q], t->mem,
			vdev_has(v, VIRTIO_RING_F_EVENT_IDX),
			vdev_has(v, VIRTIO_RING_F_INDIRECT_DESC));
		if (r < 0)
			return r;
	}
	v->ops->start(v);
	return 0;
}

/* Sets the next status bit of 3.1.1. False when the device does not accept it. */
static bool advance(struct mmio *t, uint32_t bit)
{
	if (bit == VIRTIO_CONFIG_S_FEATURES_OK) {
		if (!mmio_features_ok(t))
			return false;
		t->dev->acked = t->driver_features;
	}
	t->status |= bit;
	if (bit == VIRTIO_CONFIG_S_DRIVER_OK && mmio_start(t) < 0)
		transport_fault(t->dev);
	return true;
}

static void write_status(struct mmio *t, uint32_t value)
{
	static const uint32_t order[] = { VIRTIO_CONFIG_S_ACKNOWLEDGE,
		VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_FEATURES_OK,
		VIRTIO_CONFIG_S_DRIVER_OK };

	if (value == 0) {
		reset(t);
		return;
	}
	/* guest: only a reset takes bits back (2.1.1); NEEDS_RESET is the device's own
	 */
	if (t->status & ~value & ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	if (value & VIRTIO_CONFIG_S_FAILED)
		t->status |= VIRTIO_CONFIG_S_FAILED;
	if (t->status & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET))
		return; /* guest: only a reset is allowed now */
	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		if (t->status & order[i])
			continue;
		if (!(value & order[i]) || !advance(t, order[i]))
			return; /* guest: no step may be left out */
	}
}

/* The queue that QueueSel names, or NULL. */
static struct queue *selected(struct mmio *t)
{
	return t->queue_sel < t->dev->ops->n_queues ? &t->dev->queue[t->queue_sel]
						    : NULL;
}

static void set_low(gpa_t *p, uint32_t value)
{
	*p = (*p & ~(gpa_t)UINT32_MAX) | value;
}

static void set_high(gpa_t *p, uint32_t value)
{
	*p = (*p & UINT32_MAX) | (gpa_t)value << 32;
}

static void write_queue(struct mmio *t, uint64_t at, uint32_t value)
{
	struct queue *q = selected(t);
	uint32_t setting_up = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		VIRTIO_CONFIG_S_FEATURES_OK;

	/* guest: a queue that does not exist, or is in use and may not change (4.2.2.2)
	 */
	if (!q || t->status != setting_up ||
		(q->ready && at != VIRTIO_MMIO_QUEUE_READY))
		return;
	switch (at) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* guest: too large becomes 0, which queue_start refuses */
		q->size = (uint16_t)(value <= QUEUE_SIZE_MAX ? value : 0);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		q->ready = value & 1;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&q->desc_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&q->desc_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&q->avail_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&q->avail_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&q->used_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&q->used_gpa, value);
		break;
	}
}

static void write_driver_features(struct mmio *t, uint32_t value)
{
	uint32_t negotiating = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	/* guest: features may not change after FEATURES_OK (3.1.1) */
	if (t->status != negotiating)
		return;
	if (t->driver_features_sel == 0)
		set_low(&t->driver_features, value);
	else if (t->driver_features_sel == 1)
		set_high(&t->driver_features, value);
}

static void write_register(struct mmio *t, uint64_t at, uint32_t value)
{
	switch (at) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		t->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(t, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		t->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		t->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (value <
			t->dev->ops->n_queues) /* guest: a queue that is not there */
			signal_fd(t->notify[value].source.fd);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		t->isr &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(t, value);
		break;
	default:
		write_queue(t, at, value);
		break;
	}
}

static uint32_t read_device_features(const struct mmio *t)
{
	if (t->device_features_sel > 1)
		return 0;
	return (uint32_t)(offered(t) >> (32 * t->device_features_sel));
}

static uint32_t read_register(struct mmio *t, uint64_t at)
{
	const struct queue *q = selected(t);

	switch (at) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return t->dev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return read_device_features(t);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? QUEUE_SIZE_MAX : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && q->ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return t->isr;
	case VIRTIO_MMIO_STATUS:
		return t->status;
	case VIRTIO_MMIO_SHM_LEN_LOW: /* no shared memory: a length of -1 (4.2.2) */
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return t->generation;
	case MMIO_QUEUE_RESET:
	default: /* write-only or not there */
		return 0;
	}
}

/* guest: control registers take only aligned accesses of 32 bits (4.2.2.2) */
static bool is_whole(uint64_t at, size_t n)
{
	return n == sizeof(uint32_t) && at % sizeof(uint32_t) == 0;
}

/* Whether a reset is under way that cannot be completed now. */
static bool is_resetting(struct mmio *t)
{
	return t->resetting && go_on_resetting(t) >= 0;
}

static void bus_read_page(void *self, uint64_t at, void *data, size_t n)
{
	struct mmio *t = self;

	memset(data, 0, n);
	(void)is_resetting(t); /* completes a reset if it can; reads work anyway */
	if (at >= VIRTIO_MMIO_CONFIG) {
		at -= VIRTIO_MMIO_CONFIG;
		/* guest: past the end of the configuration it reads zeroes */
		if (at < t->dev->config_len)
			memcpy(data, t->dev->config + at,
				MIN(n, t->dev->config_len - at));
	} else if (is_whole(at, n)) {
		uint32_t value = htole32(read_register(t, at));

		memcpy(data, &value, sizeof(value));
	}
}

static void bus_write_page(void *self, uint64_t at, const void *data, size_t n)
{
	uint32_t value;

	/* The configuration is read-only for all devices here. */
	if (at >= VIRTIO_MMIO_CONFIG || !is_whole(at, n))
		return;
	if (is_resetting(self))
		return; /* guest: nothing begins before the reset is complete */
	memcpy(&value, data, sizeof(value));
	write_register(self, at, le32toh(value));
}

/* Keeps the vCPU that wrote the reset out of the guest until the reset is complete
 * (bus.h). Linux takes it for complete when its write returns, and frees the memory
 * that requests in flight still use. */
static int bus_busy_page(void *self)
{
	struct mmio *t = self;

	return t->resetting ? go_on_resetting(t) : -1;
}

const struct bus_ops *mmio_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "virtio-mmio",
		.read = bus_read_page,
		.write = bus_write_page,
		.busy = bus_busy_page,
	};

	return &ops;
}

static void destroy_vdev(struct vdev *v)
{
	if (v)
		v->ops->destroy(v);
}
DEFINE_AUTO(struct vdev *, destroy_vdev);

static int add_notifies(struct mmio *t)
{
	for (unsigned q = 0; q < t->dev->ops->n_queues; q++) {
		struct notify_source *k = &t->notify[q];
		int r;

		k->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (k->source.fd < 0)
			return -errno;
		r = loop_add(t->loop, &k->source, EPOLLIN);
		if (r < 0)
			return r;
	}
	return 0;
}

int mmio_create(struct vdev *dev, struct guest_mem *mem, struct loop *loop,
	struct mmio **out, struct err *e)
{
	AUTO(destroy_vdev) struct vdev *owned = dev;
	AUTO(mmio_destroy) struct mmio *t = calloc(1, sizeof(*t));
	int r;

	assert(dev->ops->n_queues <= VDEV_QUEUES_MAX &&
		dev->config_len <= VDEV_CONFIG_MAX);
	if (!t)
		return err_code(e, -ENOMEM, "%s '%s'", dev->ops->name, dev->id);
	t->transport = (struct vdev_transport){ transport_interrupt,
		transport_config_changed, transport_fault, transport_serve_again };
	dev->transport = &t->transport;
	t->dev = TAKE(owned);
	t->mem = mem;
	t->loop = loop;
	for (unsigned q = 0; q < VDEV_QUEUES_MAX; q++)
		t->notify[q] = (struct notify_source){
			.source = { .fd = -1,
				.fn = on_notify,
				.self = &t->notify[q],
				.batchable = t->dev->ops->batchable },
			.t = t,
			.q = q,
		};
	t->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = t->irq_fd < 0 ? -errno : add_notifies(t);
	if (r < 0)
		return err_code(
			e, r, "eventfds of %s '%s'", t->dev->ops->name, t->dev->id);
	*out = TAKE(t);
	return 0;
}

static void wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd >= 0)
		(void)poll(&p, 1, -1); /* if interrupted, the caller asks again */
}

void mmio_destroy(struct mmio *t)
{
	if (!t)
		return;
	reset(t); /* before the notifications go: it may signal one */
	while (t->resetting)
		wait_for(go_on_resetting(t));
	for (unsigned q = 0; q < t->dev->ops->n_queues; q++) {
		if (t->notify[q].source.fd < 0)
			continue;
		loop_remove(t->loop, &t->notify[q].source);
		close_fd(t->notify[q].source.fd);
	}
	close_fd(t->irq_fd);
	destroy_vdev(t->dev);
	free(t);
}

struct vdev *mmio_vdev(struct mmio *t)
{
	return t->dev;
}

int mmio_notify_fd(const struct mmio *t, unsigned q)
{
	assert(q < t->dev->ops->n_queues);
	return t->notify[q].source.fd;
}

int mmio_irq_fd(const struct mmio *t)
{
	return t->irq_fd;
}

uint64_t mmio_faults(const struct mmio *t)
{
	return t->faults;
}

struct mmio_irqs mmio_irqs(const struct mmio *t)
{
	return t->irqs;
}

int mmio_pause(struct mmio *t)
{
	int fd = -1;

	t->paused = true;
	if (!t->is_still)
		fd = t->resetting ? go_on_resetting(t) : drain(t);
	t->is_still = fd < 0;
	return fd;
}

void mmio_resume(struct mmio *t)
{
	t->paused = t->is_still = false;
	for (unsigned q = 0; q < t->dev->ops->n_queues; q++)
		if (t->dev->queue[q].ready)
			signal_fd(t->notify[q].source.fd);
	if (t->isr != 0)
		signal_fd(t->irq_fd); /* a snapshot may have lost the edge */
}
