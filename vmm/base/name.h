/* SPDX-License-Identifier: Apache-2.0
 *
 * name: what this program calls itself. Clients of Firecracker look for its name, so a
 * copy or a hard link of husk that is named "firecracker" speaks of itself by that
 * name. Any thread; no system call.
 */
#ifndef HUSK_BASE_NAME_H
#define HUSK_BASE_NAME_H

#include "vmm/base/base.h"

/* The part of a path after its last slash, or the whole path. Borrowed. */
const char *name_of_path(const char *path);

/* The name of the file that was executed, as in the process's comm but not cut to 15
 * characters; "husk" when the kernel does not say. Valid for good. */
const char *name_of_program(void);

/* "Firecracker" when name_of_program is "firecracker", else "husk". */
const char *name_of_product(void);

#endif
