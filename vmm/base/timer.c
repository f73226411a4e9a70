/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/timer.h"

#include <sys/timerfd.h>

#define NS_PER_S ((uint64_t)1000000000)

int timer_open(struct timer *t, struct loop *l, const char *whose, struct err *e)
{
	int r = loop_add_timer(l, &t->source);

	if (r < 0) {
		close_fd(TAKE_FD(t->source.fd));
		return err_code(e, r, "timer of %s", whose);
	}
	t->loop = l;
	return 0;
}

void timer_close(struct timer *t)
{
	if (!t->loop)
		return;
	loop_remove(t->loop, &t->source);
	close_fd(t->source.fd);
	t->loop = NULL;
}

static struct timespec of_ns(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S) };
}

static void set(struct timer *t, int flags, uint64_t ns, uint64_t every_ns)
{
	const struct itimerspec when = { .it_value = of_ns(ns),
		.it_interval = of_ns(every_ns) };

	/* fails only for a bad descriptor or time, and neither is bad */
	(void)timerfd_settime(t->source.fd, flags, &when, NULL);
}

void timer_set_at(struct timer *t, uint64_t at_ns)
{
	set(t, TFD_TIMER_ABSTIME, at_ns, 0);
}

void timer_set_in(struct timer *t, uint64_t ns)
{
	set(t, 0, ns, 0);
}

void timer_set_every(struct timer *t, uint64_t ns)
{
	set(t, 0, ns, ns);
}

bool timer_has_fired(struct timer *t)
{
	uint64_t times;

	return read(t->source.fd, &times, sizeof(times)) == sizeof(times);
}
