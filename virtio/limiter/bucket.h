/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket: the arithmetic of one token bucket (contract, section 4). It asks no clock:
 * the caller gives the time, in nanoseconds of one clock that does not go back.
 *
 * Nothing is rounded. A bucket of `size` tokens fills up in refill_ns nanoseconds, so a
 * nanosecond brings size / refill_ns tokens, which is seldom a whole number. Levels are
 * therefore counted in parts: a token has refill_ns parts, and then each nanosecond
 * brings `size` of them.
 */
#ifndef HUSK_VIRTIO_LIMITER_BUCKET_H
#define HUSK_VIRTIO_LIMITER_BUCKET_H

#include "vmm/base/base.h"

typedef unsigned __int128 bucket_parts; /* a token has refill_ns of them */

/* As the API gives it. It is no limit when size or refill_time is 0, or refill_time is
 * more than 2^64 ns. */
struct bucket_cfg {
	uint64_t size; /* tokens: bytes or operations */
	uint64_t one_time_burst; /* tokens */
	uint64_t refill_time; /* ms from empty to full */
};

/* A request may take burst and level. One that is larger than the bucket takes a full
 * bucket and leaves the rest as a debt, which is paid off before the level rises. */
struct bucket {
	uint64_t size; /* in tokens, and parts for each nanosecond; 0: no limit */
	uint64_t refill_ns; /* from empty to full, and parts of a token */
	uint64_t burst; /* tokens of the one-time burst that are left */
	bucket_parts level, debt; /* level <= size * refill_ns; one of them is 0 */
	uint64_t at_ns; /* the time for which level and debt hold */
};

/* Whether cfg limits anything. */
bool bucket_is_limit(const struct bucket_cfg *cfg);

/* Makes a full bucket at now_ns. Where cfg is no limit, it is all zeroes. */
void bucket_init(struct bucket *b, const struct bucket_cfg *cfg, uint64_t now_ns);

/* How many nanoseconds from now_ns a request for n tokens has to wait, if nothing else
 * is taken meanwhile. 0: it can go now. UINT64_MAX: that long or longer. n may be
 * larger than the bucket: such a request goes when the bucket is full. While there is a
 * debt nothing goes, not even a request for 0 tokens. */
uint64_t bucket_wait_ns(struct bucket *b, uint64_t n, uint64_t now_ns);

/* Takes n tokens, from the burst first. bucket_wait_ns must have returned 0 for the
 * same n and now_ns. */
void bucket_take(struct bucket *b, uint64_t n, uint64_t now_ns);

#endif
