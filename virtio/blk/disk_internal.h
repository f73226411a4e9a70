/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_parts: what the engines of a disk share. For disk.c, disk_uring.c, and tests
 * that bring an engine of their own.
 */
#ifndef HUSK_VIRTIO_BLK_DISK_INTERNAL_H
#define HUSK_VIRTIO_BLK_DISK_INTERNAL_H

#include "virtio/blk/disk.h"

/* How requests are served when not at once; see disk.h for each. */
struct disk_engine {
	void (*submit)(struct disk *d, struct disk_req *req);
	void (*submit_all)(struct disk *d);
	int (*drain)(struct disk *d);
	void (*close)(struct disk *d); /* nothing is in flight */
};

struct disk {
	int fd;
	bool read_only, is_block, is_char;
	bool no_discard, no_punch, no_zero_range; /* the host said so once */
	uint64_t bytes;
	unsigned tail;
	char serial[DISK_SERIAL_BYTES];

	const struct disk_engine *engine; /* NULL: synchronous */
	bool engine_is_lost; /* it is there, but serves everything at once */
	void *engine_self;
	void (*batch)(void *self); /* or NULL */
	void *batch_self;
};

/* Serves a request here and now, from its cursor on. 0 or -errno. */
int disk_run(struct disk *d, struct disk_req *req);

/* What a flush that gave r means: a character device has nothing to flush, which it may
 * call -EINVAL. */
int disk_flushed(const struct disk *d, int r);

/* The fallocate mode that req is to be tried with, or -1 when the host is known to have
 * none and disk_run is left. */
int disk_range_mode(const struct disk *d, const struct disk_req *req);

/* To the first byte; over n bytes, at most what is left, that were moved: true when
 * that was the last. */
void disk_cursor_init(struct disk_req *req);
bool disk_cursor_advance(struct disk_cursor *c, size_t n);
/* The next spans to move, not more than what is left and at most IOV_MAX: their
 * number. */
unsigned disk_cursor_spans(struct disk_cursor *c, const struct iovec **out);

#endif
