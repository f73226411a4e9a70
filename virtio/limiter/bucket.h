/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket: the arithmetic of one token bucket (contract, section 4). Pure: times are
 * given, in nanoseconds of one clock that does not go back. Exact: what comes in is
 * counted in parts of a token so small that every nanosecond brings a whole number of
 * them, so nothing is ever rounded.
 */
#ifndef HUSK_VIRTIO_LIMITER_BUCKET_H
#define HUSK_VIRTIO_LIMITER_BUCKET_H

#include "vmm/base/base.h"

typedef unsigned __int128 bucket_parts; /* 1 token = refill_ns parts */

/* As the API gives it. size or refill_time 0, or a refill_time of more than 2^64 ns: no
 * limit. */
struct bucket_cfg {
	uint64_t size; /* tokens: bytes or operations */
	uint64_t one_time_burst; /* tokens */
	uint64_t refill_time; /* ms from empty to full */
};

/* A bucket with burst + level to spend, or with a debt to pay off first: what one
 * request larger than the bucket took beyond a full one. */
struct bucket {
	uint64_t size; /* tokens; parts that a nanosecond brings; 0: no limit */
	uint64_t refill_ns; /* from empty to full; parts of a token */
	uint64_t burst; /* tokens left of it */
	bucket_parts level, debt; /* level <= size * refill_ns; one of them is 0 */
	uint64_t at_ns; /* when level and debt were so */
};

/* Whether cfg limits anything. */
bool bucket_is_limit(const struct bucket_cfg *cfg);

/* A full bucket at now_ns; one that limits nothing when cfg does not. */
void bucket_init(struct bucket *b, const struct bucket_cfg *cfg, uint64_t now_ns);

/* How long, from now_ns on, n tokens have to wait when nothing else is taken: 0, they
 * can go now; UINT64_MAX for whatever is longer than that. To the nanosecond. n may be
 * larger than the bucket: it goes when the bucket is full. Nothing goes, not even 0
 * tokens, while there is a debt. */
uint64_t bucket_wait_ns(struct bucket *b, uint64_t n, uint64_t now_ns);

/* Takes n tokens for which bucket_wait_ns was 0 at this now_ns: the burst first. */
void bucket_take(struct bucket *b, uint64_t n, uint64_t now_ns);

#endif
