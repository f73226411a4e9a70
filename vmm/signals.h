/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: what the process does when it is signalled (contract, 1.3, 11.3). What asks
 * husk to end (SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXCPU), to stand still and to go on
 * (SIGTSTP, SIGCONT) is an event of the loop; after what it cannot survive it counts,
 * writes a last line of metrics and exits with the signal's status; SIGPIPE is counted;
 * SIGTTIN and SIGTTOU are not let in.
 */
#ifndef HUSK_SIGNALS_H
#define HUSK_SIGNALS_H

#include "vmm/base/loop.h"
#include "vmm/metrics.h"

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
