/* SPDX-License-Identifier: Apache-2.0
 *
 * io: transfers are complete or fail, whatever short transfers and signals come
 * between.
 */
#include "vmm/base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/unit/fakes/fake_file.h"

static struct err e;

TestSuite(io, .timeout = 30);

Test(io, reads_exactly_what_is_asked_at_an_offset)
{
	struct fake_file f = fake_file("0123456789", 10);
	char buf[4] = "";

	cr_assert_eq(io_pread(f.fd, buf, 3, 7), 0);
	cr_assert_str_eq(buf, "789");
	cr_assert_eq(io_pread(f.fd, buf, 0, 100), 0);
	fake_file_close(&f);
}

Test(io, says_when_the_file_ends_before)
{
	struct fake_file f = fake_file("0123456789", 10);
	char buf[4];

	cr_assert_eq(io_pread(f.fd, buf, 4, 7), -ENODATA);
	cr_assert_eq(io_pread(f.fd, buf, 1, 10), -ENODATA);
	fake_file_close(&f);
}

Test(io, gives_the_errno_of_a_failed_read_or_write)
{
	char buf[4] = "";
	int fds[2];

	cr_assert_eq(io_pread(-1, buf, 1, 0), -EBADF);
	cr_assert_eq(io_write(-1, buf, 1), -EBADF);
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(io_pread(fds[0], buf, 1, 0), -ESPIPE);
	(void)signal(SIGPIPE, SIG_IGN);
	close_fd(fds[0]);
	cr_assert_eq(io_write(fds[1], buf, 1), -EPIPE);
	close_fd(fds[1]);
}

Test(io, does_not_wait_on_a_descriptor_that_does_not)
{
	static char buf[1 << 20];
	int fds[2];

	cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
	cr_assert_eq(io_write(fds[1], buf, sizeof(buf)), -EAGAIN);
	close_fd(fds[0]);
	close_fd(fds[1]);
}

enum { MANY = 1 << 20 };

/* Reads MANY bytes in small pieces, each the low byte of its place. */
static void *read_slowly(void *arg)
{
	uint8_t buf[1000];
	size_t got = 0, wrong = 0;
	ssize_t n;

	while ((n = read(*(int *)arg, buf, sizeof(buf))) != 0) {
		if (n < 0)
			continue; /* a signal */
		for (ssize_t i = 0; i < n; i++, got++)
			wrong += buf[i] != (uint8_t)got;
	}
	return (void *)(uintptr_t)(got == MANY && wrong == 0);
}

static void on_alarm(int nr)
{
	(void)nr;
}

Test(io, writes_all_over_short_transfers_and_signals)
{
	static uint8_t bytes[MANY];
	struct sigaction act = { .sa_handler = on_alarm }; /* without SA_RESTART */
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { 0 };
	pthread_t reader;
	void *right;
	int fds[2];

	for (size_t i = 0; i < MANY; i++)
		bytes[i] = (uint8_t)i;
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(sigaction(SIGALRM, &act, NULL), 0);
	cr_assert_eq(pthread_create(&reader, NULL, read_slowly, &fds[0]), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	cr_assert_eq(io_write(fds[1], bytes, sizeof(bytes)), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	close_fd(fds[1]);
	cr_assert_eq(pthread_join(reader, &right), 0);
	cr_assert(right);
	close_fd(fds[0]);
}

/* --- outputs that others share --- */

static struct io_output output(int fd)
{
	struct io_output o;

	io_output_init(&o, fd);
	cr_expect_not(fcntl(fd, F_GETFL) & O_NONBLOCK, "it is not ours to set");
	return o;
}

/* Writes until the file is full, without waiting; then once more, as if poll had said
 * that there is room and another process had taken it. */
static void expect_no_wait(int fd)
{
	static char bytes[8192];
	struct io_output o = output(fd);
	ssize_t n;

	cr_assert_neq(o.way, IO_POLLED);
	do
		n = io_write_now(&o, bytes, sizeof(bytes));
	while (n > 0);
	cr_expect_eq(n, -EAGAIN, "%zd", n);
	cr_expect_not(fcntl(fd, F_GETFL) & O_NONBLOCK);
	io_output_fini(&o);
}

Test(io, writes_to_a_shared_pipe_without_waiting)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	expect_no_wait(fds[1]);
}

Test(io, writes_to_a_shared_socket_without_waiting)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	expect_no_wait(fds[1]);
}

Test(io, writes_to_a_shared_terminal_without_waiting)
{
	int far = posix_openpt(O_RDWR | O_NOCTTY);

	cr_assert(grantpt(far) == 0 && unlockpt(far) == 0);
	expect_no_wait(open(ptsname(far), O_RDWR | O_NOCTTY));
}

Test(io, tells_that_a_sockets_reader_is_gone_without_a_signal)
{
	struct io_output o;
	int fds[2];

	(void)signal(SIGPIPE, SIG_DFL);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	o = output(fds[1]);
	close_fd(fds[0]);
	cr_expect_eq(io_write_now(&o, "x", 1), -EPIPE);
}

/* Another writer of the same file continues where the last one ended. */
Test(io, shares_the_offset_of_a_file)
{
	struct fake_file f = fake_file("", 0);
	struct io_output o = output(f.fd);
	char text[16];

	cr_expect_eq(o.fd, f.fd);
	cr_assert_eq(io_write_now(&o, "ab", 2), 2);
	cr_assert_eq(write(f.fd, "cd", 2), 2);
	cr_assert_eq(io_write_now(&o, "ef", 2), 2);
	cr_expect_eq(pread(f.fd, text, sizeof(text), 0), 6);
	cr_expect_eq(memcmp(text, "abcdef", 6), 0);
	fake_file_close(&f);
}

Test(io, polls_what_it_cannot_open_anew)
{
	struct io_output o = output(STDIN_FILENO);
	struct io_output closed;
	int null = open("/dev/null", O_WRONLY);

	io_output_init(&o, null);
	cr_expect_eq(o.way, IO_POLLED);
	cr_expect_eq(io_write_now(&o, "abc", 3), 3);
	io_output_init(&closed, 1000);
	cr_expect_lt(io_write_now(&closed, "x", 1), 0);
	close_fd(null);
}

Test(io, opens_nothing_anew_but_pipes_and_terminals)
{
	struct fake_file f = fake_file("", 0);
	int far = posix_openpt(O_RDWR | O_NOCTTY), pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_expect_eq(io_open_own(f.fd, O_WRONLY), -EINVAL);
	cr_expect_eq(io_open_own(pair[0], O_WRONLY), -EINVAL);
	cr_expect_eq(
		io_open_own(far, O_WRONLY), -EINVAL, "that makes another terminal");
	cr_expect_eq(io_open_own(-1, O_WRONLY), -EBADF);
	fake_file_close(&f);
}

Test(io, leaves_no_descriptor_of_an_output)
{
	unsigned fds;
	int pair[2];
	struct io_output o;

	cr_assert_eq(pipe(pair), 0);
	fds = fake_open_fds();
	o = output(pair[1]);
	cr_expect_neq(o.fd, pair[1]);
	io_output_fini(&o);
	cr_expect_eq(fake_open_fds(), fds);
}

Test(io, puts_its_own_in_place_of_the_standard_outputs)
{
	int pair[2];

	cr_assert_eq(pipe(pair), 0);
	cr_assert_eq(dup2(pair[1], STDOUT_FILENO), STDOUT_FILENO);
	io_own_standard_outputs();
	cr_expect(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK);
	cr_expect_not(fcntl(STDOUT_FILENO, F_GETFD) & FD_CLOEXEC);
	cr_expect_not(fcntl(pair[1], F_GETFL) & O_NONBLOCK);
	cr_assert_eq(write(STDOUT_FILENO, "x", 1), 1);
	cr_expect_eq(read(pair[0], &(char){ 0 }, 1), 1);
}

/* A file of n bytes is read whole, and with a NUL after it. bytes has that NUL too. */
static void expect_whole(const char *bytes, size_t n)
{
	struct fake_file f = fake_file(bytes, n);
	char *text;
	size_t got;

	cr_assert_eq(io_read_file(f.path, n, &text, &got, &e), 0);
	cr_assert_eq(got, n);
	cr_assert_eq(memcmp(text, bytes, n + 1), 0);
	free(text);
	fake_file_close(&f);
}

Test(io, reads_a_file_whole_and_ends_it_with_a_nul)
{
	expect_whole("abc\0def", 7);
}

Test(io, reads_an_empty_file)
{
	expect_whole("", 0);
}

static void expect_refusal(const char *path, size_t max, int code, const char *why)
{
	char *text = NULL;
	size_t n = 77;
	unsigned fds = fake_open_fds();

	cr_expect_eq(io_read_file(path, max, &text, &n, &e), code, "%s", path);
	cr_expect_null(text);
	cr_expect_eq(n, 77);
	cr_expect(strstr(e.text, path) && strstr(e.text, why), "%s", e.text);
	cr_expect_eq(fake_open_fds(), fds);
}

Test(io, refuses_a_file_that_is_too_long)
{
	struct fake_file f = fake_file("0123456789", 10);

	expect_refusal(f.path, 9, -EINVAL, "10 bytes long: at most 9");
	fake_file_close(&f);
}

Test(io, refuses_what_is_no_file_to_read)
{
	expect_refusal("/tmp", 100, -EINVAL, "not a regular file");
	expect_refusal("/dev/zero", 100, -EINVAL, "at most 100 bytes");
	expect_refusal("/nonexistent/x", 100, -ENOENT, "No such file");
}

/* --- pipes --- */

/* What happens each time io waits for a pipe; after the last one, poll times out at
 * once. This program's poll replaces libc's for that pipe only, so Criterion can poll.
 */
static void (*while_waiting[4])(void);
static bool is_reading;
static unsigned waits;
static int last_timeout;
static struct fake_fifo fifo;
static int writer = -1;

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	void (*happen)(void) = waits < 4 ? while_waiting[waits] : NULL;

	if (!is_reading)
		return (int)syscall(SYS_poll, fds, n, timeout);
	last_timeout = timeout;
	waits++;
	if (happen)
		happen();
	return (int)syscall(SYS_poll, fds, n, 0);
}

static void open_writer(void)
{
	writer = open(fifo.path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(writer, 0);
}

static void write_abc(void)
{
	if (writer < 0)
		open_writer();
	cr_assert_eq(write(writer, "abc", 3), 3);
}

static void close_writer(void)
{
	close_fd(TAKE_FD(writer));
}

static void come_and_go(void)
{
	open_writer();
	close_writer();
}

static void make_fifo(void)
{
	fifo = fake_fifo();
}

static void remove_fifo(void)
{
	close_writer();
	fake_fifo_remove(&fifo);
}

TestSuite(io_pipe, .init = make_fifo, .fini = remove_fifo, .timeout = 30);

static void expect_no_text(size_t max, int code, const char *why)
{
	is_reading = true;
	expect_refusal(fifo.path, max, code, why);
	is_reading = false;
}

static void expect_read(const char *path, const char *want, size_t max)
{
	char *text = NULL;
	size_t n;

	is_reading = true;
	cr_assert_eq(io_read_file(path, max, &text, &n, &e), 0, "%s", e.text);
	is_reading = false;
	cr_expect_eq(n, strlen(want));
	cr_expect_str_eq(text, want);
	free(text);
}

Test(io_pipe, is_read_to_its_end)
{
	while_waiting[0] = write_abc;
	while_waiting[1] = write_abc;
	while_waiting[2] = close_writer;
	expect_read(fifo.path, "abcabc", 6);
}

Test(io_pipe, of_a_shell_is_read_to_its_end)
{
	char path[32];
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	writer = ends[1];
	write_abc();
	close_writer();
	expect_read(path, "abc", 100);
	cr_expect_eq(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0, "a flag that is shared");
	close(ends[0]);
}

Test(io_pipe, of_many_bytes_is_read_to_its_end)
{
	static char many[60001];
	int ends[2];
	char path[32];

	memset(many, 'x', sizeof(many) - 1);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(write(ends[1], many, 60000), 60000);
	close(ends[1]);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	expect_read(path, many, 60000);
	close(ends[0]);
}

Test(io_pipe, may_be_empty)
{
	while_waiting[0] = come_and_go;
	expect_read(fifo.path, "", 0);
	cr_expect_eq(waits, 1);
	expect_read("/dev/null", "", 0);
}

Test(io_pipe, is_refused_when_nobody_writes)
{
	expect_no_text(100, -ETIMEDOUT, "nobody writes");
	cr_expect_eq(waits, 1);
	cr_expect_eq(last_timeout, IO_WRITER_MS);
}

Test(io_pipe, is_refused_when_its_writer_is_silent)
{
	open_writer();
	expect_no_text(100, -ETIMEDOUT, "silent");
	cr_expect_eq(waits, 1);
	cr_expect_eq(last_timeout, IO_SILENCE_MS);
	write_abc();
	expect_no_text(100, -ETIMEDOUT, "silent");
}

Test(io_pipe, is_waited_for_when_its_writer_is_late_with_its_first_byte)
{
	while_waiting[0] = open_writer; /* no event: the time is over with a writer */
	while_waiting[1] = write_abc;
	while_waiting[2] = close_writer;
	expect_read(fifo.path, "abc", 3);
}

Test(io_pipe, is_refused_when_it_is_too_long)
{
	write_abc();
	expect_no_text(2, -EINVAL, "at most 2 bytes");
}

/* Files in /proc have size 0 until they are read. */
Test(io_pipe, reads_a_file_that_says_it_is_empty)
{
	char *text = NULL;
	size_t n;

	cr_assert_eq(io_read_file("/proc/self/status", 65536, &text, &n, &e), 0, "%s",
		e.text);
	cr_expect(strstr(text, "Name:"));
	free(text);
}

Test(io, raises_the_limit_of_descriptors_to_what_is_allowed)
{
	struct rlimit l = { 100, 200 };

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &l), 0);
	io_raise_fd_limit();
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &l), 0);
	cr_assert_eq(l.rlim_cur, 200);
	cr_assert_eq(l.rlim_max, 200);
	io_raise_fd_limit();
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &l), 0);
	cr_assert_eq(l.rlim_cur, 200);
}
