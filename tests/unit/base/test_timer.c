/* SPDX-License-Identifier: Apache-2.0
 *
 * timer: with the real clock, and times that are short, or longer than any test.
 */
#include "vmm/base/timer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static struct timer t;
static unsigned n_fired, n_stale;

static bool no_timers; /* the host gives no more */

/* In the C library's place. */
int timerfd_create(int clock, int flags)
{
	if (no_timers) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_timerfd_create, clock, flags);
}

static const uint64_t ms = 1000000, hour = 3600 * (uint64_t)1000000000;

static void on_timer(void *self, uint32_t events)
{
	(void)events;
	cr_assert_eq(self, &t);
	if (timer_has_fired(&t))
		n_fired++;
	else
		n_stale++;
}

static void set_up(void)
{
	cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
	t.source.fn = on_timer;
	t.source.self = &t;
}

static void open_timer(void)
{
	set_up();
	cr_assert_eq(timer_open(&t, loop, "a test", NULL), 0);
}

static void tear_down(void)
{
	timer_close(&t);
	loop_destroy(loop);
}

TestSuite(timer, .init = open_timer, .fini = tear_down, .timeout = 20);
TestSuite(timer_new, .init = set_up, .fini = tear_down, .timeout = 20);

/* Serves until n timers have fired. */
static void wait_for(unsigned n)
{
	while (n_fired < n)
		cr_assert_eq(loop_poll(loop, -1), 0);
}

/* Serves what is there now. */
static void serve(void)
{
	cr_assert_eq(loop_poll(loop, 0), 0);
}

Test(timer, does_not_fire_before_it_is_set)
{
	serve();
	cr_assert_eq(n_fired, 0);
	cr_assert_not(timer_has_fired(&t));
}

Test(timer, fires_once_after_a_time_and_not_before)
{
	uint64_t from_us = clock_us();

	timer_set_in(&t, 3 * ms);
	wait_for(1);
	cr_assert_geq(clock_us() - from_us, 3000);
	serve();
	cr_assert_eq(n_fired, 1);
}

Test(timer, fires_at_a_moment_and_not_before)
{
	uint64_t at_us = clock_us() + 3000;

	timer_set_at(&t, at_us * 1000);
	wait_for(1);
	cr_assert_geq(clock_us(), at_us);
}

Test(timer, fires_at_once_for_a_moment_that_has_passed)
{
	timer_set_at(&t, 1);
	serve();
	cr_assert_eq(n_fired, 1);
}

Test(timer, fires_in_each_period)
{
	uint64_t from_us = clock_us();

	timer_set_every(&t, ms);
	wait_for(3);
	cr_assert_geq(clock_us() - from_us, 3000);
	timer_set_every(&t, 0);
	serve();
	cr_assert_eq(n_fired, 3);
}

Test(timer, stops)
{
	timer_set_at(&t, 1);
	timer_set_in(&t, 0);
	serve();
	cr_assert_eq(n_fired + n_stale, 0);
}

Test(timer, knows_that_it_was_set_anew_since_it_fired)
{
	timer_set_at(&t, 1);
	timer_set_in(&t, hour);
	on_timer(&t, 0); /* as by an event that the loop had fetched before */
	cr_assert_eq(n_fired, 0);
	cr_assert_eq(n_stale, 1);
}

Test(timer, takes_times_of_more_than_a_second)
{
	timer_set_in(&t, 2 * hour + 1);
	serve();
	timer_set_at(&t, clock_us() * 1000 + hour);
	serve();
	cr_assert_eq(n_fired, 0);
}

Test(timer_new, is_closed_after_it_failed_to_open)
{
	struct err e = { "" };

	no_timers = true;
	cr_assert_eq(timer_open(&t, loop, "a test", &e), -EMFILE);
	cr_assert(strstr(e.text, "timer of a test: "), "%s", e.text);
	cr_assert_null(t.loop);
}

Test(timer_new, closes_what_is_closed)
{
	timer_close(&t);
	cr_assert_eq(timer_open(&t, loop, "a test", NULL), 0);
	timer_close(&t);
	timer_close(&t);
	cr_assert_eq(timer_open(&t, loop, "a test", NULL), 0);
}
