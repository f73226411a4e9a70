/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_args: what the arguments of a Linux kernel say about the hardware that it is
 * going to use. Other kernels ignore these arguments, so each function's answer without
 * any of them is the one that suits every kernel. Pure functions.
 */
#ifndef HUSK_KERNEL_ARGS_H
#define HUSK_KERNEL_ARGS_H

#include "vmm/cmdline.h"

/* Whether anything may use a UART at COM1: false only for "8250.nr_uarts=0" without an
 * early console (earlyprintk, earlycon) and without a console= that names a serial
 * port. */
bool kernel_args_use_com1(const struct cmdline *c);

/* Whether the kernel may use the IOAPIC. Without it, interrupts go through the 8259s.
 */
bool kernel_args_use_ioapic(const struct cmdline *c);

#endif
