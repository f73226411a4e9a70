/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/limiter/config.h"

bool bucket_is_none(const void *bucket_cfg)
{
	return !bucket_is_limit(bucket_cfg);
}

bool limiter_is_none(const void *limiter_cfg)
{
	const struct limiter_cfg *c = limiter_cfg;

	return bucket_is_none(&c->bandwidth) && bucket_is_none(&c->ops);
}

/* clang-format off */
static const struct field bucket_rows[] = {
	{ .name = "size", .type = FIELD_UINT, .required = true, .max = UINT64_MAX,
	  FIELD_AT(struct bucket_cfg, size) },
	{ .name = "one_time_burst", .type = FIELD_UINT, .nullable = true, .max = UINT64_MAX,
	  .is_null = field_is_zero64, FIELD_AT(struct bucket_cfg, one_time_burst) },
	{ .name = "refill_time", .type = FIELD_UINT, .required = true, .max = UINT64_MAX,
	  FIELD_AT(struct bucket_cfg, refill_time) },
};

static const struct field limiter_rows[] = {
	{ .name = "bandwidth", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  .is_null = bucket_is_none, FIELD_AT(struct limiter_cfg, bandwidth) },
	{ .name = "ops", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  .is_null = bucket_is_none, FIELD_AT(struct limiter_cfg, ops) },
};

static const struct field limiter_patch_rows[] = {
	{ .name = "bandwidth", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  FIELD_AT(struct limiter_patch, to.bandwidth), FIELD_GIVEN(struct limiter_patch, has_bandwidth) },
	{ .name = "ops", .type = FIELD_OBJECT, .nullable = true, .fields = &bucket_fields,
	  FIELD_AT(struct limiter_patch, to.ops), FIELD_GIVEN(struct limiter_patch, has_ops) },
};
/* clang-format on */

const struct fields bucket_fields = {
	"token bucket", bucket_rows, ARRAY_LEN(bucket_rows), true, /* contract, 2.5 */
};
const struct fields limiter_fields = FIELDS("rate limiter", limiter_rows);
const struct fields limiter_patch_fields = FIELDS("rate limiter", limiter_patch_rows);
