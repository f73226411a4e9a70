/* SPDX-License-Identifier: Apache-2.0
 *
 * i8042: the PC's keyboard controller, as far as a guest needs it to live: it answers a
 * driver that probes it, and command 0xFE resets the machine. On vCPU threads, with the
 * device lock held.
 */
#ifndef HUSK_I8042_H
#define HUSK_I8042_H

#include "vmm/core/bus.h"
#include "vmm/core/snap.h"

enum { I8042_PORTS = 5 }; /* 0x60 to 0x64, of which the first and last are used */

struct i8042 {
	uint8_t control; /* the command byte */
	uint8_t command; /* waits for its data byte; 0: none */
	uint8_t output; /* for the guest to read */
	bool output_full;
	/* Called when the guest asks for a reset. */
	void (*reset)(void *self);
	void *self;
};

void i8042_init(struct i8042 *c, void (*reset)(void *self), void *self);
const struct bus_ops *i8042_bus_ops(void); /* self is the struct i8042 */
MUST_CHECK int i8042_snap(struct i8042 *c, struct snap *s);

#endif
