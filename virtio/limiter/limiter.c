/* SPDX-License-Identifier: Apache-2.0
 *
 * limiter: two buckets, whose arithmetic is in bucket.c, and a timer, which is set to
 * the very nanosecond at which a refused request can go.
 */
#include "virtio/limiter/limiter.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/clock.h"
#include "vmm/base/timer.h"

/* What a snapshot holds. */
struct state {
	struct bucket bytes, ops;
	struct limiter_cfg cfg;
};

struct limiter {
	struct state now;
	bool has_limits; /* one of the buckets is a limit */
	bool waiting; /* a request was refused, and ready is yet to be called */
	bool paused;
	uint64_t at_ns; /* while waiting: when that request can go */
	struct timer timer;
	void (*ready)(void *self);
	void *self;
};

static void wait_until(struct limiter *l, uint64_t at_ns)
{
	if (l->waiting && l->at_ns == at_ns)
		return; /* the same request, refused again: the timer runs */
	l->waiting = true;
	l->at_ns = at_ns;
	if (!l->paused)
		timer_set_at(&l->timer, at_ns);
}

static void on_timer(void *self, uint32_t events)
{
	struct limiter *l = self;

	(void)events;
	if (!timer_has_fired(&l->timer) || !l->waiting || l->paused)
		return;
	l->waiting = false;
	l->ready(l->self);
}

static bool has_limits(const struct state *state)
{
	return state->bytes.size > 0 || state->ops.size > 0;
}

int limiter_create(struct loop *loop, const struct limiter_cfg *cfg,
	void (*ready)(void *self), void *self, struct limiter **out, struct err *e)
{
	const struct limiter_patch all = { true, true, *cfg };
	AUTO(limiter_destroy) struct limiter *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_code(e, -ENOMEM, "rate limiter");
	l->timer.source.fn = on_timer;
	l->timer.source.self = l;
	l->ready = ready;
	l->self = self;
	/* even without a limit: a PATCH may bring one later */
	r = timer_open(&l->timer, loop, "a rate limiter", e);
	if (r < 0)
		return r;
	limiter_patch(l, &all);
	*out = TAKE(l);
	return 0;
}

void limiter_destroy(struct limiter *l)
{
	if (!l)
		return;
	timer_close(&l->timer);
	free(l);
}

bool limiter_take(struct limiter *l, uint64_t bytes)
{
	return limiter_take_many(l, 1, bytes);
}

bool limiter_take_many(struct limiter *l, uint64_t ops, uint64_t bytes)
{
	uint64_t now, for_bytes, for_ops, wait, at;

	if (!l->has_limits)
		return true;
	now = clock_ns();
	for_bytes = bucket_wait_ns(&l->now.bytes, bytes, now);
	for_ops = bucket_wait_ns(&l->now.ops, ops, now);
	wait = MAX(for_bytes, for_ops);
	if (wait > 0) {
		wait_until(l, add_ok(now, wait, &at) ? at : UINT64_MAX);
		return false;
	}
	bucket_take(&l->now.bytes, bytes, now);
	bucket_take(&l->now.ops, ops, now);
	l->waiting = false; /* the timer, if it still runs, finds nothing to do */
	return true;
}

void limiter_patch(struct limiter *l, const struct limiter_patch *p)
{
	uint64_t now = clock_ns();

	if (p->has_bandwidth) {
		l->now.cfg.bandwidth = p->to.bandwidth;
		bucket_init(&l->now.bytes, &l->now.cfg.bandwidth, now);
	}
	if (p->has_ops) {
		l->now.cfg.ops = p->to.ops;
		bucket_init(&l->now.ops, &l->now.cfg.ops, now);
	}
	l->has_limits = has_limits(&l->now);
	/* The request may fit the new buckets. ready is not called from here, because
	 * the caller does not expect it. */
	if (l->waiting)
		wait_until(l, now);
}

struct limiter_cfg limiter_cfg(const struct limiter *l)
{
	return l->now.cfg;
}

void limiter_pause(struct limiter *l)
{
	l->paused = true;
}

void limiter_resume(struct limiter *l)
{
	if (!l->paused)
		return;
	l->paused = false;
	if (l->waiting)
		timer_set_at(&l->timer, l->at_ns); /* at once if it has passed */
}

/* Saves or loads a level or a debt, as whole tokens and the parts that remain. */
static void snap_parts(struct stream *s, bucket_parts *p, uint64_t unit)
{
	uint64_t tokens = unit > 0 ? (uint64_t)(*p / unit) : 0;
	uint64_t rest = unit > 0 ? (uint64_t)(*p % unit) : 0;

	stream_u64(s, &tokens);
	stream_u64(s, &rest);
	if (s->loading)
		*p = (bucket_parts)tokens * unit + MIN(rest, unit);
}

/* Whether a loaded bucket is one that bucket.c can produce. */
static bool is_sane(const struct bucket *b)
{
	if (b->size == 0 || b->refill_ns == 0)
		return b->size == 0 && b->refill_ns == 0 && b->burst == 0 &&
			b->level == 0 && b->debt == 0;
	return b->level <= (bucket_parts)b->size * b->refill_ns &&
		(b->level == 0 || b->debt == 0);
}

/* False when what it loads makes no sense. The bucket's clock goes on where it stood
 * when it was saved. */
static bool snap_bucket(
	struct stream *s, struct bucket *b, struct bucket_cfg *cfg, uint64_t now)
{
	uint64_t since = now - b->at_ns;

	stream_u64(s, &cfg->size);
	stream_u64(s, &cfg->one_time_burst);
	stream_u64(s, &cfg->refill_time);
	if (s->loading)
		bucket_init(b, cfg, now);
	stream_u64(s, &b->burst);
	snap_parts(s, &b->level, b->refill_ns);
	snap_parts(s, &b->debt, b->refill_ns);
	stream_u64(s, &since);
	if (!s->loading)
		return true;
	if (!is_sane(b) || b->burst > cfg->one_time_burst)
		return false;
	b->at_ns = 0;
	(void)bucket_wait_ns(b, 0, since); /* adds what came in before it was saved */
	b->at_ns = now;
	return true;
}

int limiter_snap(struct limiter *l, struct stream *s)
{
	uint64_t now = clock_ns();
	struct state state = l->now; /* what is loaded counts when all of it is good */
	bool ok;

	(void)stream_begin(s, "LIMR", 1); /* one version so far */
	ok = snap_bucket(s, &state.bytes, &state.cfg.bandwidth, now);
	ok = snap_bucket(s, &state.ops, &state.cfg.ops, now) && ok;
	stream_end(s);
	if (!s->loading || !ok || s->error != 0)
		return stream_check(s, ok);
	l->now = state;
	l->has_limits = has_limits(&state);
	return 0;
}
