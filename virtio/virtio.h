/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio: what the transport asks of a device, and what it does for one. A device is
 * one struct vdev_ops and one private struct with a struct vdev in it. It sets features
 * and config and serves queues; it never sees a register. All ops and callbacks run
 * with the device lock held, on the loop's thread, or, for start, drain and leave,
 * perhaps on a vCPU's thread that writes a register.
 */
#ifndef HUSK_VIRTIO_H
#define HUSK_VIRTIO_H

#include <string.h>

#include "virtio/queue.h"
#include "vmm/base/base.h"
#include "vmm/base/counter.h"
#include "vmm/base/err.h"
#include "vmm/base/ids.h"
#include "vmm/codec/stream.h"

enum { VDEV_QUEUES_MAX = 3, VDEV_CONFIG_MAX = 64 };

enum { VDEV_ID_MAX = DEVICE_ID_MAX }; /* bytes of a name */

struct vdev;

struct vdev_ops {
	const char *name;
	uint32_t id; /* VIRTIO_ID_… (virtio 1.2, 5) */
	unsigned n_queues;
	bool batchable; /* its notifications are, as sources of the loop (loop.h) */

	/* The driver is ready (DRIVER_OK). v->acked has its features, and the rings are
	 * checked. After a load too: then drain follows at once, and the device is
	 * still until a notify. */
	void (*start)(struct vdev *v);
	/* Queue q may have work. Returns 0; or 1 when the turn's budget is spent with
	 * work left, to be called again in the next turn; or -EPROTO for a guest fault.
	 */
	int (*notify)(struct vdev *v, unsigned q);
	/* Begin nothing more and let what is in flight end, without waiting; for a
	 * reset, a pause or a snapshot. Returns -1 when nothing is in flight: the
	 * device stays still until start or notify. Otherwise a borrowed descriptor:
	 * drain is called again when that is readable, and neither start, notify, snap
	 * nor destroy is before it has returned -1. It may be called on a device that
	 * is still, or was never started. */
	int (*drain)(struct vdev *v);
	/* A reset, or the end of the device, comes next, and drain has returned -1.
	 * This is the last time that the driver's queues can be read. NULL: there is
	 * nothing to do. */
	void (*leave)(struct vdev *v);
	/* Saves or loads the device's state by one list of fields, in a section of its
	 * own. Returns what stream_check does. It may call vdev_config_changed when the
	 * host has changed since the state was saved, such as the size of a disk. */
	int (*snap)(struct vdev *v, struct stream *s);
	/* What the device counted since its creation: a borrowed struct, described by
	 * `counters`. It is written with the device lock held, and read without. */
	void *(*stats)(struct vdev *v);
	const struct counter_group *counters;
	/* Frees a device, also one whose constructor failed half-way. */
	void (*destroy)(struct vdev *v);
};

/* What the transport does for a device; called by the functions below. */
struct vdev_transport {
	void (*interrupt)(struct vdev *v); /* for used buffers */
	void (*config_changed)(struct vdev *v);
	void (*fault)(struct vdev *v);
	void (*serve_again)(struct vdev *v, unsigned q);
};

struct vdev {
	const struct vdev_ops *ops;
	const struct vdev_transport *transport; /* NULL until there is one */
	char id[VDEV_ID_MAX + 1]; /* the drive's or interface's name */
	uint64_t features; /* offered: the transport adds its own */
	uint64_t acked; /* accepted by the driver; valid from start */
	uint8_t config[VDEV_CONFIG_MAX]; /* little-endian, read-only for the driver */
	size_t config_len;
	struct queue queue[VDEV_QUEUES_MAX];
};

/* Sets ops and id, as the first step of a constructor. id is copied. 0, or -EINVAL with
 * text for one of more than VDEV_ID_MAX bytes. */
MUST_CHECK static inline int vdev_init(
	struct vdev *v, const struct vdev_ops *ops, const char *id, struct err *e)
{
	v->ops = ops;
	if (strlen(id) > VDEV_ID_MAX)
		return err_bad(
			e, "%s: a name of more than %d bytes", ops->name, VDEV_ID_MAX);
	strcpy(v->id, id);
	return 0;
}

/* For a device whose private struct is `struct name`, with its struct vdev as member
 * dev, and whose ops->destroy is name_destroy. Declares that function, and defines
 * name_of(v), the struct that v is in, and AUTO(name_free), by which a constructor that
 * fails destroys what it has made so far. */
#define DEFINE_VDEV(name)                                                           \
	static void name##_destroy(struct vdev *v);                                 \
	static inline struct name *name##_of(const struct vdev *v)                  \
	{                                                                           \
		return container_of((struct vdev *)(uintptr_t)v, struct name, dev); \
	}                                                                           \
	static inline void name##_free(struct name *p)                              \
	{                                                                           \
		if (p)                                                              \
			name##_destroy(&p->dev);                                    \
	}                                                                           \
	DEFINE_AUTO(struct name *, name##_free)

/* The bit of a feature by its number, VIRTIO_…_F_…. */
static inline uint64_t feature_bit(unsigned feature)
{
	return (uint64_t)1 << feature;
}

/* Whether the driver accepted a feature. */
static inline bool vdev_has(const struct vdev *v, unsigned feature)
{
	return v->acked & feature_bit(feature);
}

/* Interrupts the driver for what was pushed to queue q, if it asked to be. */
static inline void vdev_interrupt(struct vdev *v, unsigned q)
{
	if (queue_wants_interrupt(&v->queue[q]))
		v->transport->interrupt(v);
}

/* Call this after a change of v->config: raises its generation and interrupts the
 * driver. */
static inline void vdev_config_changed(struct vdev *v)
{
	v->transport->config_changed(v);
}

/* Reports a guest fault that was found outside notify, as -EPROTO does in it. */
static inline void vdev_fault(struct vdev *v)
{
	v->transport->fault(v);
}

/* Has notify called for queue q in the loop's next turn, if the device may be served
 * then. For a device that has left work in the ring and can go on with it now. */
static inline void vdev_serve_again(struct vdev *v, unsigned q)
{
	v->transport->serve_again(v, q);
}

#endif
