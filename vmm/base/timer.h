/* SPDX-License-Identifier: Apache-2.0
 *
 * timer: a timer on a loop (timerfd, CLOCK_MONOTONIC). Its owner opens it when it is
 * itself created, not when the timer is first needed: then the host may be out of
 * descriptors, and the system call filter may not allow a new one. So setting a timer
 * cannot fail. Threads: as for a source of the loop.
 */
#ifndef HUSK_BASE_TIMER_H
#define HUSK_BASE_TIMER_H

#include "vmm/base/loop.h"

/* Zeroed, it is closed. The owner sets fn, self and the like in source, and then opens
 * it; fn calls timer_has_fired, which makes the descriptor unready again. */
struct timer {
	struct loop_source source;
	struct loop *loop; /* borrowed; NULL: closed */
};

/* Opens a timer that is not set. -errno with the text "timer of <whose>: ..."; the
 * timer stays closed then. */
MUST_CHECK int timer_open(
	struct timer *t, struct loop *l, const char *whose, struct err *e);
/* Also for one that is closed. */
void timer_close(struct timer *t);

/* Sets an open timer; what it was set to before counts no more. To a moment of the
 * clock, at once if that has passed; to a time from now; to each end of a period from
 * now. A time or a period of 0 stops it. */
void timer_set_at(struct timer *t, uint64_t at_ns);
void timer_set_in(struct timer *t, uint64_t ns);
void timer_set_every(struct timer *t, uint64_t ns);

/* Whether the time has come. If not, the timer was set anew after the loop had seen it
 * fire. */
bool timer_has_fired(struct timer *t);

#endif
