/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* What mkdtemp and mkstemp want: a path that ends with six times X. */
static void make_template(char path[static FAKE_PATH_MAX])
{
	int n = snprintf(path, FAKE_PATH_MAX, "/tmp/husk-test-......");

	memset(path + n - 6, 'X', 6);
}

struct fake_dir fake_dir(void)
{
	struct fake_dir d;

	make_template(d.path);
	cr_assert_not_null(mkdtemp(d.path));
	return d;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void fake_dir_remove(const struct fake_dir *d)
{
	cr_assert_eq(nftw(d->path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
}

int fake_disk_file(char path[static FAKE_PATH_MAX])
{
	int fd;

	make_template(path);
	fd = mkostemp(path, O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

struct fake_fifo fake_fifo(void)
{
	struct fake_fifo f = { .dir = fake_dir() };

	(void)snprintf(f.path, sizeof(f.path), "%s/fifo", f.dir.path);
	cr_assert_eq(mkfifo(f.path, 0600), 0);
	return f;
}

void fake_fifo_remove(const struct fake_fifo *f)
{
	fake_dir_remove(&f->dir);
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
