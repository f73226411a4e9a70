/* SPDX-License-Identifier: Apache-2.0
 *
 * trim: makes a compiled filter cheaper to install, without changing what it answers.
 */
#ifndef HUSK_SECCOMP_TRIM_H
#define HUSK_SECCOMP_TRIM_H

#include <linux/filter.h>

#include "vmm/base/base.h"

/* Removes comparisons of the upper half of an argument that mask out all of its bits,
 * and puts a load in front. The program may become longer by one instruction, for which
 * insn must have room. Returns the new number of instructions. */
size_t trim(struct sock_filter *insn, size_t n);

#endif
