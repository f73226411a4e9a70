/* SPDX-License-Identifier: Apache-2.0
 *
 * confine: lets inputs name files without reaching any but those of one directory, for
 * what opens, creates, binds and appends to the paths that it is given; and keeps them
 * from making network interfaces.
 */
#ifndef HUSK_CONFINE_H
#define HUSK_CONFINE_H

#include "vmm/base/base.h"

/* Goes into a new directory with the files kernel, disk, fifo, dir and a few whose
 * names were paths, until confine_leave. The log goes nowhere, at level Off. The thread
 * loses CAP_NET_ADMIN for good. */
void confine_enter(void);
/* Goes back. What was made in the directory is removed, files that were changed are
 * made anew. It aborts if not as many
 * descriptors are open as before. */
void confine_leave(void);

/* A copy of a JSON text, of the same length and with a NUL behind it, for the caller to
 * free, in whose strings no '/' is left however it was written. */
char *confine_json(const char *text, size_t n);

/* A directory for temporary files, in memory where there is such a one: making a file
 * or binding a socket on a disk costs more than a whole input. */
const char *confine_tmp(void);

/* What a target calls at the end of an input, if it is not NULL, with bytes that would
 * differ if what ran before had a part in its result, such as the guest's memory. */
extern void (*fuzz_on_end)(const void *bytes, size_t n);

#endif
