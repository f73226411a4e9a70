/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/metrics.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "virtio/devices.h"
#include "vmm/base/log.h"

static const char *const phase_names[PHASE_COUNT] = {
	[PHASE_PROCESS_START] = "process_start",
	[PHASE_MAIN] = "main",
	[PHASE_ARGUMENTS_READ] = "arguments_read",
	[PHASE_API_READY] = "api_ready",
	[PHASE_CONFIGURED] = "configured",
	[PHASE_MEMORY_READY] = "memory_ready",
	[PHASE_KERNEL_LOADED] = "kernel_loaded",
	[PHASE_VCPU_READY] = "vcpu_ready",
	[PHASE_FIRST_RUN] = "first_run",
	[PHASE_GUEST_INIT] = "guest_init",
};

static const char *const exit_names[EXIT_COUNT] = {
	[EXIT_IO_IN] = "exit_io_in",
	[EXIT_IO_OUT] = "exit_io_out",
	[EXIT_MMIO_READ] = "exit_mmio_read",
	[EXIT_MMIO_WRITE] = "exit_mmio_write",
	[EXIT_HLT] = "exit_hlt",
	[EXIT_SHUTDOWN] = "exit_shutdown",
	[EXIT_INTERRUPTED] = "exit_interrupted",
	[EXIT_OTHER] = "exit_other",
};

void phase_mark(struct phases *p, enum phase phase)
{
	if (__atomic_load_n(&p->at_us[phase], __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&p->at_us[phase], clock_us(), __ATOMIC_RELAXED);
}

uint64_t phase_us(const struct phases *p, enum phase phase)
{
	uint64_t at = __atomic_load_n(&p->at_us[phase], __ATOMIC_RELAXED);
	uint64_t start = p->at_us[PHASE_PROCESS_START]; /* before other threads */

	return at > start ? at - start : 0;
}

const char *phase_name(enum phase phase)
{
	return phase_names[phase];
}

int metrics_open(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_APPEND, 0644);

	return fd < 0 ? err_sys(e, "cannot open metrics '%s'", path) : fd;
}

/* A line under construction: room for all groups of all drives, and for more. */
struct line {
	char text[16 * 1024];
	size_t n;
};

PRINTF_LIKE(2, 3) static void put(struct line *l, const char *fmt, ...)
{
	size_t room = sizeof(l->text) - l->n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->n, room, fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < room);
	l->n += (size_t)n;
}

static void put_vcpus(struct line *l, const struct metrics_view *v)
{
	uint64_t failures = 0;

	put(l, "\"vcpu\":{");
	for (unsigned x = 0; x < EXIT_COUNT; x++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < v->n_vcpus; i++)
			sum += __atomic_load_n(
				&v->vcpus[i]->exits[x], __ATOMIC_RELAXED);
		put(l, "\"%s\":%llu,", exit_names[x], (unsigned long long)sum);
	}
	for (unsigned i = 0; i < v->n_vcpus; i++)
		failures += __atomic_load_n(&v->vcpus[i]->failures, __ATOMIC_RELAXED);
	put(l, "\"failures\":%llu}", (unsigned long long)failures);
}

/* The counters of struct blk_stats, in the contract's names (9.2). */
static const struct {
	const char *name;
	size_t offset;
} blk_counters[] = {
	{ "no_avail_buffer", offsetof(struct blk_stats, no_avail_buffer) },
	{ "execute_fails", offsetof(struct blk_stats, execute_fails) },
	{ "invalid_reqs_count", offsetof(struct blk_stats, invalid_reqs_count) },
	{ "flush_count", offsetof(struct blk_stats, flush_count) },
	{ "queue_event_count", offsetof(struct blk_stats, queue_event_count) },
	{ "read_bytes", offsetof(struct blk_stats, read_bytes) },
	{ "write_bytes", offsetof(struct blk_stats, write_bytes) },
	{ "read_count", offsetof(struct blk_stats, read_count) },
	{ "write_count", offsetof(struct blk_stats, write_count) },
};

/* One group: the sum of drives [first, first + n). */
static void put_drives(
	struct line *l, const struct metrics_view *v, unsigned first, unsigned n)
{
	for (size_t c = 0; c < ARRAY_LEN(blk_counters); c++) {
		uint64_t sum = 0;

		for (unsigned i = first; i < first + n; i++)
			sum += *(const uint64_t *)((const char *)blk_stats(
							   v->drives[i]) +
				blk_counters[c].offset);
		put(l, "%s\"%s\":%llu", c == 0 ? "" : ",", blk_counters[c].name,
			(unsigned long long)sum);
	}
}

int metrics_write(int fd, const struct metrics_view *v)
{
	struct line l = { .n = 0 };
	struct timespec now;
	ssize_t written;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
	put(&l, "{\"utc_timestamp_ms\":%lld,\"phases\":{",
		(long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	for (unsigned p = PHASE_MAIN; p < PHASE_COUNT; p++)
		put(&l, "%s\"%s_us\":%llu", p == PHASE_MAIN ? "" : ",", phase_names[p],
			(unsigned long long)phase_us(v->phases, p));
	put(&l, "},");
	put_vcpus(&l, v);
	for (unsigned i = 0; i < v->n_drives; i++) {
		put(&l, ",\"block_%s\":{", v->drives[i]->id);
		put_drives(&l, v, i, 1);
		put(&l, "}");
	}
	put(&l, ",\"block\":{");
	put_drives(&l, v, 0, v->n_drives);
	put(&l, "},\"virtio\":{\"guest_faults\":%llu},\"uart\":{\"dropped_bytes\":%llu}",
		(unsigned long long)v->device_faults,
		(unsigned long long)v->uart_dropped);
	put(&l, ",\"logger\":{\"missed_log_count\":%llu}}\n",
		(unsigned long long)log_missed());
	written = write(fd, l.text, l.n);
	if (written < 0)
		return -errno;
	return (size_t)written == l.n ? 0 : -EAGAIN;
}
