/* SPDX-License-Identifier: Apache-2.0
 *
 * kinds: which kinds of devices a machine can have. A new one is a room of its own and
 * a row in kinds.c.
 */
#ifndef HUSK_MACHINE_KINDS_H
#define HUSK_MACHINE_KINDS_H

#include "virtio/kind.h"

enum { DEVICE_KINDS_MAX = 6 };

/* In the order in which a guest finds its devices; ended by NULL. */
extern const struct device_kind *const device_kinds[];

#endif
