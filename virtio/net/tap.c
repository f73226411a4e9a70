/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net/tap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

_Static_assert(TAP_NAME_MAX == IFNAMSIZ - 1, "");
_Static_assert(TAP_HEADER_BYTES == sizeof(struct virtio_net_hdr_v1), "");

enum { FD_FIRST = STDERR_FILENO + 1, FD_DIGITS_MAX = 7 };

struct tap {
	int fd;
	bool has_offloads; /* it is a TAP, not just any descriptor */
};

/* The N of "fd:N", or -1 for any other name, also for a number with a leading 0. */
static int inherited_fd(const char *name)
{
	size_t n;

	if (strncmp(name, "fd:", 3) != 0)
		return -1;
	name += 3;
	n = strlen(name);
	if (n == 0 || n > FD_DIGITS_MAX || strspn(name, "0123456789") != n ||
		(name[0] == '0' && n > 1))
		return -1;
	return atoi(name);
}

int tap_check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > TAP_NAME_MAX)
		return err_bad(
			e, "tap '%.40s' has not 1 to %d bytes", name, TAP_NAME_MAX);
	/* no interface has a ':' in its name */
	if (strchr(name, ':') && inherited_fd(name) < FD_FIRST)
		return err_bad(e, "tap '%s' is no name and not fd:N with N > 2", name);
	return 0;
}

static int set_header(int fd, const char *name, struct err *e)
{
	int bytes = TAP_HEADER_BYTES;

	if (ioctl(fd, TUNSETVNETHDRSZ, &bytes) < 0)
		return err_sys(e, "cannot set the header of tap '%s'", name);
	return 0;
}

/* A descriptor, or -errno with text. */
static int open_by_name(const char *name, struct err *e)
{
	AUTO(close_fd)
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int r;

	if (fd < 0)
		return err_sys(e, "cannot open /dev/net/tun for tap '%s'", name);
	strcpy(req.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &req) < 0) {
		if (errno == EINVAL)
			return err_bad(e,
				"cannot open tap '%s': no TAP interface of one queue",
				name);
		return err_sys(e, "cannot open tap '%s'", name);
	}
	r = set_header(fd, name, e);
	return r < 0 ? r : TAKE_FD(fd);
}

/* Copies the descriptor, so that N stays open when the setting is replaced or the start
 * fails. */
static int copy_inherited(const char *name, struct err *e)
{
	AUTO(close_fd) int fd = fcntl(inherited_fd(name), F_DUPFD_CLOEXEC, FD_FIRST);
	short wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq req = { .ifr_flags = 0 };
	int flags, r;

	if (fd < 0)
		return err_sys(e, "cannot use tap '%s'", name);
	if (ioctl(fd, TUNGETIFF, &req) < 0)
		return err_bad(
			e, "cannot use tap '%s': no TAP interface is attached", name);
	if ((req.ifr_flags & wanted) != wanted)
		return err_bad(e,
			"cannot use tap '%s': not opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR",
			name);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, "cannot use tap '%s'", name);
	r = set_header(fd, name, e);
	return r < 0 ? r : TAKE_FD(fd);
}

int tap_open(const char *name, struct tap **out, struct err *e)
{
	int fd = tap_check_name(name, e), r;

	if (fd == 0)
		fd = inherited_fd(name) < 0 ? open_by_name(name, e)
					    : copy_inherited(name, e);
	if (fd < 0)
		return fd;
	r = tap_from_fd(fd, out, e);
	if (r == 0)
		(*out)->has_offloads = true;
	return r;
}

int tap_from_fd(int fd, struct tap **out, struct err *e)
{
	AUTO(close_fd) int owned = fd;
	struct tap *t = calloc(1, sizeof(*t));

	if (!t)
		return err_code(e, -ENOMEM, "tap");
	t->fd = TAKE_FD(owned);
	*out = t;
	return 0;
}

void tap_close(struct tap *t)
{
	if (!t)
		return;
	close_fd(t->fd);
	free(t);
}

int tap_fd(const struct tap *t)
{
	return t->fd;
}

static bool has(uint64_t acked, unsigned feature)
{
	return acked >> feature & 1;
}

unsigned tap_offload_flags(uint64_t acked)
{
	unsigned flags = 0;

	/* guest: the host would refuse all flags for a wrong combination */
	if (!has(acked, VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	if (has(acked, VIRTIO_NET_F_GUEST_TSO4))
		flags |= TUN_F_TSO4;
	if (has(acked, VIRTIO_NET_F_GUEST_TSO6))
		flags |= TUN_F_TSO6;
	if (flags != 0 && has(acked, VIRTIO_NET_F_GUEST_ECN))
		flags |= TUN_F_TSO_ECN;
	return flags | TUN_F_CSUM;
}

int tap_set_offload(struct tap *t, uint64_t acked)
{
	unsigned long flags = tap_offload_flags(acked);

	if (t->has_offloads && ioctl(t->fd, TUNSETOFFLOAD, flags) < 0)
		return -errno;
	return 0;
}

ssize_t tap_read(struct tap *t, const struct iovec *iov, unsigned n)
{
	ssize_t got = readv(t->fd, iov, (int)n);

	if (got < 0)
		return -errno;
	return got == 0 ? -EIO : got;
}

int tap_write(struct tap *t, const struct iovec *iov, unsigned n)
{
	return writev(t->fd, iov, (int)n) < 0 ? -errno : 0;
}
