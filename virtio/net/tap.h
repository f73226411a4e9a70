/* SPDX-License-Identifier: Apache-2.0
 *
 * tap: a TAP interface of the host. A read or a write of its descriptor moves one whole
 * Ethernet frame with a virtio header before it, and never blocks. A tap has one owner,
 * a device, which uses it with the device lock held.
 */
#ifndef HUSK_VIRTIO_NET_TAP_H
#define HUSK_VIRTIO_NET_TAP_H

#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct tap;

enum {
	TAP_NAME_MAX = 15, /* bytes, as the host allows */
	TAP_HEADER_BYTES = 12, /* struct virtio_net_hdr_v1 (virtio 1.2, 5.1.6) */
};

/* Checks a name: 1 to TAP_NAME_MAX bytes without a ':', or "fd:N" with a decimal N > 2.
 * 0, or -EINVAL with text. */
MUST_CHECK int tap_check_name(const char *name, struct err *e);

/* Opens an interface by name. If there is none, the host creates it, where husk is
 * permitted to. No other process can open it meanwhile. "fd:N" is a descriptor that
 * husk inherited, of a TAP that already has virtio headers; it is copied, and N stays
 * open. -errno with text: -EBUSY for one in use, -EPERM, -EINVAL for one that is no
 * such TAP.
 */
MUST_CHECK int tap_open(const char *name, struct tap **out, struct err *e);

/* Makes a tap of any descriptor that moves one frame with its header by each read and
 * write and does not block. It has no offloads to set. The tap owns fd; on failure fd
 * is closed. -ENOMEM with text. */
MUST_CHECK int tap_from_fd(int fd, struct tap **out, struct err *e);
void tap_close(struct tap *t);
DEFINE_AUTO(struct tap *, tap_close);

/* The descriptor, for the loop; borrowed. */
int tap_fd(const struct tap *t);

/* The offloads (bits TUN_F_…) that the host may use on frames for a driver that
 * accepted these features. Segmentation without checksums is no valid choice
 * (virtio 1.2, 5.1.3.1), and is left out. */
unsigned tap_offload_flags(uint64_t acked);

/* Allows the host those offloads. 0 or -errno. */
MUST_CHECK int tap_set_offload(struct tap *t, uint64_t acked);

/* Reads the next frame with its header into n spans, 1024 at most, and cuts it off
 * where they end. Returns the bytes read, or -errno: -EAGAIN when there is no frame,
 * -EIO when there will be none any more. */
MUST_CHECK ssize_t tap_read(struct tap *t, const struct iovec *iov, unsigned n);

/* Writes one frame with its header. 0 or -errno: -EAGAIN when the host takes none now.
 */
MUST_CHECK int tap_write(struct tap *t, const struct iovec *iov, unsigned n);

#endif
