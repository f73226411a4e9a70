/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: deadlines, and failures of the host that end after a while; and what stays of
 * the host's side after the driver restarts or commits a fault.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "tests/unit/fakes/fake_vsock.h"
#include "vmm/base/clock.h"

enum { TIMEOUT_MS = 2000, TIMEOUT_US = TIMEOUT_MS * 1000 };

/* --- the host's epoll, which fails when it is told to --- */

static unsigned n_adds_fail;

/* Replaces the C library's function. */
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && n_adds_fail > 0) {
		n_adds_fail--;
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, ev);
}

/* --- the moment that a timer was last set to, if it was to come --- */

static uint64_t set_to_us;

/* Replaces the C library's function. */
int timerfd_settime(
	int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	uint64_t at_us = (uint64_t)when->it_value.tv_sec * 1000000 +
		(uint64_t)when->it_value.tv_nsec / 1000;

	if (at_us > clock_us())
		set_to_us = at_us;
	return (int)syscall(SYS_timerfd_settime, fd, flags, when, old);
}

TestSuite(vsock_time, .init = fv_init_basic, .fini = fv_fini, .timeout = 30);
TestSuite(vsock_time_new, .init = fv_attach, .fini = fv_fini, .timeout = 30);

/* Serves the loop until that many ms after the moment. */
static void serve_until(uint64_t start_us, unsigned ms)
{
	for (;;) {
		uint64_t now = clock_us(), end = start_us + ms * 1000u;

		if (now >= end)
			return;
		cr_assert_eq(loop_poll(fv_loop, (int)((end - now) / 1000) + 1), 0);
	}
}

/* Checks that the host's end is closed at a deadline that began between two moments.
 * How much later a busy machine does it is not checked. */
static void expect_closed(int fd, uint64_t from_us, uint64_t to_us)
{
	cr_expect_geq(set_to_us, from_us + TIMEOUT_US);
	cr_expect_leq(set_to_us, to_us + TIMEOUT_US);
	while (!fv_is_closed(fd)) {
		cr_assert_eq(errno, EAGAIN);
		cr_assert_lt(clock_us() - to_us, 20000000);
		cr_assert_eq(loop_poll(fv_loop, 20), 0);
	}
	cr_expect_geq(clock_us(), from_us + TIMEOUT_US);
}

/* A client that has said this, and whose words have been read. */
static int client(const char *line)
{
	int fd = fv_client(line);

	fv_settle();
	return fd;
}

/* --- deadlines --- */

Test(vsock_time, waits_for_a_line_as_long_as_it_takes)
{
	uint64_t start = clock_us();
	int silent = client(""), fd = client("CONNEC");

	serve_until(start, TIMEOUT_MS + 200);
	fv_put(fd, "T 5");
	serve_until(start, 2 * TIMEOUT_MS + 200);
	fv_put(fd, "2\n");
	cr_expect_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 52);
	cr_expect_not(fv_is_closed(silent));
	close(fd);
	close(silent);
}

Test(vsock_time, gives_the_place_of_the_oldest_silent_client_to_another)
{
	static int fd[FV_CONNS_MAX];
	struct fv_conn nowhere = { .guest_port = 6, .host_port = 10 };
	struct fv_conn guest = { .guest_port = 7 };
	int l = fv_listen(9), host, other;

	for (unsigned i = 0; i < FV_CONNS_MAX; i++)
		fd[i] = client(i % 2 ? "CONN" : "");
	cr_expect_not(fv_is_closed(fd[0]));
	host = client("CONNECT 52\n");
	cr_expect_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 52);
	cr_expect(fv_is_closed(fd[0]));
	/* nobody goes for a connection that does not come about */
	fv_say(&nowhere, VIRTIO_VSOCK_OP_REQUEST, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_expect_not(fv_is_closed(fd[1]));
	other = fv_open_guest(&guest, l, 9);
	cr_expect(fv_is_closed(fd[1]));
	/* who is oldest depends on when they came, not on what they say */
	fv_put(fd[3], "ECT 53\n");
	cr_expect_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 53);
	close(client(""));
	cr_expect(fv_is_closed(fd[2]));
	for (unsigned i = 3; i < FV_CONNS_MAX; i++)
		cr_expect_not(fv_is_closed(fd[i]), "%u", i);
	for (unsigned i = 0; i < FV_CONNS_MAX; i++)
		close(fd[i]);
	close(host);
	close(other);
	close(l);
}

Test(vsock_time, gives_the_guest_its_whole_time_after_a_late_line)
{
	uint64_t from_us;
	int fd = client("CONN");

	serve_until(clock_us(), 700);
	from_us = clock_us();
	fv_put(fd, "ECT 52\n");
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	expect_closed(fd, from_us, clock_us());
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_expect(fv_is_idle());
	close(fd);
}

Test(vsock_time, sets_its_clock_for_each_deadline_anew)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t from_us;
		int fd;

		serve_until(clock_us(), 300 * i);
		from_us = clock_us();
		fd = client("CONNECT 52\n");
		(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
		expect_closed(fd, from_us, clock_us());
		(void)fv_expect(VIRTIO_VSOCK_OP_RST);
		close(fd);
	}
}

Test(vsock_time, starts_no_deadline_in_a_pause)
{
	uint64_t from_us;
	int fd = client("CONN");

	mmio_pause(fv_t);
	fv_put(fd, "ECT 52\n");
	serve_until(clock_us(), TIMEOUT_MS + 200);
	from_us = clock_us();
	mmio_resume(fv_t);
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	expect_closed(fd, from_us, clock_us());
	close(fd);
}

/* --- what the host refuses --- */

/* A client is accepted after so many failures, one each 100 ms. */
static void expect_accepted(uint64_t start_us, unsigned failures)
{
	unsigned turns = 0;

	for (; fv_stats()->conns_added == 0; turns++) {
		cr_assert_lt(clock_us() - start_us, 10000000);
		cr_assert_eq(loop_poll(fv_loop, 1000), 0);
	}
	cr_expect_geq(clock_us() - start_us, failures * 95000);
	cr_expect_eq(fv_stats()->activate_fails, failures);
	cr_expect_leq(turns, 10, "it waits");
	cr_expect_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 52);
}

Test(vsock_time_new, accepts_a_while_after_it_could_not_watch_for_clients)
{
	uint64_t start = clock_us();
	int fd = fv_connect();

	fv_put(fd, "CONNECT 52\n");
	n_adds_fail = 2;
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
	expect_accepted(start, 2);
	close(fd);
}

Test(vsock_time, accepts_a_while_after_a_pause_that_it_could_not_end)
{
	uint64_t start = clock_us();
	int fd;

	mmio_pause(fv_t);
	fd = fv_connect();
	fv_put(fd, "CONNECT 52\n");
	fv_settle();
	n_adds_fail = 1;
	mmio_resume(fv_t);
	expect_accepted(start, 1);
	close(fd);
}

Test(vsock_time, ends_a_connection_that_it_cannot_watch)
{
	struct fv_conn c = { .guest_port = 7, .host_port = 9, .buf_alloc = FV_ALLOC };
	int l = fv_listen(9), fd;

	fd = fv_connect();
	n_adds_fail = 1;
	fv_settle();
	cr_expect(fv_is_closed(fd));
	close(fd);
	n_adds_fail = 1; /* once it is open, for there is nothing to watch before */
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RESPONSE);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_expect_eq(n_adds_fail, 0);
	cr_expect_eq(fv_stats()->conn_event_fails, 2);
	cr_expect_eq(fv_stats()->conns_removed, 1);
	close(l);
}

/* --- a driver that starts anew --- */

Test(vsock_time, keeps_a_line_that_ends_before_the_first_turn_of_a_new_driver)
{
	int fd = client("CONN");

	fv_put(fd, "ECT 52\n"); /* so the loop has this before all else */
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
	fv_settle();
	cr_expect_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 52);
	close(fd);
}

Test(vsock_time, leaves_a_line_that_ends_between_two_drivers_to_the_second)
{
	enum { N = 16 }; /* as many as the loop serves before it looks again */
	int fd[N];

	for (unsigned i = 0; i < N; i++)
		fd[i] = client("CONN");
	for (unsigned i = 0; i < N; i++)
		fv_put(fd[i], "ECT 52\n");
	fake_set_reg(fv_t, VIRTIO_MMIO_STATUS, 0);
	cr_assert_eq(loop_poll(fv_loop, 0), 0);
	fv_bring_up(FV_BASIC);
	fv_give_rx(N, FV_BUF);
	for (unsigned i = 0; i < N; i++) {
		(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
		close(fd[i]);
	}
}

static void restart(void *self, uint32_t events)
{
	(void)self;
	(void)events;
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
}

/* The driver restarts, on a vCPU, after the loop has fetched the event of a client. */
Test(vsock_time, gives_the_places_of_the_driver_before_to_waiting_clients)
{
	static struct fv_conn c[FV_CONNS_MAX];
	static int fd[FV_CONNS_MAX];
	struct loop_source vcpu = {
		.fd = eventfd(1, EFD_CLOEXEC), .fn = restart, .unlocked = true
	};
	int waiting;

	for (unsigned i = 0; i < FV_CONNS_MAX; i++)
		fd[i] = fv_open_host(&c[i], i);
	cr_assert_eq(loop_add(fv_loop, &vcpu, EPOLLIN), 0);
	waiting = fv_connect();
	cr_assert_eq(loop_poll(fv_loop, 0), 0);
	loop_remove(fv_loop, &vcpu);
	fv_put(waiting, "CONNECT 52\n");
	cr_expect_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 52);
	for (unsigned i = 0; i < FV_CONNS_MAX; i++) {
		cr_expect(fv_is_closed(fd[i]));
		close(fd[i]);
	}
	close(waiting);
	close(vcpu.fd);
}

/* --- a driver that commits a fault --- */

/* An event buffer outside of guest memory. */
static void give_bad_event(void)
{
	fv_give_event();
	fake_set_desc(&fv_drv, FAKE_HIGH + FV_EVENT * 0x20000, 3 << 20, 8, 2, 0);
}

/* Checks that nothing is left of the host's side, and that nothing comes until a driver
 * starts. */
static void expect_stopped(int open, int line)
{
	int fd;

	cr_expect(fv_faulted());
	cr_expect(fv_is_closed(open));
	cr_expect(fv_is_closed(line));
	cr_expect_eq(fv_stats()->ev_queue_event_fails, 1);
	fd = client("CONNECT 53\n");
	cr_expect_not(fv_is_closed(fd)); /* it waits in the backlog */
	cr_expect_eq(fv_stats()->conns_added, 1);
	cr_expect(fv_is_idle());
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
	cr_expect_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 53);
	close(fd);
	close(open);
	close(line);
}

Test(vsock_time, stops_after_a_fault_in_the_event_queue)
{
	int fd, line = client("CONN");

	mmio_pause(fv_t);
	vsock_reset_transport(mmio_vdev(fv_t)); /* so that an event is due */
	mmio_resume(fv_t);
	/* of this the guest hears nothing, since the gate is shut */
	fd = client("CONNECT 52\n");
	give_bad_event();
	fv_notify(FV_EVENT);
	fv_settle();
	expect_stopped(fd, line);
}

Test(vsock_time, stops_after_a_fault_at_a_snapshot)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52), line = client("CONN");

	give_bad_event();
	mmio_pause(fv_t);
	vsock_reset_transport(mmio_vdev(fv_t));
	mmio_resume(fv_t);
	fv_settle();
	expect_stopped(fd, line);
}
