/* SPDX-License-Identifier: Apache-2.0
 *
 * i8042: see the header. The numbers of commands are from the IBM PS/2 technical
 * reference.
 */
#include "vmm/legacy/i8042.h"

#include <errno.h>
#include <string.h>

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
	CONTROL_IRQ1 = 0x01, /* bytes from the keyboard interrupt */

	KEYBOARD_ACK = 0xfa,
};

void i8042_init(struct i8042 *c, const struct i8042_ops *ops)
{
	*c = (struct i8042){ .ops = *ops };
}

/* Raises an edge of IRQ 1: one for each byte that becomes the next to be read. */
static void raise_irq(struct i8042 *c)
{
	if (c->n_output > 0 && (c->control & CONTROL_IRQ1))
		c->ops.irq(c->ops.self);
}

static void put_output(struct i8042 *c, uint8_t v)
{
	c->output[c->n_output++] = v;
	if (c->n_output == 1)
		raise_irq(c);
}

/* Puts the answer to a command, which takes the place of what was not read. */
static void answer(struct i8042 *c, uint8_t v)
{
	c->n_output = 0;
	put_output(c, v);
}

static uint8_t take_output(struct i8042 *c)
{
	uint8_t v = c->output[0];

	if (c->n_output > 0) {
		memmove(c->output, c->output + 1, --c->n_output);
		raise_irq(c);
	}
	return v;
}

static void reset(struct i8042 *c)
{
	c->counts.reset_count++;
	c->ops.reset(c->ops.self);
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
		reset(c);
		break;
	default:
		c->counts.error_count++;
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
		reset(c);
	else if (command == 0)
		answer(c, KEYBOARD_ACK); /* the keyboard accepts everything */
}

static bool is_served(uint64_t at, size_t n)
{
	return n == 1 && (at == PORT_COMMAND || at == PORT_DATA);
}

static void i8042_write(void *self, uint64_t at, const void *data, size_t n)
{
	struct i8042 *c = self;
	uint8_t v = *(const uint8_t *)data;

	if (!is_served(at, n)) {
		c->counts.missed_write_count++;
		return;
	}
	c->counts.write_count++;
	if (at == PORT_COMMAND)
		run_command(c, v);
	else
		take_data(c, v);
}

static void i8042_read(void *self, uint64_t at, void *data, size_t n)
{
	struct i8042 *c = self;
	uint8_t *v = data;

	if (!is_served(at, n)) {
		c->counts.missed_read_count++;
		return;
	}
	c->counts.read_count++;
	if (at == PORT_COMMAND)
		*v = STATUS_SYSTEM | (c->n_output > 0 ? STATUS_OUTPUT_FULL : 0);
	if (at == PORT_DATA)
		*v = take_output(c);
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

int i8042_press_ctrl_alt_del(struct i8042 *c)
{
	/* scan code set 2, untranslated (IBM PS/2 keyboard); Del is an extended key */
	static const uint8_t keys[] = { 0x14, 0x11, 0xe0, 0x71 };

	if (c->n_output + sizeof(keys) > I8042_OUTPUT_MAX)
		return -EBUSY;
	for (size_t i = 0; i < sizeof(keys); i++)
		put_output(c, keys[i]);
	return 0;
}

int i8042_snap(struct i8042 *c, struct stream *s)
{
	(void)stream_begin(s, "8042", 1);
	stream_u8(s, &c->control);
	stream_u8(s, &c->command);
	stream_u32(s, &c->n_output);
	stream_bytes(s, c->output, sizeof(c->output));
	stream_end(s);
	if (c->n_output > I8042_OUTPUT_MAX) {
		c->n_output = 0;
		return stream_check(s, false);
	}
	return stream_check(s,
		c->command == 0 || c->command == CMD_WRITE_CONTROL ||
			c->command == CMD_WRITE_OUTPUT);
}
