/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: connections in both directions as a guest's driver and programs on the host
 * see them: how they begin, and carry data under credit.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_vsock.h"
#include "virtio/vsock/states.h"
#include "vmm/base/clock.h"

TestSuite(vsock, .init = fv_init_event_idx, .fini = fv_fini);

/* --- how connections begin --- */

Test(vsock, asks_the_guest_for_a_host_client)
{
	int fd = fv_connect();
	struct fv_packet *p;

	fv_put(fd, "CONNECT 52\n");
	p = fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	cr_assert_eq(p->src_cid, 2);
	cr_assert_eq(p->dst_cid, FV_CID);
	cr_assert_eq(p->src_port, 1073741824u);
	cr_assert_eq(p->dst_port, 52);
	cr_assert_eq(p->type, VIRTIO_VSOCK_TYPE_STREAM);
	cr_assert_eq(p->len, 0);
	cr_assert_eq(p->buf_alloc, 64 << 10);
	cr_assert_eq(p->fwd_cnt, 0);
	close(fd);
}

Test(vsock, tells_the_host_its_port_when_the_guest_agrees)
{
	struct fv_conn a = { 0 }, b = { 0 };
	int fd = fv_open_host(&a, 52), other = fv_open_host(&b, 52);

	cr_assert_eq(a.host_port, 1073741824u);
	cr_assert_eq(b.host_port, 1073741825u);
	fv_expect_nothing();
	close(fd);
	close(other);
}

Test(vsock, reads_a_connect_line_that_comes_in_pieces)
{
	static const char line[] = "CONNECT 4294967295\n";
	int fd = fv_connect();
	struct fv_packet *p;

	for (unsigned i = 0; line[i]; i++) {
		fv_expect_nothing();
		cr_assert_eq(write(fd, &line[i], 1), 1);
	}
	p = fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	cr_assert_eq(p->dst_port, 4294967295u);
	close(fd);
}

Test(vsock, reads_a_connect_line_in_any_case)
{
	static const char *const lines[] = { "connect 7\n", "CoNnEcT 7\n",
		"CONNECT 7\r\n", "  CONNECT\t7 \n",
		"CONNECT 0000000000000000000007\n" };

	for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
		int fd = fv_connect();

		fv_put(fd, lines[i]);
		cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 7);
		close(fd);
	}
}

Test(vsock, closes_on_a_line_that_is_none)
{
	static const char *const lines[] = { "\n", "CONNECT\n", "CONNECT \n",
		"CONNECT52\n", "CONNECT x\n", "CONNECT -1\n", "CONNECT +1\n",
		"CONNECT 4294967296\n", "CONNECT 99999999999999999999\n",
		"CONNECT 1 2\n", "CONNECT 0x10\n", "CONNECTED 1\n", "GET / HTTP/1.1\n",
		"CONNECT 1                       \n",
		"01234567890123456789012345678901",
		"CONNECT 1 00000000000000000000000000000000000000000" };

	for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
		int fd = fv_connect();

		fv_put(fd, lines[i]);
		fv_expect_nothing();
		/* part of a long line was not read: then it is a reset */
		cr_assert(fv_is_closed(fd) || errno == ECONNRESET, "%s", lines[i]);
		close(fd);
	}
	cr_assert_eq(fv_stats()->conns_added, 0);
}

Test(vsock, closes_on_a_line_with_a_nul)
{
	int fd = fv_connect();

	cr_assert_eq(write(fd, "CONNECT 1\0\n", 11), 11);
	fv_expect_nothing();
	cr_assert(fv_is_closed(fd));
	close(fd);
}

Test(vsock, forgets_a_client_that_leaves_before_its_line)
{
	int fd = fv_connect();

	fv_put(fd, "CONN");
	fv_settle();
	close(fd);
	fv_expect_nothing();
	cr_assert(fv_is_idle());
}

Test(vsock, forwards_what_follows_the_line)
{
	int fd = fv_connect();
	struct fv_conn c = { .guest_port = 9, .buf_alloc = FV_ALLOC };

	fv_put(fd, "CONNECT 9\nCONNECT 10\nhello");
	c.host_port = fv_expect(VIRTIO_VSOCK_OP_REQUEST)->src_port;
	fv_expect_nothing();
	fv_say(&c, VIRTIO_VSOCK_OP_RESPONSE, 0);
	fv_expect_text(fd, "OK 1073741824\n");
	fv_expect_data(&c, "CONNECT 10\nhello");
	close(fd);
}

Test(vsock, closes_without_a_byte_when_the_guest_refuses)
{
	struct fv_conn c = { .guest_port = 9 };
	int fd = fv_connect();

	fv_put(fd, "CONNECT 9\n");
	c.host_port = fv_expect(VIRTIO_VSOCK_OP_REQUEST)->src_port;
	cr_assert_not(fv_is_closed(fd));
	fv_say(&c, VIRTIO_VSOCK_OP_RST, 0);
	cr_assert(fv_is_closed(fd));
	fv_expect_nothing();
	close(fd);
}

Test(vsock, gives_up_on_a_guest_that_does_not_answer, .timeout = 10)
{
	int fd = fv_connect();
	uint64_t start = clock_us();

	fv_put(fd, "CONNECT 9\n");
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	while (!fv_is_closed(fd))
		cr_assert_eq(loop_poll(fv_loop, 100), 0);
	cr_assert_geq(clock_us() - start, 1990000);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	close(fd);
}

Test(vsock, connects_the_guest_to_a_port_of_the_host)
{
	struct fv_conn c = { .guest_port = 1024 };
	int l = fv_listen(77), fd = fv_open_guest(&c, l, 77);

	fv_write(&c, "ping", 4);
	fv_expect_text(fd, "ping");
	fv_put(fd, "pong");
	fv_expect_data(&c, "pong");
	close(fd);
	close(l);
}

Test(vsock, refuses_the_guest_where_nobody_listens)
{
	struct fv_conn c = { .guest_port = 5, .host_port = 78 };
	struct fv_packet *p;

	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	p = fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(p->src_port, 78);
	cr_assert_eq(p->dst_port, 5);
	cr_assert_eq(p->type, VIRTIO_VSOCK_TYPE_STREAM);
	cr_assert_eq(fv_stats()->conns_added, 0);
}

/* A uds_path may use all of an address, which leaves no room for a port, or for short
 * ones only. */
Test(vsock, refuses_the_guest_ports_whose_path_does_not_fit)
{
	struct fv_conn c = { .guest_port = 5 };
	size_t n = strlen(fv_path);
	int l, fd;

	memset(fv_path + n, 'x', UNIX_PATH_MAX - 3 - n); /* for "_77" and no more */
	fv_path[UNIX_PATH_MAX - 3] = '\0';
	fv_replace();
	fv_bring_up(FV_BASIC);
	fv_give_rx(FV_RING / 2, FV_BUF);
	l = fv_listen(77);
	c.host_port = 777; /* which, cut, would be the path of 77 */
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RST)->src_port, 777);
	fd = fv_open_guest(&c, l, 77);
	fv_write(&c, "ping", 4);
	fv_expect_text(fd, "ping");
	close(fd);
	close(l);
}

Test(vsock, ends_a_connection_that_is_asked_for_twice)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_assert(fv_is_closed(fd));
	close(fd);
	close(l);
}

/* --- data and credit --- */

/* Sends n bytes of fv_noise each way in pieces of random size, checking both ends,
 * while the guest's buffer holds buf_alloc bytes and takes what it has at random
 * moments. */
static void exchange(uint32_t buf_alloc, size_t n)
{
	struct fv_conn c = { .guest_port = 5, .buf_alloc = buf_alloc };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);
	size_t to_guest = 0, at_guest = 0, from_guest = 0, at_host = 0;
	static struct fv_packet p;
	uint32_t held = 0;

	for (unsigned turn = 0; at_guest < n || at_host < n; turn++) {
		static uint8_t buf[64 << 10];
		uint32_t size = 1 + (uint32_t)rand() % (rand() % 4 ? 300 : 60000);
		ssize_t r;

		cr_assert_lt(turn, 200000, "stuck at %zu, %zu", at_guest, at_host);
		r = write(fd, fv_noise + to_guest, MIN(size, n - to_guest));
		to_guest += r > 0 ? (size_t)r : 0;
		size = MIN(MIN(size, (uint32_t)(n - from_guest)), fv_room(&c));
		if (size > 0) {
			fv_write(&c, fv_noise + from_guest, size);
			from_guest += size;
		}
		r = rand() % 3 ? read(fd, buf, (size_t)(1 + rand() % 60000)) : 0;
		if (r > 0) {
			cr_assert_arr_eq(buf, fv_noise + at_host, (size_t)r);
			at_host += (size_t)r;
		}
		fv_settle();
		while (fv_recv(&p)) {
			fv_hear(&c, &p);
			if (p.op == VIRTIO_VSOCK_OP_RW) {
				cr_assert_arr_eq(p.data, fv_noise + at_guest, p.len);
				at_guest += p.len;
				held += p.len;
				cr_assert_leq(held, buf_alloc);
			} else {
				cr_assert(p.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE ||
					p.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST);
			}
		}
		if (rand() % 2) {
			c.fwd_cnt += held;
			held = 0;
			fv_say(&c, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
		}
		(void)fv_tx_done();
	}
	cr_assert_not(fv_faulted());
	cr_assert_eq(fv_stats()->rx_bytes_count, n);
	cr_assert_eq(fv_stats()->tx_bytes_count, n);
	close(fd);
	close(l);
}

Test(vsock, keeps_every_byte_with_a_large_buffer, .timeout = 60)
{
	exchange(FV_ALLOC, FV_NOISE);
}

Test(vsock, keeps_every_byte_with_a_small_buffer, .timeout = 60)
{
	exchange(700, FV_NOISE / 8);
}

Test(vsock, fills_no_more_than_a_buffer)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	cr_assert_eq(write(fd, fv_noise, FV_BUF + 10), FV_BUF + 10);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RW)->len, FV_BUF);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RW)->len, 10);
	close(fd);
	close(l);
}

Test(vsock, puts_a_buffer_back_that_nothing_is_left_for)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	fv_recycle = false;
	for (unsigned i = 0; i < FV_RING / 2; i++) {
		cr_assert_eq(write(fd, fv_noise, FV_BUF), FV_BUF);
		cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RW)->len, FV_BUF);
		cr_assert(i > 2 || fv_is_idle());
	}
	close(fd);
	close(l);
}

Test(vsock, asks_once_for_credit_and_waits_for_it)
{
	struct fv_conn c = { .guest_port = 5, .buf_alloc = 100 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	cr_assert_eq(write(fd, fv_noise, 250), 250);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RW)->len, 100);
	(void)fv_expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	cr_assert(fv_is_idle());
	fv_say(&c, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	fv_expect_nothing();
	c.fwd_cnt = 60;
	fv_say(&c, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RW)->len, 60);
	(void)fv_expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	c.buf_alloc = 1000;
	fv_say(&c, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RW)->len, 90);
	fv_expect_nothing();
	close(fd);
	close(l);
}

Test(vsock, answers_a_credit_request)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);
	struct fv_packet *p;

	fv_write(&c, fv_noise, 123);
	fv_expect_nothing();
	fv_say(&c, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0);
	p = fv_expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(p->fwd_cnt, 123);
	cr_assert_eq(p->buf_alloc, VSOCK_BUF_BYTES);
	close(fd);
	close(l);
}

Test(vsock, tells_credit_when_the_guest_sees_less_than_4_kib)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	fv_write(&c, fv_noise, VSOCK_BUF_BYTES - VSOCK_CREDIT_LOW);
	fv_expect_nothing();
	fv_write(&c, fv_noise, 1);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE)->fwd_cnt,
		VSOCK_BUF_BYTES - VSOCK_CREDIT_LOW + 1);
	close(fd);
	close(l);
}

Test(vsock, keeps_what_a_slow_host_does_not_take)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);
	uint32_t n = fv_clog(&c);
	struct fv_packet p;

	cr_assert(fv_is_idle());
	fv_read_all(fd, n);
	while (fv_recv(&p))
		fv_hear(&c, &p);
	cr_assert_eq(fv_room(&c), VSOCK_BUF_BYTES); /* it is told when all is gone */
	fv_write(&c, "more", 4);
	fv_expect_text(fd, "more");
	close(fd);
	close(l);
}

Test(vsock, ends_a_connection_whose_guest_overflows_the_buffer)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78);

	(void)fv_clog(&c);
	fv_write(&c, "x", 1);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(fv_stats()->conns_killed, 1);
	cr_assert_not(fv_faulted());
	close(fd);
	close(l);
}

Test(vsock, waits_for_a_guest_without_buffers)
{
	struct fv_conn c = { .guest_port = 5 };
	int l = fv_listen(78), fd = fv_open_guest(&c, l, 78), n = 0;

	fv_recycle = false;
	cr_assert_eq(write(fd, fv_noise, 150000), 150000);
	while (n < FV_RING / 2 - 1) /* the RESPONSE's was given back */
		n += fv_expect(VIRTIO_VSOCK_OP_RW)->len == FV_BUF;
	(void)fv_expect(VIRTIO_VSOCK_OP_RW);
	fv_expect_nothing();
	cr_assert(fv_is_idle());
	fv_give_rx(1, 100);
	fv_expect_nothing(); /* without a notification, nobody looks */
	fv_notify(FV_RX);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RW)->len, 100);
	fv_expect_nothing();
	close(fd);
	close(l);
}

Test(vsock, serves_connections_in_turn)
{
	struct fv_conn c[3] = { { .guest_port = 1 }, { .guest_port = 2 },
		{ .guest_port = 3 } };
	unsigned got[3] = { 0 };
	int l = fv_listen(78), fd[3];

	for (unsigned i = 0; i < 3; i++)
		fd[i] = fv_open_guest(&c[i], l, 78);
	fv_recycle = false;
	cr_assert_eq(write(fd[0], fv_noise, 190000), 190000); /* takes all buffers */
	for (unsigned i = 0; i < FV_RING / 2; i++)
		(void)fv_expect(VIRTIO_VSOCK_OP_RW);
	for (unsigned i = 1; i < 3; i++)
		cr_assert_eq(write(fd[i], fv_noise, 100000), 100000);
	fv_expect_nothing();
	fv_give_rx(30, FV_BUF);
	fv_notify(FV_RX);
	for (unsigned i = 0; i < 30; i++)
		got[fv_expect(VIRTIO_VSOCK_OP_RW)->dst_port - 1]++;
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(got[i], 10);
		close(fd[i]);
	}
	close(l);
}
