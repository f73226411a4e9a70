/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_machine: a machine in the states of one that runs, without KVM. Failures of its
 * own end the test.
 */
#ifndef HUSK_FAKE_MACHINE_H
#define HUSK_FAKE_MACHINE_H

#include "vmm/machine/machine.h"

/* A network interface among the settings, with a socket in the place of its TAP. */
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
