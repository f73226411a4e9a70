/* SPDX-License-Identifier: Apache-2.0
 *
 * limiter: limits how fast one queue of a device is served, by two token buckets, one
 * of bytes and one of operations (contract, section 4). A bucket starts full; its
 * one-time burst is extra credit that is spent first and does not come back. No token
 * is lost or won by rounding. Device lock held.
 */
#ifndef HUSK_VIRTIO_LIMITER_H
#define HUSK_VIRTIO_LIMITER_H

#include "virtio/limiter/bucket.h"
#include "vmm/base/loop.h"
#include "vmm/codec/stream.h"

struct limiter_cfg {
	struct bucket_cfg bandwidth, ops;
};

/* A change by PATCH. A bucket that is not given stays as it is. One that is given
 * replaces the old one and is full, or removes it when it is no limit. */
struct limiter_patch {
	bool has_bandwidth, has_ops;
	struct limiter_cfg to;
};

struct limiter;

/* ready(self) is called by the loop, with the device lock held, at the moment when a
 * request that was refused can go. cfg is copied; loop is borrowed. -errno with text.
 */
MUST_CHECK int limiter_create(struct loop *loop, const struct limiter_cfg *cfg,
	void (*ready)(void *self), void *self, struct limiter **out, struct err *e);
void limiter_destroy(struct limiter *l);
DEFINE_AUTO(struct limiter *, limiter_destroy);

/* Takes one operation of `bytes` bytes, which may be 0. False when it has to wait: then
 * nothing was taken, and `ready` will be called. An operation larger than the whole
 * bucket goes when that is full, and those after it wait until its debt is paid off. */
MUST_CHECK bool limiter_take(struct limiter *l, uint64_t bytes);

/* The same for `ops` operations that have `bytes` bytes together. */
MUST_CHECK bool limiter_take_many(struct limiter *l, uint64_t ops, uint64_t bytes);

/* Applies a change. If a request was waiting, `ready` is called soon, by the loop. */
void limiter_patch(struct limiter *l, const struct limiter_patch *p);

/* The limits in force, with bursts as they were configured; for GET /vm/config. */
struct limiter_cfg limiter_cfg(const struct limiter *l);

/* Stops calls of `ready` until limiter_resume, for a device whose `ready` does more
 * than vdev_serve_again, which waits for the end of a pause by itself. Buckets fill up
 * meanwhile. */
void limiter_pause(struct limiter *l);
void limiter_resume(struct limiter *l);

/* Saves or loads limits and buckets. Time that passes between the two does not count.
 * 0, or -errno with the limiter unchanged: -EBADMSG for values that make no sense. */
MUST_CHECK int limiter_snap(struct limiter *l, struct stream *s);

#endif
