/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net/net.h"

/* In the order of the contract (9.2). */
static const struct counter counters[] = {
	COUNTER_OF(struct net_stats, activate_fails),
	COUNTER_OF(struct net_stats, cfg_fails),
	COUNTER_OF(struct net_stats, no_rx_avail_buffer),
	COUNTER_OF(struct net_stats, no_tx_avail_buffer),
	COUNTER_OF(struct net_stats, event_fails),
	COUNTER_OF(struct net_stats, rx_queue_event_count),
	COUNTER_OF(struct net_stats, rx_event_rate_limiter_count),
	COUNTER_OF(struct net_stats, rx_rate_limiter_throttled),
	COUNTER_OF(struct net_stats, rx_tap_event_count),
	COUNTER_OF(struct net_stats, rx_bytes_count),
	COUNTER_OF(struct net_stats, rx_packets_count),
	COUNTER_OF(struct net_stats, rx_fails),
	COUNTER_OF(struct net_stats, rx_count),
	COUNTER_OF(struct net_stats, tap_read_fails),
	COUNTER_OF(struct net_stats, tap_write_fails),
	LATENCY_OF(struct net_stats, tap_write_agg),
	COUNTER_OF(struct net_stats, tx_bytes_count),
	COUNTER_OF(struct net_stats, tx_malformed_frames),
	COUNTER_OF(struct net_stats, tx_fails),
	COUNTER_OF(struct net_stats, tx_count),
	COUNTER_OF(struct net_stats, tx_packets_count),
	COUNTER_OF(struct net_stats, tx_queue_event_count),
	COUNTER_OF(struct net_stats, tx_rate_limiter_event_count),
	COUNTER_OF(struct net_stats, tx_rate_limiter_throttled),
	COUNTER_OF(struct net_stats, tx_spoofed_mac_count),
	COUNTER_OF(struct net_stats, tx_remaining_reqs_count),
};

_Static_assert(sizeof(struct net_stats) <= COUNTERS_MAX, "counter.h");

const struct counter_group net_counters = {
	.name = "net",
	.is_list = true,
	.counter = counters,
	.n = ARRAY_LEN(counters),
	.bytes = sizeof(struct net_stats),
};
