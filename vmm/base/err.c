/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Keeps the text on one line, whatever a path or a client's name in it contains. */
static void make_line(struct err *e)
{
	for (char *c = e->text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

/* Room for the reason, which is never cut: a long name before it is. */
enum { REASON_BYTES = 128 };

/* Formats the text, and for a code that is not 0 appends ": " and strerror's text. */
static void set_text(struct err *e, int code, const char *fmt, va_list ap)
{
	size_t room = sizeof(e->text) - (code != 0 ? REASON_BYTES : 0), n;

	if (!e)
		return;
	(void)vsnprintf(e->text, room, fmt, ap); /* a long text is cut */
	n = strlen(e->text);
	if (code != 0)
		(void)snprintf(
			e->text + n, sizeof(e->text) - n, ": %s", strerror(code));
	make_line(e);
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int code = errno;
	va_list ap;

	va_start(ap, fmt);
	set_text(e, code, fmt, ap);
	va_end(ap);
	return -code;
}

int err_code(struct err *e, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(e, -r, fmt, ap);
	va_end(ap);
	return r;
}

int err_bad(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(e, 0, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int err_add(struct err *e, int r, const char *fmt, ...)
{
	struct err inner;
	va_list ap;
	size_t n;

	if (!e)
		return r;
	inner = *e;
	va_start(ap, fmt);
	set_text(e, 0, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", inner.text);
	return r;
}
