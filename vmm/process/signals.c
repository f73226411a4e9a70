/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: see the header. A handler gets no argument of husk's, so it finds the one
 * struct signals of the process by a file-scope pointer.
 */
#include "vmm/process/signals.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/base/name.h"
#include "vmm/process/seccomp.h"

enum {
	STATUS_SIGXCPU = 154,
	STATUS_KILLED = 128, /* plus the signal's number, as shells have it */
	CODE_SECCOMP = 1, /* si_code SYS_SECCOMP, for which glibc has no name */
};

static struct signals *the_signals;

void process_count_signal(struct process_counts *p, int sig)
{
	uint64_t *count;

	switch (sig) {
	case SIGBUS:
		count = &p->signals.sigbus;
		break;
	case SIGSEGV:
		count = &p->signals.sigsegv;
		break;
	case SIGXFSZ:
		count = &p->signals.sigxfsz;
		break;
	case SIGXCPU:
		count = &p->signals.sigxcpu;
		break;
	case SIGPIPE:
		count = &p->signals.sigpipe;
		break;
	case SIGHUP:
		count = &p->signals.sighup;
		break;
	case SIGILL:
		count = &p->signals.sigill;
		break;
	case SIGSYS:
		count = &p->seccomp.num_faults;
		break;
	default:
		return;
	}
	__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

/* Signals after which husk cannot go on, and the exit status for each. */
static const struct {
	int sig, status;
} fatal_signals[] = {
	{ SIGSYS, 148 },
	{ SIGBUS, 149 }, /* also the host out of 2 MiB pages */
	{ SIGSEGV, 150 },
	{ SIGXFSZ, 151 },
	{ SIGILL, 157 },
};

/* Signals that ask husk to end. When several are pending, the first in this list
 * counts.
 */
static const int ending_signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGXCPU };

/* Writes the words as one line to stderr, unless that would have to wait. */
static void tell(const char *a, const char *b, const char *c)
{
	const struct io_output err = { .fd = STDERR_FILENO, .way = IO_POLLED };
	const char *const words[] = { name_of_program(), ": ", a, b, c, "\n" };
	char line[128];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = MIN(strlen(words[i]), sizeof(line) - n);

		memcpy(line + n, words[i], len);
		n += len;
	}
	(void)!io_write_now(&err, line, n); /* nothing else to try */
}

/* It is safe to log here: because of seccomp_filter_prepare, the log waits for no lock
 * that the refused call may hold. Clients of Firecracker look for the log's words. */
static void tell_refused(const char *name, int nr)
{
	log_error("Shutting down VM after intercepting a bad syscall (%d): "
		  "system call %d (%s) is not allowed by the filter",
		nr, nr, name);
	tell("system call ", name, " is not allowed");
}

static void on_fatal_signal(
	int sig, siginfo_t *info, void *context __attribute__((unused)))
{
	const char *name = sigabbrev_np(sig); /* a table: safe in a handler */
	struct signals *s = the_signals;

	/* another thread is in here already, and will end the process */
	while (__atomic_exchange_n(&s->is_dying, true, __ATOMIC_ACQ_REL))
		(void)pause();
	tell("fatal signal ", name, "");
	process_count_signal(s->counts, sig);
	if (sig == SIGSYS && info->si_code == CODE_SECCOMP)
		tell_refused(seccomp_filter_syscall_name(info->si_syscall),
			info->si_syscall);
	else
		log_error("Shutting down VM after intercepting signal %d, code %d", sig,
			info->si_code);
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

/* Delivers a pending signal, which then has its default effect. SIGTSTP stops husk in
 * here until SIGCONT. */
static void let_in(int sig)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, sig);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* arguments are right */
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void end(struct signals *s, int sig)
{
	process_count_signal(s->counts, sig);
	log_info("signal %s: stopping", sigabbrev_np(sig));
	if (sig == SIGHUP || sig == SIGXCPU) /* Firecracker catches these two */
		log_error("Shutting down VM after intercepting signal %d, code 0", sig);
	s->stop(s->self, sig);
}

/* Does not read the signals from the descriptor: they stay pending, and signals_end
 * later delivers the one that ends husk. */
static void on_signal(void *self, uint32_t events)
{
	struct signals *s = self;
	sigset_t waiting;

	(void)events;
	if (sigpending(&waiting) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(ending_signals); i++) {
		if (sigismember(&waiting, ending_signals[i]) > 0) {
			end(s, ending_signals[i]);
			return;
		}
	}
	if (sigismember(&waiting, SIGTSTP) > 0) {
		if (s->suspend)
			s->suspend(s->self);
		let_in(SIGTSTP);
	} else {
		let_in(SIGCONT);
	}
	if (s->resume)
		s->resume(s->self);
}

int signals_end(int sig)
{
	if (sig == SIGXCPU)
		return STATUS_SIGXCPU;
	let_in(sig);
	return STATUS_KILLED + sig;
}

static void catch_signals(void)
{
	struct sigaction fatal = { .sa_sigaction = on_fatal_signal,
		.sa_flags = SA_SIGINFO };
	struct sigaction counted = { .sa_handler = on_counted_signal,
		.sa_flags = SA_RESTART };
	const struct sigaction by_default = { .sa_handler = SIG_DFL };

	/* no signal interrupts the handler: a second fatal one would wait in it for the
	 * first for ever */
	(void)sigfillset(&fatal.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
		(void)sigaction(fatal_signals[i].sig, &fatal, NULL); /* all can be */
	/* a write whose reader has gone fails, but does not end husk */
	(void)sigaction(SIGPIPE, &counted, NULL);
	/* signals_end ends husk by these; a shell ignores some of them for what a
	 * script runs in the background */
	for (size_t i = 0; i < ARRAY_LEN(ending_signals); i++)
		if (ending_signals[i] != SIGHUP)
			(void)sigaction(ending_signals[i], &by_default, NULL);
}

/* Whether husk was started by nohup, so that SIGHUP must not end it. */
static bool is_hangup_ignored(void)
{
	struct sigaction sa;

	return sigaction(SIGHUP, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

int signals_watch(struct signals *s, struct loop *loop, struct err *e)
{
	sigset_t set, mask;
	int r;

	s->source = (struct loop_source){
		.fd = -1, .fn = on_signal, .self = s, .unlocked = true
	};
	the_signals = s;
	catch_signals();
	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(ending_signals); i++)
		if (ending_signals[i] != SIGHUP || !is_hangup_ignored())
			(void)sigaddset(&set, ending_signals[i]);
	(void)sigaddset(&set, SIGTSTP);
	(void)sigaddset(&set, SIGCONT);
	mask = set;
	/* else a terminal that another job uses would stop husk: vmm/legacy/input.c */
	(void)sigaddset(&mask, SIGTTIN);
	(void)sigaddset(&mask, SIGTTOU);
	r = pthread_sigmask(SIG_BLOCK, &mask, NULL);
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
