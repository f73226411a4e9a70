/* SPDX-License-Identifier: Apache-2.0
 *
 * name: what this program calls itself. Clients of Firecracker look for its name, so a
 * copy or a hard link of husk that is named "firecracker" speaks of itself by that
 * name. Any thread; no system call.
 */
#ifndef HUSK_BASE_NAME_H
#define HUSK_BASE_NAME_H

#include "vmm/base/base.h"

/* What follows the last slash of a path; the path itself without one. Borrowed. */
const char *name_of_path(const char *path);

/* The name of the file that was run, as the kernel has it in this process's comm, but
 * not cut to 15 characters: "husk" unless the file has another. Borrowed for good. */
const char *name_of_program(void);

/* "Firecracker" when the file that was run is named "firecracker", else "husk". */
const char *name_of_product(void);

#endif
