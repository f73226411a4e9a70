/* SPDX-License-Identifier: Apache-2.0
 *
 * args: the command line grammar that husk and husk-jailer share (contract, 1.1): long
 * options only, the value in the next word, no repeats, "--" ends them. getopt_long
 * takes --name=value and abbreviations, which this grammar refuses.
 */
#ifndef HUSK_BASE_ARGS_H
#define HUSK_BASE_ARGS_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct arg {
	const char *name; /* with its "--" */
	const char *value_name; /* NULL for a flag */
	const char *help;
	bool repeats; /* may be given more than once: read with args_next */
	const char *
		value; /* out: the first value, or the name for a flag that was given */
};

enum args_found {
	ARGS_RUN, /* go on with the values in the table */
	ARGS_HELP, /* --help or -h somewhere */
	ARGS_VERSION, /* --version somewhere, and no --help */
};

/* Reads argv[1..] into the table's n rows, which borrow the words. Returns an enum
 * args_found, or -EINVAL with text. *rest becomes the index of the first word after
 * "--", or argc. */
MUST_CHECK int args_parse(
	int argc, char **argv, struct arg *table, size_t n, int *rest, struct err *e);

/* The value of an option, or NULL when it was not given. */
const char *args_value(const struct arg *table, size_t n, const char *name);

/* Walks the values of an option that may be repeated, in an argv that args_parse has
 * accepted. Set *at to 1 before the first call; each call moves it on. NULL after the
 * last value. */
const char *args_next(int argc, char **argv, const struct arg *table, size_t n,
	const char *name, int *at);

/* Reads a number of decimal digits. False when the text is anything else, or does not
 * fit into *out. */
bool args_read_u64(const char *text, uint64_t *out);

/* Reads the value of an option as args_read_u64 does; `fallback` when it was not given.
 * -EINVAL with text. */
MUST_CHECK int args_u64(const struct arg *table, size_t n, const char *name,
	uint64_t fallback, uint64_t *out, struct err *e);

/* Prints the options to stdout, a line each. */
void args_print_help(const struct arg *table, size_t n);

#endif
