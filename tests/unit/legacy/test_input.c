/* SPDX-License-Identifier: Apache-2.0
 *
 * input: reads of descriptors that other processes read too, which never wait and
 * change no flag; and a terminal that a shell gives to one job and the next. The
 * terminal is real: a child of the test leads a session of its own, as a shell does.
 */
#include "vmm/legacy/input.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_file.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static struct input in;
static char got[256];
static size_t n_got;
static unsigned n_ready;
static struct err e;

static void on_ready(void *self)
{
	(void)self;
	n_ready++;
	n_got += input_read(&in, got + n_got, sizeof(got) - 1 - n_got);
	got[n_got] = '\0';
}

static void set_up(void)
{
	cr_assert_eq(loop_create(&lock, &loop, &e), 0);
}

static void tear_down(void)
{
	input_close(&in);
	loop_destroy(loop);
}

TestSuite(input, .init = set_up, .fini = tear_down, .timeout = 60);

static void turn(void)
{
	cr_assert_eq(loop_poll(loop, 0), 0);
}

static void open_input(int fd)
{
	cr_assert_eq(input_open(&in, fd, on_ready, NULL, loop, &e), 0, "%s", e.text);
}

/* --- pipes and sockets that others read too --- */

/* Another process reads the bytes after epoll has announced them. */
static void on_ready_late(void *self)
{
	char c[16];
	int other = *(int *)self;

	n_ready++;
	cr_assert_gt(read(other, c, sizeof(c)), 0);
	cr_expect_eq(input_read(&in, got, sizeof(got)), 0);
}

static void expect_no_wait(int fd, int far)
{
	cr_assert_eq(input_open(&in, fd, on_ready_late, &fd, loop, &e), 0);
	cr_assert_eq(write(far, "abc", 3), 3);
	turn();
	cr_expect_eq(n_ready, 1);
	cr_expect_not(fcntl(fd, F_GETFL) & O_NONBLOCK, "it is not ours to set");
	cr_expect_geq(in.source.fd, 0, "it is not at its end");
}

Test(input, does_not_wait_on_a_pipe_that_another_reads)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	expect_no_wait(fds[0], fds[1]);
}

Test(input, does_not_wait_on_a_fifo_that_another_reads)
{
	struct fake_fifo f = fake_fifo();
	int fd = open(f.path, O_RDWR | O_CLOEXEC);

	expect_no_wait(fd, fd);
	fake_fifo_remove(&f);
}

Test(input, does_not_wait_on_a_socket_that_another_reads)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	expect_no_wait(fds[0], fds[1]);
}

Test(input, takes_of_a_pipe_what_it_asked_for_and_leaves_the_rest)
{
	int fds[2];
	char rest[16];

	cr_assert_eq(pipe(fds), 0);
	open_input(fds[0]);
	cr_assert_eq(write(fds[1], "abcdef", 6), 6);
	cr_expect_eq(input_read(&in, got, 4), 4);
	cr_expect_eq(memcmp(got, "abcd", 4), 0);
	cr_expect_eq(read(fds[0], rest, sizeof(rest)), 2);
}

Test(input, ends_with_its_last_writer)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	open_input(fds[0]);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	turn();
	close_fd(fds[1]);
	turn();
	turn();
	cr_expect_str_eq(got, "x");
	cr_expect_eq(n_ready, 2);
	cr_expect_eq(in.source.fd, -1);
}

Test(input, is_not_read_while_it_is_not_watched)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	open_input(fds[0]);
	input_watch(&in, false);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	turn();
	cr_expect_eq(n_ready, 0);
	input_watch(&in, true);
	turn();
	cr_expect_str_eq(got, "x");
}

Test(input, leaves_no_descriptor)
{
	unsigned fds = fake_open_fds();
	int pair[2];

	cr_assert_eq(pipe(pair), 0);
	open_input(pair[0]);
	input_close(&in);
	close_fd(pair[0]);
	close_fd(pair[1]);
	cr_expect_eq(fake_open_fds(), fds);
	in = (struct input){ 0 };
}

/* --- a terminal, and the shell that gives it away --- */

enum { JOB_S = 30 };

static int far, near;

static bool is_raw(void)
{
	struct termios t;

	cr_assert_eq(tcgetattr(far, &t), 0);
	return !(t.c_lflag & ICANON);
}

/* What the shell's child reports in its status; the session leader passes it on. */
#define CHECK(what)                                                              \
	do {                                                                     \
		if (!(what)) {                                                   \
			(void)fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
			_exit(1);                                                \
		}                                                                \
	} while (0)

static void to_front(pid_t group)
{
	CHECK(tcsetpgrp(near, group) == 0);
}

static void type(const char *text)
{
	CHECK(write(far, text, strlen(text)) == (ssize_t)strlen(text));
}

static void serve(int timeout_ms)
{
	CHECK(loop_poll(loop, timeout_ms) == 0);
}

/* Serves until the terminal is the guest's: the next look is due within 500 ms. */
static void serve_until_raw(void)
{
	while (!is_raw())
		serve(-1);
}

static void block_terminal_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTTIN);
	(void)sigaddset(&set, SIGTTOU);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

/* Runs job as a job of a shell: a process group of its own, in a session that has a new
 * terminal, with the shell in the foreground. */
static void run_job(void (*job)(pid_t shell))
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)alarm(JOB_S);
		CHECK(setsid() > 0);
		far = posix_openpt(O_RDWR | O_NOCTTY);
		CHECK(grantpt(far) == 0 && unlockpt(far) == 0);
		near = open(ptsname(far), O_RDWR); /* is the session's from now on */
		CHECK(near >= 0);
		block_terminal_signals();
		pid = fork();
		if (pid == 0) {
			(void)alarm(JOB_S); /* ends who waits for ever, or longer */
			CHECK(setpgid(0, 0) == 0);
			job(getppid());
			input_close(&in);
			_exit(0);
		}
		(void)signal(SIGHUP, SIG_IGN);
		close_fd(far); /* the job's alone, which may close it */
		CHECK(waitpid(pid, &status, 0) == pid);
		_exit(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}

static void start_input(void)
{
	CHECK(input_open(&in, near, on_ready, NULL, loop, &e) == 0);
}

static void in_background(pid_t shell)
{
	(void)shell;
	start_input();
	CHECK(!is_raw());
	type("for the shell\n");
	serve(0);
	serve(0);
	CHECK(n_ready == 0 && !is_raw());
}

Test(input, leaves_a_terminal_alone_in_the_background)
{
	run_job(in_background);
}

static unsigned n_events;

static void count_event(void *self, uint32_t events)
{
	(void)self;
	(void)events;
	n_events++;
}

/* The shell's bytes stay unread: that is one event, not one in every turn. */
static void waits_quietly(pid_t shell)
{
	(void)shell;
	start_input();
	type("for the shell\n");
	serve(-1); /* the bytes, or the next look */
	serve(0);
	in.source.fn = count_event;
	for (int i = 0; i < 10; i++)
		serve(0);
	CHECK(n_events == 0);
	type("more\n");
	while (n_events == 0)
		serve(-1);
}

Test(input, does_not_spin_on_what_is_typed_for_another_job)
{
	run_job(waits_quietly);
}

static void comes_to_front(pid_t shell)
{
	(void)shell;
	start_input();
	CHECK(!is_raw());
	to_front(getpgrp());
	serve_until_raw(); /* nobody says anything */
	type("k");
	serve(-1);
	CHECK(strcmp(got, "k") == 0);
}

Test(input, takes_the_terminal_when_its_job_comes_to_the_foreground)
{
	run_job(comes_to_front);
}

static void begins_in_front(pid_t shell)
{
	(void)shell;
	to_front(getpgrp());
	start_input();
	CHECK(is_raw());
	type("k\x03");
	serve(-1);
	CHECK(strcmp(got, "k\x03") == 0);
	input_close(&in);
	CHECK(!is_raw());
}

Test(input, has_the_terminal_in_the_foreground_and_gives_it_back)
{
	run_job(begins_in_front);
}

static void goes_to_back(pid_t shell)
{
	struct termios t;

	to_front(getpgrp());
	start_input();
	CHECK(is_raw());
	to_front(shell); /* and it makes the terminal its own */
	CHECK(tcgetattr(near, &t) == 0);
	t.c_lflag |= ICANON | ECHO;
	CHECK(tcsetattr(near, TCSANOW, &t) == 0);
	type("for the shell\n");
	serve(0);
	serve(0);
	CHECK(n_got == 0 && !is_raw() && in.source.fd >= 0);
	to_front(getpgrp());
	input_resume(&in); /* SIGCONT */
	CHECK(is_raw());
	input_close(&in);
	CHECK(!is_raw());
}

Test(input, neither_reads_nor_restores_what_another_job_has)
{
	run_job(goes_to_back);
}

static void stands_still(pid_t shell)
{
	struct termios t;

	to_front(getpgrp());
	start_input();
	input_suspend(&in);
	CHECK(!is_raw());
	to_front(shell);
	input_resume(&in); /* bg */
	CHECK(!is_raw());
	to_front(getpgrp());
	input_resume(&in); /* fg */
	CHECK(is_raw());
	/* stopped by SIGSTOP, which nobody sees: the shell has made it cooked */
	CHECK(tcgetattr(near, &t) == 0);
	t.c_lflag |= ICANON | ECHO;
	CHECK(tcsetattr(near, TCSANOW, &t) == 0);
	input_resume(&in);
	CHECK(is_raw());
	input_close(&in);
	CHECK(!is_raw());
}

Test(input, gives_the_terminal_back_while_it_stands_still)
{
	run_job(stands_still);
}

static void dies(pid_t shell)
{
	(void)shell;
	to_front(getpgrp());
	start_input();
	input_restore_fatal(&in);
	CHECK(!is_raw());
}

Test(input, gives_the_terminal_back_when_it_dies)
{
	run_job(dies);
}

/* As in a jail: no /proc by which to open the terminal anew. */
static void without_proc(pid_t shell)
{
	char c;

	(void)shell;
	if (unshare(CLONE_NEWNS) < 0)
		return; /* without the right to, the case is not there */
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "/proc", "tmpfs", 0, NULL) == 0);
	to_front(getpgrp());
	start_input();
	CHECK(!in.is_own && is_raw());
	CHECK(input_read(&in, &c, 1) == 0); /* nothing there: it does not wait */
	CHECK(in.source.fd >= 0);
	type("k");
	serve(-1);
	CHECK(strcmp(got, "k") == 0);
	(void)signal(SIGHUP, SIG_IGN);
	close_fd(far);
	serve(-1);
	CHECK(in.source.fd < 0);
}

Test(input, does_not_wait_on_a_terminal_that_it_cannot_open_anew)
{
	run_job(without_proc);
}
