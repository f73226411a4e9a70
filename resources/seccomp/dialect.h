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

/* Parses n bytes of JSON. Unless `more` is NULL, the rules of that text are added to
 * the categories of the same name. The caller frees *out by dialect_free. -errno with
 * text.
 */
MUST_CHECK int dialect_parse(const char *text, size_t n, const char *more,
	size_t n_more, struct dialect **out, struct err *e);
void dialect_free(struct dialect *f);
DEFINE_AUTO(struct dialect *, dialect_free);

/* The name of the i-th category, borrowed, or NULL after the last. */
const char *dialect_category(const struct dialect *f, unsigned i);

enum dialect_how {
	DIALECT_WHOLE,
	/* A rule that matches reports its number to a tracer, instead of its action, so
	 * that the tracer learns which rules are used. Rules that are included from
	 * other categories keep their action. */
	DIALECT_TRACE,
	DIALECT_NO_API, /* without the rules that are api_only */
};

/* Compiles the i-th category. The caller frees *insn, which is NULL, with *n 0, for a
 * category that allows all. -errno with text. */
MUST_CHECK int dialect_compile(const struct dialect *f, unsigned i,
	enum dialect_how how, struct sock_filter **insn, size_t *n, struct err *e);

/* Calls `rule` for each rule of each category. Numbers begin with 1 and follow the
 * order of the text; `words` says what the rule allows, and why. */
void dialect_walk(const struct dialect *f,
	void (*rule)(unsigned number, const char *category, const char *words));

#endif
