/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_parts: what a line of metrics is made of, shared by metrics.c (the stream),
 * metrics_text.c (values and text) and metrics_table.c (names). Not for other files.
 */
#ifndef HUSK_METRICS_INTERNAL_H
#define HUSK_METRICS_INTERNAL_H

#include "virtio/blk/blk.h"
#include "virtio/net/net.h"
#include "virtio/vsock/vsock.h"
#include "vmm/base/latency.h"
#include "vmm/base/phases.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/serial.h"
#include "vmm/metrics/metrics.h"
#include "vmm/process/signals.h"

/* Everything that is shown, at one moment. */
struct metrics_values {
	struct api_counts api;
	struct process_counts process;
	struct vcpu_counts vcpu; /* of all vCPUs */
	uint64_t phase_us[PHASE_COUNT];
	struct vsock_stats vsock;
	struct i8042_counts i8042;
	struct serial_counts uart;
	struct {
		uint64_t triggers, config_updates;
	} interrupts;
	struct {
		uint64_t guest_faults;
	} virtio;
	struct {
		uint64_t missed_metrics_count, metrics_fails;
		uint64_t missed_log_count, rate_limited_log_count;
	} logger;
	struct latency none; /* what devices that husk does not have counted */
	unsigned n_drives, n_nics;
	const char *drive_id[VIRTIO_DEVICES_MAX], *nic_id[VIRTIO_DEVICES_MAX];
	struct blk_stats drive[VIRTIO_DEVICES_MAX];
	struct net_stats nic[VIRTIO_DEVICES_MAX];
};

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_LATENCY, /* a struct latency */
};

/* Whose struct an offset is into. */
enum metric_of {
	METRIC_OF_ALL, /* struct metrics_values */
	METRIC_OF_DRIVE, /* struct blk_stats: a group for each and one for the sum */
	METRIC_OF_NIC, /* struct net_stats: likewise */
};

struct metric {
	const char *group, *name; /* the rows of a group follow each other */
	uint16_t offset;
	uint8_t kind, of;
	bool is_own; /* husk's: Firecracker has none of this name */
};

const struct metric *metrics_table(size_t *n);

/* Reads all that v is about into *out; `logger` is left to the stream. Safe in a signal
 * handler. */
void metrics_gather(const struct metrics_view *v, struct metrics_values *out);

/* The text of a line, as metrics_render. last: what counters are counted from, or NULL.
 * own: with the rows that are husk's own. Safe in a signal handler. */
size_t metrics_put_text(const struct metrics_values *now,
	const struct metrics_values *last, const char *extra, bool own, char *buf,
	size_t room);

#endif
