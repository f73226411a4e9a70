/* SPDX-License-Identifier: Apache-2.0
 *
 * clock: the device's one timer, and the deadlines of its connections. While the device
 * is drained its clock stands still.
 */
#include "virtio/vsock/internal.h"

void vsock_clock_set(struct vsock *s, uint64_t at_us)
{
	if (s->timer_us != 0 && s->timer_us <= at_us)
		return;
	s->timer_us = at_us;
	timer_set_at(&s->timer, at_us * 1000);
}

void vsock_clock_disarm(struct vsock_conn *c)
{
	if (c->due_us != 0)
		TAILQ_REMOVE(&c->owner->timed, c, timed);
	c->due_us = 0;
}

/* All deadlines are equally far away, so the list is in their order. */
void vsock_clock_arm(struct vsock_conn *c)
{
	struct vsock *s = c->owner;

	vsock_clock_disarm(c);
	c->due_us = VSOCK_TIMEOUT_US + (s->awake ? clock_us() : s->slept_us);
	TAILQ_INSERT_TAIL(&s->timed, c, timed);
	if (s->awake)
		vsock_clock_set(s, c->due_us);
}

void vsock_clock_shift(struct vsock *s, uint64_t by_us)
{
	struct vsock_conn *c;

	for (c = TAILQ_FIRST(&s->timed); c; c = TAILQ_NEXT(c, timed))
		c->due_us += by_us;
	c = TAILQ_FIRST(&s->timed);
	if (c)
		vsock_clock_set(s, c->due_us);
}

struct vsock_conn *vsock_clock_due(struct vsock *s, uint64_t now_us)
{
	struct vsock_conn *c = TAILQ_FIRST(&s->timed);

	if (!c || c->due_us <= now_us)
		return c;
	vsock_clock_set(s, c->due_us);
	return NULL;
}
