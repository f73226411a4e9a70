/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket: compared with a model that keeps tokens as a fraction, over all small buckets
 * and many sequences of operations; that nothing drifts; and the largest numbers.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "virtio/limiter/bucket.h"

/* The model: tokens as a fraction, with the refill time as denominator, that advances
 * by single nanoseconds. Its buckets refill in less than a millisecond, which the API
 * does not allow, so that whole refills can be tried. */
struct model {
	int64_t size, refill, burst;
	int64_t num; /* tokens = num / refill; below 0: a debt */
};

static void model_pass(struct model *m, uint64_t ns)
{
	for (; ns > 0; ns--) {
		m->num += m->size;
		if (m->num > m->size * m->refill)
			m->num = m->size * m->refill;
	}
}

static bool model_take(struct model *m, int64_t n)
{
	int64_t rest = n > m->burst ? n - m->burst : 0;
	bool is_full = m->num == m->size * m->refill;

	if (m->num < 0 || (rest * m->refill > m->num && !is_full))
		return false;
	m->burst -= n - rest;
	m->num -= rest * m->refill;
	return true;
}

static struct bucket small_bucket(const struct model *m)
{
	return (struct bucket){
		.size = (uint64_t)m->size,
		.refill_ns = (uint64_t)m->refill,
		.burst = (uint64_t)m->burst,
		.level = (bucket_parts)(m->size * m->refill),
	};
}

/* Asks for n tokens at now and compares the answer, the tokens left, and the predicted
 * moment, which must be the first nanosecond at which the model grants them. */
static void compare(struct bucket *b, struct model *m, int64_t n, uint64_t now)
{
	uint64_t wait = bucket_wait_ns(b, (uint64_t)n, now);

	if (wait > 0) {
		struct model before = *m, then;

		model_pass(&before, wait - 1);
		then = before;
		model_pass(&then, 1);
		cr_assert_not(model_take(&before, n));
		cr_assert(model_take(&then, n));
	} else {
		cr_assert(model_take(m, n));
		bucket_take(b, (uint64_t)n, now);
	}
	cr_assert_eq((int64_t)b->level - (int64_t)b->debt, m->num);
	cr_assert_eq(b->burst, (uint64_t)m->burst);
}

static void try_all_pairs(const struct model *start)
{
	for (int64_t first = 0; first <= start->size + 3; first++)
		for (int64_t then = 0; then <= start->size + 3; then++)
			for (uint64_t gap = 0; gap <= 12; gap++) {
				struct model m = *start;
				struct bucket b = small_bucket(&m);

				compare(&b, &m, first, 0);
				model_pass(&m, gap);
				compare(&b, &m, then, gap);
				model_pass(&m, 1);
				compare(&b, &m, 1, gap + 1);
			}
}

Test(bucket, agrees_with_a_model_for_all_small_numbers)
{
	for (int64_t size = 1; size <= 5; size++)
		for (int64_t refill = 1; refill <= 7; refill++)
			for (int64_t burst = 0; burst <= 3; burst++)
				try_all_pairs(&(struct model){ .size = size,
					.refill = refill,
					.burst = burst,
					.num = size * refill });
}

Test(bucket, agrees_with_a_model_over_long_runs)
{
	for (int64_t size = 1; size <= 13; size += 3)
		for (int64_t refill = 1; refill <= 17; refill += 4) {
			struct model m = { size, refill, 5, size * refill };
			struct bucket b = small_bucket(&m);
			uint64_t now = 0;

			srand((unsigned)(size * 100 + refill));
			for (unsigned i = 0; i < 5000; i++) {
				uint64_t gap = (uint64_t)rand() % 4;

				now += gap;
				model_pass(&m, gap);
				compare(&b, &m, rand() % (size + 2), now);
			}
		}
}

static struct bucket bucket_of(uint64_t size, uint64_t burst, uint64_t refill_ms)
{
	struct bucket_cfg cfg = { size, burst, refill_ms };
	struct bucket b;

	bucket_init(&b, &cfg, 0);
	return b;
}

/* Runs each operation at the first nanosecond at which it is granted. After a million
 * the clock must agree with the rate to the nanosecond; 7 in 3 ms never divides evenly.
 */
Test(bucket, does_not_drift_in_a_million_operations)
{
	struct bucket b = bucket_of(7, 0, 3);
	uint64_t now = 0;

	bucket_take(&b, 7, now);
	for (unsigned i = 0; i < 1000000; i++) {
		now += bucket_wait_ns(&b, 1, now);
		bucket_take(&b, 1, now);
	}
	cr_assert_eq(now, (uint64_t)1000000 * 3000000 / 7 + 1);
}

/* Asking takes no tokens, however often and at whatever moment. */
Test(bucket, loses_nothing_to_being_asked)
{
	struct bucket b = bucket_of(3, 0, 1000);

	bucket_take(&b, 3, 0);
	for (uint64_t now = 0; now < 333333334; now += 333)
		cr_assert_gt(bucket_wait_ns(&b, 1, now), 0);
	cr_assert_eq(bucket_wait_ns(&b, 1, 333333333), 1);
	cr_assert_eq(bucket_wait_ns(&b, 1, 333333334), 0);
}

Test(bucket, keeps_the_rate_for_operations_larger_than_itself)
{
	struct bucket b = bucket_of(1000, 0, 10);
	uint64_t now = 0;

	for (unsigned i = 0; i < 1000; i++) {
		now += bucket_wait_ns(&b, 3500, now);
		bucket_take(&b, 3500, now);
	}
	/* the first finds a full bucket: 3500 tokens are 35 ms */
	cr_assert_eq(now, (uint64_t)999 * 35000000);
	cr_assert_eq(bucket_wait_ns(&b, 1, now), 25000000 + 10000);
}

Test(bucket, makes_an_operation_larger_than_itself_wait_until_it_is_full)
{
	struct bucket b = bucket_of(1000, 0, 10);

	bucket_take(&b, 1, 0);
	cr_assert_eq(bucket_wait_ns(&b, 1001, 0), 10000);
	cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, 0), 10000);
	cr_assert_eq(bucket_wait_ns(&b, 999, 0), 0);
}

Test(bucket, lets_nothing_go_while_in_debt)
{
	struct bucket b = bucket_of(100, 0, 1);

	bucket_take(&b, 150, 0);
	cr_assert_eq(bucket_wait_ns(&b, 0, 0), 500000);
	cr_assert_eq(bucket_wait_ns(&b, 0, 499999), 1);
	cr_assert_eq(bucket_wait_ns(&b, 0, 500000), 0);
}

Test(bucket, spends_its_burst_first_and_once)
{
	struct bucket b = bucket_of(100, 50, 1);

	bucket_take(&b, 50, 0);
	cr_assert_eq(b.burst, 0);
	cr_assert(b.level == (bucket_parts)100 * 1000000);
	bucket_take(&b, 100, 0);
	cr_assert_eq(bucket_wait_ns(&b, 100, 0), 1000000);
	cr_assert_eq(bucket_wait_ns(&b, 100, 2000000000), 0);
	bucket_take(&b, 100, 2000000000);
	cr_assert_eq(bucket_wait_ns(&b, 1, 2000000000), 10000);
}

Test(bucket, splits_an_operation_between_burst_and_bucket)
{
	struct bucket b = bucket_of(100, 50, 1);

	bucket_take(&b, 200, 0); /* 50 of the burst, 100, and a debt of 50 */
	cr_assert_eq(b.burst, 0);
	cr_assert_eq(bucket_wait_ns(&b, 0, 0), 500000);
}

Test(bucket, limits_nothing_without_size_or_time)
{
	static const struct bucket_cfg cfg[] = {
		{ 0, 5, 100 }, { 100, 5, 0 },
		{ 100, 5, UINT64_MAX / 1000000 + 1 }, /* more than 2^64 ns */
	};

	for (unsigned i = 0; i < ARRAY_LEN(cfg); i++) {
		struct bucket b;

		cr_assert_not(bucket_is_limit(&cfg[i]));
		bucket_init(&b, &cfg[i], 7);
		cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, 7), 0);
		bucket_take(&b, UINT64_MAX, 7);
		cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, 7), 0);
	}
}

Test(bucket, survives_the_largest_numbers)
{
	uint64_t ms = UINT64_MAX / 1000000;
	struct bucket b = bucket_of(UINT64_MAX, UINT64_MAX, ms);

	bucket_take(&b, UINT64_MAX, 0); /* the burst */
	bucket_take(&b, UINT64_MAX, 0); /* the bucket */
	cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, 0), ms * 1000000);
	cr_assert_eq(bucket_wait_ns(&b, 1, 0), 1);
	cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, ms * 1000000), 0);
	cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, UINT64_MAX), 0);

	b = bucket_of(1, 0, ms);
	bucket_take(&b, UINT64_MAX, 0); /* owes more time than there is */
	cr_assert_eq(bucket_wait_ns(&b, 1, 0), UINT64_MAX);
	cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, UINT64_MAX), UINT64_MAX);

	b = bucket_of(UINT64_MAX, 0, 1);
	bucket_take(&b, UINT64_MAX, 0);
	cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, 1), 999999);
	cr_assert_eq(bucket_wait_ns(&b, UINT64_MAX, UINT64_MAX), 0);
}
