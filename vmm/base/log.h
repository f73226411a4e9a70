/* SPDX-License-Identifier: Apache-2.0
 *
 * log: levelled lines in the contract's form (section 9.1), each one write, never
 * waiting: a line that cannot be written is counted. Before log_open and without a
 * path, lines go to stdout. Any thread; log_set_* before other threads start.
 */
#ifndef HUSK_LOG_H
#define HUSK_LOG_H

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

/* Per call site: a burst of 10, then one line per 500 ms. */
struct log_limit {
	uint64_t next_us;
	uint32_t burst, dropped;
};

/* Opens a file or FIFO, created when missing, never blocking. -errno with text. */
MUST_CHECK int log_open(const char *path, struct err *e);
void log_set_level(enum log_level level);
void log_set_show_level(bool on);
/* The instance id of every line; borrowed for good. */
void log_set_id(const char *id);
/* The calling thread's name in its lines; borrowed for good. "main" when never set. */
void log_set_thread(const char *name);

/* Error Warn Warning Info Debug Trace Off in any case. False when it is none. */
bool log_parse_level(const char *name, enum log_level *out);

bool log_is_on(enum log_level level);
void log_write(enum log_level level, struct log_limit *limit, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Lines that could not be written since the start. */
uint64_t log_missed(void);

#define log_at(level, ...)                                     \
	do {                                                   \
		if (log_is_on(level))                          \
			log_write((level), NULL, __VA_ARGS__); \
	} while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* For what a guest can cause: limited per call site, with the device lock held. */
#define log_guest(...)                                             \
	do {                                                       \
		static struct log_limit limit_;                    \
		if (log_is_on(LOG_WARN))                           \
			log_write(LOG_WARN, &limit_, __VA_ARGS__); \
	} while (0)

#endif
