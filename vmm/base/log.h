/* SPDX-License-Identifier: Apache-2.0
 *
 * log: lines with levels, in the form of the contract (section 9.1). Each line is one
 * write that never waits; a line that cannot be written is counted. Lines go to stdout
 * until log_open is called. Any thread may log. log_open and log_set_* may be called
 * repeatedly, but only while no other thread logs: before the vCPUs run.
 *
 * Two texts go to stderr instead, so that they are seen whatever the log's settings:
 * main's last error (fail in vmm/main.c) and the line about a fatal signal
 * (vmm/process/signals.c). Both are logged as well if that is possible.
 */
#ifndef HUSK_BASE_LOG_H
#define HUSK_BASE_LOG_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum log_level {
	LOG_OFF,
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
	LOG_TRACE,
};

/* The place of a call in the sources. Its module is the file without ".c", such as
 * "vmm/machine/run". */
struct log_site {
	const char *file; /* from the root of the sources */
	int line;
};

/* The limit of a call site: 10 lines at once, then one line per 500 ms. Atomics; begins
 * as zeroes. */
struct log_limit {
	uint64_t whole_us; /* clock_us when all 10 lines are allowed again */
	uint64_t dropped; /* lines since the last one that was written */
};

/* Sends the lines to a file or FIFO, opened as io_open_output does. On failure they go
 * where they went before. -errno with text. */
MUST_CHECK int log_open(const char *path, struct err *e);
/* Sends the lines to stdout, as in the beginning, but now without waiting when other
 * processes write there: see io_output_init. */
void log_open_stdout(void);
void log_set_level(enum log_level level);
void log_set_show_level(bool on);
/* Whether each line has the file and the line number of its call. */
void log_set_show_origin(bool on);
/* Restricts the log to modules whose names begin with prefix, which is copied. "": all
 * modules, as in the beginning. */
void log_set_module(const char *prefix);
/* The instance id in every line; must stay valid for good. */
void log_set_id(const char *id);
/* The name of the calling thread in its lines; must stay valid for good. "main" when it
 * was never set. */
void log_set_thread(const char *name);

/* The level of that name: Off, Error, Warn or Warning, Info, Debug, Trace, in any case.
 * -EINVAL with text that lists them; *out is then untouched. */
MUST_CHECK int log_parse_level(const char *name, enum log_level *out, struct err *e);

/* Whether lines of this level are written: nothing has to be computed for others. */
bool log_is_on(enum log_level level);
/* Called by the macros below. A line of more than 1 KiB is cut and ends in "...". */
void log_write(enum log_level level, const struct log_site *site,
	struct log_limit *limit, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* How many lines could not be written, or only in part. */
uint64_t log_missed(void);
/* How many lines were dropped by the limits of their call sites. */
uint64_t log_rate_limited(void);

#define log_at(level, ...)                                                       \
	do {                                                                     \
		static const struct log_site log_site_ = { __FILE__, __LINE__ }; \
		if (log_is_on(level))                                            \
			log_write((level), &log_site_, NULL, __VA_ARGS__);       \
	} while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* For an event that a guest or a client can cause as often as it likes: limited per
 * call site. */
#define log_guest(...)                                                             \
	do {                                                                       \
		static const struct log_site log_site_ = { __FILE__, __LINE__ };   \
		static struct log_limit log_limit_;                                \
		if (log_is_on(LOG_WARN))                                           \
			log_write(LOG_WARN, &log_site_, &log_limit_, __VA_ARGS__); \
	} while (0)

#endif
