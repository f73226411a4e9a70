/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: what the machine's parts counted, and when that becomes a line. The
 * view also runs in the handler of a fatal signal, and so only follows pointers.
 */
#include <errno.h>
#include <string.h>

#include "vmm/machine/internal.h"

#define METRICS_EVERY_NS (60 * (uint64_t)1000000000)

/* A view and what it borrows. */
struct machine_view {
	struct metrics_view v;
	struct vcpu_counts *vcpus[VCPUS_MAX];
	struct metrics_device devices[VIRTIO_DEVICES_MAX];
	const struct counter_group *groups[DEVICE_KINDS_MAX + 1];
};

static void view_devices(struct machine *m, struct machine_view *out)
{
	struct device_list *d = &m->devices;
	struct mmio_irqs irqs = device_list_irqs(d);

	for (unsigned i = 0; i < d->n_virtio; i++) {
		struct vdev *v = mmio_vdev(d->virtio[i]);

		out->devices[i] = (struct metrics_device){
			v->ops->counters,
			v->id,
			v->ops->stats(v),
		};
	}
	out->v.n_devices = d->n_virtio;
	out->v.devices = out->devices;
	for (unsigned k = 0; device_kinds[k]; k++)
		out->groups[k] = device_kinds[k]->ops->counters;
	out->v.groups = out->groups;
	out->v.i8042 = &d->i8042.counts;
	out->v.serial = d->serial ? serial_counts(d->serial) : NULL;
	out->v.interrupts = irqs.triggers;
	out->v.config_interrupts = irqs.config_updates;
	out->v.device_faults = device_list_faults(d);
}

static void view(struct machine *m, struct machine_view *out)
{
	out->v = (struct metrics_view){
		.phases = m->env.phases,
		.api = m->env.api_counts,
		.process = m->env.process_counts,
		.vcpus = out->vcpus,
		.n_vcpus = m->n_vcpus,
	};
	memset(out->groups, 0, sizeof(out->groups));
	for (unsigned i = 0; i < m->n_vcpus; i++)
		out->vcpus[i] = vcpu_counts(m->vcpu[i]);
	view_devices(m, out);
}

int machine_write_metrics(struct machine *m)
{
	struct machine_view mv;

	if (!m->metrics)
		return 0;
	view(m, &mv);
	return metrics_write(m->metrics, &mv.v);
}

size_t machine_render_metrics(struct machine *m, char *buf, size_t room)
{
	struct machine_view mv;

	view(m, &mv);
	return metrics_render(m->metrics, &mv.v, true, buf, room);
}

size_t machine_metrics_room(const struct machine *m)
{
	return metrics_room(m->metrics);
}

void machine_flush_metrics(struct machine *m)
{
	struct machine_view mv;

	if (!m->metrics)
		return;
	view(m, &mv);
	metrics_flush_fatal(m->metrics, &mv.v);
}

static void on_minute(void *self, uint32_t events)
{
	struct machine *m = self;

	(void)events;
	if (timer_has_fired(&m->metrics_timer) && m->state == MACHINE_RUNNING)
		(void)machine_write_metrics(
			m); /* a line that is lost is counted there */
}

static int watch_minutes(struct machine *m, struct err *e)
{
	struct timer *t = &m->metrics_timer;
	int r;

	t->source =
		(struct loop_source){ .fn = on_minute, .self = m, .unlocked = true };
	r = timer_open(t, m->env.loop, "the metrics", e);
	if (r == 0)
		timer_set_every(t, METRICS_EVERY_NS);
	return r;
}

int machine_set_metrics(
	struct machine *m, const char *path, const char *extra, struct err *e)
{
	AUTO(metrics_close) struct metrics *metrics = NULL;
	int r;

	if (m->metrics)
		return err_code(
			e, -EEXIST, "metrics '%s': there is a file for them", path);
	r = metrics_open(path, extra, &metrics, e);
	if (r < 0)
		return r;
	r = watch_minutes(m, e);
	if (r < 0)
		return r;
	if (m->env.own_metrics)
		metrics_show_own(metrics);
	m->metrics = TAKE(metrics);
	return 0;
}
