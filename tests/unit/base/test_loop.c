/* SPDX-License-Identifier: Apache-2.0
 *
 * loop: which callbacks are called and when, and above all which are not called any
 * more.
 */
#include "vmm/base/loop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_file.h"

enum {
	MANY = 40, /* more than one batch */
	LOOP_TOYS = 10, /* fit one with another */
};

/* A source on an eventfd that counts its calls and then does what `then` says. */
struct toy {
	struct loop_source source;
	unsigned calls;
	uint32_t events;
	bool lock_was_held;
	int policy; /* of the thread */
	void (*then)(struct toy *t);
	struct toy *other;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static struct toy toy[MANY];

static void on_toy(void *self, uint32_t events)
{
	struct toy *t = self;

	t->calls++;
	t->events = events;
	t->policy = sched_getscheduler(0);
	t->lock_was_held = pthread_mutex_trylock(&lock) == EBUSY;
	if (!t->lock_was_held)
		pthread_mutex_unlock(&lock);
	if (t->then)
		t->then(t);
}

static void set_up(void)
{
	struct err e;

	cr_assert_eq(loop_create(&lock, &loop, &e), 0);
	for (int i = 0; i < MANY; i++) {
		toy[i] = (struct toy){ .other = &toy[i ^ 1] };
		toy[i].source = (struct loop_source){
			.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC),
			.fn = on_toy,
			.self = &toy[i],
		};
		cr_assert_geq(toy[i].source.fd, 0);
	}
}

static void tear_down(void)
{
	for (int i = 0; i < MANY; i++)
		close_fd(toy[i].source.fd);
	loop_destroy(loop);
}

TestSuite(loop, .init = set_up, .fini = tear_down);

static void watch(struct toy *t)
{
	cr_assert_eq(loop_add(loop, &t->source, EPOLLIN), 0);
}

static void poll_once(void)
{
	cr_assert_eq(loop_poll(loop, 0), 0);
}

static void drain(struct toy *t)
{
	uint64_t n;

	cr_assert_eq(read(t->source.fd, &n, sizeof(n)), (ssize_t)sizeof(n));
}

static void remove_other(struct toy *t)
{
	loop_remove(loop, &t->other->source);
}

static void add_other_again(struct toy *t)
{
	remove_other(t);
	watch(t->other);
}

static void forget_self(struct toy *t)
{
	loop_remove(loop, &t->source);
	close_fd(TAKE_FD(t->source.fd));
	t->source.fn = NULL;
}

static void stop(struct toy *t)
{
	(void)t;
	loop_stop(loop);
}

Test(loop, calls_back_with_what_came_and_the_lock_held)
{
	watch(&toy[0]);
	poll_once();
	cr_assert_eq(toy[0].calls, 1);
	cr_assert_eq(toy[0].events, EPOLLIN);
	cr_assert(toy[0].lock_was_held);
	cr_assert_eq(pthread_mutex_trylock(&lock), 0, "released again");
}

Test(loop, calls_nobody_when_nothing_came)
{
	drain(&toy[0]);
	watch(&toy[0]);
	poll_once();
	cr_assert_eq(toy[0].calls, 0);
}

Test(loop, calls_again_while_the_event_lasts)
{
	watch(&toy[0]);
	poll_once();
	poll_once();
	cr_assert_eq(toy[0].calls, 2);
}

Test(loop, does_not_call_a_source_removed_earlier_in_the_same_batch)
{
	toy[0].then = toy[1].then = remove_other;
	watch(&toy[0]);
	watch(&toy[1]);
	poll_once();
	cr_assert_eq(toy[0].calls + toy[1].calls, 1);
	poll_once();
	cr_assert_eq(toy[0].calls + toy[1].calls, 2);
	cr_assert(toy[0].calls == 0 || toy[1].calls == 0);
}

Test(loop, forgets_fetched_events_of_a_source_that_is_added_again)
{
	toy[0].then = toy[1].then = add_other_again;
	watch(&toy[0]);
	watch(&toy[1]);
	poll_once();
	cr_assert_eq(toy[0].calls + toy[1].calls, 1);
	toy[0].then = toy[1].then = NULL;
	poll_once();
	cr_assert_eq(toy[0].calls + toy[1].calls, 3);
}

Test(loop, lets_a_callback_remove_and_close_its_own_source)
{
	toy[0].then = forget_self;
	watch(&toy[0]);
	watch(&toy[1]);
	poll_once();
	poll_once();
	cr_assert_eq(toy[0].calls, 1);
	cr_assert_eq(toy[1].calls, 2);
}

Test(loop, does_not_call_a_removed_source)
{
	watch(&toy[0]);
	loop_remove(loop, &toy[0].source);
	poll_once();
	cr_assert_eq(toy[0].calls, 0);
}

Test(loop, takes_the_removal_of_a_source_never_added)
{
	struct loop_source none = { .fd = -1 };

	loop_remove(loop, &toy[0].source);
	loop_remove(loop, &none);
}

Test(loop, refuses_what_cannot_be_watched)
{
	struct fake_file f = fake_file("x", 1);
	struct loop_source bad = { .fd = -1 }, plain = { .fd = f.fd };

	watch(&toy[0]);
	cr_assert_eq(loop_add(loop, &toy[0].source, EPOLLIN), -EEXIST);
	cr_assert_eq(loop_add(loop, &bad, EPOLLIN), -EBADF);
	cr_assert_eq(loop_add(loop, &plain, EPOLLIN), -EPERM);
	cr_assert_eq(loop_set(loop, &bad, EPOLLIN), -EBADF);
	cr_assert_eq(loop_set(loop, &bad, 0), -EBADF);
	fake_file_close(&f);
}

Test(loop, watches_for_other_events_when_told)
{
	watch(&toy[0]);
	cr_assert_eq(loop_set(loop, &toy[0].source, EPOLLOUT), 0);
	poll_once();
	cr_assert_eq(toy[0].events, EPOLLOUT);
}

Test(loop, is_silent_about_a_source_set_to_no_events_even_when_it_hangs_up)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	close_fd(toy[0].source.fd);
	toy[0].source.fd = fds[0];
	watch(&toy[0]);
	cr_assert_eq(loop_set(loop, &toy[0].source, 0), 0);
	cr_assert_eq(loop_set(loop, &toy[0].source, 0), 0, "again");
	cr_assert_eq(write(fds[1], "x", 1), 1);
	close_fd(fds[1]);
	poll_once();
	cr_assert_eq(toy[0].calls, 0);
	cr_assert_eq(loop_set(loop, &toy[0].source, EPOLLIN), 0);
	poll_once();
	cr_assert_eq(toy[0].events, EPOLLIN | EPOLLHUP);
}

Test(loop, serves_more_sources_than_one_batch_holds)
{
	for (int i = 0; i < MANY; i++) {
		toy[i].then = drain;
		watch(&toy[i]);
	}
	for (int i = 0; i < MANY; i++)
		poll_once();
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(toy[i].calls, 1);
}

Test(loop, leaves_the_lock_to_sources_that_want_none)
{
	toy[0].source.unlocked = true;
	toy[0].then = toy[1].then = drain;
	watch(&toy[0]);
	watch(&toy[1]);
	poll_once();
	poll_once();
	cr_assert_eq(toy[0].calls, 1);
	cr_assert_not(toy[0].lock_was_held);
	cr_assert(toy[1].lock_was_held);
}

/* A thread that holds the lock, calls f, and then waits until the test releases it. */
struct holder {
	pthread_t thread;
	pthread_barrier_t holds, let_go;
	void (*f)(void);
};

static void *hold(void *arg)
{
	struct holder *h = arg;

	pthread_mutex_lock(&lock);
	if (h->f)
		h->f();
	(void)pthread_barrier_wait(&h->holds);
	(void)pthread_barrier_wait(&h->let_go);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void holder_start(struct holder *h, void (*f)(void))
{
	h->f = f;
	cr_assert_eq(pthread_barrier_init(&h->holds, NULL, 2), 0);
	cr_assert_eq(pthread_barrier_init(&h->let_go, NULL, 2), 0);
	cr_assert_eq(pthread_create(&h->thread, NULL, hold, h), 0);
	(void)pthread_barrier_wait(&h->holds);
}

static void holder_end(struct holder *h)
{
	(void)pthread_barrier_wait(&h->let_go);
	cr_assert_eq(pthread_join(h->thread, NULL), 0);
}

Test(loop, serves_sources_without_the_lock_while_another_thread_has_it, .timeout = 30)
{
	struct holder h;

	toy[0].source.unlocked = true;
	toy[0].then = drain;
	watch(&toy[0]);
	holder_start(&h, NULL);
	poll_once();
	cr_assert_eq(toy[0].calls, 1);
	holder_end(&h);
}

static void note_calls(struct toy *t)
{
	drain(t);
	for (int i = 0; i < LOOP_TOYS; i++)
		cr_assert_eq(toy[i].calls, 0, "%d came first", i);
}

Test(loop, serves_sources_without_the_lock_first)
{
	struct toy *last = &toy[LOOP_TOYS];

	for (int i = 0; i < LOOP_TOYS; i++)
		watch(&toy[i]);
	last->source.unlocked = true;
	last->then = note_calls;
	watch(last);
	poll_once();
	cr_assert_eq(last->calls, 1);
	cr_assert_eq(toy[0].calls, 1);
}

static void remove_one(void)
{
	loop_remove(loop, &toy[1].source);
}

static void remove_one_elsewhere(struct toy *t)
{
	struct holder h;

	drain(t);
	holder_start(&h, remove_one);
	holder_end(&h);
}

/* As when a vCPU's thread resets a device after the loop has fetched its event. */
Test(loop, does_not_call_a_source_that_another_thread_removed, .timeout = 30)
{
	toy[0].source.unlocked = true; /* and so comes first */
	toy[0].then = remove_one_elsewhere;
	watch(&toy[1]);
	watch(&toy[0]);
	poll_once();
	cr_assert_eq(toy[0].calls, 1);
	cr_assert_eq(toy[1].calls, 0);
	watch(&toy[1]);
	poll_once();
	cr_assert_eq(toy[1].calls, 1);
}

Test(loop, runs_until_a_callback_stops_it)
{
	toy[0].then = toy[1].then = stop;
	watch(&toy[0]);
	watch(&toy[1]);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(toy[0].calls + toy[1].calls, 1, "not even the rest of the batch");
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(toy[0].calls + toy[1].calls, 2, "runs again");
}

static void on_alarm(int nr)
{
	(void)nr;
}

Test(loop, takes_a_signal_for_no_event)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };

	cr_assert_eq(sigaction(SIGALRM, &act, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	cr_assert_eq(loop_poll(loop, -1), 0);
}

/* Serves n events of a batchable source, with a pause before each. */
static void serve_batchable(unsigned n, useconds_t pause_us)
{
	while (n-- > 0) {
		cr_assert_eq(eventfd_write(toy[0].source.fd, 1), 0);
		if (pause_us > 0)
			usleep(pause_us);
		poll_once();
	}
}

static void watch_batchable(void)
{
	toy[0].source.batchable = true;
	toy[0].then = drain;
	toy[1].then = drain;
	watch(&toy[0]);
	poll_once();
}

/* Repeats until they count as a burst, since a busy machine may spread them out. */
static void flood(void)
{
	for (int i = 0; i < 1000 && sched_getscheduler(0) != SCHED_BATCH; i++)
		serve_batchable(64, 0);
	cr_assert_eq(sched_getscheduler(0), SCHED_BATCH);
}

Test(loop, is_scheduled_as_batch_while_many_batchable_events_come)
{
	watch_batchable();
	flood();
}

Test(loop, is_scheduled_as_batch_no_more_when_another_source_has_something)
{
	watch_batchable();
	flood();
	watch(&toy[1]);
	poll_once();
	cr_assert_eq(toy[1].calls, 1);
	cr_assert_eq(toy[1].policy, SCHED_OTHER, "before it is served");
	flood(); /* and so on */
}

Test(loop, is_not_scheduled_as_batch_while_others_come_between)
{
	watch_batchable();
	watch(&toy[1]);
	for (int i = 0; i < 200; i++) {
		serve_batchable(10, 0);
		cr_assert_eq(eventfd_write(toy[1].source.fd, 1), 0);
		poll_once();
		cr_assert_eq(sched_getscheduler(0), SCHED_OTHER);
	}
}

Test(loop, is_scheduled_as_batch_no_more_when_the_events_end_or_grow_few)
{
	watch_batchable();
	flood();
	serve_batchable(1, 70 * 1000);
	cr_assert_eq(sched_getscheduler(0), SCHED_OTHER);
	serve_batchable(128, 1100);
	cr_assert_eq(sched_getscheduler(0), SCHED_OTHER);
}

Test(loop, leaves_a_policy_that_it_did_not_choose)
{
	const struct sched_param none = { 0 };

	cr_assert_eq(sched_setscheduler(0, SCHED_IDLE, &none), 0);
	watch_batchable();
	serve_batchable(6400, 0);
	cr_assert_eq(sched_getscheduler(0), SCHED_IDLE);
}

Test(loop, closes_what_it_opened)
{
	unsigned before = fake_open_fds();
	struct loop *l;
	struct err e;

	cr_assert_eq(loop_create(&lock, &l, &e), 0);
	loop_destroy(l);
	loop_destroy(NULL);
	cr_assert_eq(fake_open_fds(), before);
}
