/* SPDX-License-Identifier: Apache-2.0
 *
 * landlock: takes the file system away from the calling thread, where the kernel has
 * Landlock.
 */
#ifndef HUSK_PROCESS_LANDLOCK_H
#define HUSK_PROCESS_LANDLOCK_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* From now on the calling thread, and those that it will start, can open, create and
 * run nothing, and change no directory, but for the removal of files, such as sockets.
 * What is open stays so, and sockets in the file system can be connected to. Needs
 * no_new_privs. Without Landlock in the kernel: 0, and nothing is done. -errno with
 * text. */
MUST_CHECK int landlock_forbid_files(struct err *e);

#endif
