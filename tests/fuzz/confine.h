/* SPDX-License-Identifier: Apache-2.0
 *
 * confine: keeps inputs that name files to the files of one directory, for targets that
 * open, create, bind or append to any path that they are given; and keeps inputs from
 * making network interfaces.
 */
#ifndef HUSK_CONFINE_H
#define HUSK_CONFINE_H

#include "vmm/base/base.h"

/* Enters the directory, until confine_leave. It has the files kernel, disk, fifo, dir
 * and a few whose names were paths. The log is off. The thread loses CAP_NET_ADMIN for
 * good.
 */
void confine_enter(void);
/* Leaves the directory, removes what was made there, and makes files that were changed
 * anew. Aborts if a descriptor has leaked since confine_enter. */
void confine_leave(void);

/* A copy of the n bytes of a JSON text, with a NUL after it, in whose strings every
 * '/', however it was written, has been replaced. The caller frees it. */
char *confine_json(const char *text, size_t n);

/* A directory for temporary files, in memory if possible, because making a file or
 * binding a socket on a disk costs more than a whole input. */
const char *confine_tmp(void);

/* A target calls this, if it is not NULL, at the end of an input with the bytes of its
 * final state, such as the guest's memory. They must not depend on earlier inputs. */
extern void (*fuzz_on_end)(const void *bytes, size_t n);

#endif
