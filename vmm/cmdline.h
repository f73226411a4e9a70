/* SPDX-License-Identifier: Apache-2.0
 *
 * cmdline: the kernel's command line, put together from the user's arguments and what
 * husk adds before any "--" of theirs. Pure data, no allocation.
 */
#ifndef HUSK_CMDLINE_H
#define HUSK_CMDLINE_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"
#include "vmm/x86.h"

struct cmdline {
	char text[X86_CMDLINE_MAX];
	size_t len; /* without the NUL */
	size_t insert; /* where additions go: before " --" */
};

/* Starts from the user's arguments. -EINVAL with text: too long, not printable. */
MUST_CHECK int cmdline_init(struct cmdline *c, const char *args, struct err *e);

/* Adds one word, formatted, separated by a space. -EINVAL with text when it does not
 * fit any more, is not one word, or is not printable; the line stays as it was then. */
MUST_CHECK int cmdline_add(struct cmdline *c, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Whether a word equals `word`, or starts with it when it ends in '=' or ','. Words
 * after
 * "--" are the init's and do not count. */
bool cmdline_has(const struct cmdline *c, const char *word);

#endif
