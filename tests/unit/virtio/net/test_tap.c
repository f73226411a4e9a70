/* SPDX-License-Identifier: Apache-2.0
 *
 * tap: names, what is refused, offloads; and, where the host lets the test make one, a
 * real interface.
 */
#include "virtio/net/tap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_net.h"

static struct err e;

static bool is_name(const char *name)
{
	return tap_check_name(name, &e) == 0;
}

Test(tap, takes_names_of_1_to_15_bytes)
{
	cr_expect(is_name("t"));
	cr_expect(is_name("tap0"));
	cr_expect(is_name("123456789012345"));
	cr_expect_not(is_name(""));
	cr_expect_not(is_name("1234567890123456"));
	cr_expect(strstr(e.text, "1 to 15 bytes"), "%s", e.text);
	cr_expect(strstr(e.text, "1234567890123456"), "%s", e.text);
}

Test(tap, takes_descriptors_above_the_standard_ones)
{
	static const char *const bad[] = { "fd:", "fd:0", "fd:1", "fd:2", "fd:-1",
		"fd:+3", "fd:03", "fd: 3", "fd:3x", "fd:0x3", "fd:99999999", "FD:3",
		"a:b", ":" };

	cr_expect(is_name("fd:3"));
	cr_expect(is_name("fd:1023"));
	cr_expect(is_name("fd"));
	cr_expect(is_name("fd3"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_not(is_name(bad[i]), "%s", bad[i]);
		cr_expect(strstr(e.text, bad[i]), "%s", e.text);
	}
}

Test(tap, refuses_a_descriptor_that_is_closed)
{
	struct tap *t = NULL;

	cr_expect_eq(tap_open("fd:1000", &t, &e), -EBADF);
	cr_expect(strstr(e.text, "fd:1000"), "%s", e.text);
	cr_expect_null(t);
}

Test(tap, refuses_a_descriptor_that_is_no_tap)
{
	unsigned before = fake_open_fds();
	struct tap *t = NULL;
	char name[16];
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	(void)snprintf(name, sizeof(name), "fd:%d", pair[0]);
	cr_expect_eq(tap_open(name, &t, &e), -EINVAL);
	cr_expect(strstr(e.text, "no TAP interface"), "%s", e.text);
	cr_expect_null(t);
	cr_expect_eq(fake_open_fds(), before + 2, "it stays open, and nothing else");
	close_fd(pair[0]);
	close_fd(pair[1]);
}

#define BIT(f) ((uint64_t)1 << (f))
#define CSUM BIT(VIRTIO_NET_F_GUEST_CSUM)
#define TSO4 BIT(VIRTIO_NET_F_GUEST_TSO4)
#define TSO6 BIT(VIRTIO_NET_F_GUEST_TSO6)
#define ECN BIT(VIRTIO_NET_F_GUEST_ECN)

Test(tap, asks_the_host_only_for_what_it_grants)
{
	cr_expect_eq(tap_offload_flags(0), 0);
	cr_expect_eq(tap_offload_flags(CSUM), TUN_F_CSUM);
	cr_expect_eq(tap_offload_flags(CSUM | TSO4), TUN_F_CSUM | TUN_F_TSO4);
	cr_expect_eq(tap_offload_flags(CSUM | TSO4 | TSO6 | ECN),
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
	cr_expect_eq(tap_offload_flags(TSO4 | TSO6 | ECN), 0);
	cr_expect_eq(tap_offload_flags(CSUM | ECN), TUN_F_CSUM);
	/* the driver's own sending is not the host's business */
	cr_expect_eq(
		tap_offload_flags(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4)),
		0);
}

Test(tap, moves_whole_frames_and_says_when_there_are_none)
{
	char buf[8], frame[] = "frame";
	struct iovec to[] = { { buf, 2 }, { buf + 2, 6 } }, from = { frame, 5 };
	struct tap *t;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	cr_assert_eq(tap_from_fd(pair[0], &t, &e), 0);
	cr_expect_eq(tap_fd(t), pair[0]);
	cr_expect_eq(tap_read(t, to, 2), -EAGAIN);
	cr_assert_eq(write(pair[1], "abcde", 5), 5);
	cr_expect_eq(tap_read(t, to, 2), 5);
	cr_expect_arr_eq(buf, "abcde", 5);
	cr_expect_eq(tap_write(t, &from, 1), 0);
	cr_expect_eq(read(pair[1], buf, sizeof(buf)), 5);
	cr_expect_eq(tap_set_offload(t, CSUM), 0);
	close_fd(pair[1]);
	cr_expect_eq(tap_read(t, to, 2), -EIO);
	tap_close(t);
	cr_expect_eq(fcntl(pair[0], F_GETFD), -1);
}

/* --- real ones --- */

/* A new interface of this test's own, or NULL and a skip where that is not allowed. */
static struct tap *real(char name[16])
{
	struct tap *t = NULL;
	int r;

	(void)snprintf(name, 16, "husk%d", (int)getpid());
	r = tap_open(name, &t, &e);
	if (r == -EPERM || r == -EACCES || r == -ENOENT || r == -ENODEV)
		cr_skip_test("no TAP can be made here: %s", e.text);
	cr_assert_eq(r, 0, "%s", e.text);
	return t;
}

Test(tap, opens_a_real_one_that_never_blocks)
{
	char name[16], buf[2048];
	struct iovec iov = { buf, sizeof(buf) };
	struct tap *t = real(name);

	cr_expect(fcntl(tap_fd(t), F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(tap_fd(t), F_GETFD) & FD_CLOEXEC);
	cr_expect_eq(tap_read(t, &iov, 1), -EAGAIN);
	tap_close(t);
}

Test(tap, refuses_a_busy_one)
{
	char name[16];
	struct tap *t = real(name), *second = NULL;

	cr_expect_eq(tap_open(name, &second, &e), -EBUSY);
	cr_expect(strstr(e.text, name), "%s", e.text);
	cr_expect_null(second);
	tap_close(t);
	cr_assert_eq(tap_open(name, &t, &e), 0, "%s", e.text);
	tap_close(t);
}

Test(tap, refuses_interfaces_that_are_no_taps)
{
	char name[16];
	struct tap *t = real(name);

	tap_close(t);
	t = NULL;
	cr_expect_eq(tap_open("lo", &t, &e), -EINVAL);
	cr_expect(strstr(e.text, "'lo'"), "%s", e.text);
	cr_expect_eq(tap_open("a/b", &t, &e), -EINVAL);
	cr_expect_null(t);
}

Test(tap, sets_every_combination_of_offloads)
{
	static const uint64_t bits[] = { CSUM, TSO4, TSO6, ECN };
	char name[16];
	struct tap *t = real(name);

	for (unsigned i = 0; i < 16; i++) {
		uint64_t acked = 0;

		for (unsigned b = 0; b < 4; b++)
			acked |= i >> b & 1 ? bits[b] : 0;
		cr_expect_eq(tap_set_offload(t, acked), 0, "%u", i);
	}
	tap_close(t);
}

Test(tap, has_a_header_of_12_bytes)
{
	char name[16];
	struct tap *t = real(name);
	int bytes = 0;

	cr_assert_eq(ioctl(tap_fd(t), TUNGETVNETHDRSZ, &bytes), 0);
	cr_expect_eq(bytes, TAP_HEADER_BYTES);
	tap_close(t);
}

Test(tap, shares_an_inherited_one)
{
	char name[16], by_fd[16];
	struct tap *t = real(name), *copy;
	int fd = tap_fd(t), bytes = 0, ten = 10;

	cr_assert_eq(ioctl(fd, TUNSETVNETHDRSZ, &ten), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_RDWR), 0);
	(void)snprintf(by_fd, sizeof(by_fd), "fd:%d", fd);
	cr_assert_eq(tap_open(by_fd, &copy, &e), 0, "%s", e.text);
	cr_expect_neq(tap_fd(copy), fd);
	cr_expect(fcntl(tap_fd(copy), F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(tap_fd(copy), F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(ioctl(tap_fd(copy), TUNGETVNETHDRSZ, &bytes), 0);
	cr_expect_eq(bytes, TAP_HEADER_BYTES);
	tap_close(copy);
	/* it can be had again */
	cr_assert_eq(tap_open(by_fd, &copy, &e), 0, "%s", e.text);
	tap_close(copy);
	tap_close(t);
}

Test(tap, refuses_inherited_ones_of_the_wrong_kind)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	char name[16], by_fd[16];
	struct tap *t = real(name);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	tap_close(t);
	cr_assert_geq(fd, 0);
	(void)snprintf(by_fd, sizeof(by_fd), "fd:%d", fd);
	cr_expect_eq(tap_open(by_fd, &t, &e), -EINVAL, "not attached");
	strcpy(req.ifr_name, name);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &req), 0);
	cr_expect_eq(tap_open(by_fd, &t, &e), -EINVAL);
	cr_expect(strstr(e.text, "IFF_VNET_HDR"), "%s", e.text);
	close_fd(fd);
}

Test(tap, exchanges_frames_with_the_host)
{
	char name[16], buf[2048];
	uint8_t frame[72] = { 0 };
	struct iovec in = { buf, sizeof(buf) }, out = { frame, sizeof(frame) };
	struct tap *t = real(name);
	ssize_t got = 0;

	cr_expect_eq(tap_write(t, &out, 1), -EIO, "it is down");
	fn_host_send(name, 222);
	cr_expect_eq(tap_write(t, &out, 1), 0);
	while (got >= 0 && got != TAP_HEADER_BYTES + 222)
		got = tap_read(t, &in, 1);
	cr_expect_eq(got, TAP_HEADER_BYTES + 222);
	in.iov_len = 30;
	fn_host_send(name, 100);
	cr_expect_eq(tap_read(t, &in, 1), 30, "cut");
	tap_close(t);
}
