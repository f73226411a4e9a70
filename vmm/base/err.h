/* SPDX-License-Identifier: Apache-2.0
 *
 * err: the text of a failure, in a buffer that the caller owns. A function that can
 * fail on the host returns -errno and, on set-up paths, fills a struct err given as
 * its last argument: what was tried, on what, why not. Nothing here allocates.
 */
#ifndef HUSK_BASE_ERR_H
#define HUSK_BASE_ERR_H

#include "vmm/base/base.h"

struct err {
	/* One line, NUL-terminated, cut when too long; '?' for control characters. */
	char text[512];
};

/* Each of these may be given e = NULL, when the caller wants the code only. */

/* For a system call that has just failed: "<fmt>: <text of errno>". Returns -errno. */
int err_sys(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same for a function that returned r = -errno. Returns r. */
int err_code(struct err *e, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* For a setting or a file that is refused. Returns -EINVAL. */
int err_bad(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "<fmt>: " before the text that a callee left. Returns r. */
int err_add(struct err *e, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
