/* SPDX-License-Identifier: Apache-2.0
 *
 * device: the devices of a machine from their settings to what the guest sees, of
 * whatever kind. On the loop's thread.
 */
#include <errno.h>
#include <string.h>

#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/machine/internal.h"
#include "vmm/machine/kinds.h"

/* How long a change waits for the old backend. */
enum { CHANGE_TIMEOUT_US = 30 * 1000000 };

/* The device of that kind and, in a list, that id; or NULL. */
static struct device *find(
	struct machine *m, const struct device_kind *k, const char *id)
{
	for (unsigned i = 0; i < m->n_set; i++) {
		struct device *d = &m->set[i];

		if (d->kind == k &&
			(!k->is_list || strcmp(kind_id(&k->cfg, d->cfg), id) == 0))
			return d;
	}
	return NULL;
}

static unsigned count(const struct machine *m, const struct device_kind *k)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_set; i++)
		n += m->set[i].kind == k;
	return n;
}

/* Puts the name of a device of a list before an error. */
static int add_name(
	const struct device_kind *k, const char *id, int error, struct err *e)
{
	return k->is_list ? err_add(e, error, "%s '%s'", k->what, id) : error;
}

static int open_backend(struct machine *m, const struct device_kind *k, const void *cfg,
	void **out, struct err *e)
{
	return k->open ? k->open(cfg, m->env.loop, out, e) : 0;
}

static void forget(struct device *d)
{
	if (d->kind->close)
		d->kind->close(d->backend);
	fields_fini(d->kind->cfg.fields, d->cfg);
}

static void remove_device(struct machine *m, struct device *d)
{
	unsigned after = (unsigned)(&m->set[--m->n_set] - d);

	forget(d);
	memmove(d, d + 1, after * sizeof(*d));
}

/* Checks the settings against those of the other devices of the kind. d is the device
 * that they replace, or NULL. */
static int check_others(const struct machine *m, const struct device_kind *k,
	const struct device *d, const void *cfg, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && k->check_beside && i < m->n_set; i++)
		if (m->set[i].kind == k && &m->set[i] != d)
			r = k->check_beside(cfg, m->set[i].cfg, e);
	return r;
}

/* Opens the backend for settings that replace *d, or that make a new device if *d is
 * NULL. Sets *d to NULL when the old device had to be removed first. */
static int get_backend(struct machine *m, const struct device_kind *k, const void *cfg,
	struct device **d, void **out, struct err *e)
{
	enum kind_reuse reuse = *d && k->reuse ? k->reuse(cfg, (*d)->cfg) : REUSE_NONE;

	if (reuse == REUSE_CLOSE_FIRST) {
		remove_device(m, *d);
		*d = NULL;
	}
	if (reuse == REUSE_KEEP && (*d)->backend) {
		*out = TAKE((*d)->backend);
		return 0;
	}
	return open_backend(m, k, cfg, out, e);
}

int machine_put_device(
	struct machine *m, const struct device_kind *k, void *cfg, struct err *e)
{
	const char *id = k->is_list ? kind_id(&k->cfg, cfg) : NULL;
	void *backend = NULL;
	struct device *d;
	int r = kind_check(k, cfg, e);

	if (r < 0)
		return r;
	d = find(m, k, id);
	if (!d && count(m, k) == VIRTIO_DEVICES_MAX)
		return err_bad(e, "%s '%s': there are %u already", k->what, id,
			VIRTIO_DEVICES_MAX);
	r = check_others(m, k, d, cfg, e);
	if (r < 0)
		return r;
	r = get_backend(m, k, cfg, &d, &backend, e);
	if (r < 0)
		return add_name(k, id, r, e);
	if (k->log_oddities)
		k->log_oddities(cfg, backend);
	if (d)
		forget(d);
	else
		d = &m->set[m->n_set++];
	*d = (struct device){ .kind = k, .backend = backend };
	memcpy(d->cfg, cfg, k->cfg.bytes);
	memset(cfg, 0, k->cfg.bytes);
	return 0;
}

const void *machine_device(
	const struct machine *m, const struct device_kind *k, unsigned i)
{
	for (unsigned at = 0; at < m->n_set; at++)
		if (m->set[at].kind == k && i-- == 0)
			return m->set[at].cfg;
	return NULL;
}

void machine_forget_devices(struct machine *m)
{
	while (m->n_set > 0)
		forget(&m->set[--m->n_set]);
}

/* --- the start --- */

/* The device list owns the backend from here on, and closes it when the start fails:
 * the next start opens it again. */
static int start_device(struct machine *m, struct device *d, struct err *e)
{
	const struct device_kind *k = d->kind;
	int r = 0;

	if (!d->backend)
		r = open_backend(m, k, d->cfg, &d->backend, e);
	if (r == 0)
		r = k->create(d->cfg, TAKE(d->backend), m->env.loop, &d->dev, e);
	if (r == 0)
		r = device_list_add_virtio(&m->devices, d->dev, e);
	if (r == 0)
		return 0;
	return k->is_list ? add_name(k, kind_id(&k->cfg, d->cfg), r, e)
			  : err_add(e, r, "%s", k->what);
}

static int start_some(
	struct machine *m, const struct device_kind *k, bool first, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < m->n_set; i++) {
		struct device *d = &m->set[i];

		if (d->kind == k && (k->is_first && k->is_first(d->cfg)) == first)
			r = start_device(m, d, e);
	}
	return r;
}

int machine_start_devices(struct machine *m, struct err *e)
{
	int r = 0;

	for (unsigned k = 0; r == 0 && device_kinds[k]; k++) {
		r = start_some(m, device_kinds[k], true, e);
		if (r == 0)
			r = start_some(m, device_kinds[k], false, e);
	}
	return r;
}

int machine_add_device_args(const struct machine *m, struct cmdline *c, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < m->n_set; i++)
		if (m->set[i].kind->add_args)
			r = m->set[i].kind->add_args(m->set[i].cfg, c, e);
	return r;
}

/* --- changes --- */

static void release(struct machine *m, struct device *d)
{
	pthread_mutex_lock(m->env.lock);
	d->kind->release(d->dev);
	pthread_mutex_unlock(m->env.lock);
}

/* Holds the device and returns 0 when none of its requests is in flight. -EINPROGRESS:
 * ask again after the loop has run. */
static int hold(struct machine *m, struct device *d, struct err *e)
{
	bool is_still;

	if (d->change_until_us == 0)
		d->change_until_us = clock_us() + CHANGE_TIMEOUT_US;
	pthread_mutex_lock(m->env.lock);
	is_still = d->kind->hold(d->dev);
	pthread_mutex_unlock(m->env.lock);
	if (!is_still && clock_us() < d->change_until_us)
		return -EINPROGRESS;
	d->change_until_us = 0;
	if (is_still)
		return 0;
	release(m, d);
	(void)err_bad(e, "its disk does not answer");
	return -ETIMEDOUT;
}

static int apply(
	struct machine *m, struct device *d, void *patch, void *backend, struct err *e)
{
	int r;

	pthread_mutex_lock(m->env.lock);
	r = d->kind->apply(d->dev, d->cfg, patch, backend, e);
	pthread_mutex_unlock(m->env.lock);
	return r;
}

/* Applies a change that needs another backend, which is opened here. */
static int replace(struct machine *m, struct device *d, void *patch, struct err *e)
{
	void *backend = NULL;
	int r = hold(m, d, e);

	if (r < 0)
		return r;
	r = d->kind->reopen(d->cfg, patch, m->env.loop, &backend, e);
	if (r == 0)
		r = apply(m, d, patch, backend, e);
	release(m, d);
	return r;
}

static int change(struct machine *m, struct device *d, void *patch, struct err *e)
{
	const struct device_kind *k = d->kind;
	int r = k->check_patch ? k->check_patch(patch, e) : 0;

	if (r < 0)
		return r;
	return k->needs_backend && k->needs_backend(patch)
		? replace(m, d, patch, e)
		: apply(m, d, patch, NULL, e);
}

int machine_patch_device(
	struct machine *m, const struct device_kind *k, void *patch, struct err *e)
{
	const char *id = k->is_list ? kind_id(&k->patch, patch) : NULL;
	struct device *d = find(m, k, id);
	int r;

	if (!d)
		return err_bad(e, "there is no %s '%.80s'", k->what, id ? id : "");
	r = change(m, d, patch, e);
	if (r == -EINPROGRESS)
		return r;
	if (k->count_patch) {
		pthread_mutex_lock(m->env.lock);
		k->count_patch(d->dev, r < 0);
		pthread_mutex_unlock(m->env.lock);
	}
	return r < 0 ? add_name(k, kind_id(&k->cfg, d->cfg), r, e) : 0;
}
