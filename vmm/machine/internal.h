/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine as its files see it: machine.c has its settings, device.c those of its
 * devices, start.c makes it of them, run.c serves what can be asked of one that runs,
 * metrics.c shows what was counted, and end.c takes it apart. They do not call each
 * other in a circle: `make layers` sees to that.
 */
#ifndef HUSK_MACHINE_INTERNAL_H
#define HUSK_MACHINE_INTERNAL_H

#include "vmm/base/log.h"
#include "vmm/base/timer.h"
#include "vmm/core/kvm.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/machine/device_list.h"
#include "vmm/machine/kinds.h"
#include "vmm/machine/machine.h"

/* A device: its settings and, while the machine is built, what the guest sees. */
struct device {
	const struct device_kind *kind;
	/* Opened with the settings; the device has it from the start on. */
	void *backend;
	struct vdev
		*dev; /* borrowed from the device list, while the machine is built */
	uint64_t change_until_us; /* end of the time for a change that has begun, else 0
				   */
	_Alignas(max_align_t) char cfg[KIND_CFG_MAX]; /* the kind's struct */
};

struct machine {
	struct machine_env env;
	enum machine_state state;
	uint64_t
		pause_until_us; /* end of the time for a pause that has begun, else 0 */

	struct machine_cfg cfg;
	struct cpu_template cpu_config; /* all zero: none */
	struct boot_cfg boot;
	int kernel_fd, initrd_fd;
	/* Of all kinds, in the order of their settings. */
	unsigned n_set;
	struct device set[DEVICE_KINDS_MAX * VIRTIO_DEVICES_MAX];
	struct serial_cfg serial;
	bool has_serial; /* the settings name one */

	struct metrics *metrics; /* or NULL */
	struct timer metrics_timer; /* closed without metrics */

	struct kvm kvm;
	struct guest_mem *mem;
	struct device_list devices;
	int serial_fd; /* of serial.serial_out_path */
	unsigned n_vcpus;
	struct vcpu *vcpu[VCPUS_MAX];

	/* How the guest ended. vCPU threads write the first two atomically. The first
	 * thread that sets has_ended also writes the rest, and then wakes the loop
	 * through `end`. */
	bool has_ended;
	int exit_status;
	enum log_level end_level;
	char end_text[160];
	struct loop_source end; /* eventfd */
};

/* Ends the machine. Any thread. When several vCPUs end, an error status wins over
 * success, and the first reason is the one that is logged: a guest that waits for its
 * reset asks for it again. */
void machine_end(struct machine *m, int status, const char *why);

/* Resumes the vCPUs: for the first time, or after a pause. */
void machine_release_vcpus(struct machine *m);

/* Creates a device from each setting, kind by kind; within a kind, those for which
 * is_first is true come first. */
MUST_CHECK int machine_start_devices(struct machine *m, struct err *e);
/* Adds to the command line what the devices need there. */
MUST_CHECK int machine_add_device_args(
	const struct machine *m, struct cmdline *c, struct err *e);
/* Frees the settings of all devices, and closes backends that no device owns. */
void machine_forget_devices(struct machine *m);

/* Stops the vCPUs and destroys all that machine_start has built so far. */
void machine_unbuild(struct machine *m);

#endif
