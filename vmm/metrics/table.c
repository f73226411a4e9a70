/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_table: the names of the metrics (contract, 9.2), in the order of a line. The
 * groups of devices follow in the line; their tables are in the devices' rooms. A row
 * that is OWN is husk's own, and in lines only after metrics_show_own.
 */
#include <string.h>

#include "vmm/metrics/internal.h"

/* clang-format off */
#define AT(path) offsetof(struct metrics_values, path)
#define ROW(group, path, name, kind) { #group, { #name, AT(path.name), kind, false } }
#define OWN(group, name, path, kind) { #group, { #name, AT(path), kind, true } }
#define COUNTER(group, name) ROW(group, group, name, COUNTER_SUM)

#define SERVER(name) ROW(api_server, api.api_server, name, COUNTER_GAUGE)
#define LATENCY(name) ROW(latencies_us, api.latencies_us, name, COUNTER_GAUGE)
#define GET(name) ROW(get_api_requests, api.get_api_requests, name##_count, COUNTER_SUM)
#define PUT(name) \
	ROW(put_api_requests, api.put_api_requests, name##_count, COUNTER_SUM), \
	ROW(put_api_requests, api.put_api_requests, name##_fails, COUNTER_SUM)
#define PATCH(name) \
	ROW(patch_api_requests, api.patch_api_requests, name##_count, COUNTER_SUM), \
	ROW(patch_api_requests, api.patch_api_requests, name##_fails, COUNTER_SUM)
#define SIGNAL(name) ROW(signals, process.signals, name, COUNTER_GAUGE)
#define PHASE(name, at) OWN(phases, name##_us, phase_us[at], COUNTER_GAUGE)
#define EXIT(name, x) { "vcpu", { #name, AT(vcpu.exits[x]), COUNTER_SUM, false } }
#define OWN_EXIT(name, x) OWN(vcpu, name, vcpu.exits[x], COUNTER_SUM)
#define SERVED(name, x) { "vcpu", { #name "_agg", AT(vcpu.served[x]), COUNTER_LATENCY, false } }
#define UART(name) COUNTER(uart, name)

_Static_assert(sizeof(struct metrics_values) <= UINT16_MAX, "struct counter.offset");

static const struct metric table[] = {
	SERVER(process_startup_time_us), SERVER(process_startup_time_cpu_us),

	ROW(deprecated_api, api.deprecated_api, deprecated_http_api_calls, COUNTER_SUM),

	GET(instance_info), GET(machine_cfg), GET(mmds), GET(vmm_version), GET(hotplug_memory),

	COUNTER(i8042, error_count), COUNTER(i8042, missed_read_count),
	COUNTER(i8042, missed_write_count), COUNTER(i8042, read_count),
	COUNTER(i8042, reset_count), COUNTER(i8042, write_count),

	LATENCY(full_create_snapshot), LATENCY(diff_create_snapshot), LATENCY(load_snapshot),
	LATENCY(pause_vm), LATENCY(resume_vm), LATENCY(vmm_full_create_snapshot),
	LATENCY(vmm_diff_create_snapshot), LATENCY(vmm_load_snapshot), LATENCY(vmm_pause_vm),
	LATENCY(vmm_resume_vm),

	COUNTER(logger, missed_metrics_count), COUNTER(logger, metrics_fails),
	COUNTER(logger, missed_log_count), COUNTER(logger, rate_limited_log_count),

	PATCH(drive), PATCH(network), PATCH(machine_cfg), PATCH(mmds), PATCH(hotplug_memory),
	PATCH(pmem),

	PUT(actions), PUT(boot_source), PUT(drive), PUT(logger), PUT(machine_cfg),
	PUT(cpu_cfg), PUT(metrics), PUT(network), PUT(mmds), PUT(vsock), PUT(pmem),
	PUT(serial), PUT(hotplug_memory),

	ROW(seccomp, process.seccomp, num_faults, COUNTER_GAUGE),

	EXIT(exit_io_in, EXIT_IO_IN), EXIT(exit_io_out, EXIT_IO_OUT),
	EXIT(exit_mmio_read, EXIT_MMIO_READ), EXIT(exit_mmio_write, EXIT_MMIO_WRITE),
	OWN_EXIT(exit_hlt, EXIT_HLT), OWN_EXIT(exit_shutdown, EXIT_SHUTDOWN),
	OWN_EXIT(exit_interrupted, EXIT_INTERRUPTED), OWN_EXIT(exit_other, EXIT_OTHER),
	COUNTER(vcpu, failures), COUNTER(vcpu, kvmclock_ctrl_fails),
	SERVED(exit_io_in, EXIT_IO_IN), SERVED(exit_io_out, EXIT_IO_OUT),
	SERVED(exit_mmio_read, EXIT_MMIO_READ), SERVED(exit_mmio_write, EXIT_MMIO_WRITE),

	ROW(vmm, process.vmm, panic_count, COUNTER_GAUGE),

	UART(error_count), UART(flush_count), UART(missed_read_count),
	UART(missed_write_count), UART(read_count), UART(write_count),
	UART(rate_limiter_dropped_bytes), OWN(uart, dropped_bytes, uart.dropped_bytes, COUNTER_SUM),

	SIGNAL(sigbus), SIGNAL(sigsegv), SIGNAL(sigxfsz), SIGNAL(sigxcpu),
	ROW(signals, process.signals, sigpipe, COUNTER_SUM), SIGNAL(sighup), SIGNAL(sigill),

	COUNTER(interrupts, triggers), COUNTER(interrupts, config_updates),

	PHASE(main, PHASE_MAIN), PHASE(arguments_read, PHASE_ARGUMENTS_READ),
	PHASE(api_ready, PHASE_API_READY), PHASE(configured, PHASE_CONFIGURED),
	PHASE(memory_ready, PHASE_MEMORY_READY), PHASE(kernel_loaded, PHASE_KERNEL_LOADED),
	PHASE(vcpu_ready, PHASE_VCPU_READY), PHASE(first_run, PHASE_FIRST_RUN),
	PHASE(guest_init, PHASE_GUEST_INIT),

	OWN(virtio, guest_faults, virtio.guest_faults, COUNTER_SUM),
};
/* clang-format on */

const struct metric *metrics_table(size_t *n)
{
	*n = ARRAY_LEN(table);
	return table;
}

uint64_t *metrics_api_counter(
	struct api_counts *c, const char *group, const char *what, const char *suffix)
{
	size_t n = strlen(what);

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct metric *m = &table[i];

		if (strcmp(m->group, group) == 0 &&
			strncmp(m->counter.name, what, n) == 0 &&
			strcmp(m->counter.name + n, suffix) == 0)
			return (uint64_t *)(void *)((char *)c + m->counter.offset -
				offsetof(struct metrics_values, api));
	}
	return NULL;
}
