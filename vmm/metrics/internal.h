/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_internal: the values of a line of metrics and their table, shared by stream.c
 * (the file), text.c (values and text) and table.c (names).
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

/* All values at one moment. */
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
	/* The first n_devices are set. */
	struct metrics_device_values {
		const struct counter_group *group;
		const char *id;
		uint64_t counters[COUNTERS_MAX / sizeof(uint64_t)];
	} device[VIRTIO_DEVICES_MAX];
};

/* A counter that is a member of struct metrics_values. */
struct metric {
	const char *group; /* the rows of one group are adjacent */
	struct counter counter; /* its offset is in struct metrics_values */
};

/* All of them but those of devices. Sets *n to their number; static. */
const struct metric *metrics_table(size_t *n);

/* Copies the values of everything in v into *out, except `logger`, which stream.c
 * fills. Safe in a signal handler. */
void metrics_gather(const struct metrics_view *v, struct metrics_values *out);

/* Writes a line's text into buf, as metrics_render does. Sums show what was added since
 * `last`; NULL: since the start. groups: those of all kinds of devices, also of kinds
 * of which the machine has none, ended by NULL; or NULL. own: also the rows that are
 * husk's own. Safe in a signal handler. */
size_t metrics_put_text(const struct metrics_values *now,
	const struct metrics_values *last, const struct counter_group *const *groups,
	const char *extra, bool own, char *buf, size_t room);

#endif
