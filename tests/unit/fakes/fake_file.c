/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct fake_file fake_file(const void *bytes, size_t n)
{
	struct fake_file f = { .fd = memfd_create("fake", MFD_CLOEXEC) };

	cr_assert_geq(f.fd, 0);
	cr_assert_eq(write(f.fd, bytes, n), (ssize_t)n);
	(void)snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	return f;
}

void fake_file_close(struct fake_file *f)
{
	close_fd(TAKE_FD(f->fd));
}

size_t fake_file_text(const struct fake_file *f, char *buf, size_t room)
{
	ssize_t n = pread(f->fd, buf, room - 1, 0);

	cr_assert_geq(n, 0);
	buf[n] = '\0';
	return (size_t)n;
}

struct fake_fifo fake_fifo(void)
{
	struct fake_fifo f = { .dir = "/tmp/husk-test-XX"
				      "XX"
				      "XX" };

	cr_assert_not_null(mkdtemp(f.dir));
	(void)snprintf(f.path, sizeof(f.path), "%s/fifo", f.dir);
	cr_assert_eq(mkfifo(f.path, 0600), 0);
	return f;
}

void fake_fifo_remove(const struct fake_fifo *f)
{
	(void)unlink(f->path);
	(void)rmdir(f->dir);
}

unsigned fake_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	cr_assert_not_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}
