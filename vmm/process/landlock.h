/* SPDX-License-Identifier: Apache-2.0
 *
 * landlock: takes the file system away from a thread, if the kernel has Landlock.
 */
#ifndef HUSK_PROCESS_LANDLOCK_H
#define HUSK_PROCESS_LANDLOCK_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* From now on the calling thread, and the threads that it starts,
 *   - cannot open, create or execute files, nor change directories;
 *   - can use what is open already, remove files (husk's sockets), and connect to
 *     sockets in the file system.
 * Needs no_new_privs. 0, also when the kernel has no Landlock and nothing changes; or
 * -errno with text. */
MUST_CHECK int landlock_forbid_files(struct err *e);

#endif
