/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: what the guest was given credit for reaches the host's reader, whatever ends
 * the guest's side, for as long as the reader keeps its end open; and what that may
 * cost: places, memory, descriptors.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_mmio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/unit/fake_vsock.h"

#define BASIC ((uint64_t)1 << VIRTIO_F_VERSION_1)

enum {
	BOTH = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND,
	CONNS_MAX = 1023,
	/* of a slow host, in bytes: 64 KiB in husk, 128 in the kernel, and a packet */
	HELD_MAX = (64 + 128 + 40) << 10,
};

/* --- the host's kernel, whose largest buffer may be small --- */

static int sndbuf_max;

/* In the C library's place. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int bytes;

	if (level != SOL_SOCKET || name != SO_SNDBUF || sndbuf_max == 0)
		return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
	memcpy(&bytes, value, sizeof(bytes));
	bytes = MIN(bytes, sndbuf_max);
	return (int)syscall(SYS_setsockopt, fd, level, name, &bytes, len);
}

static void set_up(void)
{
	fv_init(BASIC);
	fv_give_rx(FV_RING / 2, FV_BUF);
}

static void set_up_small(void)
{
	sndbuf_max = 32 << 10;
	set_up();
}

TestSuite(vsock_last, .init = set_up, .fini = fv_fini, .timeout = 30);
TestSuite(vsock_left, .init = set_up_small, .fini = fv_fini, .timeout = 60);

/* --- how the guest's side ends --- */

static void by_rst(struct fv_conn *c)
{
	fv_say(c, VIRTIO_VSOCK_OP_RST, 0);
}

static void by_shutdown(struct fv_conn *c)
{
	fv_say(c, VIRTIO_VSOCK_OP_SHUTDOWN, BOTH);
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
	fv_bring_up(BASIC);
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

/* Each end in a driver's life of its own; nobody serves the loop while the host reads,
 * so that what it gets was the kernel's when the end had come. */
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
	fv_bring_up(BASIC);
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

/* What lies in the ring when the driver goes was sent, too. */
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
	fv_kick(FV_EVENT);
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

/* --- where the kernel does not take all: the connection is left, and waits --- */

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
	static int fd[CONNS_MAX];
	struct fv_conn c = { 0 };
	uint32_t n = 0;
	int l = fv_listen(9), client, other;

	for (unsigned i = 0; i < CONNS_MAX; i++) {
		c = (struct fv_conn){ .guest_port = i };
		fd[i] = fv_open_host(&c, 52);
		if (i >= 3)
			continue;
		n = fv_clog(&c);
		by_rst(&c);
	}
	cr_assert_eq(fv_stats()->conns_added, CONNS_MAX);
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
	for (unsigned i = 0; i < CONNS_MAX; i++)
		close(fd[i]);
	close(client);
	close(other);
	close(l);
}

/* --- places of those who wait for the guest --- */

Test(vsock_last, guest_without_buffers_holds_its_own_connection_for_a_while_only)
{
	struct fv_conn c = { .guest_port = 7, .host_port = 9, .buf_alloc = FV_ALLOC };
	int l = fv_listen(9), fd;

	begin_anew();
	fv_bring_up(BASIC); /* and no buffer to receive */
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert_geq(fd, 0);
	fv_settle();
	while (!fv_is_closed(fd))
		cr_assert_eq(loop_poll(fv_loop, 100), 0);
	fv_give_rx(2, FV_BUF);
	fv_kick(FV_RX);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	close(fd);
	close(l);
}

/* A banner that the host sent before it hung up is the guest's. */
Test(vsock_last, guest_without_buffers_gets_what_a_host_said_that_is_gone)
{
	struct fv_conn c = { .guest_port = 7, .host_port = 9, .buf_alloc = FV_ALLOC };
	int l = fv_listen(9), fd;

	begin_anew();
	fv_bring_up(BASIC);
	fv_say(&c, VIRTIO_VSOCK_OP_REQUEST, 0);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fv_put(fd, "banner");
	close(fd);
	cr_assert(fv_is_idle());
	fv_give_rx(4, FV_BUF);
	fv_kick(FV_RX);
	(void)fv_expect(VIRTIO_VSOCK_OP_RESPONSE);
	fv_expect_data(&c, "banner");
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, BOTH);
	close(l);
}

/* A guest that reads late gets all that the host sent before it hung up; one that never
 * does loses its place to another. */
Test(vsock_last, host_that_hung_up_waits_for_the_guest_while_there_are_places)
{
	static int fd[CONNS_MAX];
	struct fv_conn slow[3], c;
	int extra;

	for (unsigned i = 0; i < CONNS_MAX; i++) {
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
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_SHUTDOWN)->flags, BOTH);
	for (unsigned i = 3; i < CONNS_MAX; i++)
		close(fd[i]);
	close(extra);
}

/* --- descriptors --- */

enum { LIMIT = 300, RESERVE = 64, FAR = 1000 };

static void set_up_few(void)
{
	struct rlimit few = { LIMIT, 2 * FAR };

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	set_up();
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

/* A silent client, whose own descriptor is far from the device's, which so has the
 * lowest numbers to itself. */
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
