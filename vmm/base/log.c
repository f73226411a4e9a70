/* SPDX-License-Identifier: Apache-2.0
 *
 * log: the one log of the process. Its settings are file-scope state, so that every
 * room can log without being given a handle.
 */
#include "vmm/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "vmm/base/clock.h"
#include "vmm/base/io.h"
#include "vmm/base/utf8.h"

enum {
	LOG_BURST = 10,
	LOG_EVERY_US = 500000,
	LOG_LINE_MAX = 1024,
	LOG_MODULE_MAX = 128, /* longer than the path of any source */
};

static struct {
	struct io_output out;
	enum log_level level;
	bool show_level, show_origin;
	char module[LOG_MODULE_MAX];
	const char *id;
	uint64_t missed, rate_limited; /* any thread, atomically */
} the_log = { .out.fd = STDOUT_FILENO, .level = LOG_INFO, .id = "anonymous-instance" };

static _Thread_local const char *thread_name = "main";
/* This thread is formatting a line. The handler of a fatal signal that interrupts it
 * must not format another: libc may hold a lock. */
static _Thread_local volatile bool is_logging;

static const struct {
	const char *name, *tag;
	enum log_level level;
} level_names[] = {
	{ "Off", "OFF", LOG_OFF },
	{ "Error", "ERROR", LOG_ERROR },
	{ "Warn", "WARN", LOG_WARN },
	{ "Warning", "WARN", LOG_WARN },
	{ "Info", "INFO", LOG_INFO },
	{ "Debug", "DEBUG", LOG_DEBUG },
	{ "Trace", "TRACE", LOG_TRACE },
};

int log_open(const char *path, struct err *e)
{
	int fd = io_open_output(path, "log", e);

	if (fd < 0)
		return fd;
	io_output_fini(&the_log.out);
	the_log.out = (struct io_output){ fd, IO_OWN, .is_opened = true };
	return 0;
}

void log_open_stdout(void)
{
	io_output_fini(&the_log.out);
	io_output_init(&the_log.out, STDOUT_FILENO);
}

void log_set_level(enum log_level level)
{
	the_log.level = level;
}

void log_set_show_level(bool on)
{
	the_log.show_level = on;
}

void log_set_show_origin(bool on)
{
	the_log.show_origin = on;
}

void log_set_module(const char *prefix)
{
	(void)snprintf(the_log.module, sizeof(the_log.module), "%s", prefix);
}

void log_set_id(const char *id)
{
	the_log.id = id;
}

void log_set_thread(const char *name)
{
	thread_name = name;
}

int log_parse_level(const char *name, enum log_level *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcasecmp(level_names[i].name, name) == 0) {
			*out = level_names[i].level;
			return 0;
		}
	}
	return err_bad(e,
		"level '%.80s' is not one of Off, Error, Warn, Info, Debug, Trace",
		name);
}

bool log_is_on(enum log_level level)
{
	return level <= the_log.level;
}

uint64_t log_missed(void)
{
	return __atomic_load_n(&the_log.missed, __ATOMIC_RELAXED);
}

uint64_t log_rate_limited(void)
{
	return __atomic_load_n(&the_log.rate_limited, __ATOMIC_RELAXED);
}

static const char *level_tag(enum log_level level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (level_names[i].level == level)
			return level_names[i].tag;
	return "";
}

/* A line under construction. In the end the newline takes the place of its NUL. */
struct line {
	char text[LOG_LINE_MAX];
	size_t n;
};

static void put_args(struct line *l, const char *fmt, va_list ap)
{
	size_t room = sizeof(l->text) - l->n;
	int n = vsnprintf(l->text + l->n, room, fmt, ap);

	if (n < 0)
		return;
	if ((size_t)n < room) {
		l->n += (size_t)n;
		return;
	}
	l->n = sizeof(l->text) - 1;
	memcpy(l->text + l->n - strlen("..."), "...", strlen("..."));
}

PRINTF_LIKE(2, 3) static void put(struct line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_args(l, fmt, ap);
	va_end(ap);
}

/* "2026-11-21T09:15:02.123456789 [id:main:INFO:vmm/machine/machine.c:42] " */
static void put_head(struct line *l, enum log_level level, const struct log_site *site)
{
	struct timespec now = clock_utc();
	struct tm tm;

	(void)localtime_r(&now.tv_sec, &tm);
	l->n = strftime(l->text, sizeof(l->text), "%Y-%m-%dT%H:%M:%S", &tm);
	put(l, ".%09ld [%s:%s", now.tv_nsec, the_log.id, thread_name);
	if (the_log.show_level)
		put(l, ":%s", level_tag(level));
	if (the_log.show_origin)
		put(l, ":%s:%d", site->file, site->line);
	put(l, "] ");
}

/* Keeps an event on one line of UTF-8, whatever a guest sent: puts '?' for control
 * characters, and for bytes that are no character, as where a text was cut. */
static void make_readable(struct line *l)
{
	size_t len;

	for (size_t i = 0; i < l->n; i += MAX(len, (size_t)1)) {
		uint32_t c;

		len = utf8_read(l->text + i, l->text + l->n, &c);
		if (len == 0 || c < ' ' || (c >= 0x7f && c < 0xa0))
			memset(l->text + i, '?', MAX(len, (size_t)1));
	}
}

static void put_line(
	enum log_level level, const struct log_site *site, const char *fmt, va_list ap)
{
	struct line l;

	if (is_logging) {
		__atomic_fetch_add(&the_log.missed, 1, __ATOMIC_RELAXED);
		return;
	}
	is_logging = true;
	put_head(&l, level, site);
	put_args(&l, fmt, ap);
	make_readable(&l);
	l.text[l.n++] = '\n';
	if (io_write_now(&the_log.out, l.text, l.n) != (ssize_t)l.n)
		__atomic_fetch_add(&the_log.missed, 1, __ATOMIC_RELAXED);
	is_logging = false;
}

/* Whether the limit drops this line. If not, *dropped is the number of lines that it
 * has dropped since the last one, for a line that reports them.
 *
 * The generic cell rate algorithm: each line that passes moves whole_us, the time at
 * which the full burst is available again, LOG_EVERY_US further into the future. A line
 * is dropped while that is more than a burst ahead of now. */
static bool is_over(struct log_limit *limit, uint64_t *dropped)
{
	uint64_t now = clock_us();
	uint64_t whole = __atomic_load_n(&limit->whole_us, __ATOMIC_RELAXED);

	do {
		if (whole > now + (LOG_BURST - 1) * LOG_EVERY_US) {
			__atomic_fetch_add(&limit->dropped, 1, __ATOMIC_RELAXED);
			__atomic_fetch_add(&the_log.rate_limited, 1, __ATOMIC_RELAXED);
			return true;
		}
	} while (!__atomic_compare_exchange_n(&limit->whole_us, &whole,
		MAX(whole, now) + LOG_EVERY_US, true, __ATOMIC_RELAXED,
		__ATOMIC_RELAXED));
	*dropped = __atomic_exchange_n(&limit->dropped, 0, __ATOMIC_RELAXED);
	return false;
}

/* Whether the name of the site's module begins with the prefix of log_set_module. */
static bool is_wanted(const struct log_site *site)
{
	size_t n = strlen(the_log.module), file = strlen(site->file);

	return n + strlen(".c") <= file && memcmp(site->file, the_log.module, n) == 0;
}

void log_write(enum log_level level, const struct log_site *site,
	struct log_limit *limit, const char *fmt, ...)
{
	uint64_t dropped = 0;
	va_list ap;

	if (!is_wanted(site) || (limit && is_over(limit, &dropped)))
		return;
	if (dropped > 0)
		log_write(LOG_WARN, site, NULL, "dropped %llu lines like the next",
			(unsigned long long)dropped);
	va_start(ap, fmt);
	put_line(level, site, fmt, ap);
	va_end(ap);
}
