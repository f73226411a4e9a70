/* SPDX-License-Identifier: Apache-2.0
 *
 * no_uart: the line status register of a serial port without a UART. All ones, which
 * nothing at a port reads as, say that a byte has been received: a driver that empties
 * the receiver without having looked for the UART would do so for ever. This one says
 * that nothing was received and that the transmitter is empty. The other registers stay
 * ones, by which drivers that look see that there is no UART.
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
