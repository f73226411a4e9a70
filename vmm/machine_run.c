/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_run: what can be asked of a machine that has started: to pause, to go on, to
 * change. On the loop's thread, without the device lock, since vCPUs that are waited
 * for may want it.
 */
#include <errno.h>
#include <string.h>

#include "virtio/devices.h"
#include "vmm/machine_parts.h"

enum { PAUSE_TIMEOUT_MS = 30000 };

static void pause_devices(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	for (unsigned i = 0; i < m->devices.n_virtio; i++)
		mmio_pause(m->devices.virtio[i]);
	pthread_mutex_unlock(m->env.lock);
}

static void resume_devices(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	for (unsigned i = 0; i < m->devices.n_virtio; i++)
		mmio_resume(m->devices.virtio[i]);
	pthread_mutex_unlock(m->env.lock);
}

static int pause_vcpus(struct machine *m, struct err *e)
{
	int r = 0;
	unsigned i;

	for (i = 0; i < m->n_vcpus; i++)
		vcpu_pause(m->vcpu[i]);
	for (i = 0; r == 0 && i < m->n_vcpus; i++)
		r = vcpu_wait_paused(m->vcpu[i], PAUSE_TIMEOUT_MS);
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
}

static struct drive *find_drive(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->n_drives; i++)
		if (strcmp(m->drive[i].cfg.drive_id, id) == 0)
			return &m->drive[i];
	return NULL;
}

int machine_patch_drive(struct machine *m, struct drive_patch *patch, struct err *e)
{
	struct drive *d = find_drive(m, patch->drive_id);
	AUTO(disk_close) struct disk *disk = NULL;
	char *path = d ? d->cfg.path_on_host : NULL;
	int r;

	if (!d)
		return err_bad(e, "there is no drive '%.80s'", patch->drive_id);
	if (!patch->path_on_host)
		return err_bad(
			e, "drive '%s': nothing to change is given", patch->drive_id);
	r = disk_open(patch->path_on_host, d->cfg.is_read_only, &disk, e);
	if (r < 0)
		return err_add(e, r, "drive '%s'", patch->drive_id);
	pthread_mutex_lock(m->env.lock);
	blk_set_disk(d->dev, TAKE(disk));
	pthread_mutex_unlock(m->env.lock);
	d->cfg.path_on_host = patch->path_on_host;
	patch->path_on_host = path; /* the old one goes with the patch */
	return 0;
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
