/* SPDX-License-Identifier: Apache-2.0
 *
 * trim: makes a compiled filter cheaper to install. Its answers stay the same.
 */
#ifndef HUSK_SECCOMP_TRIM_H
#define HUSK_SECCOMP_TRIM_H

#include <linux/filter.h>

#include "vmm/base/base.h"

/* Removes comparisons of upper halves of arguments that look at none of their bits, and
 * puts one load first, so the program may grow: insn must have room for n + 1
 * instructions. Returns their new number. */
size_t trim(struct sock_filter *insn, size_t n);

#endif
