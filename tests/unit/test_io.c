/* SPDX-License-Identifier: Apache-2.0
 *
 * io: all bytes or an error, over short transfers and signals.
 */
#include "vmm/base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "tests/unit/fake_file.h"

static struct err e;

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

Test(io, reads_a_file_whole_and_ends_it_with_a_nul)
{
	struct fake_file f = fake_file("abc\0def", 7);
	char *text;
	size_t n;

	cr_assert_eq(io_read_file(f.path, 7, &text, &n, &e), 0);
	cr_assert_eq(n, 7);
	cr_assert_eq(memcmp(text, "abc\0def", 8), 0);
	free(text);
	fake_file_close(&f);
}

Test(io, reads_an_empty_file)
{
	struct fake_file f = fake_file("", 0);
	char *text;
	size_t n;

	cr_assert_eq(io_read_file(f.path, 0, &text, &n, &e), 0);
	cr_assert_eq(n, 0);
	cr_assert_str_eq(text, "");
	free(text);
	fake_file_close(&f);
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

Test(io, refuses_what_is_no_regular_file)
{
	expect_refusal("/tmp", 100, -EINVAL, "not a regular file");
	expect_refusal("/dev/zero", 100, -EINVAL, "not a regular file");
	expect_refusal("/nonexistent/x", 100, -ENOENT, "No such file");
}

Test(io, refuses_a_fifo_without_waiting_for_a_writer, .timeout = 300)
{
	struct fake_fifo f = fake_fifo();

	expect_refusal(f.path, 100, -EINVAL, "not a regular file");
	fake_fifo_remove(&f);
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
