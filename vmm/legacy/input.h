/* SPDX-License-Identifier: Apache-2.0
 *
 * input: what feeds the guest's console: husk's stdin, as a rule, which other processes
 * share. It is read without waiting, whoever else reads it, and its O_NONBLOCK is left
 * alone. A terminal is the guest's only while husk's job is in the foreground: it is
 * then in raw mode, and else neither read nor changed. On the loop, with the device
 * lock held, but for input_restore_fatal. SIGTTIN and SIGTTOU have to be blocked
 * (signals_watch does so): a job in the background would be stopped by them.
 */
#ifndef HUSK_LEGACY_INPUT_H
#define HUSK_LEGACY_INPUT_H

#include <termios.h>

#include "vmm/base/loop.h"

struct input {
	/* There is something to read; to be answered by input_read or by
	 * input_watch(false). */
	void (*ready)(void *self);
	void *self;

	/* The rest is input.c's. */
	struct loop *loop;
	struct loop_source source; /* fd -1: there is no input, or no more */
	enum input_kind { INPUT_OTHER, INPUT_PIPE, INPUT_SOCKET, INPUT_TERMINAL } kind;
	bool is_watched;
	int pipe[2]; /* of husk's own, through which another is read; or -1 */
	bool is_own; /* the terminal's descriptor was opened here, and does not block */
	bool is_raw; /* the terminal is the guest's */
	struct termios cooked; /* while is_raw: what it is to be again */
	pid_t group; /* husk's process group, which is its job's */
	struct loop_source look; /* timer: is the job in the foreground now? */
};

/* Watches fd (borrowed), or nothing when fd is -1, a plain file or closed. `ready` is
 * called from now on. *in stays where it is until input_close. -errno with text. */
MUST_CHECK int input_open(struct input *in, int fd, void (*ready)(void *self),
	void *self, struct loop *loop, struct err *e);
/* Also what input_open has begun, or never saw, when *in is zero. */
void input_close(struct input *in);

/* Whether to call `ready`. */
void input_watch(struct input *in, bool on);

/* At most n bytes, 0 when there is nothing now. At the end of the input 0 too: `ready`
 * is not called again then. */
size_t input_read(struct input *in, void *buf, size_t n);

/* The process is about to be stopped: a terminal becomes as it was found. */
void input_suspend(struct input *in);
/* It goes on, which may be in the background now, or in the foreground. */
void input_resume(struct input *in);

/* A terminal becomes as it was found, since the process dies. Any thread, without the
 * lock; safe in a signal handler. */
void input_restore_fatal(const struct input *in);

#endif
