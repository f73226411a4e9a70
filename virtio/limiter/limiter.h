/* SPDX-License-Identifier: Apache-2.0
 *
 * limiter: how fast one queue of one device may go: two token buckets, of bytes and of
 * operations (contract, section 4). A bucket starts full; its burst is extra credit
 * that is spent first and does not come back. Exact: no token is lost or won to
 * rounding. Loop thread, device lock held.
 */
#ifndef HUSK_VIRTIO_LIMITER_H
#define HUSK_VIRTIO_LIMITER_H

#include "virtio/limiter/bucket.h"
#include "vmm/base/loop.h"
#include "vmm/codec/stream.h"

struct limiter_cfg {
	struct bucket_cfg bandwidth, ops;
};

/* A change: a bucket that is not given stays as it is; one that is given is replaced by
 * a full one, or removed when it is no limit. */
struct limiter_patch {
	bool has_bandwidth, has_ops;
	struct limiter_cfg to;
};

struct limiter;

/* ready: called on the loop, device lock held, at the moment when a request that was
 * refused can go. The timer for that is there from now on. -errno with text. */
MUST_CHECK int limiter_create(struct loop *loop, const struct limiter_cfg *cfg,
	void (*ready)(void *self), void *self, struct limiter **out, struct err *e);
void limiter_destroy(struct limiter *l);
DEFINE_AUTO(struct limiter *, limiter_destroy);

/* Takes one operation of `bytes` bytes (0: it costs an operation only). False when it
 * has to wait: nothing was taken, and `ready` will be called. What is larger than
 * the whole bucket goes when the bucket is full, and what it owes is waited for after.
 */
MUST_CHECK bool limiter_take(struct limiter *l, uint64_t bytes);

/* The same of `ops` operations, of `bytes` bytes together. */
MUST_CHECK bool limiter_take_many(struct limiter *l, uint64_t ops, uint64_t bytes);

/* Merges a change, with new full buckets; a waiting request is told to try again. */
void limiter_patch(struct limiter *l, const struct limiter_patch *p);

/* What is in force now, with the bursts as configured; for GET /vm/config. */
struct limiter_cfg limiter_cfg(const struct limiter *l);

/* No more calls of ready until limiter_resume: for pause. Time goes on. */
void limiter_pause(struct limiter *l);
void limiter_resume(struct limiter *l);

/* Size, burst left, refill time, tokens left, time since the last refill. */
MUST_CHECK int limiter_snap(struct limiter *l, struct stream *s);

#endif
