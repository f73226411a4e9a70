/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_run: what can be asked of a machine that has started: to pause, to go on, to
 * change. On the loop's thread, without the device lock, since vCPUs that are waited
 * for may want it.
 */
#include <errno.h>

#include "virtio/blk/blk.h"
#include "vmm/base/clock.h"
#include "vmm/machine/internal.h"

enum {
	TIMEOUT_US = 30 * 1000000, /* of a pause, or of a change of a drive, in all */
	VCPUS_WAIT_US = 20 * 1000, /* for vCPUs, before the loop runs again */
};

static int pause_devices(struct machine *m, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(m->env.lock);
	for (unsigned i = 0; i < m->devices.n_virtio; i++) {
		if (mmio_pause(m->devices.virtio[i]) < 0)
			continue;
		(void)err_bad(e, "'%s': its disk does not answer",
			mmio_vdev(m->devices.virtio[i])->id);
		r = -EINPROGRESS;
	}
	if (m->devices.serial)
		serial_pause(m->devices.serial, true);
	pthread_mutex_unlock(m->env.lock);
	return r;
}

static void resume_all(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	for (unsigned i = 0; i < m->devices.n_virtio; i++)
		mmio_resume(m->devices.virtio[i]);
	if (m->devices.serial)
		serial_pause(m->devices.serial, false);
	pthread_mutex_unlock(m->env.lock);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_resume(m->vcpu[i]);
}

static int wait_for_vcpus(struct machine *m, struct err *e)
{
	uint64_t until = clock_us() + VCPUS_WAIT_US;

	for (unsigned i = 0; i < m->n_vcpus; i++) {
		if (vcpu_wait_paused(m->vcpu[i], until) == 0)
			continue;
		(void)err_bad(e, "vCPU %u does not pause", i);
		return -EINPROGRESS;
	}
	return 0;
}

int machine_pause(struct machine *m, struct err *e)
{
	int r;

	if (m->state == MACHINE_PAUSED)
		return 0;
	if (m->pause_until_us == 0) {
		m->pause_until_us = clock_us() + TIMEOUT_US;
		for (unsigned i = 0; i < m->n_vcpus; i++)
			vcpu_pause(m->vcpu[i]);
	}
	r = wait_for_vcpus(m, e);
	if (r == 0)
		r = pause_devices(m, e);
	if (r < 0 && clock_us() < m->pause_until_us)
		return r;
	m->pause_until_us = 0;
	if (r < 0) {
		resume_all(m);
		return -ETIMEDOUT;
	}
	m->state = MACHINE_PAUSED;
	return 0;
}

void machine_resume(struct machine *m)
{
	if (m->state == MACHINE_RUNNING)
		return;
	resume_all(m);
	m->state = MACHINE_RUNNING;
	machine_log_kick();
}

void machine_suspend_console(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	if (m->devices.serial)
		serial_suspend(m->devices.serial);
	pthread_mutex_unlock(m->env.lock);
}

void machine_resume_console(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	if (m->devices.serial)
		serial_resume(m->devices.serial);
	pthread_mutex_unlock(m->env.lock);
}

void machine_restore_terminal(const struct machine *m)
{
	if (m->devices.serial)
		serial_restore_fatal(m->devices.serial);
}

static void release_drive(struct machine *m, struct drive *d)
{
	pthread_mutex_lock(m->env.lock);
	blk_release(d->dev);
	pthread_mutex_unlock(m->env.lock);
}

/* Makes sure that nothing of the drive is in flight: 0, and it is held then. */
static int hold_drive(struct machine *m, struct drive *d, struct err *e)
{
	bool is_still;

	if (d->change_until_us == 0)
		d->change_until_us = clock_us() + TIMEOUT_US;
	pthread_mutex_lock(m->env.lock);
	is_still = blk_hold(d->dev);
	pthread_mutex_unlock(m->env.lock);
	if (!is_still && clock_us() < d->change_until_us)
		return -EINPROGRESS;
	d->change_until_us = 0;
	if (is_still)
		return 0;
	release_drive(m, d);
	(void)err_bad(e, "its disk does not answer");
	return -ETIMEDOUT;
}

/* Puts another file in the place of the drive's, which is held. The setting takes the
 * path over. */
static int change_disk(
	struct machine *m, struct drive *d, struct drive_patch *patch, struct err *e)
{
	char *old = d->cfg.path_on_host;
	struct disk *disk = NULL;
	int r = drive_open_disk(&d->cfg, patch->path_on_host, m->env.loop, &disk, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(m->env.lock);
	r = blk_set_disk(d->dev, disk);
	pthread_mutex_unlock(m->env.lock);
	if (r < 0)
		return err_code(e, r, "'%s'", patch->path_on_host);
	d->cfg.path_on_host = patch->path_on_host;
	patch->path_on_host = old;
	return 0;
}

static void change_limits(
	struct machine *m, struct drive *d, const struct limiter_patch *limits)
{
	pthread_mutex_lock(m->env.lock);
	blk_patch_limiter(d->dev, limits);
	d->cfg.rate_limiter = blk_limiter(d->dev);
	pthread_mutex_unlock(m->env.lock);
}

/* All of the change or, when the disk cannot be had, nothing. */
static int change_drive(
	struct machine *m, struct drive *d, struct drive_patch *patch, struct err *e)
{
	int r = 0;

	if (!patch->path_on_host && !patch->has_rate_limiter)
		return err_bad(e, "nothing to change is given");
	if (patch->path_on_host) {
		r = hold_drive(m, d, e);
		if (r < 0)
			return r;
		r = change_disk(m, d, patch, e);
		release_drive(m, d);
	}
	if (r == 0 && patch->has_rate_limiter)
		change_limits(m, d, &patch->rate_limiter);
	return r;
}

int machine_patch_drive(struct machine *m, struct drive_patch *patch, struct err *e)
{
	struct drive *d = machine_find_drive(m, patch->drive_id);
	struct blk_stats *stats;
	int r;

	if (!d)
		return err_bad(e, "there is no drive '%.80s'", patch->drive_id);
	r = change_drive(m, d, patch, e);
	if (r == -EINPROGRESS)
		return r;
	pthread_mutex_lock(m->env.lock);
	stats = blk_stats(d->dev);
	stats->update_count += r == 0;
	stats->update_fails += r < 0;
	pthread_mutex_unlock(m->env.lock);
	return r < 0 ? err_add(e, r, "drive '%s'", patch->drive_id) : 0;
}

int machine_send_ctrl_alt_del(struct machine *m, struct err *e)
{
	int r;

	pthread_mutex_lock(m->env.lock);
	r = i8042_press_ctrl_alt_del(&m->devices.i8042);
	pthread_mutex_unlock(m->env.lock);
	return r < 0 ? err_code(e, r, "the guest has not read the keys typed before")
		     : 0;
}
