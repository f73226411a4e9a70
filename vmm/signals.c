/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: see the header. The handlers find the one struct signals of the process by a
 * file-scope pointer: a handler is given no other.
 */
#include "vmm/signals.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "vmm/base/log.h"
#include "vmm/filter.h"

enum {
	STATUS_SIGXCPU = 154,
	STATUS_SIGHUP = 156,
	CODE_SECCOMP = 1, /* si_code SYS_SECCOMP, for which glibc has no name */
};

static struct signals *the_signals;

/* Signals after which no code of husk can be relied on, and the status of each. */
static const struct {
	int sig, status;
} fatal_signals[] = {
	{ SIGSYS, 148 },
	{ SIGBUS, 149 }, /* also the host out of 2 MiB pages */
	{ SIGSEGV, 150 },
	{ SIGXFSZ, 151 },
	{ SIGILL, 157 },
};

/* Safe here: filter_prepare has seen to it that nothing in the log waits for a lock
 * that a refused call may hold. */
static void tell_refused(const char *name, int nr)
{
	log_error("system call %d (%s) is not allowed by the filter", nr, name);
	(void)!write(STDERR_FILENO, "husk: system call ", 18);
	(void)!write(STDERR_FILENO, name, strlen(name));
	(void)!write(STDERR_FILENO, " is not allowed\n", 16);
}

static void on_fatal_signal(
	int sig, siginfo_t *info, void *context __attribute__((unused)))
{
	const char *name = sigabbrev_np(sig); /* a table: safe in a handler */
	struct signals *s = the_signals;

	/* another thread is dying already, and writes the last line */
	while (__atomic_exchange_n(&s->is_dying, true, __ATOMIC_ACQ_REL))
		(void)pause();
	(void)!write(STDERR_FILENO, "husk: fatal signal ", 19);
	(void)!write(STDERR_FILENO, name, strlen(name));
	(void)!write(STDERR_FILENO, "\n", 1);
	process_count_signal(s->counts, sig);
	if (sig == SIGSYS && info->si_code == CODE_SECCOMP)
		tell_refused(filter_syscall_name(info->si_syscall), info->si_syscall);
	if (s->dying)
		s->dying(s->self);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
		if (fatal_signals[i].sig == sig)
			_exit(fatal_signals[i].status);
}

static void on_counted_signal(int sig)
{
	process_count_signal(the_signals->counts, sig);
}

static void on_signal(void *self, uint32_t events)
{
	struct signals *s = self;
	struct signalfd_siginfo info;
	int status = 0;

	(void)events;
	if (read(s->source.fd, &info, sizeof(info)) != sizeof(info))
		return;
	process_count_signal(s->counts, (int)info.ssi_signo);
	if (info.ssi_signo == SIGHUP)
		status = STATUS_SIGHUP;
	if (info.ssi_signo == SIGXCPU)
		status = STATUS_SIGXCPU;
	log_info("signal %s: stopping", sigabbrev_np((int)info.ssi_signo));
	s->stop(s->self, status);
}

static void catch_signals(void)
{
	struct sigaction fatal = { .sa_sigaction = on_fatal_signal,
		.sa_flags = SA_SIGINFO };
	struct sigaction counted = { .sa_handler = on_counted_signal,
		.sa_flags = SA_RESTART };

	/* a second one on the same thread would wait for the first to end husk */
	(void)sigfillset(&fatal.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
		(void)sigaction(fatal_signals[i].sig, &fatal, NULL); /* all can be */
	/* a reader that goes away is an error of that write, not the end of husk */
	(void)sigaction(SIGPIPE, &counted, NULL);
}

/* nohup's child goes on when its terminal is gone. */
static bool is_hangup_ignored(void)
{
	struct sigaction sa;

	return sigaction(SIGHUP, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

int signals_watch(struct signals *s, struct loop *loop, struct err *e)
{
	sigset_t set;
	int r;

	s->source = (struct loop_source){ .fd = -1, .fn = on_signal, .self = s };
	the_signals = s;
	catch_signals();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGXCPU);
	if (!is_hangup_ignored())
		(void)sigaddset(&set, SIGHUP);
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r != 0)
		return err_code(e, -r, "signals");
	s->source.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->source.fd < 0)
		return err_sys(e, "signals");
	r = loop_add(loop, &s->source, EPOLLIN);
	return r < 0 ? err_code(e, r, "signals") : 0;
}

void signals_unwatch(struct signals *s, struct loop *loop)
{
	if (the_signals != s)
		return;
	loop_remove(loop, &s->source);
	close_fd(s->source.fd);
}
