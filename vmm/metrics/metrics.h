/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: what husk and its guest did, as lines of JSON (contract, 9.2). Counters are
 * plain numbers that belong to who bumps them, each to one thread or to the device
 * lock; they are read without a lock.
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

/* What the API counts, on the loop's thread. Groups and members are the keys of the
 * contract (9.2); _fails are bodies that could not be read. */
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
	/* gauges: how long the last of each took, as the API saw it, and of that the
	 * machine's own part */
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
	void *counters; /* group->bytes of them */
};

/* What one line of metrics is made from, all borrowed. What is NULL is not there, and
 * its group has zeroes. */
struct metrics_view {
	const struct phases *phases;
	const struct api_counts *api;
	const struct process_counts *process;
	struct vcpu_counts *const *vcpus;
	unsigned n_vcpus;
	/* Of all kinds of devices, ended by NULL; NULL: none. */
	const struct counter_group *const *groups;
	const struct metrics_device *devices;
	unsigned n_devices; /* at most VIRTIO_DEVICES_MAX */
	const struct i8042_counts *i8042;
	const struct serial_counts *serial;
	uint64_t interrupts, config_interrupts; /* of all virtio devices */
	uint64_t device_faults; /* guest faults of all virtio devices */
};

enum {
	/* of a line without extra members, all names as long as can be */
	METRICS_TEXT_MAX = (64 << 10) + 2 * VIRTIO_DEVICES_MAX * VDEV_ID_MAX,
};

/* The stream of lines to one file. On the loop's thread but for metrics_flush_fatal. */
struct metrics;

/* Opens a file or FIFO, created when missing, appended to, never blocking. extra:
 * members for each line to carry after utc_timestamp_ms, as JSON without braces
 * ("\"id\":\"x\",\"properties\":{...}"), copied, or NULL. -errno with text. */
MUST_CHECK int metrics_open(
	const char *path, const char *extra, struct metrics **out, struct err *e);
/* Lines have husk's own groups and members from now on: what a validator of
 * Firecracker's metrics refuses. Totals have them always. */
void metrics_show_own(struct metrics *m);
void metrics_close(struct metrics *m);
DEFINE_AUTO(struct metrics *, metrics_close);

/* Writes one line: of counters what was added since the last line, of gauges what they
 * are, of times the shortest and longest since the last line. 0, also when the kernel
 * took a part only, which goes on with the next call; -EAGAIN when a FIFO is full, or
 * another -errno: then the line is lost and counted, but what it said is in the next.
 */
MUST_CHECK int metrics_write(struct metrics *m, const struct metrics_view *v);

/* How much room metrics_render needs at most. m or NULL. */
size_t metrics_room(const struct metrics *m);

/* The object of a line without its newline, as a string in buf: its length, or 0 when
 * there is no room. With `totals` counters are since the start. Changes nothing. m may
 * be NULL with totals: no stream is open. */
size_t metrics_render(const struct metrics *m, const struct metrics_view *v,
	bool totals, char *buf, size_t room);

/* A last line from the handler of a signal that ends the process, on any thread, as far
 * as the file takes it at once: no lock, no allocation. Once; a line that is being
 * written just then is the last one instead. Nothing is written after it. */
void metrics_flush_fatal(struct metrics *m, const struct metrics_view *v);

#endif
