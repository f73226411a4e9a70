/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* The last component of the path by which the kernel knows fd. It is canonical, and is
 * that of the very file that is open; realpath would walk the path a second time. */
static int read_name(int fd, char name[NAME_MAX + 1])
{
	char link[64], target[PATH_MAX];
	const char *last;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	last = strrchr(target, '/');
	if (!last || strlen(last + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	(void)snprintf(name, NAME_MAX + 1, "%s", last + 1);
	return 0;
}

int path_open_exec(const char *path, int *fd, char name[NAME_MAX + 1], struct err *e)
{
	/* O_NONBLOCK: a FIFO is refused below, not waited for */
	AUTO(close_fd)
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char last[NAME_MAX + 1];
	struct stat st;
	int r;

	if (file < 0)
		return err_sys(e, "cannot open the executable '%s'", path);
	r = read_name(file, last);
	if (r < 0)
		return err_code(e, r, "cannot find the name of '%s'", path);
	if (fstat(file, &st) < 0)
		return err_sys(e, "cannot read the executable '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_bad(e, "the executable '%s' is not a regular file", path);
	if (st.st_nlink == 0) /* the kernel would add " (deleted)" to its name */
		return err_bad(e, "the executable '%s' was removed", path);
	(void)strcpy(name, last);
	*fd = TAKE_FD(file);
	return 0;
}

int path_open_dir(const char *path, int *fd, struct err *e)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, "cannot open the directory '%s'", path);
	*fd = dir;
	return 0;
}

int path_make_dir(int at, const char *name, mode_t mode, int *fd, struct err *e)
{
	int dir;

	if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the directory '%s'", name);
	dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && (errno == ENOTDIR || errno == ELOOP))
		return err_bad(
			e, "'%s' exists and is no directory (a link is none)", name);
	if (dir < 0)
		return err_sys(e, "cannot open the directory '%s'", name);
	*fd = dir;
	return 0;
}

bool path_has_mount_flag(int fd, unsigned long flag)
{
	struct statvfs st;

	return fstatvfs(fd, &st) == 0 && (st.f_flag & flag);
}

bool path_is_inner(const char *path)
{
	if (path[0] == '/')
		return false;
	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		if ((n == 1 && path[0] == '.') ||
			(n == 2 && memcmp(path, "..", 2) == 0) || n > NAME_MAX)
			return false;
		path += n + strspn(path + n, "/");
	}
	return true;
}

bool path_next(const char **rest, char name[NAME_MAX + 1])
{
	const char *start = *rest + strspn(*rest, "/");
	size_t n = strcspn(start, "/");

	if (n == 0 || n > NAME_MAX)
		return false;
	memcpy(name, start, n);
	name[n] = '\0';
	*rest = start + n;
	return true;
}

int path_read_text(int at, const char *name, char *text, size_t size)
{
	AUTO(close_fd) int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size);

	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -EFBIG;
	text[n] = '\0';
	return (int)n;
}

int path_write_text(int at, const char *name, const char *text)
{
	AUTO(close_fd) int fd = openat(at, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n = fd < 0 ? -1 : write(fd, text, len);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}
