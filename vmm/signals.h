/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: what the process does when it is signalled (contract, 1.3). What asks husk
 * to end is an event of the loop; after what it cannot survive it counts, writes a last
 * line of metrics and exits with the signal's status; SIGPIPE is counted.
 */
#ifndef HUSK_SIGNALS_H
#define HUSK_SIGNALS_H

#include "vmm/base/loop.h"
#include "vmm/metrics.h"

struct signals {
	struct process_counts *counts; /* borrowed */
	/* On the loop: husk is to end with this status. */
	void (*stop)(void *self, int status);
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

#endif
