/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_args: finds out from the arguments of a Linux kernel which hardware it is not
 * going to use. Other kernels know none of these arguments, so the answer for a line
 * without them suits every kernel. A pure function.
 */
#ifndef HUSK_X86_KERNEL_ARGS_H
#define HUSK_X86_KERNEL_ARGS_H

#include "vmm/codec/cmdline.h"

struct kernel_args {
	/* The kernel does not use a UART at COM1: it is given "8250.nr_uarts=0", no
	 * early console (earlyprintk, earlycon) and no console= that names a serial
	 * port. */
	bool no_com1;
	/* The kernel leaves the IOAPIC unused and gets interrupts through the 8259s. */
	bool no_ioapic;
};

struct kernel_args kernel_args_read(const struct cmdline *c);

#endif
