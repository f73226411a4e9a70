/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vsock/vsock.h"

/* In the order of the contract (9.2). */
static const struct counter counters[] = {
	COUNTER_OF(struct vsock_stats, activate_fails),
	COUNTER_OF(struct vsock_stats, cfg_fails),
	COUNTER_OF(struct vsock_stats, rx_queue_event_fails),
	COUNTER_OF(struct vsock_stats, tx_queue_event_fails),
	COUNTER_OF(struct vsock_stats, ev_queue_event_fails),
	COUNTER_OF(struct vsock_stats, muxer_event_fails),
	COUNTER_OF(struct vsock_stats, conn_event_fails),
	COUNTER_OF(struct vsock_stats, rx_queue_event_count),
	COUNTER_OF(struct vsock_stats, tx_queue_event_count),
	COUNTER_OF(struct vsock_stats, rx_bytes_count),
	COUNTER_OF(struct vsock_stats, tx_bytes_count),
	COUNTER_OF(struct vsock_stats, rx_packets_count),
	COUNTER_OF(struct vsock_stats, tx_packets_count),
	COUNTER_OF(struct vsock_stats, conns_added),
	COUNTER_OF(struct vsock_stats, conns_killed),
	COUNTER_OF(struct vsock_stats, conns_removed),
	COUNTER_OF(struct vsock_stats, killq_resync),
	COUNTER_OF(struct vsock_stats, tx_flush_fails),
	COUNTER_OF(struct vsock_stats, tx_write_fails),
	COUNTER_OF(struct vsock_stats, rx_read_fails),
};

_Static_assert(sizeof(struct vsock_stats) <= COUNTERS_MAX, "counter.h");

const struct counter_group vsock_counters = {
	.name = "vsock",
	.is_list = false,
	.counter = counters,
	.n = ARRAY_LEN(counters),
	.bytes = sizeof(struct vsock_stats),
};
