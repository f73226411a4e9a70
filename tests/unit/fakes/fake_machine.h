/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_machine: a machine with what main puts around it, and in the states of one that
 * runs, without KVM. Failures of its own end the test.
 */
#ifndef HUSK_FAKE_MACHINE_H
#define HUSK_FAKE_MACHINE_H

#include "virtio/limiter/limiter.h"
#include "vmm/base/phases.h"
#include "vmm/machine/machine.h"

/* What is around the machine of a test. One in a process. */
struct fake_machine {
	struct loop *loop;
	pthread_mutex_t lock; /* the device lock */
	struct phases phases;
	unsigned n_ended; /* how often env.ended was called */
};

extern struct fake_machine fake_machine;

/* Makes a machine that has no settings and has not started, and turns the log off.
 * `own` gives what the test sets of the environment itself, such as filters; it may be
 * NULL. The loop, the lock, the phases, `ended` and `self` are always fake_machine's.
 */
struct machine *fake_machine_create(const struct machine_env *own);
/* Destroys the machine and its loop. m is NULL when the test destroyed the machine. */
void fake_machine_destroy(struct machine *m);

/* Sets a boot source: a kernel of one page that begins with these n bytes of code. */
void fake_machine_set_kernel(struct machine *m, const void *code, size_t n);

/* Adds a drive to the settings. */
void fake_machine_add_drive(
	struct machine *m, const char *id, const char *path, bool read_only);

/* Changes a drive: its file when path is not NULL, its limits when limits is not NULL.
 * Returns what machine_patch_device returns. */
int fake_machine_patch_drive(struct machine *m, const char *id, const char *path,
	const struct limiter_patch *limits, struct err *e);

/* Adds a network interface, with a socket in the place of its TAP. */
void fake_machine_add_interface(struct machine *m, const char *id);

/* The path of its first drive. */
const char *fake_machine_drive_path(const struct machine *m);

/* The machine is now in this state. When it first leaves that of not having started it
 * gets memory and a device for each setting, kind by kind; no vCPU. */
void fake_machine_enter(struct machine *m, enum machine_state state);

/* What the guest reads of the i-th device's configuration space: n bytes at `at`. */
void fake_machine_read_config(
	struct machine *m, unsigned i, uint64_t at, void *data, size_t n);

/* The guest of the i-th device has come as far as DRIVER_OK, with a ring. */
void fake_machine_drive(struct machine *m, unsigned i);

#endif
