/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket: see the header. No product here overflows 128 bits: each has two factors of
 * 64 bits.
 */
#include "virtio/limiter/bucket.h"

#include <assert.h>

enum { NS_PER_MS = 1000000 };

static bucket_parts parts(uint64_t a, uint64_t b)
{
	return (bucket_parts)a * b;
}

static bucket_parts full(const struct bucket *b)
{
	return parts(b->size, b->refill_ns);
}

bool bucket_is_limit(const struct bucket_cfg *cfg)
{
	uint64_t ns;

	return cfg->size > 0 && cfg->refill_time > 0 &&
		mul_ok(cfg->refill_time, (uint64_t)NS_PER_MS, &ns);
}

void bucket_init(struct bucket *b, const struct bucket_cfg *cfg, uint64_t now_ns)
{
	*b = (struct bucket){ .at_ns = now_ns };
	if (!bucket_is_limit(cfg))
		return;
	b->size = cfg->size;
	b->refill_ns = cfg->refill_time * NS_PER_MS;
	b->burst = cfg->one_time_burst;
	b->level = full(b);
}

/* Brings level and debt to now_ns. */
static void refill(struct bucket *b, uint64_t now_ns)
{
	bucket_parts in;

	assert(now_ns >= b->at_ns);
	in = parts(now_ns - b->at_ns, b->size);
	b->at_ns = now_ns;
	if (in < b->debt) {
		b->debt -= in;
		return;
	}
	in -= b->debt;
	b->debt = 0;
	b->level = in < full(b) - b->level ? b->level + in : full(b);
}

/* The level that a request for n tokens needs, beside the burst. */
static bucket_parts needed(const struct bucket *b, uint64_t n)
{
	uint64_t rest = n <= b->burst ? 0 : n - b->burst;

	return parts(MIN(rest, b->size), b->refill_ns);
}

uint64_t bucket_wait_ns(struct bucket *b, uint64_t n, uint64_t now_ns)
{
	bucket_parts need, missing, ns;

	if (b->size == 0)
		return 0;
	refill(b, now_ns);
	need = needed(b, n);
	if (need <= b->level && b->debt == 0)
		return 0;
	/* a bucket in debt is empty, so its level is 0 below */
	if (!add_ok(b->debt, need, &missing))
		return UINT64_MAX;
	missing -= b->level;
	ns = missing / b->size + (missing % b->size > 0);
	return ns < UINT64_MAX ? (uint64_t)ns : UINT64_MAX;
}

void bucket_take(struct bucket *b, uint64_t n, uint64_t now_ns)
{
	bucket_parts need;
	uint64_t rest;

	if (b->size == 0)
		return;
	refill(b, now_ns);
	need = needed(b, n);
	assert(need <= b->level && b->debt == 0);
	rest = n <= b->burst ? 0 : n - b->burst;
	b->burst -= n - rest;
	b->level -= need;
	if (rest > b->size)
		b->debt = parts(rest - b->size, b->refill_ns);
}
