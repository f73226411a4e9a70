/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "vmm/base/clock.h"

enum {
	LOOP_BATCH = 16, /* events that one epoll_wait fetches */
	/* 64 batchable events within 64 ms, and no others, are a burst. */
	BATCH_EVENTS = 64,
	BATCH_US = 64 * 1000,
};

/* A flag in the lowest bit of a source's address, which is otherwise 0: the source is
 * `unlocked`. The loop must know that before it reads the source, because a thread that
 * holds the lock may remove and free any other. */
#define UNLOCKED ((uint64_t)1)

_Static_assert(_Alignof(struct loop_source) > UNLOCKED, "the bit is free");

struct loop {
	pthread_mutex_t *lock;
	int epoll_fd;
	bool stopping;
	/* The events of this turn; only epoll_wait writes here. An event's data is the
	 * address of its source, perhaps with UNLOCKED. */
	struct epoll_event batch[LOOP_BATCH];
	/* gone[i] is the source of batch[i] if that was removed after epoll_wait. */
	const struct loop_source *gone[LOOP_BATCH];
	/* Batchable events since the last event of another source, or since the last
	 * BATCH_EVENTS of them; and when these began. */
	unsigned n_batchable;
	uint64_t since_us;
	bool is_batch; /* the thread runs as SCHED_BATCH */
};

int loop_create(pthread_mutex_t *lock, struct loop **out, struct err *e)
{
	AUTO(loop_destroy) struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return err_code(e, -ENOMEM, "event loop");
	l->lock = lock;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return err_sys(e, "event loop");
	*out = TAKE(l);
	return 0;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	close_fd(l->epoll_fd);
	free(l);
}

static int control(struct loop *l, int op, struct loop_source *s, uint32_t events)
{
	struct epoll_event ev = {
		.events = events,
		.data.u64 = (uint64_t)(uintptr_t)s | (s->unlocked ? UNLOCKED : 0),
	};

	return epoll_ctl(l->epoll_fd, op, s->fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, struct loop_source *s, uint32_t events)
{
	return control(l, EPOLL_CTL_ADD, s, events);
}

int loop_add_timer(struct loop *l, struct loop_source *s)
{
	s->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return s->fd < 0 ? -errno : loop_add(l, s, EPOLLIN);
}

int loop_set(struct loop *l, struct loop_source *s, uint32_t events)
{
	int r;

	/* epoll reports hang-ups of every descriptor that it watches, also for no
	 * events: so take it out */
	if (events == 0) {
		r = control(l, EPOLL_CTL_DEL, s, 0);
		return r == -ENOENT ? 0 : r;
	}
	r = control(l, EPOLL_CTL_MOD, s, events);
	return r == -ENOENT ? control(l, EPOLL_CTL_ADD, s, events) : r;
}

static struct loop_source *source_of(const struct epoll_event *ev)
{
	return (struct loop_source *)(uintptr_t)(ev->data.u64 & ~UNLOCKED);
}

/* An event of s that was fetched before EPOLL_CTL_DEL is in the batch by now, even if
 * the loop's thread is in epoll_wait: both calls take the same lock in the kernel. This
 * looks at the whole batch, because only the loop's thread knows how much of it is from
 * this turn. */
void loop_remove(struct loop *l, struct loop_source *s)
{
	(void)control(l, EPOLL_CTL_DEL, s, 0); /* never added: nothing to undo */
	for (int i = 0; i < LOOP_BATCH; i++)
		if (source_of(&l->batch[i]) == s)
			__atomic_store_n(&l->gone[i], s, __ATOMIC_RELAXED);
}

/* Switches between SCHED_BATCH and SCHED_OTHER. Leaves a thread alone that someone has
 * given another policy. Failure does no harm. */
static void set_batch(struct loop *l, bool on)
{
	const struct sched_param none = { 0 };

	if (l->is_batch == on ||
		sched_getscheduler(0) != (on ? SCHED_OTHER : SCHED_BATCH))
		return;
	if (sched_setscheduler(0, on ? SCHED_BATCH : SCHED_OTHER, &none) == 0)
		l->is_batch = on;
}

/* Whether the events since since_us are close enough together to be a burst. */
static bool is_burst(const struct loop *l)
{
	return clock_us() - l->since_us <= BATCH_US;
}

/* Counts an event and sets the policy. Called before the source is served, so that what
 * its callback starts, such as a kernel thread, inherits the right policy. */
static void count(struct loop *l, const struct loop_source *s)
{
	if (!s->batchable) {
		set_batch(l, false);
		l->n_batchable = 0;
	} else if (++l->n_batchable == 1) {
		l->since_us = clock_us();
	} else if (l->n_batchable == BATCH_EVENTS) {
		set_batch(l, is_burst(l));
		l->n_batchable = 0;
		l->since_us = clock_us(); /* loop_poll looks at it in between */
	}
}

static bool is_gone(const struct loop *l, int i)
{
	return __atomic_load_n(&l->gone[i], __ATOMIC_RELAXED) ==
		source_of(&l->batch[i]);
}

static void serve(struct loop *l, int i)
{
	struct loop_source *s = source_of(&l->batch[i]);

	if (is_gone(l, i))
		return;
	count(l, s);
	s->fn(s->self, l->batch[i].events);
}

static void serve_locked(struct loop *l, int i)
{
	pthread_mutex_lock(l->lock);
	serve(l, i);
	pthread_mutex_unlock(l->lock);
}

/* Serves the unlocked sources first: they wait neither for the lock nor for devices. */
static void serve_batch(struct loop *l, int n)
{
	for (int i = 0; i < n && !l->stopping; i++)
		if (l->batch[i].data.u64 & UNLOCKED)
			serve(l, i);
	for (int i = 0; i < n && !l->stopping; i++)
		if (!(l->batch[i].data.u64 & UNLOCKED))
			serve_locked(l, i);
}

int loop_poll(struct loop *l, int timeout_ms)
{
	int n;

	for (int i = 0; i < LOOP_BATCH; i++)
		__atomic_store_n(&l->gone[i], NULL, __ATOMIC_RELAXED);
	n = epoll_wait(l->epoll_fd, l->batch, LOOP_BATCH, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (l->is_batch && !is_burst(l))
		set_batch(l, false);
	serve_batch(l, n);
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	l->stopping = false;
	while (r == 0 && !l->stopping)
		r = loop_poll(l, -1);
	return r;
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
}
