/* SPDX-License-Identifier: Apache-2.0
 *
 * run: what can be asked of a machine that has started: to pause, to go on, to take a
 * key. On the loop's thread, without the device lock, since vCPUs that are waited
 * for may want it.
 */
#include <errno.h>

#include "vmm/base/clock.h"
#include "vmm/machine/internal.h"

enum {
	TIMEOUT_US = 30 * 1000000, /* how long a pause may take */
	VCPUS_WAIT_US = 20 *
		1000, /* how long one call waits for vCPUs before the loop runs again */
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

static void resume_devices(struct machine *m)
{
	pthread_mutex_lock(m->env.lock);
	for (unsigned i = 0; i < m->devices.n_virtio; i++)
		mmio_resume(m->devices.virtio[i]);
	if (m->devices.serial)
		serial_pause(m->devices.serial, false);
	pthread_mutex_unlock(m->env.lock);
}

static void resume_vcpus(struct machine *m)
{
	for (unsigned i = m->n_vcpus; i > 0; i--)
		vcpu_resume(m->vcpu[i - 1]);
}

void machine_release_vcpus(struct machine *m)
{
	resume_vcpus(m);
	/* words that clients of Firecracker wait for: contract, 9.1 */
	log_info("Artificially kick devices.");
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
		resume_devices(m);
		resume_vcpus(m);
		return -ETIMEDOUT;
	}
	m->state = MACHINE_PAUSED;
	return 0;
}

void machine_resume(struct machine *m)
{
	if (m->state == MACHINE_RUNNING)
		return;
	resume_devices(m);
	m->state = MACHINE_RUNNING;
	machine_release_vcpus(m);
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

int machine_send_ctrl_alt_del(struct machine *m, struct err *e)
{
	int r;

	pthread_mutex_lock(m->env.lock);
	r = i8042_press_ctrl_alt_del(&m->devices.i8042);
	pthread_mutex_unlock(m->env.lock);
	return r < 0 ? err_code(e, r, "the guest has not read the keys typed before")
		     : 0;
}
