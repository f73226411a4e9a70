/* SPDX-License-Identifier: Apache-2.0
 *
 * log: the process's one log. Its settings are file-scope state, the only such state in
 * the layers: a log line must be possible anywhere above.
 */
#include "vmm/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "vmm/base/io.h"

enum { LOG_BURST = 10, LOG_EVERY_US = 500000, LOG_LINE_MAX = 1024 };

static struct {
	int fd;
	enum log_level level;
	bool show_level;
	const char *id;
	uint64_t missed; /* any thread, atomically */
} the_log = { .fd = STDOUT_FILENO, .level = LOG_INFO, .id = "anonymous-instance" };

static _Thread_local const char *thread_name = "main";

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
	/* O_RDWR: a FIFO opens even when nobody reads it yet. */
	int fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_APPEND, 0644);

	if (fd < 0)
		return err_sys(e, "cannot open log '%s'", path);
	if (the_log.fd != STDOUT_FILENO)
		close_fd(the_log.fd);
	the_log.fd = fd;
	return 0;
}

void log_set_level(enum log_level level)
{
	the_log.level = level;
}

void log_set_show_level(bool on)
{
	the_log.show_level = on;
}

void log_set_id(const char *id)
{
	the_log.id = id;
}

void log_set_thread(const char *name)
{
	thread_name = name;
}

bool log_parse_level(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcasecmp(level_names[i].name, name) == 0) {
			*out = level_names[i].level;
			return true;
		}
	}
	return false;
}

bool log_is_on(enum log_level level)
{
	return level <= the_log.level;
}

uint64_t log_missed(void)
{
	return __atomic_load_n(&the_log.missed, __ATOMIC_RELAXED);
}

static const char *level_tag(enum log_level level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (level_names[i].level == level)
			return level_names[i].tag;
	return "";
}

/* "2026-11-21T09:15:02.123456789 [id:main:INFO] " into buf; its length. */
static size_t put_head(char *buf, size_t room, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	size_t n;
	int more;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
	(void)localtime_r(&now.tv_sec, &tm);
	n = strftime(buf, room, "%Y-%m-%dT%H:%M:%S", &tm);
	more = snprintf(buf + n, room - n, ".%09ld [%s:%s%s%s] ", now.tv_nsec,
		the_log.id, thread_name, the_log.show_level ? ":" : "",
		the_log.show_level ? level_tag(level) : "");
	return more > 0 ? MIN(n + (size_t)more, room - 1) : n;
}

static void put_line(enum log_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	size_t n = put_head(line, sizeof(line), level);
	int more = vsnprintf(line + n, sizeof(line) - n, fmt, ap);

	if (more > 0)
		n = MIN(n + (size_t)more, sizeof(line) - 1);
	for (size_t i = 0; i < n; i++) /* one event, one line, whatever a guest sent */
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (io_write_now(the_log.fd, line, n) != (ssize_t)n)
		__atomic_fetch_add(&the_log.missed, 1, __ATOMIC_RELAXED);
}

/* Whether this line is over the site's limit. On resumption *dropped lines are owned
 * up. */
static bool is_over(struct log_limit *limit, uint32_t *dropped)
{
	uint64_t now = clock_us();

	if (now >= limit->next_us + LOG_EVERY_US * LOG_BURST)
		limit->burst = 0;
	if (limit->burst >= LOG_BURST && now < limit->next_us) {
		limit->dropped++;
		return true;
	}
	limit->burst++;
	limit->next_us = now + LOG_EVERY_US;
	*dropped = limit->dropped;
	limit->dropped = 0;
	return false;
}

void log_write(enum log_level level, struct log_limit *limit, const char *fmt, ...)
{
	uint32_t dropped = 0;
	va_list ap;

	if (limit && is_over(limit, &dropped))
		return;
	if (dropped > 0)
		log_write(LOG_WARN, NULL, "dropped %u lines like the next", dropped);
	va_start(ap, fmt);
	put_line(level, fmt, ap);
	va_end(ap);
}
