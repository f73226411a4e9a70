/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: what husk and its guest have done, as lines of JSON (contract, 9.2). Whoever
 * counts something owns the counter, a plain number: one thread increments it, or
 * whichever thread holds the device lock. The metrics read all of them without a lock.
 */
#ifndef HUSK_METRICS_H
#define HUSK_METRICS_H

#include "virtio/virtio.h"
#include "vmm/base/base.h"
#include "vmm/base/err.h"
#include "vmm/core/limits.h"

struct counter_group;
struct i8042_counts;
struct phases;
struct process_counts;
struct serial_counts;
struct vcpu_counts;

/* What the API counts, on the loop's thread. The names of groups and members are the
 * contract's keys (9.2). _fails counts bodies that could not be read. */
struct api_counts {
	struct {
		uint64_t process_startup_time_us, process_startup_time_cpu_us;
	} api_server; /* gauges */
	struct {
		uint64_t instance_info_count, machine_cfg_count, mmds_count;
		uint64_t vmm_version_count, hotplug_memory_count;
	} get_api_requests;
	struct {
		uint64_t actions_count, actions_fails;
		uint64_t boot_source_count, boot_source_fails;
		uint64_t drive_count, drive_fails;
		uint64_t logger_count, logger_fails;
		uint64_t machine_cfg_count, machine_cfg_fails;
		uint64_t cpu_cfg_count, cpu_cfg_fails;
		uint64_t metrics_count, metrics_fails;
		uint64_t network_count, network_fails;
		uint64_t mmds_count, mmds_fails;
		uint64_t vsock_count, vsock_fails;
		uint64_t pmem_count, pmem_fails;
		uint64_t serial_count, serial_fails;
		uint64_t hotplug_memory_count, hotplug_memory_fails;
	} put_api_requests;
	struct {
		uint64_t drive_count, drive_fails;
		uint64_t network_count, network_fails;
		uint64_t machine_cfg_count, machine_cfg_fails;
		uint64_t mmds_count, mmds_fails;
		uint64_t hotplug_memory_count, hotplug_memory_fails;
		uint64_t pmem_count, pmem_fails;
	} patch_api_requests;
	struct {
		uint64_t deprecated_http_api_calls;
	} deprecated_api;
	/* Gauges: how long the last request of each kind took in all, and (vmm_) how
	 * much of that in the machine. */
	struct {
		uint64_t full_create_snapshot, diff_create_snapshot, load_snapshot;
		uint64_t pause_vm, resume_vm;
		uint64_t vmm_full_create_snapshot, vmm_diff_create_snapshot;
		uint64_t vmm_load_snapshot, vmm_pause_vm, vmm_resume_vm;
	} latencies_us;
};

/* The counter of the API's requests whose name is what and suffix, in that group, such
 * as drive_count in put_api_requests; or NULL. */
uint64_t *metrics_api_counter(
	struct api_counts *c, const char *group, const char *what, const char *suffix);

struct metrics_device {
	const struct counter_group *group;
	const char *id;
	void *counters; /* the struct that group describes */
};

/* Where the values of a line are; all borrowed. A group whose pointer is NULL shows
 * zeroes. */
struct metrics_view {
	const struct phases *phases;
	const struct api_counts *api;
	const struct process_counts *process;
	struct vcpu_counts *const *vcpus;
	unsigned n_vcpus;
	/* One for each kind of device, ended by NULL; or NULL. */
	const struct counter_group *const *groups;
	const struct metrics_device *devices;
	unsigned n_devices; /* at most VIRTIO_DEVICES_MAX */
	const struct i8042_counts *i8042;
	const struct serial_counts *serial;
	uint64_t interrupts, config_interrupts; /* of all virtio devices */
	uint64_t device_faults; /* guest faults of all virtio devices */
};

enum {
	/* bytes of a line without extra members, with the longest names */
	METRICS_TEXT_MAX = (64 << 10) + 2 * VIRTIO_DEVICES_MAX * VDEV_ID_MAX,
};

/* A stream of lines to one file. Its functions are for the loop's thread, except
 * metrics_flush_fatal. */
struct metrics;

/* Opens a file or FIFO, as io_open_output does. extra: members for every line, after
 * utc_timestamp_ms, as JSON without braces ("\"id\":\"x\",\"properties\":{...}");
 * copied; or NULL. The caller closes *out. -errno with text. */
MUST_CHECK int metrics_open(
	const char *path, const char *extra, struct metrics **out, struct err *e);
/* From now on lines also have the groups and members that are husk's own. Not by
 * default, because a validator of Firecracker's metrics would refuse them. Totals
 * always have them. */
void metrics_show_own(struct metrics *m);
/* Accepts NULL. */
void metrics_close(struct metrics *m);
DEFINE_AUTO(struct metrics *, metrics_close);

/* Writes one line. It shows what was added to each sum since the last line, the value
 * of each gauge, and the shortest and longest of each latency since the last line.
 * Returns 0, also when the kernel has taken a part of the line: the next call writes
 * the rest first. -EAGAIN when a FIFO is full, or another -errno: the line is lost, and
 * counted as missed, but the next line covers its time too. */
MUST_CHECK int metrics_write(struct metrics *m, const struct metrics_view *v);

/* How many bytes metrics_render needs at most. m may be NULL. */
size_t metrics_room(const struct metrics *m);

/* Writes what a line would be now, without its newline, as a string into buf. Returns
 * its length, or 0 when there is no room. totals: sums are since the start. Changes
 * nothing, so the next line is not affected. m may be NULL with totals, when no stream
 * is open. */
size_t metrics_render(const struct metrics *m, const struct metrics_view *v,
	bool totals, char *buf, size_t room);

/* Writes the last line, in the handler of a fatal signal, on any thread: as much of it
 * as the file takes at once, without locks or allocations. If the signal interrupts
 * metrics_write, that line is the last instead. Nothing is written afterwards. */
void metrics_flush_fatal(struct metrics *m, const struct metrics_view *v);

#endif
