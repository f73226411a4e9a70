/* SPDX-License-Identifier: Apache-2.0
 *
 * power: the ports by which a guest resets or powers off the machine, beside the i8042:
 * reset control 0xcf9 (Intel ICH, 13.7.5), system control port A 0x92 (IBM PS/2), and
 * ACPI's registers (6.4: sleep control 4.8.3.7, PM1 4.8.3.1 and 4.8.3.2). All of them
 * end the machine. On vCPU threads, with the device lock held.
 */
#ifndef HUSK_LEGACY_POWER_H
#define HUSK_LEGACY_POWER_H

#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

/* The registers of the ACPI block, as the FADT names them. */
enum {
	POWER_PM1_EVENT = 0, /* status and enable, 16 bits each */
	POWER_PM1_CONTROL = 4, /* 16 bits */
	POWER_SLEEP_CONTROL = 6, /* 8 bits, on hardware-reduced ACPI, as the next */
	POWER_SLEEP_STATUS = 7,
	POWER_ACPI_PORTS = 8,

	POWER_SLEEP_TYPE_S5 = 5, /* what \_S5 says, for either control register */
};

struct power {
	uint16_t pm1_enable, pm1_control;
	uint8_t reset_control;
	/* The guest asks for the end. how: "reset through port 0xcf9" and the like. */
	void (*end)(void *self, const char *how);
	void *self;
};

void power_init(struct power *p, void (*end)(void *self, const char *how), void *self);
/* For the bus: self is the struct power. */
const struct bus_ops *power_reset_bus_ops(void); /* one port, 0xcf9 */
const struct bus_ops *power_port_a_bus_ops(void); /* one port, 0x92 */
const struct bus_ops *power_acpi_bus_ops(void); /* POWER_ACPI_PORTS ports */
MUST_CHECK int power_snap(struct power *p, struct stream *s);

#endif
