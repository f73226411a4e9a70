/* SPDX-License-Identifier: Apache-2.0
 *
 * no_uart: the line status register at a PC's serial port that has no UART (x86). A
 * port without a device reads as all ones, which in this register mean "a byte was
 * received": a driver that empties the receiver without probing for the UART would loop
 * for ever. This register says that nothing was received and that the transmitter is
 * empty. The other registers read as all ones, which tells drivers that probe that
 * there is no UART.
 */
#ifndef HUSK_LEGACY_NO_UART_H
#define HUSK_LEGACY_NO_UART_H

#include "vmm/core/bus.h"

enum {
	NO_UART_LSR = 5, /* the register's offset from the serial port's base */
	NO_UART_PORTS = 1, /* that register alone */
};

const struct bus_ops *no_uart_bus_ops(void); /* self is not used */

#endif
