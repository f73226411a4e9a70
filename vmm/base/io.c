/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

ssize_t io_write_now(int fd, const void *buf, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t put;

	if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
		return p.revents & (POLLERR | POLLHUP) ? -EPIPE : -EAGAIN;
	/* a pipe that is ready takes PIPE_BUF bytes, and may wait for more */
	put = write(fd, buf, MIN(n, (size_t)PIPE_BUF));
	return put < 0 ? -errno : put;
}

static void free_text(char *p)
{
	free(p);
}
DEFINE_AUTO(char *, free_text);

void io_raise_fd_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l); /* up to the hard limit: always allowed */
}

int io_read_file(const char *path, size_t max, char **buf, size_t *len, struct err *e)
{
	/* O_NONBLOCK: a FIFO without a writer is refused below, not waited for */
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	AUTO(free_text) char *text = NULL;
	struct stat st;
	size_t n;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_bad(e, "'%s' is not a regular file", path);
	if ((uint64_t)st.st_size > max)
		return err_bad(e, "'%s' is %lld bytes long: at most %zu are read", path,
			(long long)st.st_size, max);
	n = (size_t)st.st_size;
	text = malloc(n + 1);
	if (!text)
		return err_code(e, -ENOMEM, "cannot read '%s'", path);
	r = io_pread(fd, text, n, 0);
	if (r < 0)
		return err_code(e, r, "cannot read '%s'", path);
	text[n] = '\0';
	*buf = TAKE(text);
	*len = n;
	return 0;
}

void io_fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return;
}
