/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_uring: asynchronous I/O by one io_uring per disk, whose descriptor is watched by
 * the loop: it is readable while there are completions. Loop thread; a drain also on
 * any that holds the device lock. Whatever the ring cannot do is done here and now, as
 * a synchronous disk does it: a request may become slow, it never stalls.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "virtio/blk/disk_internal.h"
#include "vmm/base/clock.h"

enum {
	RING_ENTRIES = 256, /* of a virtqueue; the kernel doubles it for completions */
	/* The kernel does not always keep its word not to block when it is given a
	 * request: a read waits for a place in the queue of a slow device. So a system
	 * call starts so many at most, and the time that it takes is looked at. */
	SUBMIT_MAX = 16,
	/* Longer transfers go to threads of the kernel: to copy them takes longer. */
	INLINE_BYTES = 128 << 10,
	/* A system call that takes so long has blocked. All transfers then go to those
	 * threads, which is dearer, for this time, and for twice as long each time that
	 * it happens again. */
	BLOCKED_US = 20 * 1000,
	WARY_US = 10 * 1000 * 1000,
	WARY_DOUBLINGS = 10,
};

struct uring {
	struct io_uring ring;
	struct loop *loop;
	struct loop_source source; /* the ring's descriptor; fd -1: there is none */
	struct disk *disk;
	pthread_t thread; /* the loop's */

	/* In line for the kernel, in order. The first n_posted of them are written into
	 * the ring already; `unposted` is the one after those. */
	struct disk_req *first, **last, *unposted;
	unsigned n_posted;
	uint64_t wary_until_us;
	unsigned n_blocked; /* system calls that did */
	unsigned n_inside; /* taken by the kernel, not yet completed */
	bool broken; /* the kernel takes no more, ever: all is served here */

	struct disk_req *flushes, **last_flush; /* that wait for changes before them */
	unsigned n_changes; /* submitted and not done */
	uint64_t order; /* of the next request */
	uint64_t n_done;
};

static bool is_change(const struct disk_req *req)
{
	return req->op != DISK_READ && req->op != DISK_FLUSH;
}

static bool is_range(const struct disk_req *req)
{
	return req->op == DISK_DISCARD || req->op == DISK_ZERO;
}

static void append(struct disk_req ***last, struct disk_req *req)
{
	req->next = NULL;
	**last = req;
	*last = &req->next;
}

static void line_up(struct uring *u, struct disk_req *req)
{
	append(&u->last, req);
	if (!u->unposted)
		u->unposted = req;
}

static struct disk_req *take_first(struct uring *u)
{
	struct disk_req *req = u->first;

	u->first = req->next;
	if (!u->first)
		u->last = &u->first;
	return req;
}

/* A change is done: flushes that waited for nothing else can go. */
static void release_flushes(struct uring *u, const struct disk_req *change)
{
	struct disk_req *req = u->flushes;

	u->n_changes--;
	u->flushes = NULL;
	u->last_flush = &u->flushes;
	while (req) {
		struct disk_req *next = req->next;

		if (req->order > change->order)
			req->n_before--;
		if (req->n_before == 0)
			line_up(u, req);
		else
			append(&u->last_flush, req);
		req = next;
	}
}

static void complete(struct uring *u, struct disk_req *req, int result)
{
	if (is_change(req))
		release_flushes(u, req);
	u->n_done++;
	req->done(req, result);
}

static void uring_submit(struct disk *d, struct disk_req *req)
{
	struct uring *u = d->engine_self;

	req->order = u->order++;
	if (req->op == DISK_FLUSH && u->n_changes > 0) {
		req->n_before = u->n_changes;
		append(&u->last_flush, req);
		return;
	}
	if (is_range(req))
		req->mode = disk_range_mode(d, req);
	/* what has nothing to do, or what the host has no asynchronous way for */
	if (req->op != DISK_FLUSH &&
		(req->len == 0 || (is_range(req) && req->mode < 0))) {
		req->done(req, disk_run(d, req));
		return;
	}
	if (is_change(req))
		u->n_changes++;
	line_up(u, req);
}

static void fill(struct io_uring_sqe *sqe, struct disk_req *req)
{
	struct disk_cursor *c = &req->cursor;
	const struct iovec *iov;
	unsigned n;

	switch (req->op) {
	case DISK_READ:
		n = disk_cursor_spans(c, &iov);
		io_uring_prep_readv(sqe, 0, iov, n, c->at);
		break;
	case DISK_WRITE:
		n = disk_cursor_spans(c, &iov);
		io_uring_prep_writev(sqe, 0, iov, n, c->at);
		break;
	case DISK_FLUSH:
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
		break;
	case DISK_DISCARD:
	case DISK_ZERO:
		io_uring_prep_fallocate(
			sqe, 0, req->mode, (off_t)req->at, (off_t)req->len);
		break;
	}
	sqe->flags |= IOSQE_FIXED_FILE; /* number 0 of one */
	io_uring_sqe_set_data(sqe, req);
}

static bool is_move(const struct disk_req *req)
{
	return req->op == DISK_READ || req->op == DISK_WRITE;
}

static void post(struct uring *u)
{
	bool wary = u->wary_until_us > 0 && clock_us() < u->wary_until_us;

	while (u->unposted && u->n_posted < SUBMIT_MAX &&
		u->n_inside + u->n_posted < RING_ENTRIES) {
		struct disk_req *req = u->unposted;
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		assert(sqe); /* there are RING_ENTRIES of them */
		fill(sqe, req);
		if (is_move(req) && (wary || req->cursor.left > INLINE_BYTES))
			sqe->flags |= IOSQE_ASYNC;
		u->unposted = req->next;
		u->n_posted++;
	}
}

static int submit(struct uring *u)
{
	uint64_t began = clock_us(), now;
	int r = io_uring_submit(&u->ring);

	now = clock_us();
	if (now - began > BLOCKED_US) {
		u->wary_until_us = now + ((uint64_t)WARY_US << u->n_blocked);
		u->n_blocked = MIN(u->n_blocked + 1, WARY_DOUBLINGS);
	}
	return r;
}

/* Serves all that is in line, also what that puts there. */
static void serve_here(struct uring *u)
{
	u->n_posted = 0;
	u->unposted = NULL;
	while (u->first) {
		struct disk_req *req = take_first(u);

		complete(u, req, disk_run(u->disk, req));
		u->unposted = NULL;
	}
}

/* The kernel may take the same later: it is out of memory, or was interrupted. */
static bool is_passing(int r)
{
	return r == 0 || r == -EAGAIN || r == -EBUSY || r == -ENOMEM || r == -EINTR;
}

/* Takes back what is posted. The kernel looks at the ring in io_uring_submit only; a
 * submission that failed has told it of all that is posted. */
static void take_back(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	sq->sqe_head = sq->sqe_tail = *sq->khead;
}

/* Hands the kernel what is in line. After it the line is empty, or there is something
 * inside whose completion will come. */
static void start(struct uring *u)
{
	if (!u->broken)
		post(u);
	while (u->n_posted > 0) {
		int r = submit(u);

		for (int i = 0; i < r; i++) {
			(void)take_first(u);
			u->n_posted--;
			u->n_inside++;
		}
		if (r > 0 && u->n_posted == 0)
			post(u);
		if (r > 0)
			continue;
		if (is_passing(r) && u->n_inside > 0)
			return; /* the next completion tries again */
		/* nothing will come that could: these are served here */
		u->broken = !is_passing(r);
		take_back(u);
		u->disk->engine_is_lost = true; /* what follows is at once too */
		serve_here(u);
		u->disk->engine_is_lost = u->broken;
	}
	if (u->broken)
		serve_here(u);
}

/* The kernel's answer to a request: done, to be continued, or to be done here. */
static void advance(struct uring *u, struct disk_req *req, int r)
{
	bool moves = is_move(req);
	bool again = r == -EINTR || r == -EAGAIN || r == -ECANCELED;

	if (moves && r == 0)
		r = -EIO; /* past the end of a file that shrank */
	if (moves && r > 0) {
		if (!disk_cursor_advance(&req->cursor, (size_t)r)) {
			line_up(u, req);
			return;
		}
		r = 0;
	}
	/* disk_run knows other ways, and remembers which the host has not */
	if (again ||
		(is_range(req) && (r == -EOPNOTSUPP || r == -ENOSYS || r == -EINVAL)))
		r = disk_run(u->disk, req);
	if (req->op == DISK_FLUSH)
		r = disk_flushed(u->disk, r);
	complete(u, req, r);
}

/* Returns whether there was anything. */
static bool reap(struct uring *u)
{
	struct io_uring_cqe *cqe;
	bool any = false;

	for (; io_uring_peek_cqe(&u->ring, &cqe) == 0; any = true) {
		struct disk_req *req = io_uring_cqe_get_data(cqe);
		int r = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		u->n_inside--;
		advance(u, req, r);
	}
	return any;
}

/* Starts and completes until there is only something to wait for, or nothing. */
static void go_on(struct uring *u)
{
	do
		start(u);
	while (reap(u) && u->first);
}

static void uring_submit_all(struct disk *d)
{
	go_on(d->engine_self);
}

static void tell_owner(struct disk *d)
{
	if (d->batch)
		d->batch(d->batch_self);
}

static void on_ring(void *self, uint32_t events)
{
	struct uring *u = self;
	uint64_t before = u->n_done;

	(void)events;
	go_on(u);
	if (u->n_done > before)
		tell_owner(u->disk);
}

/* Only the loop's thread gives the kernel requests, since the kernel lets no thread end
 * while it works on those that it was given by it: a vCPU's thread, which drains for a
 * reset, leaves them to the loop, which looks at the ring too. */
static int uring_drain(struct disk *d)
{
	struct uring *u = d->engine_self;
	uint64_t before = u->n_done;

	if (u->broken || pthread_equal(pthread_self(), u->thread))
		go_on(u);
	if (u->n_done > before)
		tell_owner(d);
	return u->first || u->n_inside > 0 ? u->source.fd : -1;
}

static void free_uring(struct uring *u)
{
	if (!u)
		return;
	if (u->source.fd >= 0) {
		loop_remove(u->loop, &u->source);
		io_uring_queue_exit(&u->ring);
	}
	free(u);
}
DEFINE_AUTO(struct uring *, free_uring);

static void uring_close(struct disk *d)
{
	struct uring *u = d->engine_self;

	assert(!u->first && u->n_inside == 0);
	free_uring(u);
}

static const struct disk_engine uring_engine = {
	.submit = uring_submit,
	.submit_all = uring_submit_all,
	.drain = uring_drain,
	.close = uring_close,
};

/* All operations used here, and completions that are never dropped: Linux 5.6. */
static bool can_all(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool can = probe && (ring->features & IORING_FEAT_NODROP) &&
		io_uring_opcode_supported(probe, IORING_OP_READV) &&
		io_uring_opcode_supported(probe, IORING_OP_WRITEV) &&
		io_uring_opcode_supported(probe, IORING_OP_FSYNC) &&
		io_uring_opcode_supported(probe, IORING_OP_FALLOCATE);

	io_uring_free_probe(probe);
	return can;
}

/* From now on the ring does what a disk needs, to that one file: it is no way around
 * the filters for who has broken husk. */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction r[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FALLOCATE },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
			.sqe_flags = IOSQE_FIXED_FILE },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
			.sqe_flags = IOSQE_ASYNC },
	};
	int n = io_uring_register_restrictions(ring, r, ARRAY_LEN(r));

	return n < 0 ? n : io_uring_enable_rings(ring);
}

int disk_go_async(struct disk *d, struct loop *loop, struct err *e)
{
	AUTO(free_uring) struct uring *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return err_code(e, -ENOMEM, "io_engine Async");
	u->source = (struct loop_source){ .fd = -1, .fn = on_ring, .self = u };
	u->loop = loop;
	u->disk = d;
	u->thread = pthread_self();
	u->last = &u->first;
	u->last_flush = &u->flushes;
	r = io_uring_queue_init(RING_ENTRIES, &u->ring, IORING_SETUP_R_DISABLED);
	if (r < 0)
		return err_code(e, r, "io_engine Async needs io_uring");
	u->source.fd = u->ring.ring_fd;
	if (!can_all(&u->ring))
		return err_code(e, -ENOSYS, "io_engine Async needs a newer io_uring");
	r = io_uring_register_files(&u->ring, &d->fd, 1);
	if (r == 0)
		r = restrict_ring(&u->ring);
	if (r == 0)
		r = loop_add(loop, &u->source, EPOLLIN);
	if (r < 0)
		return err_code(e, r, "io_engine Async");
	d->engine = &uring_engine;
	d->engine_self = TAKE(u);
	return 0;
}
