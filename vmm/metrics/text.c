/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_text: collects the values of one moment, and writes them as text. This also
 * runs in the handler of a fatal signal, so it uses no locks, no allocation, no printf.
 */
#include <assert.h>
#include <string.h>

#include "vmm/base/absent.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/metrics/internal.h"

static uint64_t load(const void *base, size_t offset)
{
	const char *at = base;

	return __atomic_load_n(
		(const uint64_t *)(const void *)(at + offset), __ATOMIC_RELAXED);
}

/* Copies a struct whose members are all uint64_t. from NULL: zeroes. */
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
	assert(v->n_devices <= VIRTIO_DEVICES_MAX);
	for (unsigned i = 0; i < v->n_devices; i++) {
		const struct metrics_device *d = &v->devices[i];

		out->device[i].group = d->group;
		out->device[i].id = d->id;
		copy(out->device[i].counters, d->counters, d->group->bytes);
	}
	out->n_devices = v->n_devices;
	copy(&out->i8042, v->i8042, sizeof(out->i8042));
	copy(&out->uart, v->serial, sizeof(out->uart));
	out->interrupts.triggers = v->interrupts;
	out->interrupts.config_updates = v->config_interrupts;
	out->virtio.guest_faults = v->device_faults;
}

void metrics_gather(const struct metrics_view *v, struct metrics_values *out)
{
	/* without the devices' values, of which n_devices are set below */
	memset(out, 0, offsetof(struct metrics_values, device));
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
	bool own; /* with the rows that are husk's own */
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

/* The structs whose values a group shows, or sums up: as they are now, and as they were
 * at the last line, or NULL. */
struct source {
	const void *now[VIRTIO_DEVICES_MAX], *last[VIRTIO_DEVICES_MAX];
	unsigned n;
	bool is_sum; /* of devices: has no extremes of latencies (contract, 9.2) */
};

static void add_source(struct source *s, const void *now, const void *last)
{
	s->now[s->n] = now;
	s->last[s->n++] = last;
}

static uint64_t value(const struct source *s, size_t offset, enum counter_type type)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n; i++) {
		uint64_t now = load(s->now[i], offset), last = 0;

		if (s->last[i] && type != COUNTER_GAUGE)
			last = load(s->last[i], offset);
		/* smaller than before: another device, which began at 0 */
		sum += now >= last ? now - last : now;
	}
	return sum;
}

static void put_latency(struct text *t, const struct source *s, size_t offset)
{
	uint64_t low = 0, max_us = 0;

	if (!s->is_sum) {
		low = load(s->now[0], offset + offsetof(struct latency, low));
		max_us = load(s->now[0], offset + offsetof(struct latency, max_us));
	}
	put(t, "{\"min_us\":");
	put_number(t, low > 0 ? low - 1 : 0);
	put(t, ",\"max_us\":");
	put_number(t, max_us);
	put(t, ",\"sum_us\":");
	put_number(t, value(s, offset + offsetof(struct latency, sum_us), COUNTER_SUM));
	put(t, "}");
}

static void put_counter(struct text *t, const struct counter *c, const struct source *s)
{
	put_name(t, c->name, NULL);
	if (c->type == COUNTER_LATENCY)
		put_latency(t, s, c->offset);
	else
		put_number(t, value(s, c->offset, c->type));
}

/* A group under construction. It begins with the first counter that is shown, so that
 * one of which nothing is shown is not there. */
struct group {
	const char *name, *id; /* id: of one device, or NULL */
	bool has_begun;
};

static void put_member(struct text *t, struct group *g, const struct counter *c,
	const struct source *s)
{
	if (c->is_own && !t->own)
		return;
	put(t, ",");
	if (!g->has_begun) {
		put_name(t, g->name, g->id);
		put(t, "{");
	}
	g->has_begun = true;
	put_counter(t, c, s);
}

static void end_group(struct text *t, const struct group *g)
{
	put(t, g->has_begun ? "}" : "");
}

static void put_rows(
	struct text *t, const struct metric *rows, size_t n, const struct source *s)
{
	struct group g = { .name = rows[0].group };

	for (size_t i = 0; i < n; i++)
		put_member(t, &g, &rows[i].counter, s);
	end_group(t, &g);
}

/* Writes the group of one device, or, with id NULL, of all of its kind. */
static void put_device(struct text *t, const struct counter_group *kind, const char *id,
	const struct source *s)
{
	struct group g = { .name = kind->name, .id = id };

	for (unsigned i = 0; i < kind->n; i++)
		put_member(t, &g, &kind->counter[i], s);
	end_group(t, &g);
}

/* Writes a group for each device, if there may be several of the kind, and then one for
 * all of them together. */
static void put_devices(struct text *t, const struct counter_group *g,
	const struct metrics_values *now, const struct metrics_values *last)
{
	struct source all = { .is_sum = true };

	for (unsigned i = 0; i < now->n_devices; i++) {
		const struct metrics_device_values *d = &now->device[i];
		bool was = last && i < last->n_devices && last->device[i].group == g;
		const void *before = was ? last->device[i].counters : NULL;
		struct source one = { .n = 0 };

		if (d->group != g)
			continue;
		add_source(&one, d->counters, before);
		add_source(&all, d->counters, before);
		if (g->is_list)
			put_device(t, g, d->id, &one);
	}
	put_device(t, g, NULL, &all);
}

static void put_groups(struct text *t, const struct metrics_values *now,
	const struct metrics_values *last, const struct counter_group *const *groups)
{
	const struct source none = { .is_sum = true };
	struct source all = { .n = 0 };
	size_t n_rows, n;
	const struct metric *rows = metrics_table(&n_rows);

	add_source(&all, now, last);
	for (; n_rows > 0; rows += n, n_rows -= n) {
		for (n = 1; n < n_rows && strcmp(rows[n].group, rows[0].group) == 0;)
			n++;
		put_rows(t, rows, n, &all);
	}
	for (; groups && *groups; groups++)
		put_devices(t, *groups, now, last);
	for (size_t i = 0; i < n_absents; i++)
		if (absents[i].counters)
			put_device(t, absents[i].counters, NULL, &none);
}

size_t metrics_put_text(const struct metrics_values *now,
	const struct metrics_values *last, const struct counter_group *const *groups,
	const char *extra, bool own, char *buf, size_t room)
{
	struct text t = { .to = buf, .room = room, .own = own };
	struct timespec now_utc = clock_utc();

	put(&t, "{\"utc_timestamp_ms\":");
	put_number(&t,
		(uint64_t)now_utc.tv_sec * 1000 + (uint64_t)now_utc.tv_nsec / 1000000);
	if (extra) {
		put(&t, ",");
		put(&t, extra);
	}
	put_groups(&t, now, last, groups);
	put_bytes(&t, "}", sizeof("}"));
	return t.full ? 0 : t.n - 1;
}
