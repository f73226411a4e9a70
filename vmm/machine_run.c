/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_run: what can be asked of a machine that has started: to pause, to go on, to
 * change. On the loop's thread, without the device lock, since vCPUs that are waited
 * for may want it.
 */
#include <errno.h>

#include "virtio/devices.h"
#include "vmm/machine_parts.h"

enum { PAUSE_TIMEOUT_US = 30 * 1000000 };

static void pause_devices(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	for (unsigned i = 0; i < m->devices.n_virtio; i++)
		mmio_pause(m->devices.virtio[i]);
	if (m->devices.serial)
		serial_pause(m->devices.serial, true);
	pthread_mutex_unlock(m->env.lock);
}

static void resume_devices(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	for (unsigned i = 0; i < m->devices.n_virtio; i++)
		mmio_resume(m->devices.virtio[i]);
	if (m->devices.serial)
		serial_pause(m->devices.serial, false);
	pthread_mutex_unlock(m->env.lock);
}

static int pause_vcpus(struct machine *m, struct err *e)
{
	uint64_t until = clock_us() + PAUSE_TIMEOUT_US;
	int r = 0;
	unsigned i;

	for (i = 0; i < m->n_vcpus; i++)
		vcpu_pause(m->vcpu[i]);
	for (i = 0; r == 0 && i < m->n_vcpus; i++)
		r = vcpu_wait_paused(m->vcpu[i], until);
	if (r == 0)
		return 0;
	err_code(e, r, "vCPU %u does not pause", i - 1);
	for (i = 0; i < m->n_vcpus; i++)
		vcpu_resume(m->vcpu[i]);
	return r;
}

int machine_pause(struct machine *m, struct err *e)
{
	int r;

	if (m->state == MACHINE_PAUSED)
		return 0;
	r = pause_vcpus(m, e);
	if (r < 0)
		return r;
	pause_devices(m);
	m->state = MACHINE_PAUSED;
	return 0;
}

void machine_resume(struct machine *m)
{
	if (m->state == MACHINE_RUNNING)
		return;
	resume_devices(m);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_resume(m->vcpu[i]);
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

/* Makes a change whose file, if it has one, is open: all of it or, when the disk is not
 * taken, nothing. The setting takes the path over; disk is taken over in any case. */
static int change_drive(
	struct drive *d, struct drive_patch *patch, struct disk *disk, struct err *e)
{
	AUTO(disk_close) struct disk *owned = disk;
	char *old = d->cfg.path_on_host;
	int r;

	if (owned) {
		r = blk_set_disk(d->dev, TAKE(owned));
		if (r < 0)
			return err_code(e, r, "'%s'", patch->path_on_host);
		d->cfg.path_on_host = patch->path_on_host;
		patch->path_on_host = old;
	}
	if (patch->has_rate_limiter) {
		blk_patch_limiter(d->dev, &patch->rate_limiter);
		d->cfg.rate_limiter = blk_limiter(d->dev);
	}
	return 0;
}

int machine_patch_drive(struct machine *m, struct drive_patch *patch, struct err *e)
{
	struct drive *d = machine_find_drive(m, patch->drive_id);
	struct blk_stats *stats;
	struct disk *disk = NULL;
	int r = 0;

	if (!d)
		return err_bad(e, "there is no drive '%.80s'", patch->drive_id);
	if (patch->path_on_host)
		r = drive_open_disk(
			&d->cfg, patch->path_on_host, m->env.loop, &disk, e);
	else if (!patch->has_rate_limiter)
		r = err_bad(e, "nothing to change is given");
	pthread_mutex_lock(m->env.lock);
	stats = blk_stats(d->dev);
	if (r == 0)
		r = change_drive(d, patch, disk, e);
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
