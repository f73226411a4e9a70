/* SPDX-License-Identifier: Apache-2.0
 *
 * limiter: two buckets and a timer on a loop, with the real clock and short times.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "tests/unit/fakes/fake_file.h"
#include "virtio/limiter/limiter.h"
#include "vmm/base/clock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static struct limiter *l;
static unsigned n_ready;
static bool ready_locked;

static bool no_timers; /* the host gives no more */

/* Replaces the C library's function. */
int timerfd_create(int clock, int flags)
{
	if (no_timers) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_timerfd_create, clock, flags);
}

static void on_ready(void *self)
{
	cr_assert_eq(self, &n_ready);
	ready_locked = pthread_mutex_trylock(&lock) == EBUSY;
	n_ready++;
}

static void set_up(void)
{
	cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
}

static void tear_down(void)
{
	limiter_destroy(l);
	loop_destroy(loop);
}

TestSuite(limiter, .init = set_up, .fini = tear_down, .timeout = 20);

/* Refilled in a day, so that no token comes back during a test. */
enum { LONG_MS = 86400000 };

static void create(struct bucket_cfg bandwidth, struct bucket_cfg ops)
{
	struct limiter_cfg cfg = { bandwidth, ops };

	limiter_destroy(l);
	l = NULL;
	cr_assert_eq(limiter_create(loop, &cfg, on_ready, &n_ready, &l, NULL), 0);
}

/* Serves until ready was called, or for ms: how many us that took. */
static uint64_t poll_ready(uint64_t ms)
{
	uint64_t start = clock_us(), end = start + ms * 1000;
	unsigned before = n_ready;

	while (n_ready == before && clock_us() < end)
		cr_assert_eq(loop_poll(loop, (int)((end - clock_us()) / 1000 + 1)), 0);
	return clock_us() - start;
}

Test(limiter, refuses_nothing_without_limits)
{
	create((struct bucket_cfg){ 0, 9, 9 }, (struct bucket_cfg){ 9, 9, 0 });
	for (unsigned i = 0; i < 1000; i++)
		cr_assert(limiter_take(l, UINT64_MAX));
}

Test(limiter, closes_its_timer)
{
	unsigned fds = fake_open_fds();

	create((struct bucket_cfg){ 0 }, (struct bucket_cfg){ 0 });
	cr_assert_eq(fake_open_fds(), fds + 1, "with limits or without");
	limiter_destroy(l);
	l = NULL;
	cr_assert_eq(fake_open_fds(), fds);
}

Test(limiter, refuses_when_a_bucket_is_empty)
{
	create((struct bucket_cfg){ 1000, 0, LONG_MS }, (struct bucket_cfg){ 0 });
	cr_assert(limiter_take(l, 600));
	cr_assert_not(limiter_take(l, 600));
	cr_assert(limiter_take(l, 400));
	create((struct bucket_cfg){ 0 }, (struct bucket_cfg){ 2, 0, LONG_MS });
	cr_assert(limiter_take(l, 1 << 30));
	cr_assert(limiter_take(l, 0));
	cr_assert_not(limiter_take(l, 0));
}

Test(limiter, takes_nothing_of_one_bucket_while_the_other_is_short)
{
	create((struct bucket_cfg){ 1000, 0, LONG_MS },
		(struct bucket_cfg){ 2, 0, LONG_MS });
	cr_assert(limiter_take(l, 1000));
	for (unsigned i = 0; i < 10; i++)
		cr_assert_not(limiter_take(l, 500));
	cr_assert(limiter_take(l, 0)); /* the second operation is still there */
	cr_assert_not(limiter_take(l, 0));
}

Test(limiter, calls_ready_when_the_refused_can_go)
{
	uint64_t took;

	create((struct bucket_cfg){ 1000, 0, 100 }, (struct bucket_cfg){ 0 });
	cr_assert(limiter_take(l, 1000));
	cr_assert_not(limiter_take(l, 300));
	took = poll_ready(5000);
	cr_assert_eq(n_ready, 1);
	cr_assert(ready_locked);
	cr_assert_geq(took, 28000); /* 30 ms, but for what passed before */
	cr_assert_lt(took, 95000); /* not in fixed steps of 100 ms */
	cr_assert(limiter_take(l, 300));
}

Test(limiter, calls_ready_once_for_many_refusals)
{
	create((struct bucket_cfg){ 0 }, (struct bucket_cfg){ 1, 0, 20 });
	cr_assert(limiter_take(l, 0));
	for (unsigned i = 0; i < 100; i++)
		cr_assert_not(limiter_take(l, 0));
	(void)poll_ready(5000);
	(void)poll_ready(60);
	cr_assert_eq(n_ready, 1);
}

Test(limiter, does_not_call_ready_for_what_went_by_itself)
{
	create((struct bucket_cfg){ 1000, 0, 100 }, (struct bucket_cfg){ 0 });
	cr_assert(limiter_take(l, 1000));
	cr_assert_not(limiter_take(l, 300));
	cr_assert_eq(usleep(40000), 0);
	cr_assert(limiter_take(l, 300)); /* before the loop looked at the timer */
	(void)poll_ready(60);
	cr_assert_eq(n_ready, 0);
}

Test(limiter, keeps_the_rate)
{
	uint64_t start = clock_us(), took;

	create((struct bucket_cfg){ 0 }, (struct bucket_cfg){ 10, 0, 10 });
	for (unsigned i = 0; i < 210; i++)
		while (!limiter_take(l, 4096))
			(void)poll_ready(1000);
	took = clock_us() - start;
	cr_assert_geq(took, 200000);
	cr_assert_lt(took, 1000000);
}

Test(limiter, lets_an_operation_larger_than_the_bucket_go_and_then_waits)
{
	uint64_t took;

	create((struct bucket_cfg){ 1000, 0, 10 }, (struct bucket_cfg){ 0 });
	cr_assert(limiter_take(l, 6000));
	cr_assert_not(limiter_take(l, 0));
	took = poll_ready(5000);
	cr_assert_eq(n_ready, 1);
	cr_assert_geq(took, 48000);
	cr_assert(limiter_take(l, 0));
}

Test(limiter, is_still_while_paused)
{
	create((struct bucket_cfg){ 0 }, (struct bucket_cfg){ 1, 0, 10 });
	cr_assert(limiter_take(l, 0));
	cr_assert_not(limiter_take(l, 0));
	limiter_pause(l);
	(void)poll_ready(50);
	cr_assert_eq(n_ready, 0);
	limiter_resume(l); /* its time has come meanwhile */
	cr_assert_lt(poll_ready(5000), 1000000);
	cr_assert_eq(n_ready, 1);
	limiter_resume(l);
	(void)poll_ready(30);
	cr_assert_eq(n_ready, 1);
}

Test(limiter, is_not_created_without_a_timer)
{
	struct limiter_cfg none = { .ops = { 0 } };
	unsigned fds = fake_open_fds();
	struct err e;

	no_timers = true;
	cr_assert_eq(limiter_create(loop, &none, on_ready, NULL, &l, &e), -EMFILE);
	cr_assert(strstr(e.text, "timer of a rate limiter"), "%s", e.text);
	cr_assert_null(l);
	cr_assert_eq(fake_open_fds(), fds);
}

Test(limiter, starts_full_again_when_patched)
{
	struct limiter_patch p = { .has_bandwidth = true,
		.to.bandwidth = { 500, 7, LONG_MS } };

	create((struct bucket_cfg){ 1000, 3, LONG_MS },
		(struct bucket_cfg){ 3, 0, LONG_MS });
	cr_assert(limiter_take(l, 1003));
	cr_assert_not(limiter_take(l, 1));
	limiter_patch(l, &p);
	cr_assert_eq(n_ready, 0); /* told by the loop */
	(void)poll_ready(5000);
	cr_assert_eq(n_ready, 1);
	cr_assert(limiter_take(l, 507));
	cr_assert_not(limiter_take(l, 1));
	cr_assert_eq(limiter_cfg(l).bandwidth.size, 500);
	cr_assert_eq(limiter_cfg(l).bandwidth.one_time_burst, 7);
	cr_assert_eq(limiter_cfg(l).ops.size, 3); /* was not given: goes on */
	p.to.bandwidth.size = 0;
	limiter_patch(l, &p);
	cr_assert(limiter_take(l, 1 << 30));
	cr_assert_not(limiter_take(l, 0));
}

Test(limiter, can_be_added_later)
{
	struct limiter_patch p = { .has_ops = true, .to.ops = { 1, 0, 10 } };

	create((struct bucket_cfg){ 0 }, (struct bucket_cfg){ 0 });
	no_timers = true; /* so that this cannot fail */
	limiter_patch(l, &p);
	cr_assert(limiter_take(l, 5));
	cr_assert_not(limiter_take(l, 5));
	(void)poll_ready(5000);
	cr_assert_eq(n_ready, 1);
}

static int save_and_load(struct bucket_cfg into, size_t at, uint8_t xor)
{
	struct stream s, load;
	int r;

	stream_init_save(&s);
	cr_assert_eq(limiter_snap(l, &s), 0);
	create(into, (struct bucket_cfg){ 0 });
	cr_assert_lt(at, s.len);
	s.buf[at] ^= xor;
	load = (struct stream){ .loading = true, .buf = s.buf, .len = s.len };
	r = limiter_snap(l, &load);
	stream_fini(&s);
	return r;
}

Test(limiter, survives_a_snapshot)
{
	create((struct bucket_cfg){ 1000, 30, LONG_MS },
		(struct bucket_cfg){ 3, 1, LONG_MS });
	cr_assert(limiter_take(l, 20));
	cr_assert(limiter_take(l, 410));
	cr_assert_eq(save_and_load((struct bucket_cfg){ 0 }, 0, 0), 0);
	cr_assert_eq(limiter_cfg(l).bandwidth.size, 1000);
	cr_assert_eq(limiter_cfg(l).bandwidth.one_time_burst, 30);
	cr_assert_eq(limiter_cfg(l).ops.refill_time, LONG_MS);
	cr_assert_not(limiter_take(l, 601));
	cr_assert(limiter_take(l, 600));
	cr_assert(limiter_take(l, 0));
	cr_assert_not(limiter_take(l, 0));
}

Test(limiter, keeps_its_debt_in_a_snapshot)
{
	create((struct bucket_cfg){ 10, 0, 20 }, (struct bucket_cfg){ 0 });
	cr_assert(limiter_take(l, 50)); /* owes 80 ms */
	cr_assert_eq(save_and_load((struct bucket_cfg){ 0 }, 0, 0), 0);
	cr_assert_not(limiter_take(l, 0));
	cr_assert_geq(poll_ready(5000), 60000);
	cr_assert(limiter_take(l, 0));
}

/* A hostile stream is refused or makes a valid limiter; a refusal changes nothing. */
Test(limiter, does_not_trust_a_snapshot)
{
	unsigned refused = 0;

	for (size_t at = 0; at < 12 + 2 * 9 * 8; at++) {
		create((struct bucket_cfg){ 1000, 30, 50 },
			(struct bucket_cfg){ 3, 1, 50 });
		cr_assert(limiter_take(l, 500));
		if (save_and_load((struct bucket_cfg){ 8, 0, LONG_MS }, at, 0xff) ==
			0) {
			if (!limiter_take(l, 1))
				(void)poll_ready(0);
			continue;
		}
		refused++;
		cr_assert_eq(limiter_cfg(l).bandwidth.size, 8);
		cr_assert(limiter_take(l, 8));
		cr_assert_not(limiter_take(l, 1));
	}
	cr_assert_gt(refused, 12);
}
