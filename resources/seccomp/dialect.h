/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: system call filters as JSON, in Firecracker's dialect (README.md), compiled
 * by libseccomp into programs of classic BPF. Part of the tool husk-seccomp, which the
 * build runs; nothing of it is in husk.
 */
#ifndef HUSK_SECCOMP_DIALECT_H
#define HUSK_SECCOMP_DIALECT_H

#include <linux/filter.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct dialect;

/* Parses n bytes of JSON. Of another text given as `more`, unless NULL, the rules are
 * added to the categories of the same name. The caller owns *out. -errno with text. */
MUST_CHECK int dialect_parse(const char *text, size_t n, const char *more,
	size_t n_more, struct dialect **out, struct err *e);
void dialect_free(struct dialect *f);
DEFINE_AUTO(struct dialect *, dialect_free);

/* The name of the i-th category, borrowed, or NULL after the last. */
const char *dialect_category(const struct dialect *f, unsigned i);

enum dialect_how {
	DIALECT_WHOLE,
	/* The answer to a rule that matches is to tell a tracer the rule's number
	 * instead, by which it learns which rules are of use. That does not touch rules
	 * included from other categories. */
	DIALECT_TRACE,
	DIALECT_NO_API, /* without the rules that are api_only */
};

/* Compiles the i-th category. The caller frees *insn, which is NULL, with *n 0, for a
 * category that allows all. -errno with text. */
MUST_CHECK int dialect_compile(const struct dialect *f, unsigned i,
	enum dialect_how how, struct sock_filter **insn, size_t *n, struct err *e);

/* Calls rule for each rule of each category. Numbers begin with 1, in the order of the
 * text; words says what it allows and why. */
void dialect_walk(const struct dialect *f,
	void (*rule)(unsigned number, const char *category, const char *words));

#endif
