/* SPDX-License-Identifier: Apache-2.0
 *
 * mmio_snap: saves and loads the state of a transport, its queues and its device.
 * Loaded values are as hostile as those that a driver writes, and get the same checks.
 */
#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>

#include "virtio/internal.h"

/* Whether a loaded status is one that write_status and transport_fault can produce. */
static bool is_status(uint32_t status)
{
	uint32_t steps = status &
		~(uint32_t)(VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET);

	return steps == 0 || steps == VIRTIO_CONFIG_S_ACKNOWLEDGE ||
		steps == (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER) ||
		steps ==
		(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			VIRTIO_CONFIG_S_FEATURES_OK) ||
		steps ==
		(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void snap_registers(struct mmio *t, struct stream *s)
{
	uint32_t id = t->dev->ops->id;

	stream_u32(s, &id);
	stream_u32(s, &t->status);
	stream_u32(s, &t->isr);
	stream_u32(s, &t->generation);
	stream_u32(s, &t->device_features_sel);
	stream_u32(s, &t->driver_features_sel);
	stream_u32(s, &t->queue_sel);
	stream_u64(s, &t->driver_features);
	for (unsigned q = 0; q < t->dev->ops->n_queues; q++)
		queue_snap(&t->dev->queue[q], s);
	if (!s->loading || s->error != 0)
		return;
	if (id != t->dev->ops->id || !is_status(t->status) ||
		((t->status & VIRTIO_CONFIG_S_FEATURES_OK) && !mmio_features_ok(t)))
		s->error = -EBADMSG;
	else if (t->status & VIRTIO_CONFIG_S_FEATURES_OK)
		t->dev->acked = t->driver_features;
}

int mmio_snap(struct mmio *t, struct stream *s)
{
	int r;

	assert(t->paused && t->is_still);
	if (s->loading)
		mmio_clear(t); /* nothing is in flight */
	(void)stream_begin(s, "VMIO", 1); /* one version so far */
	snap_registers(t, s);
	r = t->dev->ops->snap(t->dev, s);
	stream_end(s);
	r = stream_check(s, r == 0);
	if (s->loading && r == 0 && mmio_is_live(t))
		r = stream_check(s, mmio_start(t) == 0);
	if (s->loading && r == 0 && mmio_is_live(t))
		(void)t->dev->ops->drain(t->dev); /* nothing has begun */
	if (s->loading && r < 0)
		mmio_clear(t);
	return r;
}
