/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line, whatever a path or a client's name in it holds. */
static void make_line(struct err *e)
{
	for (char *c = e->text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

/* What is kept for the reason behind a name that is too long to be told whole. */
enum { REASON_BYTES = 128 };

/* Sets the text to what fmt says and, for a code, ": " and the code's own text. */
static void set_text(struct err *e, int code, const char *fmt, va_list ap)
{
	size_t room = sizeof(e->text) - (code != 0 ? REASON_BYTES : 0), n;

	if (!e)
		return;
	(void)vsnprintf(e->text, room, fmt, ap); /* a cut text is a text */
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
