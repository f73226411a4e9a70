/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: the backing file or block device of a drive. Synchronous today; the face is the
 * one that asynchronous I/O will use: submit, then a completion, which here comes
 * before disk_submit returns. Owned by one device, used with the device lock held.
 */
#ifndef HUSK_DISK_H
#define HUSK_DISK_H

#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct disk;

enum { DISK_SERIAL_BYTES = 20, DISK_SECTOR = 512 };

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH, /* data and what is needed to find it is on the medium */
	DISK_DISCARD, /* the range reads as anything, space is given back if possible */
	DISK_ZERO, /* the range reads as zeroes; see unmap */
};

struct disk_req {
	enum disk_op op;
	bool unmap; /* DISK_ZERO: space may be given back */
	uint64_t at, len; /* bytes; the device has checked them against disk_bytes */
	const struct iovec *iov; /* DISK_READ and DISK_WRITE: len bytes in all */
	unsigned n_iov;
	/* Called once with 0 or -errno: a file that shrank is -EIO, a full one -ENOSPC.
	 */
	void (*done)(struct disk_req *req, int result);
};

/* Opens a regular file or block device. A size that is not a multiple of 512 loses its
 * tail. -errno with text: missing, a directory, another kind of file, not permitted. */
MUST_CHECK int disk_open(
	const char *path, bool read_only, struct disk **out, struct err *e);
void disk_close(struct disk *d);
DEFINE_AUTO(struct disk *, disk_close);

uint64_t disk_bytes(const struct disk *d); /* a multiple of 512; 0 is legal */
bool disk_is_read_only(const struct disk *d);
/* Bytes of the file past the last whole sector, which the guest does not see. */
unsigned disk_hidden_tail(const struct disk *d);

/* Decimal st_dev, st_rdev and st_ino run together, cut at DISK_SERIAL_BYTES and padded
 * with zeroes, as in the contract: what GET_ID answers. */
void disk_serial(const struct disk *d, char out[DISK_SERIAL_BYTES]);

/* Starts a request; it and its iovecs stay valid until done is called. */
void disk_submit(struct disk *d, struct disk_req *req);

/* Waits until every submitted request is done. */
void disk_drain(struct disk *d);

#endif
