/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: phases, and what a line says: every group and key of the contract (9.2, from
 * which the list here is taken), sums, totals. The boot timer, which marks a phase,
 * too.
 */
#include "vmm/cpu/vcpu.h"
#include "vmm/metrics/metrics.h"
#include "vmm/process/signals.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_metrics.h"
#include "virtio/blk/blk.h"
#include "virtio/net/net.h"
#include "virtio/vsock/vsock.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/legacy/boot_timer.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/serial.h"
#include "vmm/machine/kinds.h"
#include "vmm/machine/machine.h"

static struct err e;
static char text[METRICS_TEXT_MAX];

/* Marks a phase as if the clock said us. */
static void mark_at(struct phases *p, enum phase phase, uint64_t us)
{
	p->at_us[phase] = us;
}

Test(metrics, tells_a_phase_since_the_start_of_the_process)
{
	struct phases p = { 0 };

	mark_at(&p, PHASE_PROCESS_START, 1000);
	mark_at(&p, PHASE_FIRST_RUN, 1234);
	cr_assert_eq(phase_us(&p, PHASE_FIRST_RUN), 234);
	cr_assert_eq(phase_us(&p, PHASE_GUEST_INIT), 0, "not reached");
}

Test(metrics, takes_a_start_that_a_launcher_put_into_the_future)
{
	struct phases p = { 0 };

	mark_at(&p, PHASE_PROCESS_START, UINT64_MAX);
	phase_mark(&p, PHASE_MAIN);
	cr_assert_eq(phase_us(&p, PHASE_MAIN), 0);
}

Test(metrics, keeps_the_first_moment_of_a_phase)
{
	struct phases p = { 0 };

	phase_mark(&p, PHASE_MAIN);
	cr_assert_neq(p.at_us[PHASE_MAIN], 0);
	mark_at(&p, PHASE_MAIN, 5);
	phase_mark(&p, PHASE_MAIN);
	cr_assert_eq(p.at_us[PHASE_MAIN], 5);
}

Test(metrics, names_every_phase_once)
{
	for (enum phase a = 0; a < PHASE_COUNT; a++) {
		cr_assert_not_null(phase_name(a));
		for (enum phase b = 0; b < a; b++)
			cr_expect_str_neq(phase_name(a), phase_name(b));
	}
}

/* --- what a line says --- */

static const struct counter_group *groups[DEVICE_KINDS_MAX + 1];
static const struct metrics_view nothing = { .groups = groups };

/* As the machine has them. */
static void set_up(void)
{
	for (unsigned k = 0; device_kinds[k]; k++)
		groups[k] = device_kinds[k]->ops->counters;
}

TestSuite(metrics, .init = set_up);

/* The text of totals. */
static const char *totals(const struct metrics_view *v)
{
	size_t n = metrics_render(NULL, v, true, text, sizeof(text));

	cr_assert_gt(n, 0);
	cr_assert_eq(n, strlen(text));
	cr_assert_eq(metrics_skip_object(text), text + n, "%s", text);
	return text;
}

#define DRIVE_KEYS                                                                   \
	"activate_fails cfg_fails no_avail_buffer event_fails execute_fails "        \
	"invalid_reqs_count flush_count queue_event_count rate_limiter_event_count " \
	"update_count update_fails read_bytes write_bytes read_count write_count "   \
	"read_agg.min_us read_agg.max_us read_agg.sum_us "                           \
	"write_agg.min_us write_agg.max_us write_agg.sum_us "                        \
	"rate_limiter_throttled_events io_engine_throttled_events remaining_reqs_count"
#define NIC_KEYS                                                                      \
	"activate_fails cfg_fails no_rx_avail_buffer no_tx_avail_buffer event_fails " \
	"rx_queue_event_count rx_event_rate_limiter_count rx_rate_limiter_throttled " \
	"rx_tap_event_count rx_bytes_count rx_packets_count rx_fails rx_count "       \
	"tap_read_fails tap_write_fails tap_write_agg.min_us tap_write_agg.max_us "   \
	"tap_write_agg.sum_us tx_bytes_count tx_malformed_frames tx_fails tx_count "  \
	"tx_packets_count tx_queue_event_count tx_rate_limiter_event_count "          \
	"tx_rate_limiter_throttled tx_spoofed_mac_count tx_remaining_reqs_count"

static const struct {
	const char *group, *keys;
} contract[] = {
	{ "api_server", "process_startup_time_us process_startup_time_cpu_us" },
	{ "block_a", DRIVE_KEYS },
	{ "block", DRIVE_KEYS },
	{ "net_eth0", NIC_KEYS },
	{ "net", NIC_KEYS },
	{ "vsock",
		"activate_fails cfg_fails rx_queue_event_fails tx_queue_event_fails "
		"ev_queue_event_fails muxer_event_fails conn_event_fails "
		"rx_queue_event_count tx_queue_event_count rx_bytes_count "
		"tx_bytes_count rx_packets_count tx_packets_count conns_added "
		"conns_killed conns_removed killq_resync tx_flush_fails "
		"tx_write_fails rx_read_fails" },
	{ "vcpu",
		"exit_io_in exit_io_out exit_mmio_read exit_mmio_write failures "
		"kvmclock_ctrl_fails exit_io_in_agg.min_us exit_io_in_agg.max_us "
		"exit_io_in_agg.sum_us exit_io_out_agg.min_us exit_io_out_agg.max_us "
		"exit_io_out_agg.sum_us exit_mmio_read_agg.min_us "
		"exit_mmio_read_agg.max_us exit_mmio_read_agg.sum_us "
		"exit_mmio_write_agg.min_us exit_mmio_write_agg.max_us "
		"exit_mmio_write_agg.sum_us" },
	{ "latencies_us",
		"full_create_snapshot diff_create_snapshot load_snapshot pause_vm "
		"resume_vm vmm_full_create_snapshot vmm_diff_create_snapshot "
		"vmm_load_snapshot vmm_pause_vm vmm_resume_vm" },
	{ "get_api_requests",
		"instance_info_count machine_cfg_count mmds_count vmm_version_count "
		"hotplug_memory_count" },
	{ "put_api_requests",
		"actions_count actions_fails boot_source_count boot_source_fails "
		"drive_count drive_fails logger_count logger_fails machine_cfg_count "
		"machine_cfg_fails cpu_cfg_count cpu_cfg_fails metrics_count "
		"metrics_fails network_count network_fails mmds_count mmds_fails "
		"vsock_count vsock_fails pmem_count pmem_fails serial_count "
		"serial_fails hotplug_memory_count hotplug_memory_fails" },
	{ "patch_api_requests",
		"drive_count drive_fails network_count network_fails "
		"machine_cfg_count machine_cfg_fails mmds_count mmds_fails "
		"hotplug_memory_count hotplug_memory_fails pmem_count pmem_fails" },
	{ "mmds",
		"rx_accepted rx_accepted_err rx_accepted_unusual rx_bad_eth "
		"rx_invalid_token rx_no_token rx_count tx_bytes tx_count tx_errors "
		"tx_frames connections_created connections_destroyed" },
	{ "i8042",
		"error_count missed_read_count missed_write_count read_count "
		"reset_count write_count" },
	{ "uart",
		"error_count flush_count missed_read_count missed_write_count "
		"read_count write_count rate_limiter_dropped_bytes" },
	{ "logger",
		"missed_metrics_count metrics_fails missed_log_count "
		"rate_limited_log_count" },
	{ "signals", "sigbus sigsegv sigxfsz sigxcpu sigpipe sighup sigill" },
	{ "deprecated_api", "deprecated_http_api_calls" },
	{ "seccomp", "num_faults" },
	{ "vmm", "panic_count" },
	{ "interrupts", "triggers config_updates" },
	{ "balloon", "activate_fails inflate_count stats_updates_count" },
	{ "entropy", "activate_fails entropy_event_count entropy_bytes" },
	{ "pmem", "activate_fails cfg_fails event_fails queue_event_count" },
	{ "memory_hotplug", "activate_fails plug_agg.min_us plug_count state_fails" },
	/* husk's own */
	{ "phases", "main_us first_run_us guest_init_us" },
	{ "vcpu", "exit_hlt exit_shutdown exit_interrupted exit_other" },
	{ "virtio", "guest_faults" },
	{ "uart", "dropped_bytes" },
};

static void expect_keys(const char *line, const char *group, const char *keys)
{
	char path[128];

	while (*keys != '\0') {
		size_t n = strcspn(keys, " ");

		(void)snprintf(path, sizeof(path), "%s.%.*s", group, (int)n, keys);
		cr_expect(metrics_has(line, path), "%s", path);
		keys += n + (keys[n] == ' ');
	}
}

Test(metrics, has_every_group_and_key_of_the_contract)
{
	struct blk_stats blk = { 0 };
	struct net_stats net = { 0 };
	struct metrics_device devices[] = { { &blk_counters, "a", &blk },
		{ &net_counters, "eth0", &net } };
	struct metrics_view v = {
		.groups = groups, .devices = devices, .n_devices = 2
	};

	(void)totals(&v);
	for (size_t i = 0; i < ARRAY_LEN(contract); i++)
		expect_keys(text, contract[i].group, contract[i].keys);
}

Test(metrics, has_the_groups_of_devices_that_are_not_there)
{
	(void)totals(&nothing);
	for (size_t i = 0; i < ARRAY_LEN(contract); i++) {
		bool of_one = contract[i].keys == contract[1].keys ||
			contract[i].keys == contract[3].keys;

		if (!of_one || !strchr(contract[i].group, '_'))
			expect_keys(text, contract[i].group, contract[i].keys);
	}
	cr_expect_not(metrics_has(text, "block_a"));
	cr_expect_eq(metrics_get(text, "block.read_bytes"), 0);
}

Test(metrics, begins_with_the_time)
{
	uint64_t ms;

	cr_expect_eq(strncmp(totals(&nothing), "{\"utc_timestamp_ms\":", 20), 0);
	ms = metrics_get(text, "utc_timestamp_ms");
	cr_expect_gt(ms, 1600000000000, "milliseconds since 1970");
	cr_expect_lt(ms, 16000000000000);
}

Test(metrics, shows_each_number_under_its_own_name)
{
	struct api_counts api = { .api_server.process_startup_time_us = 1,
		.get_api_requests.vmm_version_count = 2,
		.put_api_requests.serial_fails = 3,
		.patch_api_requests.pmem_count = 4,
		.deprecated_api.deprecated_http_api_calls = 5,
		.latencies_us.vmm_resume_vm = 6 };
	struct process_counts process = {
		.signals.sighup = 7, .seccomp.num_faults = 8, .vmm.panic_count = 9
	};
	struct vsock_stats vsock = { .killq_resync = 10 };
	struct i8042_counts i8042 = { .reset_count = 11 };
	struct serial_counts serial = { .flush_count = 12, .dropped_bytes = 13 };
	struct phases phases = {
		.at_us = { [PHASE_PROCESS_START] = 100, [PHASE_FIRST_RUN] = 114 }
	};
	struct metrics_device device = { &vsock_counters, "vsock", &vsock };
	struct metrics_view v = { .api = &api,
		.process = &process,
		.groups = groups,
		.devices = &device,
		.n_devices = 1,
		.i8042 = &i8042,
		.serial = &serial,
		.phases = &phases,
		.interrupts = 15,
		.config_interrupts = 16,
		.device_faults = 17 };

	(void)totals(&v);
	cr_expect_eq(metrics_get(text, "api_server.process_startup_time_us"), 1);
	cr_expect_eq(metrics_get(text, "get_api_requests.vmm_version_count"), 2);
	cr_expect_eq(metrics_get(text, "put_api_requests.serial_fails"), 3);
	cr_expect_eq(metrics_get(text, "patch_api_requests.pmem_count"), 4);
	cr_expect_eq(metrics_get(text, "deprecated_api.deprecated_http_api_calls"), 5);
	cr_expect_eq(metrics_get(text, "latencies_us.vmm_resume_vm"), 6);
	cr_expect_eq(metrics_get(text, "signals.sighup"), 7);
	cr_expect_eq(metrics_get(text, "seccomp.num_faults"), 8);
	cr_expect_eq(metrics_get(text, "vmm.panic_count"), 9);
	cr_expect_eq(metrics_get(text, "vsock.killq_resync"), 10);
	cr_expect_eq(metrics_get(text, "i8042.reset_count"), 11);
	cr_expect_eq(metrics_get(text, "uart.flush_count"), 12);
	cr_expect_eq(metrics_get(text, "uart.dropped_bytes"), 13);
	cr_expect_eq(metrics_get(text, "phases.first_run_us"), 14);
	cr_expect_eq(metrics_get(text, "interrupts.triggers"), 15);
	cr_expect_eq(metrics_get(text, "interrupts.config_updates"), 16);
	cr_expect_eq(metrics_get(text, "virtio.guest_faults"), 17);
}

Test(metrics, sums_over_vcpus)
{
	struct vcpu_counts a = { 0 }, b = { 0 };
	struct vcpu_counts *vcpus[] = { &a, &b };
	struct metrics_view v = { .vcpus = vcpus, .n_vcpus = 2 };

	a.exits[EXIT_IO_OUT] = 3;
	b.exits[EXIT_IO_OUT] = 4;
	b.exits[EXIT_OTHER] = 1;
	a.failures = 2;
	latency_add(&a.served[EXIT_IO_OUT], 5);
	latency_add(&b.served[EXIT_IO_OUT], 0);
	latency_add(&b.served[EXIT_IO_OUT], 30);
	(void)totals(&v);
	cr_expect_eq(metrics_get(text, "vcpu.exit_io_out"), 7);
	cr_expect_eq(metrics_get(text, "vcpu.exit_other"), 1);
	cr_expect_eq(metrics_get(text, "vcpu.exit_hlt"), 0);
	cr_expect_eq(metrics_get(text, "vcpu.failures"), 2);
	cr_expect_eq(metrics_get(text, "vcpu.exit_io_out_agg.min_us"), 0);
	cr_expect_eq(metrics_get(text, "vcpu.exit_io_out_agg.max_us"), 30);
	cr_expect_eq(metrics_get(text, "vcpu.exit_io_out_agg.sum_us"), 35);
	cr_expect_eq(metrics_get(text, "vcpu.exit_io_in_agg.max_us"), 0);
}

Test(metrics, sums_devices_but_not_the_extremes_of_their_times)
{
	struct blk_stats blk[2] = { { .read_bytes = 512 }, { .read_bytes = 1024 } };
	struct net_stats net[2] = { { .tx_count = 1 }, { .tx_count = 2 } };
	struct metrics_device devices[] = { { &blk_counters, "a", &blk[0] },
		{ &net_counters, "x", &net[0] }, { &blk_counters, "b", &blk[1] },
		{ &net_counters, "y", &net[1] } };
	struct metrics_view v = {
		.groups = groups, .devices = devices, .n_devices = 4
	};

	latency_add(&blk[0].read_agg, 10);
	latency_add(&blk[1].read_agg, 20);
	latency_add(&net[1].tap_write_agg, 7);
	(void)totals(&v);
	cr_expect_eq(metrics_get(text, "block_a.read_bytes"), 512);
	cr_expect_eq(metrics_get(text, "block_b.read_bytes"), 1024);
	cr_expect_eq(metrics_get(text, "block.read_bytes"), 1536);
	cr_expect_eq(metrics_get(text, "block_b.read_agg.min_us"), 20);
	cr_expect_eq(metrics_get(text, "block_b.read_agg.max_us"), 20);
	cr_expect_eq(metrics_get(text, "block.read_agg.min_us"), 0);
	cr_expect_eq(metrics_get(text, "block.read_agg.max_us"), 0);
	cr_expect_eq(metrics_get(text, "block.read_agg.sum_us"), 30);
	cr_expect_eq(metrics_get(text, "net_x.tx_count"), 1);
	cr_expect_eq(metrics_get(text, "net.tx_count"), 3);
	cr_expect_eq(metrics_get(text, "net_y.tap_write_agg.max_us"), 7);
	cr_expect_eq(metrics_get(text, "net.tap_write_agg.max_us"), 0);
}

/* At every interrupt line a network device, which has the most counters, and every
 * number as long as can be. */
Test(metrics, has_room_for_the_largest_numbers_of_the_most_devices)
{
	enum { N = VIRTIO_DEVICES_MAX, ID = VDEV_ID_MAX };
	static char id[N][ID + 1];
	static struct net_stats net;
	static struct metrics_device nics[N];
	struct api_counts api;
	struct metrics_view v = { .api = &api,
		.groups = groups,
		.devices = nics,
		.n_devices = N,
		.device_faults = UINT64_MAX };
	char buf[1024];

	memset(&api, 0xff, sizeof(api));
	memset(&net, 0xff, sizeof(net));
	for (int i = 0; i < N; i++) {
		memset(id[i], 'a' + i, ID);
		nics[i] = (struct metrics_device){ &net_counters, id[i], &net };
	}
	(void)totals(&v);
	cr_expect_eq(metrics_get(text, "virtio.guest_faults"), UINT64_MAX);
	cr_expect_lt(strlen(text), METRICS_TEXT_MAX - 8192, "the other groups' digits");
	cr_expect_eq(metrics_render(NULL, &v, true, buf, sizeof(buf)), 0, "no room");
}

Test(metrics, counts_signals_where_they_belong)
{
	static const int sigs[] = { SIGBUS, SIGSEGV, SIGXFSZ, SIGXCPU, SIGPIPE, SIGHUP,
		SIGILL, SIGSYS, SIGTERM };
	static const char *const keys[] = { "signals.sigbus", "signals.sigsegv",
		"signals.sigxfsz", "signals.sigxcpu", "signals.sigpipe",
		"signals.sighup", "signals.sigill", "seccomp.num_faults" };

	for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
		struct process_counts p = { 0 };
		struct metrics_view v = { .process = &p };

		process_count_signal(&p, sigs[i]);
		(void)totals(&v);
		for (size_t k = 0; k < ARRAY_LEN(keys); k++)
			cr_expect_eq(metrics_get(text, keys[k]), i == k, "%s after %d",
				keys[k], sigs[i]);
	}
}

Test(metrics, shows_what_the_log_lost)
{
	cr_assert_eq(log_open("/dev/full", &e), 0);
	log_info("no room");
	cr_expect_eq(metrics_get(totals(&nothing), "logger.missed_log_count"), 1);
	for (int i = 0; i < 100; i++)
		log_guest("too often");
	cr_expect_gt(
		metrics_get(totals(&nothing), "logger.rate_limited_log_count"), 50);
}

Test(metrics, shows_a_machine_that_has_not_started)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct phases phases = { 0 };
	struct machine_env env = { .lock = &lock, .phases = &phases };
	struct api_counts api = { .put_api_requests.drive_count = 3 };
	struct machine *m;

	env.api_counts = &api;
	cr_assert_eq(loop_create(&lock, &env.loop, &e), 0);
	cr_assert_eq(machine_create(&env, &m, &e), 0);
	cr_assert_gt(machine_render_metrics(m, text, sizeof(text)), 0);
	cr_expect_eq(metrics_get(text, "put_api_requests.drive_count"), 3);
	cr_expect_eq(metrics_get(text, "vcpu.exit_io_in"), 0);
	machine_destroy(m);
	loop_destroy(env.loop);
}

/* --- the boot timer --- */

/* What the log says after the guest wrote these bytes at `at` of the boot timer. */
static const char *boot_timer_says(
	struct phases *p, uint64_t at, const void *bytes, size_t n)
{
	struct boot_timer timer = { .phases = p, .started_us = clock_us() };
	struct fake_file f = fake_file("", 0);

	cr_assert_eq(log_open(f.path, &e), 0);
	boot_timer_bus_ops()->write(&timer, at, bytes, n);
	(void)fake_file_text(&f, text, sizeof(text));
	fake_file_close(&f);
	return text;
}

Test(boot_timer, marks_the_guests_init_and_logs_it)
{
	struct phases p = { 0 };

	cr_assert(strstr(boot_timer_says(&p, 0, "\x7b\0\0\0", 4), "Guest-boot-time ="));
	cr_assert(strstr(text, " CPU us\n"), "%s", text);
	cr_assert_neq(p.at_us[PHASE_GUEST_INIT], 0);
}

Test(boot_timer, ignores_every_other_write)
{
	struct phases p = { 0 };

	for (int v = 0; v < 256; v++) {
		uint8_t byte = (uint8_t)v;

		if (v != 123)
			cr_expect_str_eq(boot_timer_says(&p, 0, &byte, 1), "", "%d", v);
	}
	cr_assert_str_eq(boot_timer_says(&p, 1, "\x7b", 1), "");
	cr_assert_str_eq(boot_timer_says(&p, 4095, "\x7b", 1), "");
	cr_assert_eq(p.at_us[PHASE_GUEST_INIT], 0);
}

Test(boot_timer, logs_once_however_often_the_guest_writes)
{
	struct phases p = { 0 };
	struct boot_timer timer = { .phases = &p };
	struct fake_file f = fake_file("", 0);
	unsigned lines = 0;

	cr_assert_eq(log_open(f.path, &e), 0);
	for (int i = 0; i < 1000; i++)
		boot_timer_bus_ops()->write(&timer, 0, "\x7b", 1);
	(void)fake_file_text(&f, text, sizeof(text));
	for (const char *c = text; *c != '\0'; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 1);
	fake_file_close(&f);
}

Test(boot_timer, reads_as_nothing)
{
	struct phases p = { 0 };
	struct boot_timer timer = { .phases = &p };
	uint32_t v = 0xffffffff;

	boot_timer_bus_ops()->read(&timer, 0, &v, 4);
	cr_assert_eq(v, 0xffffffff);
}
