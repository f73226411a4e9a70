/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_text: the values of one moment, and their text. Also runs in the handler of a
 * fatal signal: no locks, no allocation, no printf.
 */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "vmm/base/log.h"
#include "vmm/metrics/internal.h"

static uint64_t load(const void *base, size_t offset)
{
	const char *at = base;

	return __atomic_load_n(
		(const uint64_t *)(const void *)(at + offset), __ATOMIC_RELAXED);
}

/* Copies a struct of nothing but uint64_t; NULL is one of zeroes. */
static void copy(void *to, const void *from, size_t bytes)
{
	uint64_t *n = to;

	for (size_t at = 0; at < bytes; at += sizeof(*n))
		n[at / sizeof(*n)] = from ? load(from, at) : 0;
}

static void add_latency(struct latency *sum, const struct latency *one)
{
	struct latency a;

	copy(&a, one, sizeof(a));
	sum->sum_us += a.sum_us;
	sum->max_us = MAX(sum->max_us, a.max_us);
	if (a.low > 0 && (sum->low == 0 || a.low < sum->low))
		sum->low = a.low;
}

static void add_vcpu(struct vcpu_counts *sum, const struct vcpu_counts *one)
{
	for (unsigned x = 0; x < EXIT_COUNT; x++)
		sum->exits[x] += load(&one->exits[x], 0);
	for (unsigned x = 0; x < EXIT_SERVED; x++)
		add_latency(&sum->served[x], &one->served[x]);
	sum->failures += load(&one->failures, 0);
	sum->kvmclock_ctrl_fails += load(&one->kvmclock_ctrl_fails, 0);
}

static void gather_devices(const struct metrics_view *v, struct metrics_values *out)
{
	assert(v->n_drives <= VIRTIO_DEVICES_MAX && v->n_nics <= VIRTIO_DEVICES_MAX);
	for (unsigned i = 0; i < v->n_drives; i++) {
		out->drive_id[i] = v->drives[i].id;
		copy(&out->drive[i], v->drives[i].stats, sizeof(out->drive[i]));
	}
	out->n_drives = v->n_drives;
	for (unsigned i = 0; i < v->n_nics; i++) {
		out->nic_id[i] = v->nics[i].id;
		copy(&out->nic[i], v->nics[i].stats, sizeof(out->nic[i]));
	}
	out->n_nics = v->n_nics;
	copy(&out->vsock, v->vsock, sizeof(out->vsock));
	copy(&out->i8042, v->i8042, sizeof(out->i8042));
	copy(&out->uart, v->serial, sizeof(out->uart));
	out->interrupts.triggers = v->interrupts;
	out->interrupts.config_updates = v->config_interrupts;
	out->virtio.guest_faults = v->device_faults;
}

void metrics_gather(const struct metrics_view *v, struct metrics_values *out)
{
	/* the devices' parts are as long as there are devices */
	memset(out, 0, offsetof(struct metrics_values, drive));
	copy(&out->api, v->api, sizeof(out->api));
	copy(&out->process, v->process, sizeof(out->process));
	for (unsigned i = 0; i < v->n_vcpus; i++)
		add_vcpu(&out->vcpu, v->vcpus[i]);
	for (enum phase p = PHASE_MAIN; v->phases && p < PHASE_COUNT; p++)
		out->phase_us[p] = phase_us(v->phases, p);
	gather_devices(v, out);
}

/* A text under construction. */
struct text {
	char *to;
	size_t n, room;
	bool full;
	bool own; /* rows that are husk's own are shown */
};

static void put_bytes(struct text *t, const char *from, size_t n)
{
	t->full = t->full || n > t->room - t->n;
	if (t->full)
		return;
	memcpy(t->to + t->n, from, n);
	t->n += n;
}

static void put(struct text *t, const char *s)
{
	put_bytes(t, s, strlen(s));
}

static void put_name(struct text *t, const char *group, const char *id)
{
	put(t, "\"");
	put(t, group);
	put(t, id ? "_" : "");
	put(t, id ? id : "");
	put(t, "\":");
}

static void put_number(struct text *t, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	put_bytes(t, digits + at, sizeof(digits) - at);
}

/* What a group is made from: n structs of one kind, one after the other, now and, with
 * last != NULL, at the last line. */
struct source {
	const char *now, *last;
	size_t stride;
	unsigned n;
	bool is_sum; /* of devices: extremes of times are not summed (contract, 9.2) */
};

static uint64_t value(const struct source *s, size_t offset, enum metric_kind kind)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n; i++) {
		uint64_t now = load(s->now + i * s->stride, offset), last = 0;

		if (s->last && kind != METRIC_GAUGE)
			last = load(s->last + i * s->stride, offset);
		/* smaller than it was: a new device, which counts from 0 */
		sum += now >= last ? now - last : now;
	}
	return sum;
}

static void put_latency(struct text *t, const struct source *s, size_t offset)
{
	uint64_t low = 0, max_us = 0;

	if (!s->is_sum) {
		low = load(s->now, offset + offsetof(struct latency, low));
		max_us = load(s->now, offset + offsetof(struct latency, max_us));
	}
	put(t, "{\"min_us\":");
	put_number(t, low > 0 ? low - 1 : 0);
	put(t, ",\"max_us\":");
	put_number(t, max_us);
	put(t, ",\"sum_us\":");
	put_number(
		t, value(s, offset + offsetof(struct latency, sum_us), METRIC_COUNTER));
	put(t, "}");
}

/* A group of n rows, unless none of them is shown; id: of its device, or NULL. */
static void put_group(struct text *t, const struct metric *rows, size_t n,
	const char *id, const struct source *s)
{
	bool is_empty = true;

	for (size_t i = 0; i < n; i++) {
		if (rows[i].is_own && !t->own)
			continue;
		put(t, ",");
		if (is_empty) {
			put_name(t, rows[0].group, id);
			put(t, "{");
		}
		is_empty = false;
		put_name(t, rows[i].name, NULL);
		if (rows[i].kind == METRIC_LATENCY)
			put_latency(t, s, rows[i].offset);
		else
			put_number(t, value(s, rows[i].offset, rows[i].kind));
	}
	if (!is_empty)
		put(t, "}");
}

/* A group for each device that s is about, then one for their sum. */
static void put_devices(struct text *t, const struct metric *rows, size_t n,
	const char *const *ids, const struct source *s)
{
	struct source sum = *s;

	for (unsigned i = 0; i < s->n; i++) {
		struct source one = *s;

		one.now += i * s->stride;
		one.last = s->last ? s->last + i * s->stride : NULL;
		one.n = 1;
		put_group(t, rows, n, ids[i], &one);
	}
	sum.is_sum = true;
	put_group(t, rows, n, NULL, &sum);
}

static void put_groups(struct text *t, const struct metrics_values *now,
	const struct metrics_values *last)
{
	const struct source all = {
		.now = (const char *)now, .last = (const char *)last, .n = 1
	};
	const struct source drives = { .now = (const char *)now->drive,
		.last = last ? (const char *)last->drive : NULL,
		.stride = sizeof(now->drive[0]),
		.n = now->n_drives };
	const struct source nics = { .now = (const char *)now->nic,
		.last = last ? (const char *)last->nic : NULL,
		.stride = sizeof(now->nic[0]),
		.n = now->n_nics };
	size_t n_rows, n;
	const struct metric *rows = metrics_table(&n_rows);

	for (; n_rows > 0; rows += n, n_rows -= n) {
		for (n = 1; n < n_rows && strcmp(rows[n].group, rows[0].group) == 0;)
			n++;
		if (rows[0].of == METRIC_OF_DRIVE)
			put_devices(t, rows, n, now->drive_id, &drives);
		else if (rows[0].of == METRIC_OF_NIC)
			put_devices(t, rows, n, now->nic_id, &nics);
		else
			put_group(t, rows, n, NULL, &all);
	}
}

size_t metrics_put_text(const struct metrics_values *now,
	const struct metrics_values *last, const char *extra, bool own, char *buf,
	size_t room)
{
	struct text t = { .to = buf, .room = room, .own = own };
	struct timespec clock;

	(void)clock_gettime(CLOCK_REALTIME, &clock); /* cannot fail for this clock */
	put(&t, "{\"utc_timestamp_ms\":");
	put_number(
		&t, (uint64_t)clock.tv_sec * 1000 + (uint64_t)clock.tv_nsec / 1000000);
	if (extra) {
		put(&t, ",");
		put(&t, extra);
	}
	put_groups(&t, now, last);
	put_bytes(&t, "}", sizeof("}"));
	return t.full ? 0 : t.n - 1;
}
