/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: guests that break the rules of packets, rings and credit: what that ends, and
 * what it does not.
 */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_vsock.h"
#include "tests/unit/fakes/limit_cpu.h"

static void set_up(void)
{
	limit_cpu_time();
	fv_init_basic();
}

static void set_up_without_driver(void)
{
	limit_cpu_time();
	fv_attach();
}

TestSuite(vsock_bad, .init = set_up, .fini = fv_fini);
TestSuite(vsock_bad_new, .init = set_up_without_driver, .fini = fv_fini);

static struct fv_packet packet(const struct fv_conn *c, uint16_t op)
{
	struct fv_packet p = fv_packet(c, op);

	p.buf_alloc = FV_ALLOC;
	return p;
}

Test(vsock_bad, drops_what_is_from_or_for_another)
{
	static const uint64_t src[] = { 0, 2, 4, FV_CID + ((uint64_t)1 << 32) };
	static const uint64_t dst[] = { 0, 1, 3, 4, 2 + ((uint64_t)1 << 32),
		UINT64_MAX };
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);
	struct fv_packet p = packet(&c, VIRTIO_VSOCK_OP_RST);

	for (unsigned i = 0; i < ARRAY_LEN(src); i++) {
		p.src_cid = src[i];
		fv_send(&p);
	}
	p.src_cid = FV_CID;
	for (unsigned i = 0; i < ARRAY_LEN(dst); i++) {
		p.dst_cid = dst[i];
		fv_send(&p);
	}
	p.op = VIRTIO_VSOCK_OP_REQUEST;
	fv_send(&p);
	fv_expect_nothing();
	fv_write(&c, "alive", 5);
	cr_assert_eq(read(fd, p.data, 100), 5);
	close(fd);
}

Test(vsock_bad, resets_what_belongs_to_no_connection)
{
	for (unsigned op = 0; op < 10; op++) {
		struct fv_conn c = { .guest_port = 4, .host_port = 5 };
		struct fv_packet p = packet(&c, (uint16_t)op);

		p.len = op == VIRTIO_VSOCK_OP_RW ? 3 : 0;
		fv_send(&p);
		if (op == VIRTIO_VSOCK_OP_RST) {
			fv_expect_nothing();
			continue;
		}
		p = *fv_expect(VIRTIO_VSOCK_OP_RST);
		cr_assert_eq(p.src_port, 5);
		cr_assert_eq(p.dst_port, 4);
	}
}

Test(vsock_bad, resets_sockets_of_another_type)
{
	static const uint16_t types[] = { 0, VIRTIO_VSOCK_TYPE_SEQPACKET, 3, 0xffff };
	struct fv_conn c = { .guest_port = 4, .host_port = 5 };
	int l = fv_listen(5);

	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		struct fv_packet p = packet(&c, VIRTIO_VSOCK_OP_REQUEST);

		p.type = types[i];
		fv_send(&p);
		cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_RST)->type, types[i]);
		p.op = VIRTIO_VSOCK_OP_RST;
		fv_send(&p);
		fv_expect_nothing();
	}
	close(l);
}

Test(vsock_bad, ends_a_connection_whose_packet_makes_no_sense)
{
	static const struct {
		uint16_t op;
		uint32_t len, buf_alloc, fwd_cnt;
	} bad[] = {
		{ 0, 0, FV_ALLOC, 0 },
		{ 8, 0, FV_ALLOC, 0 },
		{ 0xffff, 0, FV_ALLOC, 0 },
		{ VIRTIO_VSOCK_OP_RW, (64 << 10) + 1, FV_ALLOC, 0 },
		{ VIRTIO_VSOCK_OP_RW, UINT32_MAX, FV_ALLOC, 0 },
		{ VIRTIO_VSOCK_OP_RESPONSE, 0, FV_ALLOC, 0 },
		{ VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, FV_ALLOC, 1 },
		{ VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, FV_ALLOC, UINT32_MAX },
		{ VIRTIO_VSOCK_OP_RW, 5, FV_ALLOC, 0x80000000 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct fv_conn c = { 0 };
		int fd = fv_open_host(&c, 52);
		struct fv_packet p = packet(&c, bad[i].op);

		p.len = bad[i].len;
		p.buf_alloc = bad[i].buf_alloc;
		p.fwd_cnt = bad[i].fwd_cnt;
		fv_send(&p);
		(void)fv_expect(VIRTIO_VSOCK_OP_RST);
		cr_assert(fv_is_closed(fd), "case %u", i);
		cr_assert_eq(fv_stats()->conns_killed, i + 1);
		close(fd);
	}
	cr_assert_not(fv_faulted());
}

Test(vsock_bad, ends_a_connection_whose_payload_is_not_all_there)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);
	struct virtio_vsock_hdr h = { .src_cid = FV_CID,
		.dst_cid = 2,
		.src_port = c.guest_port,
		.dst_port = c.host_port,
		.len = 1,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = VIRTIO_VSOCK_OP_RW };

	fv_send_raw(&h, sizeof(h));
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_assert(fv_is_closed(fd));
	close(fd);
}

Test(vsock_bad, ignores_payload_of_nothing_and_shutdown_of_nothing)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fv_say(&c, VIRTIO_VSOCK_OP_RW, 0);
	fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, 0);
	fv_say(&c, VIRTIO_VSOCK_OP_SHUTDOWN, 0xfffffffc);
	fv_expect_nothing();
	fv_write(&c, "x", 1);
	cr_assert_not(fv_is_closed(fd));
	close(fd);
}

Test(vsock_bad, refuses_an_answer_that_was_not_asked_for)
{
	struct fv_conn c = { .guest_port = 52, .host_port = FV_PORT_FIRST };
	int fd;

	/* it can guess the port, but REQUEST has not reached it */
	fv_recycle = false;
	for (unsigned i = 0; i < FV_RING / 2; i++) {
		fv_say(&(struct fv_conn){ .guest_port = 1 }, VIRTIO_VSOCK_OP_RW, 0);
		(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	}
	fd = fv_client("CONNECT 52\n");
	fv_settle();
	fv_say(&c, VIRTIO_VSOCK_OP_RESPONSE, 0);
	cr_assert(fv_is_closed(fd));
	fv_give_rx(2, FV_BUF);
	fv_notify(FV_RX);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	fv_expect_nothing();
	close(fd);
}

Test(vsock_bad, lets_a_guest_wait_that_takes_no_answers)
{
	struct fv_conn c = { .guest_port = 4, .host_port = 5 };
	unsigned done = 0, rsts = 0;
	struct fv_packet p;

	fv_recycle = false;
	for (unsigned i = 0; i < 300; i++) {
		fv_say(&c, VIRTIO_VSOCK_OP_RW, 0);
		done += fv_tx_done();
		if (i >= 256 + FV_RING / 2)
			break;
	}
	cr_assert_eq(done, 256 + FV_RING / 2); /* the answers held back, and given */
	cr_assert_eq(fv_stats()->killq_resync > 0, true);
	cr_assert(fv_is_idle());
	fv_recycle = true;
	while (fv_settle(), fv_recv(&p)) {
		cr_assert_eq(p.op, VIRTIO_VSOCK_OP_RST);
		rsts++;
	}
	cr_assert_eq(fv_tx_done(), 1);
	cr_assert_eq(rsts, done + 1);
}

Test(vsock_bad, faults_on_a_packet_without_a_whole_header)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);
	uint8_t bytes[43] = { 0 };

	fv_send_raw(bytes, sizeof(bytes));
	cr_assert(fv_faulted());
	cr_assert_eq(fv_stats()->tx_queue_event_fails, 1);
	cr_assert(fv_is_closed(fd));
	close(fd);
	fd = fv_client("CONNECT 52\n"); /* waits for a driver that does better */
	cr_assert(fv_is_idle());
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	close(fd);
}

Test(vsock_bad_new, faults_on_a_receive_buffer_without_room)
{
	int fd = fv_client("CONNECT 52\n");

	fv_bring_up(FV_BASIC);
	fv_give_rx(1, 0);
	fv_settle();
	cr_assert(fv_faulted());
	cr_assert_eq(fv_stats()->rx_queue_event_fails, 1);
	cr_assert(fv_is_closed(fd) || errno == ECONNRESET);
	close(fd);
}

Test(vsock_bad, gives_up_on_a_guest_that_asks_for_sockets_that_are_full)
{
	struct fv_conn c = { .host_port = 9 };
	int l = fv_listen(9);

	cr_assert_eq(listen(l, 0), 0);
	for (c.guest_port = 0; c.guest_port < 3; c.guest_port++)
		fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RESPONSE);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	close(l);
}

/* Makes the chain available as number i of a ring: readable bytes, and then so many MiB
 * of room, the same one again and again. */
static void post_roomy(unsigned q, unsigned i, gpa_t rd, uint32_t n, unsigned mib)
{
	gpa_t ring = FAKE_HIGH + q * 0x20000, table = fake_alloc(&fv_drv, 4096, 0);
	unsigned at = 0;
	uint16_t *avail = fake_at(&fv_drv, ring + 0x8000, 4 + 2 * FV_RING);

	if (n > 0)
		fake_set_desc(&fv_drv, table, rd, n, VRING_DESC_F_NEXT, 1);
	for (at = n > 0; mib > 0; at++, mib--)
		fake_set_desc(&fv_drv, table + 16 * at, 0, FAKE_LOW_END,
			VRING_DESC_F_WRITE | (mib > 1 ? VRING_DESC_F_NEXT : 0),
			(uint16_t)(at + 1));
	fake_set_desc(&fv_drv, ring + 16 * i, table, 16 * at, VRING_DESC_F_INDIRECT, 0);
	avail[2 + i] = htole16((uint16_t)i);
	avail[1] = htole16((uint16_t)(i + 1));
}

static unsigned n_used(unsigned q)
{
	return le16toh(
		*(uint16_t *)fake_at(&fv_drv, FAKE_HIGH + q * 0x20000 + 0x10002, 2));
}

Test(vsock_bad_new, takes_few_chains_of_much_room_in_a_turn)
{
	struct fv_conn c = { .guest_port = 4, .host_port = 5 };
	struct virtio_vsock_hdr h = { .src_cid = htole64(FV_CID),
		.dst_cid = htole64(2),
		.src_port = htole32(c.guest_port),
		.dst_port = htole32(c.host_port),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(VIRTIO_VSOCK_OP_RW) };
	gpa_t at = fake_alloc(&fv_drv, sizeof(h), 0);

	fv_bring_up(FV_BASIC | FAKE_FEATURE(VIRTIO_RING_F_INDIRECT_DESC));
	fv_settle();
	memcpy(fake_at(&fv_drv, at, sizeof(h)), &h, sizeof(h));
	for (unsigned i = 0; i < 6; i++)
		post_roomy(FV_TX, i, at, sizeof(h), 70); /* 128 MiB are a turn */
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_NOTIFY, FV_TX);
	for (unsigned turns = 1; turns <= 3; turns++) {
		cr_assert_eq(loop_poll(fv_loop, 0), 0);
		cr_expect_eq(n_used(FV_TX), 2 * turns, "%u", n_used(FV_TX));
	}
	fv_settle();
	/* six RSTs go back now */
	for (unsigned i = 0; i < 6; i++)
		post_roomy(FV_RX, i, 0, 0, 70);
	fake_set_reg(fv_t, VIRTIO_MMIO_QUEUE_NOTIFY, FV_RX);
	for (unsigned turns = 1; turns <= 3; turns++) {
		cr_assert_eq(loop_poll(fv_loop, 0), 0);
		cr_expect_eq(n_used(FV_RX), 2 * turns, "%u", n_used(FV_RX));
	}
	cr_expect_not(fv_faulted());
}
