/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_args: what the arguments of a Linux kernel say about the hardware that it is
 * going to use. Other kernels ignore these arguments, so what holds without any of them
 * suits every kernel. A pure function.
 */
#ifndef HUSK_BOOT_KERNEL_ARGS_H
#define HUSK_BOOT_KERNEL_ARGS_H

#include "vmm/codec/cmdline.h"

struct kernel_args {
	/* Nothing uses a UART at COM1: "8250.nr_uarts=0" without an early console
	 * (earlyprintk, earlycon) and without a console= that names a serial port. */
	bool no_com1;
	/* The IOAPIC stays unused, and interrupts go through the 8259s. */
	bool no_ioapic;
};

struct kernel_args kernel_args_read(const struct cmdline *c);

#endif
