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
/* Goes back. What was made in the directory is removed, what was appended is cut. The
 * same number of descriptors as before is open, or it aborts. */
void confine_leave(void);

/* A copy of a JSON text, of the same length and with a NUL behind it, for the caller to
 * free, in whose strings no '/' is left however it was written. */
char *confine_json(const char *text, size_t n);

#endif
