/* SPDX-License-Identifier: Apache-2.0
 *
 * i8042: the PC's keyboard controller (x86), reduced to what guests need: it answers a
 * driver that probes it, command 0xFE resets the machine, and husk can type three keys.
 * Registers are served on vCPU threads, keys come from the loop's thread; all with the
 * device lock held.
 */
#ifndef HUSK_LEGACY_I8042_H
#define HUSK_LEGACY_I8042_H

#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

enum {
	I8042_PORTS = 5, /* 0x60 to 0x64; the first and the last are used */
	I8042_OUTPUT_MAX = 16, /* bytes that the guest has not read */
};

/* What the machine does for it. Called with the device lock held. */
struct i8042_ops {
	void (*reset)(void *self); /* the guest asks for a reset */
	void (*irq)(void *self); /* raise an edge on IRQ 1 */
	void *self;
};

/* Counts since i8042_init. The keys in the metrics have the same names (contract, 9.2).
 */
struct i8042_counts {
	uint64_t read_count, write_count; /* accesses that were served */
	/* accesses that are too wide, or to a port in between */
	uint64_t missed_read_count, missed_write_count;
	uint64_t reset_count; /* resets that the guest asked for */
	uint64_t error_count; /* unknown commands */
};

struct i8042 {
	struct i8042_counts counts;
	uint8_t control; /* the command byte */
	uint8_t command; /* the command that waits for its data byte, or 0 */
	uint8_t output[I8042_OUTPUT_MAX]; /* for the guest; it reads output[0] next */
	uint32_t n_output;
	struct i8042_ops ops;
};

/* ops is copied. */
void i8042_init(struct i8042 *c, const struct i8042_ops *ops);
/* For a bus: I8042_PORTS ports; self is the struct i8042. */
const struct bus_ops *i8042_bus_ops(void);
/* Types Ctrl, Alt and Del. 0, or -EBUSY when there is no room for them behind what the
 * guest has not read. */
MUST_CHECK int i8042_press_ctrl_alt_del(struct i8042 *c);
/* Saves or loads its state: see stream.h. Returns the stream's error. */
MUST_CHECK int i8042_snap(struct i8042 *c, struct stream *s);

#endif
