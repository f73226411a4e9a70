/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: what the process does when it is signalled (contract, 1.3, 11.3). What asks
 * husk to end (SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXCPU), to stand still and to go on
 * (SIGTSTP, SIGCONT) is an event of the loop; after what it cannot survive it counts,
 * writes a last line of metrics and exits with the signal's status; SIGPIPE is counted;
 * SIGTTIN and SIGTTOU are not let in.
 */
#ifndef HUSK_PROCESS_SIGNALS_H
#define HUSK_PROCESS_SIGNALS_H

#include "vmm/base/loop.h"

/* What happened to the process: gauges but for sigpipe. Any thread, signal handlers
 * too: relaxed atomics. */
struct process_counts {
	struct {
		uint64_t sigbus, sigsegv, sigxfsz, sigxcpu, sigpipe, sighup, sigill;
	} signals;
	struct {
		uint64_t num_faults; /* SIGSYS: system calls that a filter refused */
	} seccomp;
	struct {
		uint64_t panic_count;
	} vmm;
};

/* Counts a signal where it belongs; those that no metric is about are ignored. Safe in
 * a signal handler. */
void process_count_signal(struct process_counts *p, int sig);

struct signals {
	struct process_counts *counts; /* borrowed */
	/* On the loop, without the device lock: husk is to clean up, and then to end as
	 * signals_end says of this signal. Called again until the loop stops. */
	void (*stop)(void *self, int sig);
	/* Likewise: husk is about to stand still; it goes on. May be NULL. */
	void (*suspend)(void *self);
	void (*resume)(void *self);
	/* In the handler of a fatal signal, on any thread; may be NULL. */
	void (*dying)(void *self);
	void *self;
	struct loop_source source; /* signalfd; this and the rest are signals.c's */
	bool is_dying;
};

/* Takes the process's signals from now on; s stays where it is until signals_unwatch.
 * Before other threads start. -errno with text. */
MUST_CHECK int signals_watch(struct signals *s, struct loop *loop, struct err *e);
void signals_unwatch(struct signals *s, struct loop *loop);

/* Ends the process by the signal that `stop` was called with, as the last thing that it
 * does: on the thread that watched. Comes back, with the status to exit with, for
 * SIGXCPU (154), and where the kernel lets no signal end the process, which is the
 * first of its namespace (128 and the signal's number). */
int signals_end(int sig);

#endif
