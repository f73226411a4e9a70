/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: what husk does when it gets a signal (contract, 1.3, 11.3):
 *   - SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXCPU ask it to end; SIGTSTP and SIGCONT ask
 * it to stop and to go on. These are events of the loop.
 *   - SIGSYS, SIGBUS, SIGSEGV, SIGXFSZ, SIGILL are fatal. Their handler, on any thread,
 *     writes a line to stderr by itself, because the log may go elsewhere; then a line
 *     of the log and the last line of metrics; and exits with the status of the signal.
 *   - SIGPIPE is counted. SIGTTIN and SIGTTOU are blocked.
 */
#ifndef HUSK_PROCESS_SIGNALS_H
#define HUSK_PROCESS_SIGNALS_H

#include "vmm/base/loop.h"

/* What happened to the process, for the metrics, where all but sigpipe are gauges.
 * Relaxed atomics: threads and signal handlers write them. */
struct process_counts {
	struct {
		uint64_t sigbus, sigsegv, sigxfsz, sigxcpu, sigpipe, sighup, sigill;
	} signals;
	struct {
		uint64_t num_faults; /* SIGSYS: calls that a filter refused */
	} seccomp;
	struct {
		uint64_t panic_count;
	} vmm;
};

/* Counts a signal, if it has a counter. Safe in a signal handler. */
void process_count_signal(struct process_counts *p, int sig);

struct signals {
	struct process_counts *counts; /* borrowed */
	/* Called on the loop's thread, without the device lock: sig asks husk to end.
	 * Husk cleans up and then calls signals_end(sig). Until the loop stops, this
	 * may be called again. */
	void (*stop)(void *self, int sig);
	/* Likewise, before SIGTSTP stops husk, and after it goes on. May be NULL. */
	void (*suspend)(void *self);
	void (*resume)(void *self);
	/* Called in the handler of a fatal signal, on any thread. May be NULL. */
	void (*dying)(void *self);
	void *self; /* for these callbacks */
	/* The rest is private to signals.c. */
	struct loop_source source; /* signalfd */
	bool is_dying;
};

/* Begins to handle the signals of the process. Call it before other threads start. s
 * must not move until signals_unwatch. -errno with text. */
MUST_CHECK int signals_watch(struct signals *s, struct loop *loop, struct err *e);
void signals_unwatch(struct signals *s, struct loop *loop);

/* Ends the process by the signal with which `stop` was called, so that its parent sees
 * it. To be called last, on the thread that called signals_watch. In two cases it
 * returns, with the status for exit: for SIGXCPU (154), and when the process is the
 * first of its PID namespace, which no signal can end (128 + the signal's number). */
int signals_end(int sig);

#endif
