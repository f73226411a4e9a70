/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: what each signal does to a process that watches its signals, in a child of
 * its own: status, counts, and what is called (contract, 1.3).
 */
#include "vmm/process/signals.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/fakes/fake_file.h"
#include "vmm/base/log.h"

enum { STATUS_GOES_ON = 99, STATUS_BROKEN = 98 };

/* What the child leaves. */
static struct shared {
	struct process_counts counts;
	unsigned deaths, stops, suspends, resumes;
} * shared;

static struct fake_file child_stderr;
static struct loop *loop;

static void set_up(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(shared, MAP_FAILED);
	child_stderr = fake_file("", 0);
	log_set_level(LOG_OFF);
}

static void tear_down(void)
{
	fake_file_close(&child_stderr);
	(void)munmap(shared, sizeof(*shared));
}

TestSuite(signals, .init = set_up, .fini = tear_down, .timeout = 20);

static int stop_signal;

static void on_stop(void *self, int sig)
{
	(void)self;
	stop_signal = sig;
	shared->stops++;
	loop_stop(loop);
}

static void on_suspend(void *self)
{
	(void)self;
	shared->suspends++;
}

static void on_resume(void *self)
{
	(void)self;
	shared->resumes++;
}

static void on_dying(void *self)
{
	(void)self;
	shared->deaths++;
}

/* In the child: watches, does it, and serves its loop. */
static void child(void (*act)(int), int arg, void (*dying)(void *))
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct signals s = {
		.counts = &shared->counts,
		.stop = on_stop,
		.suspend = on_suspend,
		.resume = on_resume,
		.dying = dying,
	};
	struct err e;

	(void)dup2(child_stderr.fd, STDERR_FILENO);
	if (loop_create(&lock, &loop, &e) < 0 || signals_watch(&s, loop, &e) < 0)
		_exit(STATUS_BROKEN);
	act(arg);
	if (loop_poll(loop, 200) < 0)
		_exit(STATUS_BROKEN);
	signals_unwatch(&s, loop);
	loop_destroy(loop);
	_exit(stop_signal ? signals_end(stop_signal) : STATUS_GOES_ON);
}

/* What waitpid says of the child. */
static int run_to_end(void (*act)(int), int arg, void (*dying)(void *))
{
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (pid == 0)
		child(act, arg, dying);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* The status with which the child exits. */
static int run(void (*act)(int), int arg, void (*dying)(void *))
{
	int status = run_to_end(act, arg, dying);

	cr_assert(WIFEXITED(status), "killed by %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* The signal by which it ends, or 0. */
static int killer(void (*act)(int), int arg)
{
	int status = run_to_end(act, arg, on_dying);

	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void send(int sig)
{
	(void)kill(getpid(), sig);
}

/* --- signals that end it at once --- */

static const struct {
	int sig, status;
	const char *name;
	size_t count; /* its offset */
} fatal[] = {
	{ SIGSYS, 148, "SYS", offsetof(struct process_counts, seccomp.num_faults) },
	{ SIGBUS, 149, "BUS", offsetof(struct process_counts, signals.sigbus) },
	{ SIGSEGV, 150, "SEGV", offsetof(struct process_counts, signals.sigsegv) },
	{ SIGXFSZ, 151, "XFSZ", offsetof(struct process_counts, signals.sigxfsz) },
	{ SIGILL, 157, "ILL", offsetof(struct process_counts, signals.sigill) },
};

static uint64_t count_at(size_t offset)
{
	uint64_t n;

	memcpy(&n, (const char *)&shared->counts + offset, sizeof(n));
	return n;
}

Test(signals, exits_by_the_status_of_each_fatal_signal)
{
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
		*shared = (struct shared){ 0 };
		cr_expect_eq(run(send, fatal[i].sig, on_dying), fatal[i].status, "%s",
			fatal[i].name);
		cr_expect_eq(shared->deaths, 1, "%s", fatal[i].name);
		cr_expect_eq(shared->stops, 0, "%s", fatal[i].name);
		cr_expect_eq(count_at(fatal[i].count), 1, "%s", fatal[i].name);
		(void)fake_file_text(&child_stderr, text, sizeof(text));
		cr_expect(strstr(text, "test_signals: fatal signal ") &&
				strstr(text, fatal[i].name),
			"%s", text);
	}
}

Test(signals, needs_nobody_to_be_told)
{
	cr_expect_eq(run(send, SIGSEGV, NULL), 150);
	cr_expect_eq(shared->deaths, 0);
	cr_expect_eq(shared->counts.signals.sigsegv, 1);
}

static void *send_from_thread(void *sig)
{
	(void)pthread_kill(pthread_self(), *(int *)sig);
	return NULL;
}

static void send_by_thread(int sig)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, send_from_thread, &sig) != 0)
		_exit(STATUS_BROKEN);
	(void)pthread_join(thread, NULL);
}

Test(signals, exits_also_when_another_thread_is_at_fault)
{
	cr_expect_eq(run(send_by_thread, SIGBUS, on_dying), 149);
	cr_expect_eq(shared->deaths, 1);
}

static void fail_again(void *self)
{
	(void)self;
	(void)raise(SIGSEGV);
	(void)raise(SIGILL);
}

static pthread_t second; /* the thread that fails while another one is dying */
static unsigned second_id; /* atomic: its thread's number, 0 until it runs */

static void *fail_second(void *sig)
{
	sigset_t none;

	(void)sigemptyset(&none); /* it begins with those of the handler that made it */
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
	__atomic_store_n(&second_id, (unsigned)gettid(), __ATOMIC_RELEASE);
	(void)pthread_kill(pthread_self(), *(int *)sig);
	return NULL;
}

/* Whether a thread waits in a handler with which all signals are blocked. */
static bool is_waiting_in_handler(unsigned id)
{
	char path[64], line[128], state = 0;
	unsigned long long blocked = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%u/status", id);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		(void)sscanf(line, "State: %c", &state);
		(void)sscanf(line, "SigBlk: %llx", &blocked);
	}
	if (f)
		fclose(f);
	return state == 'S' && (blocked >> (SIGUSR1 - 1) & 1);
}

/* If it were called again, the process would exit with the second signal's status. */
static void see_another_fail(void *self)
{
	static int sig = SIGILL;

	(void)self;
	shared->deaths++;
	if (shared->deaths > 1)
		return;
	if (pthread_create(&second, NULL, fail_second, &sig) != 0)
		_exit(STATUS_BROKEN);
	while (__atomic_load_n(&second_id, __ATOMIC_ACQUIRE) == 0 ||
		!is_waiting_in_handler(second_id))
		(void)sched_yield();
}

Test(signals, exits_by_the_first_of_two_threads_that_are_at_fault)
{
	cr_expect_eq(run(send, SIGBUS, see_another_fail), 149);
	cr_expect_eq(shared->deaths, 1);
	cr_expect_eq(shared->counts.signals.sigbus, 1);
	cr_expect_eq(shared->counts.signals.sigill, 0);
}

Test(signals, exits_when_dying_goes_wrong_too)
{
	cr_expect_eq(run(send, SIGBUS, fail_again), 149);
}

/* Touches memory that its file does not have. */
static void touch_beyond_file(int bytes)
{
	volatile char *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		child_stderr.fd, 0);

	if (p == MAP_FAILED)
		_exit(STATUS_BROKEN);
	*p = 1;
}

Test(signals, exits_after_a_fault_of_its_own)
{
	cr_expect_eq(run(touch_beyond_file, 4096, on_dying), 149);
	cr_expect_eq(shared->counts.signals.sigbus, 1);
}

/* --- signals that ask it to end --- */

Test(signals, stops_by_the_loop_and_then_ends_by_the_signal)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };

	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		*shared = (struct shared){ 0 };
		cr_expect_eq(killer(send, stops[i]), stops[i], "%zu", i);
		cr_expect_eq(shared->stops, 1, "%zu", i);
		cr_expect_eq(shared->deaths, 0, "%zu", i);
		cr_expect_eq(shared->counts.signals.sighup, stops[i] == SIGHUP);
	}
}

Test(signals, stops_by_the_loop_with_a_status_when_its_time_is_used_up)
{
	cr_expect_eq(run(send, SIGXCPU, on_dying), 154);
	cr_expect_eq(shared->stops, 1);
	cr_expect_eq(shared->counts.signals.sigxcpu, 1);
}

Test(signals, ends_by_those_that_a_script_ignores_for_its_background)
{
	cr_assert_neq(signal(SIGINT, SIG_IGN), SIG_ERR);
	cr_assert_neq(signal(SIGQUIT, SIG_IGN), SIG_ERR);
	cr_expect_eq(killer(send, SIGINT), SIGINT);
	cr_expect_eq(killer(send, SIGQUIT), SIGQUIT);
}

static void send_two(int sig)
{
	send(SIGHUP);
	send(sig);
}

Test(signals, ends_by_one_of_several)
{
	cr_expect_eq(killer(send_two, SIGTERM), SIGTERM);
	cr_expect_eq(shared->stops, 1);
}

/* As the first process of a PID namespace sees it: no signal's default action ends it.
 */
static void ignore(int sig)
{
	(void)signal(sig, SIG_IGN); /* what is blocked arrives all the same */
	send(sig);
}

Test(signals, exits_as_a_shell_would_say_where_the_signal_does_not_end_it)
{
	cr_expect_eq(run(ignore, SIGTERM, on_dying), 128 + SIGTERM);
	cr_expect_eq(run(ignore, SIGHUP, on_dying), 128 + SIGHUP);
}

/* --- signals that stop it --- */

/* In a process group that a shell could have made: others are not stopped. */
static void stop_job(int sig)
{
	(void)setpgid(0, 0);
	send(sig);
}

Test(signals, says_when_it_stands_still_and_when_it_goes_on)
{
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (pid == 0)
		child(stop_job, SIGTSTP, on_dying);
	cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
	cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP, "%x", status);
	cr_expect_eq(shared->suspends, 1, "before it stood still");
	cr_expect_eq(shared->resumes, 0);
	cr_assert_eq(kill(pid, SIGCONT), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == STATUS_GOES_ON);
	cr_expect_eq(shared->suspends, 1);
	cr_expect_geq(shared->resumes, 1);
	cr_expect_eq(shared->stops, 0);
}

Test(signals, is_told_to_go_on_also_when_it_did_not_stand_still)
{
	cr_expect_eq(run(send, SIGCONT, on_dying), STATUS_GOES_ON);
	cr_expect_eq(shared->resumes, 1);
	cr_expect_eq(shared->suspends, 0);
}

Test(signals, is_not_stopped_by_a_terminal_of_another_job)
{
	cr_expect_eq(run(send, SIGTTIN, on_dying), STATUS_GOES_ON);
	cr_expect_eq(run(send, SIGTTOU, on_dying), STATUS_GOES_ON);
}

Test(signals, goes_on_without_a_signal)
{
	cr_expect_eq(run(send, 0, on_dying), STATUS_GOES_ON);
	cr_expect_eq(shared->stops, 0);
}

Test(signals, goes_on_after_a_hang_up_that_its_launcher_had_ignored)
{
	cr_assert_neq(signal(SIGHUP, SIG_IGN), SIG_ERR); /* as nohup does */
	cr_expect_eq(run(send, SIGHUP, on_dying), STATUS_GOES_ON);
	cr_expect_eq(shared->stops, 0);
	cr_expect_eq(killer(send, SIGTERM), SIGTERM);
}

/* --- signals that it survives --- */

static void write_to_nobody(int times)
{
	int fds[2];

	if (pipe(fds) < 0)
		_exit(STATUS_BROKEN);
	close(fds[0]);
	for (int i = 0; i < times; i++)
		if (write(fds[1], "x", 1) != -1 || errno != EPIPE)
			_exit(STATUS_BROKEN);
	close(fds[1]);
}

Test(signals, survives_and_counts_readers_that_went_away)
{
	cr_expect_eq(run(write_to_nobody, 3, on_dying), STATUS_GOES_ON);
	cr_expect_eq(shared->counts.signals.sigpipe, 3);
	cr_expect_eq(shared->deaths + shared->stops, 0);
}

Test(signals, leaves_no_descriptor)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct signals s = { .counts = &shared->counts, .stop = on_stop };
	struct err e;
	unsigned fds = fake_open_fds();

	cr_assert_eq(loop_create(&lock, &loop, &e), 0);
	cr_assert_eq(signals_watch(&s, loop, &e), 0);
	signals_unwatch(&s, loop);
	loop_destroy(loop);
	cr_expect_eq(fake_open_fds(), fds);
}

Test(signals, unwatches_what_it_never_watched)
{
	struct signals s = { 0 };

	signals_unwatch(&s, NULL); /* a start that failed before */
}
