/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: the backing file or block device of a drive: submit, then a completion. A
 * synchronous disk completes before disk_submit returns; an asynchronous one, over
 * io_uring, starts what was submitted at the next disk_kick and completes in any order,
 * from disk_kick, the loop or disk_drain. Owned by one device, used with the device
 * lock held.
 */
#ifndef HUSK_DISK_H
#define HUSK_DISK_H

#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"

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

	/* The disk's own, until done. */
	struct disk_cursor {
		const struct iovec *iov; /* first span that is not finished */
		unsigned n; /* spans left */
		size_t skip; /* bytes of the first that are */
		uint64_t at;
		struct iovec part; /* the rest of the first */
	} cursor;
	struct disk_req *next;
	uint64_t order; /* its place among all requests */
	unsigned n_before; /* of a flush: changes that it waits for */
	int mode; /* of a discard or zero: fallocate's */
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

/* Makes a disk asynchronous for good, before its first request. batch(self) is then
 * called after each group of completions that comes from the loop or from disk_drain;
 * set it by disk_on_batch. -errno with text: -ENOSYS where the kernel has no io_uring
 * or too little of it, -EPERM where it is forbidden; the disk then stays synchronous.
 */
MUST_CHECK int disk_go_async(struct disk *d, struct loop *loop, struct err *e);
bool disk_is_async(const struct disk *d);

/* Whether discards are done before disk_submit returns, and may take long. */
bool disk_discards_at_once(const struct disk *d);
void disk_on_batch(struct disk *d, void (*batch)(void *self), void *self);

/* Starts a request, or puts it in line for the next disk_kick; it and its iovecs stay
 * valid until done is called. A flush covers all that was submitted before it; other
 * requests have no order. */
void disk_submit(struct disk *d, struct disk_req *req);

/* Starts all that is in line, by one system call. At the end of a turn. */
void disk_kick(struct disk *d);

/* Waits until every submitted request is done. */
void disk_drain(struct disk *d);

#endif
