/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { STREAM_STEP = 4096 }; /* the first buffer for what comes from a pipe */

int io_pread(int fd, void *buf, size_t n, off_t at)
{
	char *to = buf;

	while (n > 0) {
		ssize_t got = pread(fd, to, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ENODATA;
		to += got;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

int io_write(int fd, const void *buf, size_t n)
{
	const char *from = buf;

	while (n > 0) {
		ssize_t put = write(fd, from, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		from += put;
		n -= (size_t)put;
	}
	return 0;
}

/* Not /dev/ptmx, a terminal's other end: to open that again makes a new pair. */
static bool is_terminal(int fd, const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev != makedev(TTYAUX_MAJOR, 2) &&
		isatty(fd);
}

int io_open_own(int fd, int flags)
{
	char path[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode) && !is_terminal(fd, &st))
		return -EINVAL;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return own < 0 ? -errno : own;
}

void io_output_init(struct io_output *o, int fd)
{
	struct stat st;
	int own;

	*o = (struct io_output){ .fd = fd, .way = IO_POLLED };
	if (fstat(fd, &st) < 0)
		return;
	if (S_ISREG(st.st_mode))
		o->way = IO_OWN;
	if (S_ISSOCK(st.st_mode))
		o->way = IO_SOCKET;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	own = io_open_own(fd, O_WRONLY);
	if (own >= 0)
		*o = (struct io_output){ own, IO_OWN, .is_opened = true };
}

void io_output_fini(struct io_output *o)
{
	if (o->is_opened)
		close_fd(o->fd);
}

int io_open_output(const char *path, const char *what, struct err *e)
{
	/* O_RDWR: a FIFO opens even when nobody reads it yet. O_APPEND: what an earlier
	 * run wrote stays, where the contract (3.8) would have its head overwritten. */
	int fd = open(path,
		O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_APPEND | O_NOCTTY, 0644);

	return fd < 0 ? err_sys(e, "cannot open %s '%s'", what, path) : fd;
}

void io_own_standard_outputs(void)
{
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		int own = io_open_own(fd, O_WRONLY);

		if (own >= 0)
			(void)dup2(own, fd); /* else it stays as it is */
		close_fd(own);
	}
}

/* Once poll says that it is ready, a pipe takes PIPE_BUF bytes without waiting. */
static ssize_t write_polled(int fd, const void *buf, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t put;

	if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
		return p.revents & (POLLERR | POLLHUP) ? -EPIPE : -EAGAIN;
	put = write(fd, buf, MIN(n, (size_t)PIPE_BUF));
	return put < 0 ? -errno : put;
}

ssize_t io_write_now(const struct io_output *o, const void *buf, size_t n)
{
	ssize_t put;

	if (o->way == IO_POLLED)
		return write_polled(o->fd, buf, n);
	if (o->way == IO_SOCKET)
		put = send(o->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		put = write(o->fd, buf, n);
	return put < 0 ? -errno : put;
}

void io_raise_fd_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l); /* up to the hard limit: allowed */
}

/* Waits until there are bytes and reads up to n of them. Returns their number, 0 at the
 * end of the file, -ETIMEDOUT or another -errno. *fed: whether the file is known to
 * have, or to have had, a writer; a FIFO without one reads as if it were at its end. */
static ssize_t read_some(int fd, bool *fed, char *to, size_t n)
{
	bool has_waited = false;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got = read(fd, to, n);
		int ready;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno != EAGAIN)
			return -errno;
		*fed = *fed || got != 0; /* EAGAIN: there is a silent writer */
		if (got >= 0 && *fed)
			return got;
		if (has_waited && !*fed)
			return -ETIMEDOUT;
		ready = poll(&p, 1, *fed ? IO_SILENCE_MS : IO_WRITER_MS);
		if (ready == 0 && *fed)
			return -ETIMEDOUT;
		if (ready > 0 && !(p.revents & POLLIN))
			*fed = true; /* a writer came and closed it */
		has_waited = ready == 0;
	}
}

/* Reads to its end a file that does not say its size: a pipe, a device, or one of
 * /proc. */
static int read_stream(
	int fd, bool fed, size_t max, char **buf, size_t *len, struct err *e)
{
	AUTO(free_text) char *text = NULL;
	size_t n = 0, room = 0;
	ssize_t got;

	do {
		if (n == room) {
			char *more = realloc(text, room + STREAM_STEP + n);

			if (!more)
				return err_code(e, -ENOMEM, "cannot read");
			text = more;
			room += STREAM_STEP + n;
		}
		got = read_some(fd, &fed, text + n, room - n);
		if (got == -ETIMEDOUT)
			return err_code(e, -ETIMEDOUT,
				fed ? "cannot read: its writer is silent"
				    : "cannot read: nobody writes to it");
		if (got < 0)
			return err_code(e, (int)got, "cannot read");
		n += (size_t)got;
		if (n > max)
			return err_bad(e, "too long: at most %zu bytes are read", max);
	} while (got > 0);
	text[n] = '\0'; /* fits: the last read had room and found the end */
	*buf = TAKE(text);
	*len = n;
	return 0;
}

static int read_sized(int fd, size_t n, char **buf, size_t *len, struct err *e)
{
	AUTO(free_text) char *text = malloc(n + 1);
	int r;

	if (!text)
		return err_code(e, -ENOMEM, "cannot read");
	r = io_pread(fd, text, n, 0);
	if (r < 0)
		return err_code(e, r, "cannot read");
	text[n] = '\0';
	*buf = TAKE(text);
	*len = n;
	return 0;
}

int io_read_file(const char *path, size_t max, char **buf, size_t *len, struct err *e)
{
	/* O_NONBLOCK: without it, the open of a FIFO would wait for a writer for ever;
	 * signals that ask husk to end are only seen by the loop, later */
	AUTO(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_bad(e, "'%s' is not a regular file, nor a pipe", path);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max)
		return err_bad(e, "'%s' is %lld bytes long: at most %zu are read", path,
			(long long)st.st_size, max);
	if (S_ISREG(st.st_mode) && st.st_size > 0)
		r = read_sized(fd, (size_t)st.st_size, buf, len, e);
	else
		r = read_stream(fd, !S_ISFIFO(st.st_mode), max, buf, len, e);
	return r < 0 ? err_add(e, r, "'%s'", path) : 0;
}

void io_fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return;
}
