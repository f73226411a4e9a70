/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_internal: the struct of a disk, and the interface of an engine, which serves
 * requests asynchronously. For disk.c, disk_uring.c, and tests with an engine of their
 * own.
 */
#ifndef HUSK_VIRTIO_BLK_DISK_INTERNAL_H
#define HUSK_VIRTIO_BLK_DISK_INTERNAL_H

#include "virtio/blk/disk.h"

/* Each is as the function of its name in disk.h. */
struct disk_engine {
	void (*submit)(struct disk *d, struct disk_req *req);
	void (*submit_all)(struct disk *d);
	int (*drain)(struct disk *d);
	void (*close)(struct disk *d); /* while nothing is in flight */
};

struct disk {
	int fd;
	bool read_only, is_block, is_char;
	bool no_discard, no_punch, no_zero_range; /* the host has refused it once */
	uint64_t bytes; /* in whole sectors */
	unsigned tail; /* bytes after them */
	char serial[DISK_SERIAL_BYTES];

	const struct disk_engine *engine; /* NULL: synchronous */
	bool engine_is_lost; /* the engine serves everything at once now */
	void *engine_self;
	void (*batch)(void *self); /* NULL: none */
	void *batch_self;
};

/* Serves a request synchronously, from its cursor on. 0 or -errno. */
int disk_run(struct disk *d, struct disk_req *req);

/* The result of a flush for which the host returned r. Some character devices have
 * nothing to flush and return -EINVAL; that is 0. */
int disk_flushed(const struct disk *d, int r);

/* The mode of fallocate to try for a discard or zero, or -1 when the host is known to
 * have none, so that only disk_run can serve it. */
int disk_range_mode(const struct disk *d, const struct disk_req *req);

/* The cursor of a read or write says what is left of it. Sets it to the first byte. */
void disk_cursor_init(struct disk_req *req);
/* The next spans to move, IOV_MAX at most: sets *out and returns how many. */
unsigned disk_cursor_spans(struct disk_cursor *c, const struct iovec **out);
/* Goes past n bytes that were moved. Returns whether those were the last. */
bool disk_cursor_advance(struct disk_cursor *c, size_t n);

#endif
