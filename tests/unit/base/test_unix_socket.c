/* SPDX-License-Identifier: Apache-2.0
 *
 * unix_socket: when a path appears, what is in the way of it, and whose file is
 * removed.
 */
#include "vmm/base/unix_socket.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/unit/fakes/fake_file.h"

static struct fake_dir dir;
static struct err e;

/* What happens just before the next call of link or renameat2, and how that fails. This
 * program's functions replace libc's. */
static void (*before)(void);
static int link_fails;

static void happen(void)
{
	void (*now)(void) = TAKE(before);

	if (now)
		now();
}

int link(const char *from, const char *to)
{
	happen();
	if (link_fails) {
		errno = link_fails;
		return -1;
	}
	return (int)syscall(SYS_link, from, to);
}

int renameat2(
	int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	happen();
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void set_up(void)
{
	dir = fake_dir();
}

static void tear_down(void)
{
	fake_dir_remove(&dir);
}

TestSuite(unix_socket, .init = set_up, .fini = tear_down, .timeout = 30);

/* A path in the directory, of n bytes when n is not 0; the next call overwrites it. */
static char *path_of(const char *name, size_t n)
{
	static char path[300];
	size_t len = (size_t)snprintf(path, sizeof(path), "%s/%s", dir.path, name);

	if (n > 0) {
		cr_assert_lt(len, n + 1);
		memset(path + len, 'x', n - len);
		path[n] = '\0';
	}
	return path;
}

static unsigned entries(void)
{
	DIR *d = opendir(dir.path);
	unsigned n = 0;

	cr_assert_not_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2; /* without . and .. */
}

/* 0, or the errno with which a client fails to connect. */
static int connect_to(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	memcpy(at.sun_path, path, strlen(path));
	r = connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? errno : 0;
	close(fd);
	return r;
}

Test(unix_socket, listens_at_its_path_and_leaves_nothing_else)
{
	struct unix_file file;
	int fd = unix_listen(path_of("s", 0), &file, &e);

	cr_assert_geq(fd, 0, "%s", e.text);
	cr_assert_eq(connect_to(path_of("s", 0)), 0);
	cr_assert_eq(entries(), 1);
	cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	unix_file_remove(&file);
	cr_assert_eq(entries(), 0);
	close(fd);
}

Test(unix_socket, takes_its_mode_from_the_umask)
{
	struct unix_file file;
	struct stat st;
	mode_t old = umask(027);
	int fd = unix_listen(path_of("s", 0), &file, &e);

	umask(old);
	cr_assert_eq(stat(file.path, &st), 0);
	cr_assert_eq(st.st_mode, (mode_t)(S_IFSOCK | 0750));
	cr_assert_eq(st.st_nlink, 1);
	close(fd);
}

static unsigned seen;
static const char *seen_at; /* the path that is not there yet */

/* Checks that the directory has one file, hidden, and that its socket listens. */
static void see_no_path_and_a_listener(void)
{
	char in[300], hidden[600] = "";
	struct dirent *entry;
	DIR *d;

	cr_assert_eq(access(seen_at, F_OK), -1);
	(void)snprintf(in, sizeof(in), "%.*s", (int)(strrchr(seen_at, '/') - seen_at),
		seen_at);
	d = opendir(in);
	cr_assert_not_null(d);
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)snprintf(
				hidden, sizeof(hidden), "%s/%s", in, entry->d_name);
	(void)closedir(d);
	cr_assert_eq(strrchr(hidden, '/')[1], '.', "%s", hidden);
	cr_assert_eq(connect_to(hidden), 0, "%s", hidden);
	seen++;
}

Test(unix_socket, has_no_path_before_it_listens)
{
	struct unix_file file;
	int fd;

	before = see_no_path_and_a_listener;
	seen_at = path_of("s", 0);
	fd = unix_listen(seen_at, &file, &e);
	cr_assert_geq(fd, 0, "%s", e.text);
	cr_assert_eq(seen, 1);
	close(fd);
}

Test(unix_socket, is_announced_by_inotify_as_created)
{
	_Alignas(struct inotify_event) char events[4096];
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), fd;
	struct unix_file file;
	bool created = false;
	ssize_t n;

	cr_assert_geq(inotify_add_watch(watch, dir.path, IN_CREATE), 0);
	fd = unix_listen(path_of("s", 0), &file, &e);
	n = read(watch, events, sizeof(events));
	for (ssize_t at = 0; at < n;) {
		struct inotify_event *ev = (void *)(events + at);

		created = created || strcmp(ev->name, "s") == 0;
		at += (ssize_t)(sizeof(*ev) + ev->len);
	}
	cr_assert(created);
	close(watch);
	close(fd);
}

static void expect_refused(const char *path, int code)
{
	struct unix_file file = { .path = "untouched" };

	cr_expect_eq(unix_listen(path, &file, &e), code, "%s", path);
	cr_expect(code == -EINVAL || strstr(e.text, path), "%s", e.text);
	cr_expect_str_eq(file.path, "untouched");
}

Test(unix_socket, refuses_a_path_that_exists_whatever_it_is)
{
	struct unix_file file;
	int fd = unix_listen(path_of("s", 0), &file, &e);

	cr_assert_eq(mkdir(path_of("folder", 0), 0700), 0);
	cr_assert_eq(symlink("nowhere", path_of("link", 0)), 0);
	close(open(path_of("file", 0), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect_refused(path_of("s", 0), -EADDRINUSE);
	expect_refused(path_of("folder", 0), -EADDRINUSE);
	expect_refused(path_of("link", 0), -EADDRINUSE);
	expect_refused(path_of("file", 0), -EADDRINUSE);
	cr_assert_eq(connect_to(file.path), 0);
	close(fd);
	expect_refused(path_of("s", 0), -EADDRINUSE); /* nobody listens any more */
	cr_assert_eq(entries(), 4);
}

Test(unix_socket, refuses_a_path_that_cannot_be)
{
	expect_refused(path_of("no/s", 0), -ENOENT);
	expect_refused("", -EINVAL);
	expect_refused(path_of("s", UNIX_PATH_MAX + 1), -EINVAL);
	cr_assert(strstr(e.text, "107"), "%s", e.text);
	cr_assert_eq(entries(), 0);
}

/* The whole of an address, with a name of n bytes at its end. */
static void expect_long(size_t n)
{
	char in[UNIX_PATH_MAX + 1], path[2 * UNIX_PATH_MAX];
	struct unix_file file;
	int fd;

	(void)snprintf(in, sizeof(in), "%s", path_of("d", UNIX_PATH_MAX - 1 - n));
	cr_assert_eq(mkdir(in, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/", in);
	memset(path + strlen(path), 'n', n);
	path[UNIX_PATH_MAX] = '\0';
	before = n < 4 ? NULL : see_no_path_and_a_listener;
	seen_at = path;
	seen = 0;
	fd = unix_listen(path, &file, &e);
	cr_assert_geq(fd, 0, "%zu: %s", n, e.text);
	cr_assert_eq(seen, n >= 4);
	cr_assert_eq(connect_to(path), 0, "%zu", n);
	unix_file_remove(&file);
	close(fd);
	cr_assert_eq(rmdir(in), 0, "%zu: something is left", n);
}

Test(unix_socket, takes_a_path_of_all_the_bytes_of_an_address)
{
	for (size_t n = 1; n < 20; n++)
		expect_long(n);
}

Test(unix_socket, takes_a_path_without_a_folder)
{
	struct unix_file file;
	int fd;

	cr_assert_eq(chdir(dir.path), 0);
	fd = unix_listen("s", &file, &e);
	cr_assert_geq(fd, 0, "%s", e.text);
	cr_assert_eq(connect_to("s"), 0);
	cr_assert_eq(entries(), 1);
	unix_file_remove(&file);
	cr_assert_eq(entries(), 0);
	close(fd);
}

Test(unix_socket, does_without_links_where_there_are_none)
{
	struct unix_file file;
	int fd;

	link_fails = EPERM;
	fd = unix_listen(path_of("s", 0), &file, &e);
	cr_assert_geq(fd, 0, "%s", e.text);
	cr_assert_eq(connect_to(file.path), 0);
	cr_assert_eq(entries(), 1);
	unix_file_remove(&file);
	cr_assert_eq(entries(), 0);
	close(fd);
}

static void put_file_in_the_way(void)
{
	close(open(path_of("s", 0), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

Test(unix_socket, overwrites_nothing_that_appears_meanwhile)
{
	struct unix_file file;
	struct stat st;

	before = put_file_in_the_way;
	cr_assert_eq(unix_listen(path_of("s", 0), &file, &e), -EADDRINUSE);
	cr_assert_eq(stat(path_of("s", 0), &st), 0);
	cr_assert(S_ISREG(st.st_mode));
	cr_assert_eq(entries(), 1);
}

/* --- removal --- */

static void fail(void)
{
	cr_assert_fail("a file that is not its own was moved");
}

Test(unix_socket, removes_no_file_that_took_the_place_of_its_own)
{
	struct unix_file first, second;
	int fd = unix_listen(path_of("s", 0), &first, &e), other;

	cr_assert_eq(unlink(first.path), 0);
	other = unix_listen(path_of("s", 0), &second, &e);
	cr_assert_geq(other, 0);
	before = fail;
	unix_file_remove(&first);
	before = NULL;
	cr_assert_eq(connect_to(second.path), 0);
	cr_assert_str_eq(first.path, "");
	close(fd);
	unix_file_remove(&second);
	cr_assert_eq(entries(), 0);
	close(other);
}

static struct unix_file late;
static int late_fd;

static void replace_the_file(void)
{
	cr_assert_eq(unlink(path_of("s", 0)), 0);
	late_fd = unix_listen(path_of("s", 0), &late, &e);
	cr_assert_geq(late_fd, 0);
}

Test(unix_socket, puts_back_a_file_that_took_the_place_at_the_last_moment)
{
	struct unix_file first;
	int fd = unix_listen(path_of("s", 0), &first, &e);

	before = replace_the_file;
	unix_file_remove(&first);
	cr_assert_geq(late_fd, 0);
	cr_assert_eq(connect_to(late.path), 0);
	cr_assert_eq(entries(), 1);
	close(fd);
	close(late_fd);
}

Test(unix_socket, removes_nothing_twice_and_no_file_that_is_gone)
{
	struct unix_file file = { 0 }, copy;
	int fd;

	unix_file_remove(&file);
	fd = unix_listen(path_of("s", 0), &file, &e);
	copy = file;
	unix_file_remove(&file);
	unix_file_remove(&file);
	unix_file_remove(&copy);
	cr_assert_eq(entries(), 0);
	put_file_in_the_way();
	unix_file_remove(&copy);
	cr_assert_eq(entries(), 1);
	close(fd);
}
