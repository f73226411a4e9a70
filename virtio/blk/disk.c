/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: opening, and synchronous I/O on a regular file or a device. The device has
 * checked ranges against the size at opening. A file that has shrunk since, or a file
 * system that is full or cannot punch holes, is handled here.
 */
#include "virtio/blk/disk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static void set_serial(struct disk *d, const struct stat *st)
{
	char text[64] = { 0 };

	(void)snprintf(text, sizeof(text), "%ju%ju%ju", (uintmax_t)st->st_dev,
		(uintmax_t)st->st_rdev, (uintmax_t)st->st_ino);
	memcpy(d->serial, text, sizeof(d->serial));
}

static int check_file(struct disk *d, const char *path, struct err *e)
{
	struct stat st;
	off_t end;

	if (fstat(d->fd, &st) < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (S_ISDIR(st.st_mode))
		return err_code(e, -EISDIR, "cannot open '%s'", path);
	end = lseek(d->fd, 0, SEEK_END);
	if (end < 0 && errno == ESPIPE)
		return err_bad(e,
			"'%s' cannot be a disk: it is a pipe, a socket or a terminal",
			path);
	/* O_NONBLOCK was for opening only; io_uring and some drivers would obey it */
	if (end < 0 || fcntl(d->fd, F_SETFL, 0) < 0)
		return err_sys(e, "cannot find the size of '%s'", path);
	d->is_block = S_ISBLK(st.st_mode);
	d->is_char = S_ISCHR(st.st_mode);
	d->bytes = round_down((uint64_t)end, DISK_SECTOR);
	d->tail = (unsigned)((uint64_t)end - d->bytes);
	set_serial(d, &st);
	return 0;
}

int disk_open(const char *path, bool read_only, struct disk **out, struct err *e)
{
	AUTO(disk_close) struct disk *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_code(e, -ENOMEM, "cannot open '%s'", path);
	d->read_only = read_only;
	/* O_NONBLOCK: open waits neither for the writer of a FIFO, which is refused
	 * below, nor for the carrier of a terminal */
	d->fd = open(path,
		(read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (d->fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	r = check_file(d, path, e);
	if (r < 0)
		return r;
	*out = TAKE(d);
	return 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	if (d->engine)
		d->engine->close(d);
	close_fd(d->fd);
	free(d);
}

uint64_t disk_bytes(const struct disk *d)
{
	return d->bytes;
}

bool disk_is_read_only(const struct disk *d)
{
	return d->read_only;
}

unsigned disk_hidden_tail(const struct disk *d)
{
	return d->tail;
}

void disk_serial(const struct disk *d, char out[DISK_SERIAL_BYTES])
{
	memcpy(out, d->serial, DISK_SERIAL_BYTES);
}

void disk_cursor_init(struct disk_req *req)
{
	req->cursor = (struct disk_cursor){
		.data = req->data,
		.at = req->at,
		.left = req->len,
	};
}

unsigned disk_cursor_spans(struct disk_cursor *c, const struct iovec **out)
{
	const struct spans *data = &c->data;
	uint64_t bytes = 0;
	unsigned n = 0;

	if (data->skip > 0 || data->iov->iov_len > c->left) {
		c->part = spans_front(data, c->left);
		*out = &c->part;
		return 1;
	}
	while (n < data->n && n < IOV_MAX && data->iov[n].iov_len <= c->left - bytes)
		bytes += data->iov[n++].iov_len;
	*out = data->iov;
	return n;
}

bool disk_cursor_advance(struct disk_cursor *c, size_t n)
{
	c->at += n;
	c->left -= n;
	spans_skip(&c->data, n);
	return c->left == 0;
}

void disk_go_past(struct disk_req *req)
{
	req->data = req->cursor.data;
	req->at = req->cursor.at;
}

typedef ssize_t vector_fn(int fd, const struct iovec *iov, int n, off_t at);

/* Moves all bytes that are left, by as many calls as that takes. 0 or -errno; -EIO when
 * the kernel moves nothing, as past the end of a file that shrank. */
static int move_all(vector_fn *move, int fd, struct disk_cursor *c)
{
	while (c->left > 0) {
		const struct iovec *iov;
		unsigned n = disk_cursor_spans(c, &iov);
		ssize_t moved = move(fd, iov, (int)n, (off_t)c->at);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved <= 0)
			return moved < 0 ? -errno : -EIO;
		(void)disk_cursor_advance(c, (size_t)moved);
	}
	return 0;
}

/* Whether the host cannot do an operation that returned r: never, and then *never is
 * set, or not for this range (-EINVAL), as on a block device with larger sectors. */
static bool is_unsupported(int r, bool *never)
{
	if (r == -EOPNOTSUPP || r == -ENOSYS || r == -ENOTTY || r == -ENODEV)
		*never = true;
	return *never || r == -EINVAL;
}

static int change_range(struct disk *d, int mode, uint64_t at, uint64_t len)
{
	int r;

	do
		r = fallocate(d->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int discard(struct disk *d, uint64_t at, uint64_t len)
{
	uint64_t range[2] = { at, len };
	int r;

	if (d->no_discard)
		return 0;
	if (d->is_block)
		r = ioctl(d->fd, BLKDISCARD, range) < 0 ? -errno : 0;
	else
		r = change_range(d, FALLOC_FL_PUNCH_HOLE, at, len);
	/* a discard is a hint: where it is unsupported, doing nothing is right */
	return is_unsupported(r, &d->no_discard) ? 0 : r;
}

static int write_zeroes(struct disk *d, uint64_t at, uint64_t len)
{
	static const uint8_t zeroes[4 * KIB]; /* all spans are these */

	while (len > 0) {
		struct iovec iov[64];
		struct disk_cursor c = { .data.iov = iov, .at = at };
		int r;

		for (; c.data.n < ARRAY_LEN(iov) && c.left < len;
			c.left += iov[c.data.n++].iov_len)
			iov[c.data.n] = (struct iovec){ (void *)(uintptr_t)zeroes,
				MIN(len - c.left, sizeof(zeroes)) };
		len -= c.left;
		r = move_all(pwritev, d->fd, &c);
		if (r < 0)
			return r;
		at = c.at;
	}
	return 0;
}

/* Zeroes a range in the cheapest way that the host has: as a hole, if unmap is given,
 * as an unwritten extent, or by writing zeroes. */
static int zero(struct disk *d, uint64_t at, uint64_t len, bool unmap)
{
	int r;

	if (unmap && !d->no_punch) {
		r = change_range(d, FALLOC_FL_PUNCH_HOLE, at, len);
		if (!is_unsupported(r, &d->no_punch))
			return r;
	}
	if (!d->no_zero_range) {
		r = change_range(d, FALLOC_FL_ZERO_RANGE, at, len);
		if (!is_unsupported(r, &d->no_zero_range))
			return r;
	}
	return write_zeroes(d, at, len);
}

/* On a block device no mode of fallocate discards: FALLOC_FL_PUNCH_HOLE writes zeroes
 * there, and many devices then give no space back. io_uring has an equivalent of
 * BLKDISCARD only since Linux 6.12. So a discard on a block device is done at once, on
 * the loop. It is rare (fstrim), and the device does it in steps and ends its turn
 * after each, so that others are served in between. */
int disk_range_mode(const struct disk *d, const struct disk_req *req)
{
	bool punch = req->op == DISK_DISCARD ? !d->no_discard && !d->is_block
					     : req->unmap && !d->no_punch;

	if (punch)
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	if (req->op == DISK_ZERO && !d->no_zero_range)
		return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	return -1;
}

int disk_flushed(const struct disk *d, int r)
{
	return r == -EINVAL && d->is_char ? 0 : r;
}

int disk_run(struct disk *d, struct disk_req *req)
{
	switch (req->op) {
	case DISK_READ:
		return move_all(preadv, d->fd, &req->cursor);
	case DISK_WRITE:
		return move_all(pwritev, d->fd, &req->cursor);
	case DISK_FLUSH:
		return disk_flushed(d, fdatasync(d->fd) < 0 ? -errno : 0);
	case DISK_DISCARD:
		return req->len > 0 ? discard(d, req->at, req->len) : 0;
	case DISK_ZERO:
		return req->len > 0 ? zero(d, req->at, req->len, req->unmap) : 0;
	}
	return -EINVAL;
}

bool disk_is_async(const struct disk *d)
{
	return d->engine != NULL;
}

bool disk_is_at_once(const struct disk *d, const struct disk_req *req)
{
	bool is_range = req->op == DISK_DISCARD || req->op == DISK_ZERO;

	return !d->engine || d->engine_is_lost ||
		(is_range && disk_range_mode(d, req) < 0);
}

bool disk_discards_slowly(const struct disk *d)
{
	return d->is_block;
}

void disk_on_batch(struct disk *d, void (*batch)(void *self), void *self)
{
	d->batch = batch;
	d->batch_self = self;
}

void disk_submit(struct disk *d, struct disk_req *req)
{
	disk_cursor_init(req);
	if (d->engine)
		d->engine->submit(d, req);
	else
		req->done(req, disk_run(d, req));
}

void disk_submit_all(struct disk *d)
{
	if (d->engine)
		d->engine->submit_all(d);
}

int disk_drain(struct disk *d)
{
	return d->engine ? d->engine->drain(d) : -1;
}
