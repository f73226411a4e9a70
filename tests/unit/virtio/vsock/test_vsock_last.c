/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: what the guest was given credit for reaches the host's reader, whatever ends
 * the guest's side, for as long as the reader keeps its end open; and what that costs.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/unit/fakes/fake_vsock.h"
#include "vmm/base/clock.h"

enum {
	/* of a slow host, in bytes: 64 KiB in husk, 128 in the kernel, and a packet */
	HELD_MAX = (64 + 128 + 40) << 10,
};

/* --- the host's kernel, whose largest buffer may be small --- */

static int sndbuf_max;

/* Replaces the C library's function. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int bytes;

	if (level != SOL_SOCKET || name != SO_SNDBUF || sndbuf_max == 0)
		return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
	memcpy(&bytes, value, sizeof(bytes));
	bytes = MIN(bytes, sndbuf_max);
	return (int)syscall(SYS_setsockopt, fd, level, name, &bytes, len);
}

static void set_up_small(void)
{
	sndbuf_max = 32 << 10;
	fv_init_basic();
}

TestSuite(vsock_last, .init = fv_init_basic, .fini = fv_fini, .timeout = 30);
TestSuite(vsock_left, .init = set_up_small, .fini = fv_fini, .timeout = 60);

/* --- how the guest's side ends --- */

static void by_rst(struct fv_conn *c)
{
	fv_say(c, VIRTIO_VSOCK_OP_RST, 0);
}

static void by_shutdown(struct fv_conn *c)
{
	fv_say(c, VIRTIO_VSOCK_OP_SHUTDOWN, FV_BOTH);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST); /* now, so that its port is free */
}

static void by_halves(struct fv_conn *c)
{
	fv_say(c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	fv_say(c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
}

static void by_half_and_rst(struct fv_conn *c)
{
	fv_say(c, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	fv_say(c, VIRTIO_VSOCK_OP_RST, 0);
}

static void by_breaking_the_rules(struct fv_conn *c)
{
	fv_say(c, VIRTIO_VSOCK_OP_REQUEST, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
}

static void by_too_much(struct fv_conn *c)
{
	fv_write(c, "x", 1);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
}

static void by_reset(struct fv_conn *c)
{
	(void)c;
	fake_set_reg(fv_t, VIRTIO_MMIO_STATUS, 0);
	fv_settle();
}

static void by_restart(struct fv_conn *c)
{
	(void)c;
	fv_bring_up(FV_BASIC);
	fv_settle();
}

static void by_fault(struct fv_conn *c)
{
	(void)c;
	fv_send_raw("short", 5); /* no header */
	cr_assert(fv_faulted());
}

static void by_snapshot(struct fv_conn *c)
{
	(void)c;
	mmio_pause(fv_t);
	vsock_reset_transport(mmio_vdev(fv_t));
	mmio_resume(fv_t);
	fv_settle();
}

static void by_the_end_of_husk(struct fv_conn *c)
{
	(void)c;
	fv_replace();
}

static void by_the_end_of_a_paused_husk(struct fv_conn *c)
{
	(void)c;
	mmio_pause(fv_t);
	fv_replace();
}

static const struct {
	const char *name;
	void (*end)(struct fv_conn *c);
	bool by_packet; /* so the guest's other packets come before it */
} ends[] = {
	{ "rst", by_rst, true },
	{ "shutdown", by_shutdown, true },
	{ "halves", by_halves, true },
	{ "half and rst", by_half_and_rst, true },
	{ "breaking the rules", by_breaking_the_rules, true },
	{ "too much", by_too_much, true },
	{ "reset", by_reset, false },
	{ "restart", by_restart, false },
	{ "fault", by_fault, true },
	{ "snapshot", by_snapshot, false },
	{ "end of husk", by_the_end_of_husk, false },
	{ "end of a paused husk", by_the_end_of_a_paused_husk, false },
};

static int lowest_free(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

/* Each kind of end with a driver of its own. The loop is not served while the host
 * reads, so the host gets only what the kernel had when the end came. */
static void expect_all(int fd, uint32_t n, const char *how)
{
	static uint8_t buf[FV_NOISE];
	uint32_t at = 0;
	ssize_t r = 1;

	while (r > 0) {
		r = read(fd, buf + at, sizeof(buf) - at);
		at += r > 0 ? (uint32_t)r : 0;
	}
	cr_expect_eq(at, n, "%s: %u bytes of %u", how, at, n);
	cr_expect_eq(r, 0, "%s: no end", how);
	cr_expect_arr_eq(buf, fv_noise, MIN(at, n), "%s", how);
}

static void begin_anew(void)
{
	fv_replace();
	fv_bring_up(FV_BASIC);
	fv_give_rx(FV_RING / 2, FV_BUF);
}

Test(vsock_last, byte_of_a_slow_host_comes_after_every_end)
{
	for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
		struct fv_conn c = { 0 };
		int fd = fv_open_host(&c, 52);
		uint32_t n = fv_clog(&c);

		cr_assert_gt(n, 64 << 10);
		ends[i].end(&c);
		expect_all(fd, n, ends[i].name);
		close(fd);
		begin_anew();
	}
}

Test(vsock_last, end_costs_no_place_and_no_descriptor)
{
	for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
		struct fv_conn c = { 0 };
		int before = lowest_free(), fd = fv_open_host(&c, 52);

		(void)fv_clog(&c);
		cr_assert_gt(lowest_free(), fd + 1, "the device's end");
		ends[i].end(&c);
		cr_expect_leq(lowest_free(), fd + 1, "%s", ends[i].name);
		close(fd);
		cr_expect_eq(lowest_free(), before, "%s", ends[i].name);
		begin_anew();
	}
}

/* Packets in the ring when the driver goes away count as sent. */
Test(vsock_last, packet_in_the_ring_comes_after_an_end_without_a_packet)
{
	for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
		struct fv_conn c = { 0 };
		int fd;

		if (ends[i].by_packet)
			continue;
		fd = fv_open_host(&c, 52);
		fv_write(&c, fv_noise, 1000);
		fv_post_only = true;
		fv_write(&c, fv_noise + 1000, 30000);
		fv_post_only = false;
		ends[i].end(&c);
		expect_all(fd, 31000, ends[i].name);
		close(fd);
		begin_anew();
	}
}

/* The guest's rules hold for those packets as for all others. */
Test(vsock_last, packet_in_the_ring_counts_only_within_the_rules)
{
	static const struct {
		uint16_t op;
		uint64_t src_cid, dst_cid;
		uint32_t len, excess;
		uint16_t type;
	} bad[] = {
		{ VIRTIO_VSOCK_OP_RW, FV_CID + 1, 2, 10, 0, 1 },
		{ VIRTIO_VSOCK_OP_RW, FV_CID, 3, 10, 0, 1 },
		{ VIRTIO_VSOCK_OP_RW, FV_CID, 2, 10, 0, 2 },
		{ VIRTIO_VSOCK_OP_RW, FV_CID, 2, 10, UINT32_MAX - 10, 1 },
		{ VIRTIO_VSOCK_OP_RW, FV_CID, 2, (64 << 10) - 3, 0, 1 }, /* credit */
		{ VIRTIO_VSOCK_OP_CREDIT_UPDATE, FV_CID, 2, 10, 0, 1 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		static struct fv_packet p;
		struct fv_conn c = { 0 };
		int fd = fv_open_host(&c, 52);
		uint32_t n;

		n = bad[i].len > 10 ? fv_clog(&c) : 0;
		p = (struct fv_packet){ .src_cid = bad[i].src_cid,
			.dst_cid = bad[i].dst_cid,
			.src_port = c.guest_port,
			.dst_port = c.host_port,
			.len = bad[i].len + bad[i].excess,
			.type = bad[i].type,
			.op = bad[i].op,
			.buf_alloc = c.buf_alloc };
		fv_post_only = true;
		fv_send(&p);
		fv_post_only = false;
		by_reset(NULL);
		expect_all(fd, n, "bad packet");
		close(fd);
		begin_anew();
	}
}

Test(vsock_last, request_in_the_ring_waits_for_the_end_of_a_snapshot)
{
	struct fv_conn c = { .guest_port = 7, .host_port = 9, .buf_alloc = FV_ALLOC };
	int l = fv_listen(9);

	fv_give_event();
	mmio_pause(fv_t);
	fv_post_only = true;
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	fv_post_only = false;
	vsock_reset_transport(mmio_vdev(fv_t));
	mmio_resume(fv_t);
	fv_give_event();
	fv_notify(FV_EVENT);
	(void)fv_expect(VIRTIO_VSOCK_OP_RESPONSE);
	close(l);
}

Test(vsock_last, memory_of_a_slow_host_is_bounded)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	cr_assert_leq(fv_clog(&c), HELD_MAX);
	close(fd);
}

/* --- when the kernel's buffer is full, the connection stays and waits --- */

Test(vsock_left, byte_comes_when_the_host_reads)
{
	for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
		struct fv_conn c = { 0 };
		int fd;
		uint32_t n;

		if (ends[i].end == by_the_end_of_husk ||
			ends[i].end == by_the_end_of_a_paused_husk)
			continue;
		fd = fv_open_host(&c, 52);
		n = fv_clog(&c);
		ends[i].end(&c);
		cr_expect(fv_is_idle(), "%s", ends[i].name);
		fv_read_all(fd, n);
		cr_expect(fv_is_closed(fd), "%s", ends[i].name);
		close(fd);
		begin_anew();
	}
}

/* Longer than any deadline of a connection. */
Test(vsock_left, host_may_take_any_time)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);
	uint32_t n = fv_clog(&c);
	uint64_t end = clock_us() + 2300000;

	by_shutdown(&c);
	while (clock_us() < end)
		cr_assert_eq(loop_poll(fv_loop, 100), 0);
	fv_read_all(fd, n);
	cr_assert(fv_is_closed(fd));
	close(fd);
}

Test(vsock_left, host_that_hangs_up_frees_all)
{
	struct fv_conn c = { 0 };
	int before = lowest_free(), fd = fv_open_host(&c, 52);

	(void)fv_clog(&c);
	by_rst(&c);
	cr_assert_gt(lowest_free(), fd + 1);
	close(fd);
	fv_settle();
	cr_assert_eq(lowest_free(), before);
	cr_assert(fv_is_idle());
}

Test(vsock_left, port_is_free_at_once)
{
	struct fv_conn c = { .guest_port = 5 }, d = { .guest_port = 5 };
	int l = fv_listen(9), fd = fv_open_guest(&c, l, 9), other;
	uint32_t n = fv_clog(&c);

	by_shutdown(&c);
	other = fv_open_guest(&d, l, 9);
	fv_write(&d, "new", 3);
	fv_expect_text(other, "new");
	fv_read_all(fd, n);
	cr_assert(fv_is_closed(fd));
	fv_write(&d, "er", 2);
	fv_expect_text(other, "er");
	close(fd);
	close(other);
	close(l);
}

Test(vsock_left, oldest_gives_its_place_to_a_new_connection)
{
	static int fd[FV_CONNS_MAX];
	struct fv_conn c = { 0 };
	uint32_t n = 0;
	int l = fv_listen(9), client, other;

	for (unsigned i = 0; i < FV_CONNS_MAX; i++) {
		c = (struct fv_conn){ .guest_port = i };
		fd[i] = fv_open_host(&c, 52);
		if (i >= 3)
			continue;
		n = fv_clog(&c);
		by_rst(&c);
	}
	cr_assert_eq(fv_stats()->conns_added, FV_CONNS_MAX);
	client = fv_open_host(&c, 52);
	c = (struct fv_conn){ .guest_port = 2000 };
	other = fv_open_guest(&c, l, 9);
	fv_read_all(fd[2], n);
	cr_assert(fv_is_closed(fd[2]));
	for (unsigned i = 0; i < 2; i++) { /* these lost what did not go */
		static uint8_t buf[FV_NOISE];
		ssize_t got = recv(fd[i], buf, sizeof(buf), MSG_WAITALL);

		cr_expect_lt(got, (ssize_t)n);
		cr_expect(fv_is_closed(fd[i]));
	}
	for (unsigned i = 0; i < FV_CONNS_MAX; i++)
		close(fd[i]);
	close(client);
	close(other);
	close(l);
}
