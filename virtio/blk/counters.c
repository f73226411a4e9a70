/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/blk/blk.h"

/* In the order of the contract (9.2). */
static const struct counter counters[] = {
	COUNTER_OF(struct blk_stats, activate_fails),
	COUNTER_OF(struct blk_stats, cfg_fails),
	COUNTER_OF(struct blk_stats, no_avail_buffer),
	COUNTER_OF(struct blk_stats, event_fails),
	COUNTER_OF(struct blk_stats, execute_fails),
	COUNTER_OF(struct blk_stats, invalid_reqs_count),
	COUNTER_OF(struct blk_stats, flush_count),
	COUNTER_OF(struct blk_stats, queue_event_count),
	COUNTER_OF(struct blk_stats, rate_limiter_event_count),
	COUNTER_OF(struct blk_stats, update_count),
	COUNTER_OF(struct blk_stats, update_fails),
	COUNTER_OF(struct blk_stats, read_bytes),
	COUNTER_OF(struct blk_stats, write_bytes),
	COUNTER_OF(struct blk_stats, read_count),
	COUNTER_OF(struct blk_stats, write_count),
	LATENCY_OF(struct blk_stats, read_agg),
	LATENCY_OF(struct blk_stats, write_agg),
	COUNTER_OF(struct blk_stats, rate_limiter_throttled_events),
	COUNTER_OF(struct blk_stats, io_engine_throttled_events),
	COUNTER_OF(struct blk_stats, remaining_reqs_count),
};

_Static_assert(sizeof(struct blk_stats) <= COUNTERS_MAX, "counter.h");

const struct counter_group blk_counters = {
	.name = "block",
	.is_list = true,
	.counter = counters,
	.n = ARRAY_LEN(counters),
	.bytes = sizeof(struct blk_stats),
};
