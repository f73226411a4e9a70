/* SPDX-License-Identifier: Apache-2.0
 *
 * net: failures of the host: reads of the tap that fail for a while or for good, and a
 * tap that epoll cannot watch. What may get better is tried again, without any action
 * of the guest and without a busy loop.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "tests/unit/fakes/fake_net.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

static struct fake_net net;

/* --- replacements of the C library's, which fail --- */

static unsigned n_adds_fail, n_reads_fail;
static int read_error;

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && n_adds_fail > 0) {
		n_adds_fail--;
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, ev);
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (n_reads_fail > 0) {
		n_reads_fail--;
		errno = read_error;
		return -1;
	}
	return syscall(SYS_readv, fd, iov, n);
}

/* A device's timer fires when the test says so, however slow the machine is. */
static bool holds_timers;
static int held_fd = -1; /* what was set meanwhile */

int timerfd_settime(
	int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	if (!holds_timers)
		return (int)syscall(SYS_timerfd_settime, fd, flags, when, old);
	held_fd = fd;
	return 0;
}

static void fire_timer(void)
{
	struct itimerspec now = { .it_value.tv_nsec = 1 };

	cr_assert_geq(held_fd, 0);
	cr_assert_eq(syscall(SYS_timerfd_settime, held_fd, 0, &now, NULL), 0);
}

static void set_up(void)
{
	log_set_level(LOG_OFF);
	fn_init(&net, NULL);
	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
	(void)fn_post_buffer(&net, 100);
	(void)fn_post_buffer(&net, 100);
}

static void tear_down(void)
{
	fn_fini(&net);
}

TestSuite(net_errors, .init = set_up, .fini = tear_down, .timeout = 20);

static uint64_t fails(void)
{
	return fn_stats(&net)->tap_read_fails;
}

static unsigned received(void)
{
	return (unsigned)fn_stats(&net)->rx_packets_count;
}

/* Serves the loop for that many ms; how often it had something to do. */
static unsigned serve(unsigned ms)
{
	uint64_t end = clock_us() + ms * 1000u, now;
	unsigned turns = 0;

	for (; (now = clock_us()) < end; turns++)
		cr_assert_eq(loop_poll(net.loop, (int)((end - now) / 1000) + 1), 0);
	return turns;
}

/* Serves the loop until n frames came; in how many turns. */
static unsigned await(unsigned n)
{
	uint64_t start = clock_us();
	unsigned turns = 0;

	for (; received() < n; turns++) {
		cr_assert_lt(clock_us() - start, 10000000);
		cr_assert_eq(loop_poll(net.loop, 1000), 0);
	}
	return turns;
}

static void fail_reads(unsigned n, int error)
{
	n_reads_fail = n;
	read_error = error;
	fn_wire_send(&net, 60, 1);
	for (unsigned i = 0; i < 40; i++)
		fn_poll(&net);
}

Test(net_errors, reads_on_after_a_few_errors)
{
	fail_reads(15, ENOMEM);
	cr_expect_eq(fails(), 15);
	cr_expect_eq(received(), 1);
}

Test(net_errors, tries_a_tap_that_fails_again_and_again_until_it_does_not)
{
	uint64_t start = clock_us();

	fail_reads(19, EIO);
	cr_expect_leq(await(1), 12, "it waits");
	cr_expect_geq(clock_us() - start, 390000); /* once each 100 ms after 16 */
	cr_expect_eq(fails(), 19);
	n_reads_fail = 3; /* as good as new */
	fn_wire_send(&net, 60, 1);
	for (unsigned i = 0; i < 5; i++)
		fn_poll(&net);
	cr_expect_eq(received(), 2);
}

Test(net_errors, tries_again_at_once_when_the_guest_notifies)
{
	holds_timers = true;
	fail_reads(16, EIO);
	cr_expect_eq(received(), 0);
	fn_notify(&net, FN_RX);
	cr_expect_eq(received(), 1);
	fire_timer(); /* which was set for nothing then */
	(void)serve(20);
	cr_expect_eq(fails(), 16);
}

Test(net_errors, leaves_a_tap_alone_that_is_readable_for_ever_and_has_nothing)
{
	holds_timers = true;
	cr_assert_eq(shutdown(net.wire, SHUT_RDWR), 0);
	for (unsigned i = 0; i < 100; i++)
		fn_poll(&net);
	cr_expect_eq(fails(), 16);
	fire_timer();
	(void)serve(20);
	cr_expect_eq(fails(), 17);
	fn_notify(&net, FN_RX); /* a new beginning */
	for (unsigned i = 0; i < 100; i++)
		fn_poll(&net);
	cr_expect_eq(fails(), 17 + 16);
}

Test(net_errors, does_not_try_in_a_pause_but_after_it)
{
	holds_timers = true;
	fail_reads(17, EIO);
	mmio_pause(net.t);
	fire_timer();
	(void)serve(20);
	cr_expect_eq(fails(), 16);
	mmio_resume(net.t);
	(void)await(1);
	cr_expect_eq(fails(), 17);
}

Test(net_errors, gives_a_tap_up_at_once_that_is_gone)
{
	static const int gone[] = { EBADFD, EBADF, ENODEV, ENXIO };

	for (unsigned i = 0; i < ARRAY_LEN(gone); i++) {
		fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
		(void)fn_post_buffer(&net, 100);
		fail_reads(1, gone[i]);
		cr_expect_eq(fails(), i + 1);
		(void)serve(250);
		cr_expect_eq(received(), i);
		fn_notify(&net, FN_RX); /* and tries it again for those who ask */
		cr_expect_eq(received(), i + 1);
	}
}

Test(net_errors, watches_the_tap_a_while_after_the_host_refused_that)
{
	uint64_t start = clock_us();

	mmio_pause(net.t);
	n_adds_fail = 3;
	mmio_resume(net.t); /* both queues are looked at, with a failure each */
	fn_poll(&net);
	fn_wire_send(&net, 60, 1);
	cr_expect_leq(await(1), 6, "it waits");
	cr_expect_geq(clock_us() - start, 190000);
	cr_expect_eq(fn_stats(&net)->event_fails, 3);
}
