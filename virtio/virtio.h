/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio: what a device is to the transport, and the transport to a device. A device is
 * one struct vdev_ops and one private struct with a struct vdev in it; it sets features
 * and config, serves queues, and never sees a register. All ops and callbacks run with
 * the device lock held.
 */
#ifndef HUSK_VIRTIO_H
#define HUSK_VIRTIO_H

#include <string.h>

#include "virtio/queue.h"
#include "vmm/base/base.h"
#include "vmm/base/counter.h"
#include "vmm/base/err.h"
#include "vmm/codec/stream.h"

enum { VDEV_QUEUES_MAX = 3, VDEV_CONFIG_MAX = 64 };

/* Bytes of a name: more than a request line of the API has room for. */
enum { VDEV_ID_MAX = 1024 };

struct vdev;

struct vdev_ops {
	const char *name;
	uint32_t id; /* VIRTIO_ID_… (virtio 1.2, 5) */
	unsigned n_queues;
	bool batchable; /* its notifications, as the sources of a loop (loop.h) */

	/* The driver is ready (DRIVER_OK): features in v->acked, rings checked. Also
	 * after the snap of a load, with a drain at once, until it is resumed. */
	void (*start)(struct vdev *v);
	/* Queue q has work, perhaps: 0, or 1 when it stopped with work left and is to
	 * be called again in the loop's next turn, or -EPROTO for a guest fault. */
	int (*notify)(struct vdev *v, unsigned q);
	/* Begin nothing more and let what is in flight end, without waiting: for reset
	 * and snapshots. -1 when the device is still, and it stays so until start or
	 * notify. Else a descriptor, borrowed, that is readable when there is progress:
	 * drain is called again then, and neither start, notify, snap nor destroy
	 * before it has given -1. May come twice, or without a start. */
	int (*drain)(struct vdev *v);
	/* The driver is gone, or about to be: after drain, the last time that its
	 * queues can be read. On the thread of the vCPU that reset the device, or of
	 * the loop. NULL: nothing to do. */
	void (*leave)(struct vdev *v);
	/* One field list in a section of its own, both directions; ends in
	 * stream_check. May call vdev_config_changed when what it loads no longer fits
	 * the host. */
	int (*snap)(struct vdev *v, struct stream *s);
	/* What it counted since its creation, borrowed: a struct as `counters` says.
	 * Bumped with the device lock held; read without. */
	void *(*stats)(struct vdev *v);
	const struct counter_group *counters;
	/* Frees a device, half-built ones too. */
	void (*destroy)(struct vdev *v);
};

/* What the transport does for a device. */
struct vdev_transport {
	void (*interrupt)(struct vdev *v); /* used buffers */
	void (*config_changed)(struct vdev *v);
	void (*fault)(struct vdev *v);
	void (*serve_again)(struct vdev *v, unsigned q);
};

struct vdev {
	const struct vdev_ops *ops;
	const struct vdev_transport
		*transport; /* NULL until a transport takes the device */
	char id[VDEV_ID_MAX + 1]; /* the drive's or interface's name */
	uint64_t features; /* offered: the transport adds its own */
	uint64_t acked; /* accepted by the driver; valid from start */
	uint8_t config[VDEV_CONFIG_MAX]; /* little-endian, read-only for the driver */
	size_t config_len;
	struct queue queue[VDEV_QUEUES_MAX];
};

/* Sets what a constructor knows first. id: borrowed for the call. A name longer than
 * VDEV_ID_MAX is refused. */
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

static inline bool vdev_has(const struct vdev *v, unsigned feature)
{
	return v->acked & feature_bit(feature);
}

/* Interrupts the driver, if it wants that, for what was pushed to queue q. */
static inline void vdev_interrupt(struct vdev *v, unsigned q)
{
	if (queue_wants_interrupt(&v->queue[q]))
		v->transport->interrupt(v);
}

/* The device changed v->config: bumps the generation, interrupts the driver. */
static inline void vdev_config_changed(struct vdev *v)
{
	v->transport->config_changed(v);
}

/* A guest fault found outside notify: as if notify had returned -EPROTO. */
static inline void vdev_fault(struct vdev *v)
{
	v->transport->fault(v);
}

/* Calls notify for queue q in the loop's next turn, if the device may be served then:
 * for a device that can go on with what it left in the ring. */
static inline void vdev_serve_again(struct vdev *v, unsigned q)
{
	v->transport->serve_again(v, q);
}

#endif
