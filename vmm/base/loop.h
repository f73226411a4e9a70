/* SPDX-License-Identifier: Apache-2.0
 *
 * loop: one epoll, served by one thread: the API and every device live on it. Callbacks
 * run one at a time, with the device lock held unless their source says otherwise, and
 * never block. All functions belong to the loop's thread; loop_add, loop_set and
 * loop_remove of sources with the lock also to any thread that holds the device lock.
 */
#ifndef HUSK_BASE_LOOP_H
#define HUSK_BASE_LOOP_H

#include <pthread.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct loop;

/* events: EPOLLIN, EPOLLOUT, EPOLLHUP … as epoll reports them. */
typedef void loop_fn(void *self, uint32_t events);

/* A descriptor that is watched. Lives in its owner, who removes it before it dies. */
struct loop_source {
	int fd;
	loop_fn *fn;
	void *self;
	/* Called without the device lock, and before the sources that were found with
	 * it: for the API, whose requests may have to wait for vCPU threads that want
	 * the lock, and which answers whatever the devices do. Set before loop_add and
	 * not changed. Only the loop's thread removes such a source. */
	bool unlocked;
	/* Its events are served as well a little later, together with those that
	 * follow. While many come, and of other sources none, the loop's thread does
	 * not take the processor from whoever runs when it wakes (SCHED_BATCH), and so
	 * finds more of them at once. */
	bool batchable;
};

/* lock: the device lock, borrowed, held around each callback that is not unlocked. */
MUST_CHECK int loop_create(pthread_mutex_t *lock, struct loop **out, struct err *e);
void loop_destroy(struct loop *l);
DEFINE_AUTO(struct loop *, loop_destroy);

/* Watches s->fd for events. 0 or -errno. */
MUST_CHECK int loop_add(struct loop *l, struct loop_source *s, uint32_t events);
/* The same of a new timer (timerfd, CLOCK_MONOTONIC, not set). Its descriptor, or -1,
 * is in s->fd then, the owner's to close also on failure. 0 or -errno. */
MUST_CHECK int loop_add_timer(struct loop *l, struct loop_source *s);
/* Watches for other events from now on; 0 events: for none, not even a hang-up, until
 * it is set again. 0 or -errno. */
int loop_set(struct loop *l, struct loop_source *s, uint32_t events);
/* After this the callback is not called again, not even for events already fetched. A
 * source that was never added is fine. */
void loop_remove(struct loop *l, struct loop_source *s);

/* Waits up to timeout_ms (-1: without end) and serves what came. 0 or -errno. */
MUST_CHECK int loop_poll(struct loop *l, int timeout_ms);

/* Serves until loop_stop. 0 or -errno. */
MUST_CHECK int loop_run(struct loop *l);

/* Makes loop_run return after the callback under way. From a callback. */
void loop_stop(struct loop *l);

#endif
