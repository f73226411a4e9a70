/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/absent.h"

#include <string.h>

#include "vmm/base/counter.h"

/* Groups whose counters are zero: nobody has a struct for them. */
#define SUM(member)                            \
	{                                      \
#member, 0, COUNTER_SUM, false \
	}
#define LATENCY(member)                            \
	{                                          \
#member, 0, COUNTER_LATENCY, false \
	}
#define COUNTERS(group, ...)                                                  \
	static const struct counter group##_rows[] = { __VA_ARGS__ };         \
	static const struct counter_group group##_counters = { #group, false, \
		group##_rows, ARRAY_LEN(group##_rows), 0 }

/* clang-format off */
COUNTERS(balloon, SUM(activate_fails), SUM(inflate_count), SUM(stats_updates_count),
	SUM(stats_update_fails), SUM(deflate_count), SUM(event_fails), SUM(free_page_report_count),
	SUM(free_page_report_freed), SUM(free_page_report_fails), SUM(free_page_hint_count),
	SUM(free_page_hint_freed), SUM(free_page_hint_fails));
COUNTERS(mmds, SUM(rx_accepted), SUM(rx_accepted_err), SUM(rx_accepted_unusual),
	SUM(rx_bad_eth), SUM(rx_invalid_token), SUM(rx_no_token), SUM(rx_count), SUM(tx_bytes),
	SUM(tx_count), SUM(tx_errors), SUM(tx_frames), SUM(connections_created),
	SUM(connections_destroyed));
COUNTERS(entropy, SUM(activate_fails), SUM(entropy_event_fails), SUM(entropy_event_count),
	SUM(entropy_bytes), SUM(host_rng_fails), SUM(entropy_rate_limiter_throttled),
	SUM(rate_limiter_event_count));
COUNTERS(pmem, SUM(activate_fails), SUM(cfg_fails), SUM(event_fails), SUM(queue_event_count),
	SUM(rate_limiter_throttled_events), SUM(rate_limiter_event_count));
COUNTERS(memory_hotplug, SUM(activate_fails), SUM(queue_event_fails), SUM(queue_event_count),
	LATENCY(plug_agg), SUM(plug_count), SUM(plug_bytes), SUM(plug_fails), LATENCY(unplug_agg),
	SUM(unplug_count), SUM(unplug_bytes), SUM(unplug_fails), SUM(unplug_discard_fails),
	LATENCY(unplug_all_agg), SUM(unplug_all_count), SUM(unplug_all_fails), LATENCY(state_agg),
	SUM(state_count), SUM(state_fails));

#define NOT_YET "not in this version of husk"
#define NEVER "husk has virtio-net, virtio-blk and virtio-vsock only"

const struct absent absents[] = {
	{ .resource = "snapshot", .why = NOT_YET,
	  .options = { "--snapshot-version", "--describe-snapshot" } },
	{ .resource = "mmds", .section = "mmds-config", .why = NOT_YET,
	  .options = { "--metadata" }, .counters = &mmds_counters },
	{ .resource = "balloon", .section = "balloon", .why = NEVER, .counters = &balloon_counters },
	{ .resource = "entropy", .section = "entropy", .why = NEVER, .counters = &entropy_counters },
	{ .resource = "pmem", .section = "pmem", .is_list = true, .why = NEVER, .counters = &pmem_counters },
	{ .resource = "hotplug", .section = "memory-hotplug", .why = NEVER,
	  .counters = &memory_hotplug_counters },
	{ .why = "husk has no PCI; its devices are virtio-mmio", .options = { "--enable-pci" } },
};
/* clang-format on */

const size_t n_absents = ARRAY_LEN(absents);

const char *absent_resource(const char *resource)
{
	for (size_t i = 0; i < n_absents; i++)
		if (absents[i].resource && strcmp(absents[i].resource, resource) == 0)
			return absents[i].why;
	return NULL;
}
