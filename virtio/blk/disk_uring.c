/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_uring: asynchronous I/O by one io_uring for each disk. The loop watches the
 * ring's descriptor, which is readable while there are completions. What the ring
 * cannot do is done synchronously, so a request may be slow but never hangs. Loop
 * thread, device lock held; uring_drain also on a vCPU's thread.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "virtio/blk/disk_internal.h"
#include "vmm/base/clock.h"

enum {
	RING_ENTRIES = 256, /* as a virtqueue has; twice as many completions */
	/* A system call that submits requests may block all the same: a read waits for
	 * a place in the queue of a slow device. So one call submits at most this many,
	 * and its time is measured. */
	SUBMIT_MAX = 16,
	/* Longer transfers go to threads of the kernel, since copying them takes long.
	 */
	INLINE_BYTES = 128 << 10,
	/* A call that takes longer than this has blocked. All transfers then go to the
	 * kernel's threads, which costs more, for WARY_US; and for twice as long each
	 * time that it happens again, up to this many times. */
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

	/* Requests that wait for the kernel, in order. The first n_posted are in the
	 * ring already, and `unposted` is the one after them. */
	struct disk_req *first, **last, *unposted;
	unsigned n_posted;
	uint64_t wary_until_us; /* transfers go to the kernel's threads; 0: never yet */
	unsigned n_blocked; /* how often a system call has blocked */
	unsigned n_inside; /* taken by the kernel and not completed */
	bool broken; /* the kernel takes no more: all is done synchronously */

	/* A change is any request but a read or a flush. */
	struct disk_req *flushes, **last_flush; /* wait for the changes before them */
	unsigned n_changes; /* submitted and not done */
	uint64_t order; /* the number of the next request */
	uint64_t n_done; /* requests, since creation */
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

/* A change is done: lines up the flushes that waited for nothing else. */
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
	/* there is nothing to do, or the host cannot do it asynchronously */
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
	sqe->flags |= IOSQE_FIXED_FILE; /* the only one, number 0 */
	io_uring_sqe_set_data(sqe, req);
}

static bool is_move(const struct disk_req *req)
{
	return req->op == DISK_READ || req->op == DISK_WRITE;
}

/* Puts requests into the ring, for the next system call. */
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

/* Serves all waiting requests synchronously, and those that this lines up. */
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

/* Whether the kernel may take the same requests later. */
static bool is_passing(int r)
{
	return r == 0 || r == -EAGAIN || r == -EBUSY || r == -ENOMEM || r == -EINTR;
}

/* Takes all posted requests out of the ring. The kernel looks at the ring only in
 * io_uring_submit, and its head says what it has taken. */
static void take_back(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	sq->sqe_head = sq->sqe_tail = *sq->khead;
}

/* Submits the waiting requests. After it none waits, or the kernel has some whose
 * completion will come. */
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
		/* no completion will come to try again, so these are served now */
		u->broken = !is_passing(r);
		take_back(u);
		u->disk->engine_is_lost = true; /* also for requests that follow */
		serve_here(u);
		u->disk->engine_is_lost = u->broken;
	}
	if (u->broken)
		serve_here(u);
}

/* Handles the kernel's answer to a request. It is complete, has more to move, or is
 * left to be done synchronously. */
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
	/* disk_run tries other ways, and remembers which the host does not have */
	if (again ||
		(is_range(req) && (r == -EOPNOTSUPP || r == -ENOSYS || r == -EINVAL)))
		r = disk_run(u->disk, req);
	if (req->op == DISK_FLUSH)
		r = disk_flushed(u->disk, r);
	complete(u, req, r);
}

/* Handles all completions. Returns whether there were any. */
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

/* Submits and completes until nothing is left, or only completions to wait for. */
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

/* Only the loop's thread submits, because a thread cannot end while the kernel works on
 * requests that it submitted. A vCPU's thread, which drains for a reset, leaves them to
 * the loop. */
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

/* Whether io_uring has all that is used here: these operations, and completions that
 * are never dropped. Linux 5.6 has. */
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

/* Restricts the ring to the operations of a disk on its one file, so that an attacker
 * who controls husk cannot use it to get around the system call filters. */
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
