/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: the file or block device behind a drive. A request is submitted, and its `done`
 * is called when it is complete. On a synchronous disk that is before disk_submit
 * returns. An asynchronous disk, over io_uring, starts submitted requests at the next
 * disk_submit_all, and completes them in any order: in disk_submit_all, in disk_drain,
 * or when the loop sees completions. Nothing here waits for an asynchronous disk. A
 * disk has one owner, a device, which uses it with the device lock held.
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
	DISK_FLUSH, /* brings data, and what is needed to find it, to the medium */
	DISK_DISCARD, /* the range may read as anything; gives space back if possible */
	DISK_ZERO, /* the range reads as zeroes; see unmap */
};

struct disk_req {
	enum disk_op op;
	bool unmap; /* DISK_ZERO: space may be given back */
	uint64_t at, len; /* bytes; the device has checked them against disk_bytes */
	/* DISK_READ and DISK_WRITE: the memory, of which the first len bytes are used.
	 */
	struct spans data;
	/* Called once, with 0 or -errno: -EIO for a file that shrank, -ENOSPC when the
	 * file system is full. */
	void (*done)(struct disk_req *req, int result);

	/* The disk's own, until `done` is called. */
	struct disk_cursor {
		struct spans data; /* the memory that is left */
		uint64_t at, left; /* where on the disk; how many bytes are left */
		struct iovec part; /* room for a span of which only a part moves now */
	} cursor;
	struct disk_req *next;
	uint64_t order; /* its number among all requests */
	unsigned n_before; /* of a flush: how many changes it still waits for */
	int mode; /* of a discard or zero: the mode for fallocate */
};

/* Opens a regular file, a block device, or a character device that can seek to its end,
 * such as /dev/null and /dev/zero, which is a disk without sectors. Bytes past the last
 * whole sector of 512 are left out. It does not wait for the writer of a FIFO or the
 * carrier of a terminal. -errno with text: the file is missing, not permitted, a
 * directory, or cannot seek, such as a FIFO, a socket or a terminal. */
MUST_CHECK int disk_open(
	const char *path, bool read_only, struct disk **out, struct err *e);
void disk_close(struct disk *d);
DEFINE_AUTO(struct disk *, disk_close);

uint64_t disk_bytes(const struct disk *d); /* a multiple of 512; 0 is legal */
bool disk_is_read_only(const struct disk *d);
/* Bytes of the file past the last whole sector, which the guest does not see. */
unsigned disk_hidden_tail(const struct disk *d);

/* The answer to GET_ID, as in the contract: st_dev, st_rdev and st_ino in decimal
 * without a separator, cut at DISK_SERIAL_BYTES or padded with zeroes. */
void disk_serial(const struct disk *d, char out[DISK_SERIAL_BYTES]);

/* Makes a disk asynchronous for good. Before its first request, on the loop's thread.
 * loop is borrowed. -errno with text, and the disk stays synchronous: -ENOSYS where the
 * kernel's io_uring is missing or too old, -EPERM where it is forbidden. */
MUST_CHECK int disk_go_async(struct disk *d, struct loop *loop, struct err *e);
bool disk_is_async(const struct disk *d);

/* Whether a request would be done before disk_submit or disk_submit_all returns, so
 * that the thread waits for the host. It looks at op, and at unmap for a DISK_ZERO. */
bool disk_is_at_once(const struct disk *d, const struct disk_req *req);
/* Whether a discard is done at once and may take long whatever its length: on a block
 * device. */
bool disk_discards_slowly(const struct disk *d);

/* Has batch(self) called after each group of completions that comes from the loop or
 * from disk_drain. */
void disk_on_batch(struct disk *d, void (*batch)(void *self), void *self);

/* Starts a request, or queues it for the next disk_submit_all. The request and its list
 * of spans must stay valid until `done` is called. A flush covers all requests that
 * were submitted before it; other requests have no order. */
void disk_submit(struct disk *d, struct disk_req *req);

/* Starts all queued requests, many by one system call. Call it at the end of a turn. */
void disk_submit_all(struct disk *d);

/* After a read or write that is done: moves `data` and `at` to the byte after the last
 * one. data.n is then 0 if the memory is used up. */
void disk_go_past(struct disk_req *req);

/* Starts queued requests and completes finished ones, without waiting. Returns -1 when
 * every submitted request is done; otherwise a borrowed descriptor that is readable
 * when there are more completions. The loop sees those too. Called on another thread
 * than the loop's, it leaves the work to the loop. */
int disk_drain(struct disk *d);

#endif
