/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: how connections end: by the host, by the guest, in halves, and when one side
 * does not answer. test_vsock_last.c checks that the last bytes reach the host.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_vsock.h"
#include "vmm/base/clock.h"

TestSuite(vsock_end, .init = fv_init_event_idx, .fini = fv_fini);

Test(vsock_end, tells_the_guest_of_the_hosts_end_after_the_last_byte)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	fv_put(fd, "last");
	close(fd);
	fv_expect_data(&c, "last");
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, FV_BOTH);
	cr_assert(fv_is_idle());
	fv_say(&c, VIRTIO_VSOCK_OP_RST, 0);
	fv_expect_nothing();
	cr_assert_eq(fv_stats()->conns_removed, 1);
	fv_say(&c, VIRTIO_VSOCK_OP_RW, 0); /* nobody's now */
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	close(l);
}

/* Opens a connection from either side: the host's end. */
static int open_from(bool from_host, struct fv_conn *c, int l)
{
	*c = (struct fv_conn){ .guest_port = 5 };
	return from_host ? fv_open_host(c, 52) : fv_open_guest(c, l, 78);
}

Test(vsock_end, lets_the_host_end_its_sending_and_read_the_answer)
{
	int l = fv_listen(78);

	for (unsigned from_host = 0; from_host < 2; from_host++) {
		struct fv_conn c;
		int fd = open_from(from_host, &c, l);

		fv_put(fd, "question");
		cr_assert_eq(shutdown(fd, SHUT_WR), 0);
		fv_expect_data(&c, "question");
		cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags,
			VIRTIO_VSOCK_SHUTDOWN_SEND);
		fv_expect_nothing();
		fv_write(&c, "answer", 6);
		fv_expect_text(fd, "answer");
		fv_write(&c, ", the rest", 10);
		fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, FV_BOTH);
		fv_expect_text(fd, ", the rest");
		(void)fv_expect(VIRTIO_VSOCK_OP_RST);
		cr_assert(fv_is_closed(fd));
		cr_assert(fv_is_idle());
		close(fd);
	}
	close(l);
}

Test(vsock_end, lets_the_guest_end_first_and_read_on)
{
	int l = fv_listen(78);

	for (unsigned from_host = 0; from_host < 2; from_host++) {
		struct fv_conn c;
		int fd = open_from(from_host, &c, l);

		fv_write(&c, "question", 8);
		fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
		fv_expect_text(fd, "question");
		cr_assert(fv_is_closed(fd));
		fv_put(fd, "answer");
		cr_assert_eq(shutdown(fd, SHUT_WR), 0);
		fv_expect_data(&c, "answer");
		cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, FV_BOTH);
		fv_say(&c, VIRTIO_VSOCK_OP_RST, 0);
		fv_expect_nothing();
		close(fd);
	}
	close(l);
}

/* A second half by the guest is the end of both directions. */
Test(vsock_end, ends_when_the_guest_sends_no_more_after_the_host)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV);
	fv_expect_nothing();
	fv_write(&c, "still", 5);
	fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	fv_expect_text(fd, "still");
	cr_assert(fv_is_closed(fd));
	close(fd);
	close(l);
}

/* Longer than any deadline of a connection. */
Test(vsock_end, gives_the_answer_to_a_half_close_all_the_time_it_takes, .timeout = 20)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);
	uint64_t end = clock_us() + 2300000;

	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	while (clock_us() < end)
		cr_assert_eq(loop_poll(fv_loop, 100), 0);
	fv_expect_nothing();
	fv_write(&c, "late", 4);
	fv_expect_text(fd, "late");
	close(fd);
}

Test(vsock_end, tells_the_guest_when_a_host_that_sent_all_hangs_up)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	cr_assert_eq(
		fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	cr_assert(fv_is_idle());
	close(fd);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, FV_BOTH);
	cr_assert(fv_is_idle());
	fv_say(&c, VIRTIO_VSOCK_OP_RST, 0);
	fv_expect_nothing();
	cr_assert_eq(fv_stats()->conns_removed, 1);
}

Test(vsock_end, lets_the_host_end_its_receiving_and_send_on)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	cr_assert_eq(shutdown(fd, SHUT_RD), 0);
	fv_write(&c, "for nobody", 10);
	cr_assert_eq(
		fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
	fv_put(fd, "upload");
	fv_expect_data(&c, "upload");
	for (unsigned i = 0; i < 20; i++) { /* it has not heard, and gets its credit */
		struct fv_packet p;

		fv_write(&c, fv_noise, MIN(fv_room(&c), 16384u));
		while (fv_recv(&p))
			fv_hear(&c, &p);
	}
	cr_assert_gt(c.sent, 4 * (64 << 10));
	fv_put(fd, ", the rest");
	fv_expect_data(&c, ", the rest");
	close(fd);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, FV_BOTH);
}

/* The host closes before husk has read what it sent: writes fail, reads succeed. */
Test(vsock_end, reads_what_a_host_sent_that_is_gone)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fv_put(fd, "last words");
	close(fd);
	fv_recycle = false;
	fv_post_only = true;
	fv_write(&c, "x", 1);
	fv_post_only = false;
	fv_notify(FV_TX);
	fv_recycle = true;
	fv_settle();
	fv_expect_data(&c, "last words");
	while (fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags != FV_BOTH)
		;
	fv_expect_nothing();
}

Test(vsock_end, ends_with_a_guest_that_ignores_the_hosts_end, .timeout = 10)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);
	uint64_t start = clock_us();

	close(fd);
	(void)fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	while (fv_stats()->conns_killed == 0)
		cr_assert_eq(loop_poll(fv_loop, 100), 0);
	cr_assert_geq(clock_us() - start, 1990000);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	close(l);
}

Test(vsock_end, lets_the_guest_end_its_sending)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fv_write(&c, "bye", 3);
	fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	fv_expect_text(fd, "bye");
	cr_assert(fv_is_closed(fd));
	fv_put(fd, "still here");
	fv_expect_data(&c, "still here");
	fv_write(&c, "x", 1); /* after all */
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	close(fd);
}

Test(vsock_end, ends_the_sending_after_what_a_slow_host_has_to_take)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);
	uint32_t n = fv_clog(&c);

	fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	fv_read_all(fd, n);
	cr_assert(fv_is_closed(fd));
	close(fd);
}

Test(vsock_end, lets_the_guest_end_its_receiving)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV);
	cr_assert_lt(send(fd, "x", 1, MSG_NOSIGNAL), 0);
	cr_assert_eq(errno, EPIPE);
	fv_write(&c, "still here", 10);
	fv_expect_text(fd, "still here");
	cr_assert(fv_is_idle());
	close(fd);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, FV_BOTH);
}

Test(vsock_end, answers_two_halves_as_a_whole)
{
	for (unsigned order = 0; order < 2; order++) {
		struct fv_conn c = { 0 };
		int fd = fv_open_host(&c, 52);

		fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN,
			order ? VIRTIO_VSOCK_SHUTDOWN_RCV : VIRTIO_VSOCK_SHUTDOWN_SEND);
		fv_expect_nothing();
		fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN,
			order ? VIRTIO_VSOCK_SHUTDOWN_SEND : VIRTIO_VSOCK_SHUTDOWN_RCV);
		(void)fv_expect(VIRTIO_VSOCK_OP_RST);
		cr_assert(fv_is_closed(fd));
		close(fd);
	}
}

Test(vsock_end, resets_the_guest_when_the_host_is_gone)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fv_put(fd, "unread");
	fv_expect_data(&c, "unread");
	close(fd);
	fv_write(&c, "x", 1); /* before the end is seen, or after */
	(void)fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	fv_write(&c, "x", 1);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(fv_stats()->conns_removed, 1);
}

Test(vsock_end, drops_the_host_when_the_guest_resets)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fv_say(&c, VIRTIO_VSOCK_OP_RST, 0);
	cr_assert(fv_is_closed(fd));
	fv_expect_nothing();
	cr_assert_eq(fv_stats()->conns_killed, 0);
	cr_assert_eq(fv_stats()->conns_removed, 1);
	close(fd);
}

Test(vsock_end, uses_the_ports_of_an_ended_connection_again)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78);

	for (unsigned i = 0; i < 20; i++) {
		int fd;

		c = (struct fv_conn){ .guest_port = 5 };
		fd = fv_open_guest(&c, l, 78);
		if (i % 2) {
			fv_say(&c, VIRTIO_VSOCK_OP_RST, 0);
		} else {
			fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, FV_BOTH);
			(void)fv_expect(VIRTIO_VSOCK_OP_RST);
		}
		close(fd);
	}
	cr_assert_eq(fv_stats()->conns_added, 20);
	cr_assert_eq(fv_stats()->conns_removed, 20);
	close(l);
}
