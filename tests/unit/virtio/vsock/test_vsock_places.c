/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: which connections have a place in the table and a descriptor, for how long,
 * and which give them up for others.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_vsock.h"

TestSuite(vsock_places, .init = fv_init_basic, .fini = fv_fini, .timeout = 30);

/* --- places of those who wait for the guest --- */

Test(vsock_places, guest_without_buffers_holds_its_own_connection_for_a_while_only)
{
	struct fv_conn c = { .guest_port = 7, .host_port = 9, .buf_alloc = FV_ALLOC };
	int l = fv_listen(9), fd;

	fv_bring_up(FV_BASIC); /* and no buffer to receive */
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert_geq(fd, 0);
	fv_settle();
	while (!fv_is_closed(fd))
		cr_assert_eq(loop_poll(fv_loop, 100), 0);
	fv_give_rx(2, FV_BUF);
	fv_notify(FV_RX);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	close(fd);
	close(l);
}

/* A banner that the host sent before it hung up is the guest's. */
Test(vsock_places, guest_without_buffers_gets_what_a_host_said_that_is_gone)
{
	struct fv_conn c = { .guest_port = 7, .host_port = 9, .buf_alloc = FV_ALLOC };
	int l = fv_listen(9), fd;

	fv_bring_up(FV_BASIC);
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fv_put(fd, "banner");
	close(fd);
	cr_assert(fv_is_idle());
	fv_give_rx(4, FV_BUF);
	fv_notify(FV_RX);
	(void)fv_expect(VIRTIO_VSOCK_OP_RESPONSE);
	fv_expect_data(&c, "banner");
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, FV_BOTH);
	close(l);
}

/* A guest that reads late gets all that the host sent before it hung up; one that never
 * does loses its place to another. */
Test(vsock_places, host_that_hung_up_waits_for_the_guest_while_there_are_places)
{
	static int fd[FV_CONNS_MAX];
	struct fv_conn slow[3], c;
	int extra;

	for (unsigned i = 0; i < FV_CONNS_MAX; i++) {
		c = (struct fv_conn){ .buf_alloc = i < 3 ? 10 : 0 };
		fd[i] = fv_open_host(&c, 52);
		if (i >= 3)
			continue;
		slow[i] = c;
		fv_put(fd[i], "ten bytes, and more");
		fv_expect_data(&slow[i], "ten bytes,");
		(void)fv_expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
		close(fd[i]);
		cr_assert(fv_is_idle());
	}
	extra = fv_open_host(&c, 52);
	fv_say(&slow[0], VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST); /* it gave its place up */
	fv_say(&slow[1], VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	fv_expect_data(&slow[1], " and more");
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, FV_BOTH);
	for (unsigned i = 3; i < FV_CONNS_MAX; i++)
		close(fd[i]);
	close(extra);
}

/* --- descriptors --- */

enum { LIMIT = 300, RESERVE = 64, FAR = 1000 };

static void set_up_few(void)
{
	struct rlimit few = { LIMIT, 2 * FAR };

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	fv_init_basic();
}

TestSuite(vsock_few, .init = set_up_few, .fini = fv_fini, .timeout = 30);

/* Descriptors that this process may still have. */
static unsigned count_free(void)
{
	static int fd[LIMIT];
	unsigned n = 0;

	while (n < LIMIT && (fd[n] = dup(STDIN_FILENO)) >= 0)
		n++;
	for (unsigned i = 0; i < n; i++)
		close(fd[i]);
	return n;
}

static struct fv_conn few_conn[LIMIT];
static int few_fd[LIMIT];

/* The guest connects until it is refused; how often it could. */
static unsigned fill_up(int l)
{
	static struct fv_packet p;
	unsigned n = 0;

	for (;; n++) {
		cr_assert_lt(n, LIMIT);
		few_conn[n] = (struct fv_conn){
			.guest_port = n, .host_port = 9, .buf_alloc = FV_ALLOC
		};
		fv_say(&few_conn[n], VIRTIO_VSOCK_OP_REQUEST, 0);
		cr_assert(fv_recv(&p));
		if (p.op == VIRTIO_VSOCK_OP_RST)
			return n;
		cr_assert_eq(p.op, VIRTIO_VSOCK_OP_RESPONSE);
		few_fd[n] = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (few_fd[n] < 0)
			return n;
	}
}

Test(vsock_few, descriptors_are_left_to_others)
{
	int l = fv_listen(9);
	unsigned n = fill_up(l), left = count_free();

	cr_assert_gt(n, 50);
	/* a pair is this process's own; the last of those may be of the reserve */
	cr_assert_geq(left, RESERVE - 1, "%u", left);
	for (unsigned i = 0; i < 50; i++) { /* nor do they become fewer by trying */
		struct fv_conn c = { .guest_port = 1000, .host_port = 9 };

		fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
		(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	}
	cr_assert_eq(count_free(), left);
	fv_say(&few_conn[3], VIRTIO_VSOCK_OP_RST, 0); /* one goes, one may come */
	close(few_fd[3]);
	few_fd[3] = fv_open_host(&few_conn[3], 52);
	for (unsigned i = 0; i < n; i++)
		close(few_fd[i]);
	close(l);
}

/* A silent client, whose own descriptor has a high number, so that the device has the
 * lowest numbers for itself. */
static int far_client(void)
{
	int near = fv_connect(), fd = fcntl(near, F_DUPFD_CLOEXEC, FAR);

	cr_assert_geq(fd, FAR);
	close(near);
	fv_settle();
	return fd;
}

static unsigned count_near(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < FAR; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(vsock_few, silent_clients_give_theirs_up_and_the_reserve_stays)
{
	enum { MORE = 40 };
	struct rlimit many = { 2 * FAR, 2 * FAR };
	static int fd[LIMIT + MORE];
	unsigned n = 0, near, before = count_near();

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &many), 0);
	while (count_near() < LIMIT - RESERVE)
		fd[n++] = far_client();
	near = count_near();
	for (unsigned i = 0; i < MORE; i++) {
		fd[n] = far_client();
		cr_assert_not(fv_is_closed(fd[n++]), "%u", i);
		cr_assert(fv_is_closed(fd[i]), "%u: the oldest that is silent", i);
		cr_assert_leq(count_near(), near + 1, "%u", i);
	}
	while (n > 0) {
		close(fd[--n]);
		fv_settle();
	}
	cr_assert_eq(count_near(), before);
	for (n = 0; n < 100; n++) /* there are places again, and nobody loses his */
		fd[n] = far_client();
	cr_assert_not(fv_is_closed(fd[0]));
	while (n > 0)
		close(fd[--n]);
}

Test(vsock_few, guest_is_refused_before_the_host_hears_of_it)
{
	struct fv_conn c = { .guest_port = 7, .host_port = 9 };
	int l = fv_listen(9);

	while (count_free() > RESERVE)
		cr_assert_geq(dup(STDIN_FILENO), 0);
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_assert_lt(accept4(l, NULL, NULL, SOCK_NONBLOCK), 0);
	cr_assert_eq(errno, EAGAIN);
	close(l);
}
