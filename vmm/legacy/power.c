/* SPDX-License-Identifier: Apache-2.0
 *
 * power: see the header. An access whose width is not the register's reads as all ones,
 * or writes nothing.
 */
#include "vmm/legacy/power.h"

#include <string.h>

enum {
	RESET_CPU = 1 << 2, /* in reset control: its rising edge resets */
	RESET_BITS = 0x0e,

	PORT_A_RESET = 1 << 0,
	PORT_A_A20 = 1 << 1, /* always on */

	PM1_ENABLE = 2,
	PM1_SCI_ENABLE = 1 << 0, /* ACPI mode: there is no other */
	PM1_SLEEP_TYPE_SHIFT = 10,
	PM1_SLEEP_ENABLE = 1 << 13, /* reads as 0 */

	SLEEP_TYPE_SHIFT = 2,
	SLEEP_ENABLE = 1 << 5,
	SLEEP_TYPE_MASK = 7,
};

void power_init(struct power *p, void (*end)(void *self, const char *how), void *self)
{
	*p = (struct power){ .end = end, .self = self };
}

static void reset_write(void *self, uint64_t at, const void *data, size_t n)
{
	struct power *p = self;
	uint8_t v = *(const uint8_t *)data & RESET_BITS, old = p->reset_control;

	(void)at;
	(void)n; /* one port takes one byte */
	p->reset_control = v;
	if (v & ~old & RESET_CPU)
		p->end(p->self, "reset through port 0xcf9");
}

static void reset_read(void *self, uint64_t at, void *data, size_t n)
{
	const struct power *p = self;

	(void)at;
	(void)n;
	*(uint8_t *)data = p->reset_control;
}

const struct bus_ops *power_reset_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "reset control",
		.read = reset_read,
		.write = reset_write,
	};

	return &ops;
}

static void port_a_write(void *self, uint64_t at, const void *data, size_t n)
{
	struct power *p = self;

	(void)at;
	(void)n;
	if (*(const uint8_t *)data & PORT_A_RESET)
		p->end(p->self, "reset through port 0x92");
}

/* A guest that enables A20 reads the port, sets that bit and writes it back. If the
 * port read as all ones, this would reset the machine. */
static void port_a_read(void *self, uint64_t at, void *data, size_t n)
{
	(void)self;
	(void)at;
	(void)n;
	*(uint8_t *)data = PORT_A_A20;
}

const struct bus_ops *power_port_a_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "system control port A",
		.read = port_a_read,
		.write = port_a_write,
	};

	return &ops;
}

/* Ends the machine for S5. ACPI offers no other sleep state here, so ignore others. */
static void sleep_as(struct power *p, unsigned type)
{
	if ((type & SLEEP_TYPE_MASK) == POWER_SLEEP_TYPE_S5)
		p->end(p->self, "powered off through ACPI");
}

static void acpi_write_port(void *self, uint64_t at, const void *data, size_t n)
{
	struct power *p = self;
	uint16_t v = 0;

	if (n > sizeof(v))
		return;
	memcpy(&v, data, n);
	if (at == POWER_PM1_EVENT + PM1_ENABLE && n == 2)
		p->pm1_enable = v;
	if (at == POWER_PM1_CONTROL && n == 2) {
		p->pm1_control = v & (uint16_t)~PM1_SLEEP_ENABLE;
		if (v & PM1_SLEEP_ENABLE)
			sleep_as(p, v >> PM1_SLEEP_TYPE_SHIFT);
	}
	if (at == POWER_SLEEP_CONTROL && n == 1 && (v & SLEEP_ENABLE))
		sleep_as(p, v >> SLEEP_TYPE_SHIFT);
}

static void acpi_read_port(void *self, uint64_t at, void *data, size_t n)
{
	const struct power *p = self;
	uint16_t v = 0; /* status: nothing ever happens here */

	if (at == POWER_PM1_EVENT + PM1_ENABLE)
		v = p->pm1_enable;
	if (at == POWER_PM1_CONTROL)
		v = p->pm1_control | PM1_SCI_ENABLE;
	if (n == (at < POWER_SLEEP_CONTROL ? 2 : 1))
		memcpy(data, &v, n);
}

const struct bus_ops *power_acpi_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "ACPI power",
		.read = acpi_read_port,
		.write = acpi_write_port,
	};

	return &ops;
}

int power_snap(struct power *p, struct stream *s)
{
	(void)stream_begin(s, "powr", 1);
	stream_u16(s, &p->pm1_enable);
	stream_u16(s, &p->pm1_control);
	stream_u8(s, &p->reset_control);
	stream_end(s);
	return stream_check(s,
		!(p->pm1_control & PM1_SLEEP_ENABLE) &&
			!(p->reset_control & ~RESET_BITS));
}
