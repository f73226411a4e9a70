/* SPDX-License-Identifier: Apache-2.0
 *
 * i8042: the PC's keyboard controller, as far as a guest needs it to live: it answers a
 * driver that probes it, command 0xFE resets the machine, and three keys can be typed.
 * On vCPU threads, keys on the loop's, with the device lock held.
 */
#ifndef HUSK_LEGACY_I8042_H
#define HUSK_LEGACY_I8042_H

#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

enum {
	I8042_PORTS = 5,
	I8042_OUTPUT_MAX = 16
}; /* 0x60 to 0x64, of which the first and last are used */

/* What the machine does for it. */
struct i8042_host {
	void (*reset)(void *self); /* the guest asks for it */
	void (*irq)(void *self); /* an edge of IRQ 1 */
	void *self;
};

/* Since i8042_init, in the names of the metrics (contract, 9.2). */
struct i8042_counts {
	uint64_t read_count, write_count; /* accesses that were served */
	uint64_t missed_read_count,
		missed_write_count; /* too wide, or a port between */
	uint64_t reset_count; /* what the guest asked for */
	uint64_t error_count; /* commands that it does not know */
};

struct i8042 {
	struct i8042_counts counts;
	uint8_t control; /* the command byte */
	uint8_t command; /* waits for its data byte; 0: none */
	uint8_t output[I8042_OUTPUT_MAX]; /* for the guest to read, first byte first */
	uint32_t n_output;
	struct i8042_host host;
};

void i8042_init(struct i8042 *c, const struct i8042_host *host);
const struct bus_ops *i8042_bus_ops(void); /* self is the struct i8042 */
/* Types Ctrl, Alt and Del. -EBUSY when what the guest has not read leaves no room. */
MUST_CHECK int i8042_press_ctrl_alt_del(struct i8042 *c);
MUST_CHECK int i8042_snap(struct i8042 *c, struct stream *s);

#endif
