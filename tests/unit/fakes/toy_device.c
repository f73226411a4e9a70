/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/toy_device.h"

#include <assert.h>

static struct toy *toy_of(struct vdev *v)
{
	return container_of(v, struct toy, dev);
}

static void toy_start(struct vdev *v)
{
	toy_of(v)->starts++;
}

static int toy_notify(struct vdev *v, unsigned q)
{
	struct toy *toy = toy_of(v);
	int r = toy->notify_result;

	assert(v->queue[q].desc); /* started, or the transport is wrong */
	toy->notifications[q]++;
	toy->notify_result = 0;
	return r;
}

static int toy_drain(struct vdev *v)
{
	struct toy *toy = toy_of(v);

	toy->drains++;
	return toy->in_flight ? toy->in_flight_fd : -1;
}

static int toy_snap(struct vdev *v, struct stream *s)
{
	(void)stream_begin(s, "TOY ", 1);
	stream_u32(s, &toy_of(v)->saved);
	stream_end(s);
	return stream_check(s, toy_of(v)->snap_ok);
}

static void toy_destroy(struct vdev *v)
{
	toy_of(v)->destroys++;
}

static const struct vdev_ops toy_ops = {
	.name = "toy",
	.id = TOY_ID,
	.n_queues = 2,
	.start = toy_start,
	.notify = toy_notify,
	.drain = toy_drain,
	.snap = toy_snap,
	.destroy = toy_destroy,
};

void toy_init(struct toy *toy)
{
	int r;

	*toy = (struct toy){ .snap_ok = true };
	pthread_mutex_init(&toy->lock, NULL);
	fake_init(&toy->drv, 8);
	r = vdev_init(&toy->dev, &toy_ops, "toy0", NULL);
	assert(r == 0);
	toy->dev.features = TOY_FEATURES;
	toy->dev.config_len = TOY_CONFIG;
	for (unsigned i = 0; i < TOY_CONFIG; i++)
		toy->dev.config[i] = (uint8_t)i;
	r = loop_create(&toy->lock, &toy->loop, NULL);
	assert(r == 0);
	r = mmio_create(&toy->dev, toy->drv.mem, toy->loop, &toy->t, NULL);
	assert(r == 0);
	(void)r;
}

void toy_fini(struct toy *toy)
{
	mmio_destroy(toy->t);
	loop_destroy(toy->loop);
	fake_fini(&toy->drv);
}

void toy_poll(struct toy *toy)
{
	int r = loop_poll(toy->loop, 0);

	assert(r == 0);
	(void)r;
}
