/* SPDX-License-Identifier: Apache-2.0
 *
 * trim: makes a compiled filter cheaper to install, without changing what it answers.
 */
#ifndef HUSK_SECCOMP_TRIM_H
#define HUSK_SECCOMP_TRIM_H

#include <linux/filter.h>

#include "vmm/base/base.h"

/* Takes out the comparisons of upper halves of arguments that look at none of their
 * bits, and puts one load before all: so the program may become longer by one, and insn
 * has room for that. Returns the new number of instructions. */
size_t trim(struct sock_filter *insn, size_t n);

#endif
