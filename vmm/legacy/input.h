/* SPDX-License-Identifier: Apache-2.0
 *
 * input: where the guest's console gets its input: usually husk's stdin, which other
 * processes may share. Reading never waits, and O_NONBLOCK of the shared descriptor is
 * not changed. A terminal is in raw mode and read only while husk's job is in the
 * foreground; in the background it is neither read nor changed. All functions but
 * input_restore_fatal are for the loop's thread, with the device lock held. SIGTTIN and
 * SIGTTOU must be blocked (signals_watch does so): they would stop a background job.
 */
#ifndef HUSK_LEGACY_INPUT_H
#define HUSK_LEGACY_INPUT_H

#include <termios.h>

#include "vmm/base/loop.h"

struct input {
	/* Called when there is something to read, and again until input_read has read
	 * it or input_watch(false) is called. */
	void (*ready)(void *self);
	void *self;

	/* The rest is input.c's. */
	struct loop *loop;
	struct loop_source source; /* fd is -1 when there is no input, or no more */
	enum input_kind { INPUT_OTHER, INPUT_PIPE, INPUT_SOCKET, INPUT_TERMINAL } kind;
	bool is_watched;
	int pipe[2]; /* husk's own, for splice; or -1 */
	bool is_own; /* input_open opened the terminal again: it is O_NONBLOCK */
	bool is_raw; /* the terminal is in raw mode, for the guest */
	struct termios cooked; /* while is_raw: the settings to restore */
	pid_t group; /* husk's process group, that is, its job */
	struct loop_source look; /* timer: is the job in the foreground now? */
};

/* Begins to watch fd, which is borrowed, and to call ready(self). There is no input
 * when fd is -1, a regular file or closed. *in must not move until input_close. -errno
 * with text. */
MUST_CHECK int input_open(struct input *in, int fd, void (*ready)(void *self),
	void *self, struct loop *loop, struct err *e);
/* Ends it. Accepts what input_open has left half done, and a struct of zeroes. */
void input_close(struct input *in);

/* Whether to call `ready`. */
void input_watch(struct input *in, bool on);

/* Reads up to n bytes. Returns their number: 0 when there are none now, and at the end
 * of the input, after which `ready` is not called again. */
size_t input_read(struct input *in, void *buf, size_t n);

/* Before SIGTSTP stops the process: gives a terminal its settings back. */
void input_suspend(struct input *in);
/* After it goes on: takes the terminal again, if husk is in the foreground now. */
void input_resume(struct input *in);

/* When the process dies: gives a terminal its settings back. Any thread, without the
 * lock; safe in a signal handler. */
void input_restore_fatal(const struct input *in);

#endif
