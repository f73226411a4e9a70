/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: compiles system call filters, written as JSON in Firecracker's dialect
 * (README.md), into programs of classic BPF, with libseccomp. Part of the tool
 * husk-seccomp, which the build runs; husk itself does not contain it.
 */
#ifndef HUSK_SECCOMP_DIALECT_H
#define HUSK_SECCOMP_DIALECT_H

#include <linux/filter.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct dialect;

/* Parses n bytes of JSON. more: NULL, or a second text of n_more bytes, whose rules are
 * added to the categories of the same names. The caller frees *out. -errno with text.
 */
MUST_CHECK int dialect_parse(const char *text, size_t n, const char *more,
	size_t n_more, struct dialect **out, struct err *e);
void dialect_free(struct dialect *f);
DEFINE_AUTO(struct dialect *, dialect_free);

/* The name of the i-th category, or NULL after the last. Borrowed. */
const char *dialect_category(const struct dialect *f, unsigned i);

enum dialect_how {
	DIALECT_WHOLE, /* as it is written */
	/* A rule that matches stops for a tracer and gives it the rule's number, so
	 * that the tracer learns which rules are used. Rules that are included from
	 * other categories keep their action. */
	DIALECT_TRACE,
	DIALECT_NO_API, /* without the rules that are api_only */
};

/* Compiles the i-th category into *n instructions. The caller frees *insn. A category
 * that allows every call has none: *insn is NULL. -errno with text. */
MUST_CHECK int dialect_compile(const struct dialect *f, unsigned i,
	enum dialect_how how, struct sock_filter **insn, size_t *n, struct err *e);

/* Calls rule for each rule of each category, in the order of the text, with numbers
 * from 1 on, as DIALECT_TRACE uses them. words: what the rule allows, and why. */
void dialect_walk(const struct dialect *f,
	void (*rule)(unsigned number, const char *category, const char *words));

#endif
