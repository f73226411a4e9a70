/* SPDX-License-Identifier: Apache-2.0
 *
 * i8042: see the header. Commands by the numbers of the IBM PS/2 technical reference.
 */
#include "vmm/i8042.h"

enum {
	PORT_DATA = 0,
	PORT_COMMAND = 4, /* status when read */

	STATUS_OUTPUT_FULL = 1,
	STATUS_SYSTEM = 4, /* self test passed */

	CMD_READ_CONTROL = 0x20,
	CMD_WRITE_CONTROL = 0x60,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KEYBOARD_TEST = 0xab,
	CMD_READ_OUTPUT = 0xd0,
	CMD_WRITE_OUTPUT = 0xd1,
	CMD_PULSE_RESET = 0xfe,

	SELF_TEST_OK = 0x55,
	OUTPUT_PORT_A20_AND_RUN = 0x03,
	OUTPUT_PORT_RUN = 0x01, /* cleared: the processor is held in reset */
	KEYBOARD_ACK = 0xfa,
};

void i8042_init(struct i8042 *c, void (*reset)(void *self), void *self)
{
	*c = (struct i8042){ .reset = reset, .self = self };
}

static void answer(struct i8042 *c, uint8_t v)
{
	c->output = v;
	c->output_full = true;
}

static void run_command(struct i8042 *c, uint8_t v)
{
	c->command = 0;
	switch (v) {
	case CMD_READ_CONTROL:
		answer(c, c->control);
		break;
	case CMD_SELF_TEST:
		answer(c, SELF_TEST_OK);
		break;
	case CMD_AUX_TEST:
	case CMD_KEYBOARD_TEST:
		answer(c, 0);
		break;
	case CMD_READ_OUTPUT:
		answer(c, OUTPUT_PORT_A20_AND_RUN);
		break;
	case CMD_WRITE_CONTROL:
	case CMD_WRITE_OUTPUT:
		c->command = v;
		break;
	case CMD_PULSE_RESET:
		c->reset(c->self);
		break;
	}
}

static void take_data(struct i8042 *c, uint8_t v)
{
	uint8_t command = c->command;

	c->command = 0;
	if (command == CMD_WRITE_CONTROL)
		c->control = v;
	else if (command == CMD_WRITE_OUTPUT && !(v & OUTPUT_PORT_RUN))
		c->reset(c->self);
	else if (command == 0)
		answer(c, KEYBOARD_ACK); /* to the keyboard, which is always content */
}

static void i8042_write(void *self, uint64_t at, const void *data, size_t n)
{
	uint8_t v = *(const uint8_t *)data;

	if (n == 1 && at == PORT_COMMAND)
		run_command(self, v);
	else if (n == 1 && at == PORT_DATA)
		take_data(self, v);
}

static void i8042_read(void *self, uint64_t at, void *data, size_t n)
{
	struct i8042 *c = self;
	uint8_t *v = data;

	if (n != 1)
		return;
	if (at == PORT_COMMAND)
		*v = STATUS_SYSTEM | (c->output_full ? STATUS_OUTPUT_FULL : 0);
	if (at == PORT_DATA) {
		*v = c->output;
		c->output_full = false;
	}
}

const struct bus_ops *i8042_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "i8042",
		.read = i8042_read,
		.write = i8042_write,
	};

	return &ops;
}

int i8042_snap(struct i8042 *c, struct snap *s)
{
	(void)snap_begin(s, "8042", 1);
	snap_u8(s, &c->control);
	snap_u8(s, &c->command);
	snap_u8(s, &c->output);
	snap_bool(s, &c->output_full);
	snap_end(s);
	return snap_check(s,
		c->command == 0 || c->command == CMD_WRITE_CONTROL ||
			c->command == CMD_WRITE_OUTPUT);
}
