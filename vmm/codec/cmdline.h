/* SPDX-License-Identifier: Apache-2.0
 *
 * cmdline: the kernel's command line, made of the user's arguments and of the words
 * that husk adds. Pure data, no allocation.
 */
#ifndef HUSK_CODEC_CMDLINE_H
#define HUSK_CODEC_CMDLINE_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum { CMDLINE_BYTES = 2048 }; /* with the NUL: the contract's limit (3.4) */

struct cmdline {
	char text[CMDLINE_BYTES];
	size_t len; /* without the NUL */
	size_t insert; /* where words are added: before " --", or at the end */
};

/* Makes *c the user's arguments. -EINVAL with text when they are too long or not
 * printable ASCII. */
MUST_CHECK int cmdline_init(struct cmdline *c, const char *args, struct err *e);

/* Formats one word and adds it, separated by a space. -EINVAL with text, and the line
 * is unchanged, when the word does not fit any more, is not one word, or is not
 * printable ASCII. */
MUST_CHECK int cmdline_add(struct cmdline *c, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* One argument. name and value point into the command line; no NUL ends them. */
struct cmdline_arg {
	const char *name;
	size_t name_len;
	const char *value; /* after the '=', or NULL where there is none */
	size_t value_len;
};

/* Finds the argument at or after *at and moves *at to its end; *at is 0 for the first
 * one. Arguments are split, and their quotes removed, as the kernel does it. False at
 * the end of the line and at "--", after which all belongs to init. */
bool cmdline_next(const struct cmdline *c, size_t *at, struct cmdline_arg *out);

/* Whether the argument has that name. As in the kernel, '-' and '_' are the same. */
bool cmdline_arg_is(const struct cmdline_arg *a, const char *name);
/* Whether the argument has exactly that value. */
bool cmdline_value_is(const struct cmdline_arg *a, const char *value);

#endif
