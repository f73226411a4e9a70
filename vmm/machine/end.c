/* SPDX-License-Identifier: Apache-2.0
 *
 * end: how a machine ends, and how what a start has built is taken apart again.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "vmm/base/clock.h"
#include "vmm/machine/internal.h"

void machine_end(struct machine *m, int status, const char *why)
{
	if (status != 0)
		__atomic_store_n(&m->exit_status, status, __ATOMIC_RELEASE);
	if (__atomic_exchange_n(&m->has_ended, true, __ATOMIC_ACQ_REL))
		return;
	m->end_level = status == 0 ? LOG_INFO : LOG_ERROR;
	(void)snprintf(m->end_text, sizeof(m->end_text), "%s", why);
	(void)eventfd_write(m->end.fd, 1); /* cannot be full */
}

void machine_stop(struct machine *m)
{
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_stop(m->vcpu[i]);
}

int machine_exit_status(const struct machine *m)
{
	return __atomic_load_n(&m->exit_status, __ATOMIC_ACQUIRE);
}

enum {
	END_TIMEOUT_US = 2 * 1000000
}; /* how long a machine that ends waits for its disks */

/* Waits until nothing of the device is in flight. False when that is not so at
 * until_us. */
static bool make_still(struct machine *m, struct mmio *t, uint64_t until_us)
{
	for (;;) {
		struct pollfd p = { .events = POLLIN };
		uint64_t now = clock_us();

		pthread_mutex_lock(m->env.lock);
		p.fd = mmio_pause(t);
		pthread_mutex_unlock(m->env.lock);
		if (p.fd < 0)
			return true;
		if (now >= until_us)
			return false;
		(void)poll(&p, 1, (int)((until_us - now) / 1000 + 1));
	}
}

/* Leaks devices whose disk does not answer, and the guest memory: the kernel may still
 * write to it, and requests that it has taken cannot be cancelled. */
static void abandon_stuck_devices(struct machine *m)
{
	uint64_t until_us = clock_us() + END_TIMEOUT_US;

	for (unsigned i = 0; i < m->devices.n_virtio; i++) {
		struct mmio **t = &m->devices.virtio[i];

		if (make_still(m, *t, until_us))
			continue;
		log_warn("'%s': its disk does not answer; requests are left to it",
			mmio_vdev(*t)->id);
		*t = NULL;
		m->mem = NULL;
	}
}

void machine_unbuild(struct machine *m)
{
	machine_stop(m);
	while (m->n_vcpus > 0)
		vcpu_destroy(m->vcpu[--m->n_vcpus]);
	abandon_stuck_devices(m);
	device_list_fini(&m->devices);
	kvm_close(&m->kvm);
	guest_mem_destroy(m->mem);
	m->mem = NULL;
	close_fd(TAKE_FD(m->serial_fd));
}
