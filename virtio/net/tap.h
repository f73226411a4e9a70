/* SPDX-License-Identifier: Apache-2.0
 *
 * tap: a TAP interface of the host, by whose descriptor whole Ethernet frames go, one a
 * read or a write, each behind a virtio header. Never blocks. Owned by one device, used
 * with the device lock held.
 */
#ifndef HUSK_VIRTIO_NET_TAP_H
#define HUSK_VIRTIO_NET_TAP_H

#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct tap;

enum {
	TAP_NAME_MAX = 15, /* bytes: what the host allows */
	TAP_HEADER_BYTES = 12, /* struct virtio_net_hdr_v1 (virtio 1.2, 5.1.6) */
};

/* What a name may be: 1 to TAP_NAME_MAX bytes, or "fd:N" with N > 2, decimal. -EINVAL
 * with text. */
MUST_CHECK int tap_check_name(const char *name, struct err *e);

/* Opens the interface of that name, which the host makes when it is not there and husk
 * may; nobody else has it open then. "fd:N": a copy of descriptor N, which husk
 * inherited and which is a TAP with virtio headers already; N itself stays open. -errno
 * with text: -EBUSY when it is in use, -EPERM, -EINVAL for what is not such a TAP. */
MUST_CHECK int tap_open(const char *name, struct tap **out, struct err *e);

/* Over any descriptor that moves one frame with its header a read or write and does not
 * block. It has no offloads to set. Takes fd over, also on failure. */
MUST_CHECK int tap_from_fd(int fd, struct tap **out, struct err *e);
void tap_close(struct tap *t);
DEFINE_AUTO(struct tap *, tap_close);

/* For the loop; borrowed. */
int tap_fd(const struct tap *t);

/* What the host may leave for the guest to do, of the features that it accepted: bits
 * TUN_F_…. A segmentation feature without the checksum's counts for nothing (5.1.3.1).
 */
unsigned tap_offload_flags(uint64_t acked);

/* Tells the host so. 0 or -errno. */
MUST_CHECK int tap_set_offload(struct tap *t, uint64_t acked);

/* Reads the next frame with its header into n spans (at most 1024): its bytes, cut when
 * the spans are too short, or -errno: -EAGAIN when there is none, -EIO at the end. */
MUST_CHECK ssize_t tap_read(struct tap *t, const struct iovec *iov, unsigned n);

/* Writes one frame with its header. 0 or -errno: -EAGAIN when the host takes no more
 * now. */
MUST_CHECK int tap_write(struct tap *t, const struct iovec *iov, unsigned n);

#endif
