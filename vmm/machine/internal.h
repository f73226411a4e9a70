/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_parts: what a machine is made of, shared by machine.c (settings, states,
 * end), machine_start.c (building and taking apart), machine_run.c (what can be asked
 * of one that runs) and machine_metrics.c. Not for other files.
 */
#ifndef HUSK_MACHINE_INTERNAL_H
#define HUSK_MACHINE_INTERNAL_H

#include "virtio/blk/disk.h"
#include "virtio/net/tap.h"
#include "vmm/base/log.h"
#include "vmm/core/kvm.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/machine/devices.h"
#include "vmm/machine/machine.h"

struct drive {
	struct drive_cfg cfg;
	/* Opened with the setting; the device has it from the start on. */
	struct disk *disk;
	struct vdev *dev; /* borrowed, while the machine is built */
	uint64_t change_until_us; /* of a change that waits for the disk, else 0 */
};

struct nic {
	struct net_cfg cfg;
	struct tap *tap; /* as a drive's disk */
	struct vdev *dev;
};

struct machine {
	struct machine_env env;
	enum machine_state state;
	uint64_t pause_until_us; /* of a pause that has begun, else 0 */

	struct machine_cfg cfg;
	struct cpu_template cpu_config; /* all zero: none */
	struct boot_cfg boot;
	int kernel_fd, initrd_fd;
	unsigned n_drives;
	struct drive drive[VIRTIO_DEVICES_MAX];
	unsigned n_nics;
	struct nic nic[VIRTIO_DEVICES_MAX];
	struct serial_cfg serial;
	bool has_serial; /* the settings name one */
	struct vsock_cfg vsock; /* uds_path NULL: none */
	/* Made with the setting; the device list has it from the start on. */
	struct vdev *vsock_dev;
	bool vsock_is_listed; /* vsock_dev is borrowed from the device list */

	struct metrics *metrics; /* or NULL */
	struct loop_source metrics_timer; /* timerfd; -1 without metrics */

	struct kvm kvm;
	struct guest_mem *mem;
	struct device_list devices;
	int serial_fd; /* of serial.serial_out_path */
	unsigned n_vcpus;
	struct vcpu *vcpu[VCPUS_MAX];

	/* How the guest ended. Written by vCPU threads, atomically; the rest by the
	 * first of them, for the loop that it then wakes. */
	bool has_ended;
	int exit_status;
	enum log_level end_level;
	char end_text[160];
	struct loop_source end; /* eventfd */
};

/* The drive of that id, or NULL. */
struct drive *machine_find_drive(struct machine *m, const char *id);

/* Opens path as the backing of a drive with these settings. */
MUST_CHECK int drive_open_disk(const struct drive_cfg *cfg, const char *path,
	struct loop *loop, struct disk **out, struct err *e);

/* The guest has ended. Any thread. An error status beats success when several vCPUs
 * end; the first is logged, since a guest that waits for its reset asks again. */
void machine_end(struct machine *m, int status, const char *why);

/* The vCPUs were let go, and the devices look at their queues: in words that clients of
 * Firecracker wait for. */
void machine_log_kick(void);

/* Makes devices of the interfaces, in the order of their settings. */
MUST_CHECK int machine_start_nets(struct machine *m, struct err *e);
/* Forgets the settings of all interfaces, and closes taps that no device has. */
void machine_close_nets(struct machine *m);

/* Stops the vCPUs and destroys what machine_start built, or began to build. */
void machine_unbuild(struct machine *m);

#endif
