/* SPDX-License-Identifier: Apache-2.0
 *
 * log: levelled lines in the contract's form (section 9.1), each one write, never
 * waiting: a line that cannot be written is counted. Before log_open and without a
 * path, lines go to stdout. Any thread logs; log_open and log_set_* may be called
 * again and again, but only while no other thread logs: before the vCPUs run.
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

/* Where a line comes from. Its module is the file without ".c": "vmm/machine". */
struct log_site {
	const char *file; /* from the root of the sources */
	int line;
};

/* Per call site: a burst of 10, then one line per 500 ms. Atomics; zeroed at first. */
struct log_limit {
	uint64_t whole_us; /* when the burst is whole again */
	uint64_t dropped; /* since the last line that came through */
};

/* Opens a file or FIFO, created when missing, appended to, never blocking, in place of
 * the one before, which stays on failure. -errno with text. */
MUST_CHECK int log_open(const char *path, struct err *e);
/* Lines go to stdout, as at first, but without waiting for who else writes there; see
 * io_output_init. */
void log_open_stdout(void);
void log_set_level(enum log_level level);
void log_set_show_level(bool on);
/* File and line of the call in each line. */
void log_set_show_origin(bool on);
/* Only records whose module starts with this; copied. "" for all, as at first. */
void log_set_module(const char *prefix);
/* The instance id of every line; borrowed for good. */
void log_set_id(const char *id);
/* The calling thread's name in its lines; borrowed for good. "main" when never set. */
void log_set_thread(const char *name);

/* The level of that name: Off, Error, Warn or Warning, Info, Debug, Trace, in any case.
 * -EINVAL with text that lists them; *out is then untouched. */
MUST_CHECK int log_parse_level(const char *name, enum log_level *out, struct err *e);

/* Whether lines of this level are written: nothing has to be computed for others. */
bool log_is_on(enum log_level level);
/* What the macros below call. A line of more than 1 KiB is cut and ends in "...". */
void log_write(enum log_level level, const struct log_site *site,
	struct log_limit *limit, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Lines since the start that could not be written, or not whole. */
uint64_t log_missed(void);
/* Lines since the start that call sites' limits held back. */
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

/* For what a guest, or a client, can cause as often as it likes. */
#define log_guest(...)                                                             \
	do {                                                                       \
		static const struct log_site log_site_ = { __FILE__, __LINE__ };   \
		static struct log_limit log_limit_;                                \
		if (log_is_on(LOG_WARN))                                           \
			log_write(LOG_WARN, &log_site_, &log_limit_, __VA_ARGS__); \
	} while (0)

#endif
