/* SPDX-License-Identifier: Apache-2.0
 *
 * What a line of metrics is made of, shared by stream.c (the file), text.c (values and
 * text) and table.c (names).
 */
#ifndef HUSK_METRICS_INTERNAL_H
#define HUSK_METRICS_INTERNAL_H

#include "vmm/base/counter.h"
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
	unsigned n_devices;
	/* As many as there are devices. */
	struct metrics_device_values {
		const struct counter_group *group;
		const char *id;
		uint64_t counters[COUNTERS_MAX / sizeof(uint64_t)];
	} device[VIRTIO_DEVICES_MAX];
};

/* A counter in struct metrics_values. */
struct metric {
	const char *group; /* the rows of a group follow each other */
	struct counter counter;
	bool is_own; /* husk's: Firecracker has none of this name */
};

const struct metric *metrics_table(size_t *n);

/* Reads all that v is about into *out; `logger` is left to the stream. Safe in a signal
 * handler. */
void metrics_gather(const struct metrics_view *v, struct metrics_values *out);

/* The text of a line, as metrics_render. last: what counters are counted from, or NULL.
 * own: with the rows that are husk's own. groups: of all kinds of devices, ended by
 * NULL, also of those that there are none of; or NULL. Safe in a signal handler. */
size_t metrics_put_text(const struct metrics_values *now,
	const struct metrics_values *last, const struct counter_group *const *groups,
	const char *extra, bool own, char *buf, size_t room);

#endif
