/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "vmm/base/clock.h"

enum {
	HIDDEN_RANDOM = 6, /* characters of a hidden name */
	HIDDEN_MIN = 4, /* length of the shortest, with its dot */
	HIDDEN_TRIES = 16,
};

#define HIDDEN_PREFIX ".husk-"

/* Puts a hidden name, most likely a free one, in the directory of path. False when an
 * address has no room for one. */
static bool put_hidden(struct sockaddr_un *at, const char *path)
{
	static const char digits[] = LETTERS_AND_DIGITS;
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash + 1 - path) : 0, room = UNIX_PATH_MAX - dir;
	bool fits = room >= strlen(HIDDEN_PREFIX) + HIDDEN_RANDOM;
	const char *prefix = fits ? HIDDEN_PREFIX : ".";
	char random[HIDDEN_RANDOM + 1] = "";
	uint64_t n = clock_us() ^ (uint64_t)getpid() << 16;

	if (room < HIDDEN_MIN)
		return false;
	room -= strlen(prefix);
	for (size_t i = 0; i < MIN(room, (size_t)HIDDEN_RANDOM); i++) {
		random[i] = digits[n % (sizeof(digits) - 1)];
		n /= sizeof(digits) - 1;
	}
	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* it fits: dir and what room says */
	(void)snprintf(at->sun_path, sizeof(at->sun_path), "%.*s%s%s", (int)dir, path,
		prefix, random);
	return true;
}

static int bind_to(int fd, const struct sockaddr_un *at)
{
	return bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ? -errno : 0;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Notes the identity of the file at a path: 0 or -errno. */
static int identify(const char *path, struct unix_file *file)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	return 0;
}

static bool is_at(const struct unix_file *file, const char *path)
{
	struct unix_file found;

	return identify(path, &found) == 0 && found.dev == file->dev &&
		found.ino == file->ino;
}

/* Listens with fd and links the name to which it is bound to the file's path. Removes
 * that name, also on failure. */
static int listen_and_link(int fd, const char *bound, struct unix_file *file)
{
	int r = listen(fd, SOMAXCONN) < 0 ? -errno : identify(bound, file);

	if (r == 0 && link(bound, file->path) < 0)
		r = -errno;
	(void)unlink(bound); /* a name that is left is only untidy */
	return r;
}

/* The descriptor, or -errno: -EEXIST when there is something at the path. */
static int listen_hidden(struct unix_file *file)
{
	AUTO(close_fd) int fd = new_socket();
	struct sockaddr_un at;
	int r = fd < 0 ? fd : -EADDRINUSE;

	for (int i = 0; r == -EADDRINUSE && i < HIDDEN_TRIES; i++)
		r = put_hidden(&at, file->path) ? bind_to(fd, &at) : -ENAMETOOLONG;
	if (r == 0)
		r = listen_and_link(fd, at.sun_path, file);
	return r < 0 ? r : TAKE_FD(fd);
}

/* The same without a hidden name: for a moment, the path is there and clients are
 * refused. */
static int listen_in_place(struct unix_file *file)
{
	AUTO(close_fd) int fd = new_socket();
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int r;

	memcpy(at.sun_path, file->path, sizeof(file->path));
	r = fd < 0 ? fd : bind_to(fd, &at);
	if (r < 0)
		return r;
	r = listen(fd, SOMAXCONN) < 0 ? -errno : identify(file->path, file);
	if (r < 0)
		(void)unlink(file->path); /* bind has just made it */
	return r < 0 ? r : TAKE_FD(fd);
}

int unix_listen(const char *path, struct unix_file *file, struct err *e)
{
	struct unix_file made = { 0 };
	size_t n = strlen(path);
	int fd;

	if (n == 0 || n > UNIX_PATH_MAX)
		return err_bad(e, "socket path '%.120s' is %zu bytes long, not 1 to %d",
			path, n, (int)UNIX_PATH_MAX);
	memcpy(made.path, path, n);
	fd = listen_hidden(&made);
	if (fd == -EEXIST)
		fd = -EADDRINUSE;
	else if (fd < 0)
		fd = listen_in_place(&made);
	if (fd < 0)
		return err_code(e, fd, "cannot listen at '%s'", path);
	*file = made;
	return fd;
}

/* Removes the file at the path, which is_at has just checked. Another file may have
 * taken its place since, and that one must stay. So the file is moved aside, looked at
 * again, and moved back if it is another. */
static void remove_checked(const struct unix_file *file)
{
	struct sockaddr_un aside;

	/* Landlock or the file system does not let it be moved: just remove it */
	if (!put_hidden(&aside, file->path) ||
		renameat2(AT_FDCWD, file->path, AT_FDCWD, aside.sun_path,
			RENAME_NOREPLACE) < 0)
		(void)unlink(file->path);
	else if (is_at(file, aside.sun_path))
		(void)unlink(aside.sun_path);
	else
		(void)renameat2(AT_FDCWD, aside.sun_path, AT_FDCWD, file->path,
			RENAME_NOREPLACE);
}

void unix_file_remove(struct unix_file *file)
{
	if (file->path[0] != '\0' && is_at(file, file->path))
		remove_checked(file);
	*file = (struct unix_file){ 0 };
}
