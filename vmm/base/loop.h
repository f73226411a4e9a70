/* SPDX-License-Identifier: Apache-2.0
 *
 * loop: the event loop of the API and of all devices: one epoll, served by one thread.
 * It calls back one source at a time. A callback never blocks, and runs with the device
 * lock held unless its source is `unlocked`. All functions are for the loop's thread;
 * a thread that holds the device lock may also call loop_add, loop_set and loop_remove
 * for sources that are not `unlocked`.
 */
#ifndef HUSK_BASE_LOOP_H
#define HUSK_BASE_LOOP_H

#include <pthread.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct loop;

/* events: EPOLLIN, EPOLLOUT, EPOLLHUP and so on, as epoll reports them. */
typedef void loop_fn(void *self, uint32_t events);

/* A descriptor that the loop watches. It is a member of its owner, who removes it from
 * the loop before freeing it. */
struct loop_source {
	int fd;
	loop_fn *fn;
	void *self;
	/* The callback runs without the device lock, and before those of the other
	 * sources that are ready. The API needs this: a request may wait for vCPU
	 * threads that want the lock, and has to be answered however busy the devices
	 * are. Set before loop_add, then not changed. Only the loop's thread removes
	 * such a source. */
	bool unlocked;
	/* This source tolerates delay. During a burst of events of such sources only,
	 * the loop's thread runs as SCHED_BATCH: when it wakes it does not preempt the
	 * thread that runs, and so finds more events at once. */
	bool batchable;
};

/* lock: the device lock, borrowed. -errno with text. */
MUST_CHECK int loop_create(pthread_mutex_t *lock, struct loop **out, struct err *e);
void loop_destroy(struct loop *l);
DEFINE_AUTO(struct loop *, loop_destroy);

/* Begins to watch s->fd for events. 0 or -errno. */
MUST_CHECK int loop_add(struct loop *l, struct loop_source *s, uint32_t events);
/* Makes a timer (a timerfd of CLOCK_MONOTONIC that is not set) and begins to watch it.
 * s->fd becomes its descriptor, which the owner closes, also on failure; -1 when none
 * could be made. 0 or -errno. */
MUST_CHECK int loop_add_timer(struct loop *l, struct loop_source *s);
/* Changes the events that the loop watches for. 0: none, not even a hang-up, until it
 * is set again. 0 or -errno. */
int loop_set(struct loop *l, struct loop_source *s, uint32_t events);
/* Ends the watch. The callback is not called again, not even for events that the loop
 * has fetched already. A source that was never added is fine. */
void loop_remove(struct loop *l, struct loop_source *s);

/* One turn: waits up to timeout_ms (-1: without limit) for events and calls back their
 * sources. 0 or -errno. */
MUST_CHECK int loop_poll(struct loop *l, int timeout_ms);

/* Takes turns until loop_stop is called. 0 or -errno. */
MUST_CHECK int loop_run(struct loop *l);

/* Makes loop_run return when the callback that calls this has returned. */
void loop_stop(struct loop *l);

#endif
