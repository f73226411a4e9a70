/* SPDX-License-Identifier: Apache-2.0
 *
 * power: ports by which a guest of x86 resets or powers off the machine, in addition to
 * the i8042: reset control 0xcf9 (Intel ICH, 13.7.5), system control port A 0x92 (IBM
 * PS/2), and ACPI's registers (ACPI 6.4: sleep control 4.8.3.7, PM1 4.8.3.1 and
 * 4.8.3.2). Each of them ends the machine. On vCPU threads, with the device lock held.
 */
#ifndef HUSK_LEGACY_POWER_H
#define HUSK_LEGACY_POWER_H

#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

/* Offsets of ACPI's registers in their block; the FADT names their addresses. */
enum {
	POWER_PM1_EVENT = 0, /* status and enable, 16 bits each */
	POWER_PM1_CONTROL = 4, /* 16 bits */
	POWER_SLEEP_CONTROL = 6, /* 8 bits; this and the next: hardware-reduced ACPI */
	POWER_SLEEP_STATUS = 7,
	POWER_ACPI_PORTS = 8,

	POWER_SLEEP_TYPE_S5 = 5, /* the value of \_S5, for both control registers */
};

struct power {
	uint16_t pm1_enable, pm1_control;
	uint8_t reset_control;
	/* The guest has ended the machine. how: such as "reset through port 0xcf9". */
	void (*end)(void *self, const char *how);
	void *self;
};

void power_init(struct power *p, void (*end)(void *self, const char *how), void *self);
/* For a bus; self is the struct power. */
const struct bus_ops *power_reset_bus_ops(void); /* one port, 0xcf9 */
const struct bus_ops *power_port_a_bus_ops(void); /* one port, 0x92 */
const struct bus_ops *power_acpi_bus_ops(void); /* POWER_ACPI_PORTS ports */
/* Saves or loads its state: see stream.h. Returns the stream's error. */
MUST_CHECK int power_snap(struct power *p, struct stream *s);

#endif
