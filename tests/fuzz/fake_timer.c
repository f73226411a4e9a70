/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_timer: replaces the kernel's timers in all that is linked with a fuzz target. A
 * timer that is set for a moment that has passed fires at once; one that is set for
 * later never fires. So no input's result depends on how fast it runs, and setting a
 * timer, the most expensive system call of a reset, costs no more than the others.
 */
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/base.h"

int timerfd_create(clockid_t clock, int flags)
{
	(void)clock;
	return eventfd(0,
		(flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0) |
			(flags & TFD_CLOEXEC ? EFD_CLOEXEC : 0));
}

static bool is_due(const struct timespec *at, int flags)
{
	struct timespec now;

	if (!(flags & TFD_TIMER_ABSTIME) || (at->tv_sec == 0 && at->tv_nsec == 0) ||
		clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		return false;
	return at->tv_sec < now.tv_sec ||
		(at->tv_sec == now.tv_sec && at->tv_nsec <= now.tv_nsec);
}

int timerfd_settime(
	int fd, int flags, const struct itimerspec *to, struct itimerspec *old)
{
	uint64_t n;

	if (old)
		*old = (struct itimerspec){ .it_value = { 0, 0 } };
	if (is_due(&to->it_value, flags))
		return eventfd_write(fd, 1);
	/* an earlier setting that has fired does not count any more */
	(void)!read(fd, &n, sizeof(n));
	return 0;
}
