/* SPDX-License-Identifier: Apache-2.0
 *
 * cmdline: the kernel's command line, put together from the user's arguments and what
 * husk adds before any "--" of theirs. Pure data, no allocation.
 */
#ifndef HUSK_CODEC_CMDLINE_H
#define HUSK_CODEC_CMDLINE_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum { CMDLINE_BYTES = 2048 }; /* with the NUL: the contract's limit (3.4) */

struct cmdline {
	char text[CMDLINE_BYTES];
	size_t len; /* without the NUL */
	size_t insert; /* where additions go: before " --" */
};

/* Starts from the user's arguments. -EINVAL with text: too long, not printable. */
MUST_CHECK int cmdline_init(struct cmdline *c, const char *args, struct err *e);

/* Adds one word, formatted, separated by a space. -EINVAL with text when it does not
 * fit any more, is not one word, or is not printable; the line stays as it was then. */
MUST_CHECK int cmdline_add(struct cmdline *c, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* One argument. The parts lie in the command line; no NUL ends them. */
struct cmdline_arg {
	const char *name;
	size_t name_len;
	const char *value; /* after the '=', or NULL where there is none */
	size_t value_len;
};

/* The argument at or after *at, which begins as 0 and is moved behind it. Cut and freed
 * of its quotes as the kernel does it. False at the end, which "--" is too: what comes
 * after it is the init's. */
bool cmdline_next(const struct cmdline *c, size_t *at, struct cmdline_arg *out);

/* Whether that is its name; '-' and '_' are the same there, as in the kernel. */
bool cmdline_arg_is(const struct cmdline_arg *a, const char *name);
/* Whether it has exactly that value. */
bool cmdline_value_is(const struct cmdline_arg *a, const char *value);

#endif
