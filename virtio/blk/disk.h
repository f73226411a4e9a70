/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: the backing file or block device of a drive: submit, then a completion. A
 * synchronous disk completes before disk_submit returns; an asynchronous one, over
 * io_uring, starts what was submitted at the next disk_submit_all and completes in any
 * order, from disk_submit_all, the loop or disk_drain. Nothing here waits for an
 * asynchronous disk. Owned by one device, used with the device lock held.
 */
#ifndef HUSK_VIRTIO_BLK_DISK_H
#define HUSK_VIRTIO_BLK_DISK_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/base/spans.h"

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
	/* DISK_READ and DISK_WRITE: where the bytes go, or come from. It may hold more
	 * than len bytes; the first len of them are meant. */
	struct spans data;
	/* Called once with 0 or -errno: a file that shrank is -EIO, a full one -ENOSPC.
	 */
	void (*done)(struct disk_req *req, int result);

	/* The disk's own, until done. */
	struct disk_cursor {
		struct spans data; /* what is left of it */
		uint64_t at, left; /* on the disk; bytes to move */
		struct iovec part; /* a span of which only a part is to be moved */
	} cursor;
	struct disk_req *next;
	uint64_t order; /* its place among all requests */
	unsigned n_before; /* of a flush: changes that it waits for */
	int mode; /* of a discard or zero: fallocate's */
};

/* Opens a regular file, a block device, or a character device that has an end to seek
 * to, as /dev/null and /dev/zero do: that is a disk without sectors. A size that is not
 * a multiple of 512 loses its tail. Waits for nobody: not for a FIFO's writer, nor for
 * a terminal's carrier. -errno with text: missing, a directory, not permitted, or a
 * file that cannot seek, such as a FIFO, a socket or a terminal. */
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

/* Makes a disk asynchronous for good, before its first request, on the loop's thread.
 * batch(self) is then
 * called after each group of completions that comes from the loop or from disk_drain;
 * set it by disk_on_batch. -errno with text: -ENOSYS where the kernel has no io_uring
 * or too little of it, -EPERM where it is forbidden; the disk then stays synchronous.
 */
MUST_CHECK int disk_go_async(struct disk *d, struct loop *loop, struct err *e);
bool disk_is_async(const struct disk *d);

/* Whether a request (op, and unmap of a DISK_ZERO) is done before disk_submit or
 * disk_submit_all returns, so that the caller's thread waits for the host. */
bool disk_is_at_once(const struct disk *d, const struct disk_req *req);
/* Whether a discard is, and its length says nothing about how long it takes. */
bool disk_discards_slowly(const struct disk *d);

void disk_on_batch(struct disk *d, void (*batch)(void *self), void *self);

/* Starts a request, or puts it in line for the next disk_submit_all; it and its iovecs
 * stay valid until done is called. A flush covers all that was submitted before it;
 * other requests have no order. */
void disk_submit(struct disk *d, struct disk_req *req);

/* Starts all that is in line, by one system call. At the end of a turn. */
void disk_submit_all(struct disk *d);

/* After a read or write that is done: moves `data` and `at` to the byte that follows.
 * data.n is 0 when there is none. */
void disk_go_past(struct disk_req *req);

/* Starts what is in line and completes what has come, without waiting. -1 when every
 * submitted request is done; else a descriptor, borrowed, that is readable when there
 * are more completions. The loop sees those too, and on another thread than the loop's
 * it is the loop that goes on. */
int disk_drain(struct disk *d);

#endif
