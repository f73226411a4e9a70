/* SPDX-License-Identifier: Apache-2.0
 *
 * jailer paths, binary, process: with real files, in a directory under /tmp that each
 * test makes for itself.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "jailer/binary.h"
#include "jailer/chroot.h"
#include "jailer/paths.h"
#include "jailer/process.h"
#include "tests/unit/fakes/fake_file.h"
#include "vmm/base/io.h"

static struct fake_dir dir;
static struct err err;
static int at;

static void set_up(void)
{
	dir = fake_dir();
	at = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(at, 0);
	cr_assert_eq(fchdir(at), 0);
}

static void tear_down(void)
{
	fake_dir_remove(&dir);
	close(at);
}

TestSuite(jailer_files, .init = set_up, .fini = tear_down);

static void make_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, mode), 0);
	cr_assert_eq(io_write(fd, text, strlen(text)), 0);
	close(fd);
}

Test(jailer_files, name_the_executable_by_its_canonical_path)
{
	char name[NAME_MAX + 1];
	int fd;

	make_file("real", "x", 0755);
	cr_assert_eq(symlink("real", "link"), 0);
	cr_assert_eq(path_open_exec("./../tmp/.././link", &fd, name, &err), -ENOENT);
	cr_assert_eq(path_open_exec("./link", &fd, name, &err), 0, "%s", err.text);
	cr_expect_str_eq(name, "real");
	cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

Test(jailer_files, refuse_an_executable_that_is_no_regular_file)
{
	char name[NAME_MAX + 1];
	int fd;

	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_expect_eq(path_open_exec("fifo", &fd, name, &err), -EINVAL);
	cr_expect_eq(path_open_exec(".", &fd, name, &err), -EINVAL);
	cr_expect(strstr(err.text, "not a regular file"), "%s", err.text);
	cr_expect_eq(path_open_exec("none", &fd, name, &err), -ENOENT);
}

Test(jailer_files, make_directories_and_take_those_that_exist)
{
	struct stat st;
	int fd;

	(void)umask(022);
	cr_assert_eq(path_make_dir(at, "d", 0755, &fd, &err), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode, S_IFDIR | 0755);
	close(fd);
	cr_assert_eq(path_make_dir(at, "d", 0700, &fd, &err), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode, S_IFDIR | 0755);
	close(fd);
}

Test(jailer_files, refuse_links_in_place_of_directories)
{
	int fd;

	cr_assert_eq(mkdir("d", 0755), 0);
	cr_assert_eq(symlink("d", "link"), 0);
	cr_assert_eq(symlink("nowhere", "dangling"), 0);
	make_file("file", "", 0600);
	cr_expect_eq(path_make_dir(at, "link", 0755, &fd, &err), -EINVAL);
	cr_expect_eq(path_make_dir(at, "dangling", 0755, &fd, &err), -EINVAL);
	cr_expect_eq(path_make_dir(at, "file", 0755, &fd, &err), -EINVAL);
	cr_expect(strstr(err.text, "'file'"), "%s", err.text);
	cr_expect_lt(access("nowhere", F_OK), 0);
}

Test(jailer_files, make_the_whole_way_to_the_root)
{
	int fd;

	cr_assert_eq(chroot_make_root(at, "husk", "vm", &fd, &err), 0);
	close(fd);
	cr_expect_eq(access("husk/vm/root", F_OK), 0);
	cr_assert_eq(symlink("husk", "other"), 0);
	cr_expect_eq(chroot_make_root(at, "other", "vm", &fd, &err), -EINVAL);
	cr_assert_eq(symlink("vm", "husk/vm2"), 0);
	cr_expect_eq(chroot_make_root(at, "husk", "vm2", &fd, &err), -EINVAL);
}

Test(jailer_files, know_paths_that_stay_below)
{
	static const char *const in[] = { "", "a", "a/b", "a//b/", "...", "..a", ".a" };
	static const char *const out[] = { "/", "/a", ".", "..", "a/..", "./a",
		"a//../b" };
	char longest[NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_LEN(in); i++)
		cr_expect(path_is_inner(in[i]), "%s", in[i]);
	for (size_t i = 0; i < ARRAY_LEN(out); i++)
		cr_expect_not(path_is_inner(out[i]), "%s", out[i]);
	memset(longest, 'x', sizeof(longest));
	longest[NAME_MAX + 1] = '\0';
	cr_expect_not(path_is_inner(longest));
	longest[NAME_MAX] = '\0';
	cr_expect(path_is_inner(longest));
}

Test(jailer_files, take_paths_apart)
{
	const char *rest = "a//bc/d/";
	char name[NAME_MAX + 1];

	cr_assert(path_next(&rest, name));
	cr_expect_str_eq(name, "a");
	cr_assert(path_next(&rest, name));
	cr_expect_str_eq(name, "bc");
	cr_assert(path_next(&rest, name));
	cr_expect_str_eq(name, "d");
	cr_expect_not(path_next(&rest, name));
}

Test(jailer_files, refuse_a_text_that_does_not_fit)
{
	char text[4];

	make_file("four", "1234", 0600);
	make_file("three", "123", 0600);
	cr_expect_eq(path_read_text(at, "four", text, sizeof(text)), -EFBIG);
	cr_expect_eq(path_read_text(at, "three", text, sizeof(text)), 3);
	cr_expect_str_eq(text, "123");
	cr_expect_eq(path_read_text(at, "none", text, sizeof(text)), -ENOENT);
}

static int copy(const char *name)
{
	int from = open("source", O_RDONLY | O_CLOEXEC);
	int r = binary_copy(from, at, name, getuid(), getgid(), &err);

	close(from);
	return r;
}

Test(jailer_files, copy_the_binary_with_its_mode_and_no_special_bits)
{
	char text[16];
	struct stat st;

	(void)umask(077);
	make_file("source", "binary", 06755);
	make_file("old", "something longer", 0600);
	cr_assert_eq(copy("old"), 0, "%s", err.text);
	cr_assert_eq(path_read_text(at, "old", text, sizeof(text)), 6);
	cr_expect_str_eq(text, "binary");
	cr_assert_eq(stat("old", &st), 0);
	cr_expect_eq(st.st_mode, S_IFREG | 0755);
	cr_expect_eq(st.st_nlink, 1);
}

/* The old file is not written to, so a link to it that comes and goes while the jailer
 * looks gives nothing away. */
Test(jailer_files, never_write_to_a_file_that_was_there)
{
	char text[16];
	int old;

	make_file("source", "binary", 0755);
	make_file("old", "precious", 0600);
	old = open("old", O_RDWR | O_CLOEXEC);
	cr_assert_eq(copy("old"), 0, "%s", err.text);
	cr_expect_eq(pread(old, text, sizeof(text), 0), 8);
	cr_expect_eq(memcmp(text, "precious", 8), 0);
	close(old);
}

/* No file system copies or clones into another, so sendfile does it. */
Test(jailer_files, copy_to_another_file_system)
{
	char big[200000], text[sizeof(big) + 1];
	int fd, to;

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	make_file("source", big, 0755);
	fd = open("source", O_RDONLY | O_CLOEXEC);
	to = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(to, 0);
	cr_assert_eq(
		binary_copy(fd, to, "husk-jailer-copy", getuid(), getgid(), &err), 0);
	cr_expect_eq(path_read_text(to, "husk-jailer-copy", text, sizeof(text)),
		sizeof(big) - 1);
	cr_expect_str_eq(text, big);
	(void)unlinkat(to, "husk-jailer-copy", 0);
	close(to);
	close(fd);
}

Test(jailer_files, refuse_to_copy_over_links_and_what_is_no_file)
{
	char text[16];

	make_file("source", "binary", 0755);
	make_file("victim", "precious", 0600);
	cr_assert_eq(symlink("victim", "link"), 0);
	cr_assert_eq(symlink("nowhere", "dangling"), 0);
	cr_assert_eq(link("victim", "hard"), 0);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_assert_eq(mkdir("d", 0755), 0);
	cr_expect_eq(copy("link"), -EINVAL);
	cr_expect_eq(copy("dangling"), -EINVAL);
	cr_expect_eq(copy("hard"), -EINVAL);
	cr_expect_lt(copy("fifo"), 0);
	cr_expect_eq(copy("d"), -EINVAL);
	cr_expect_eq(copy("source"), -EINVAL);
	cr_assert_eq(path_read_text(at, "victim", text, sizeof(text)), 8);
	cr_expect_str_eq(text, "precious");
	cr_expect_eq(path_read_text(at, "source", text, sizeof(text)), 6);
}

/* Runs in a child, because it closes descriptors. 0 when all is as it should be. */
static int close_in_child(void)
{
	int keep[] = { 20, 21, 30 };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		if (dup3(STDIN_FILENO, keep[i], O_CLOEXEC) < 0)
			return 1;
	if (dup2(STDIN_FILENO, 25) < 0 || dup2(STDIN_FILENO, 40) < 0)
		return 2;
	if (process_close_fds(keep, ARRAY_LEN(keep), &e) != 0)
		return 3;
	for (int fd = 3; fd < 50; fd++)
		if ((fcntl(fd, F_GETFD) == 0) != (fd == 20 || fd == 21 || fd == 30))
			return 4;
	if (process_close_fds(&(int){ 25 }, 1, &e) != -EBADF)
		return 5;
	if (open("/", O_RDONLY | O_DIRECTORY) != 3)
		return 6;
	return process_close_fds(&(int){ 3 }, 1, &e) == -EINVAL ? 0 : 7;
}

Test(jailer_files, close_all_descriptors_but_those_to_keep)
{
	int status;
	pid_t pid = process_spawn(0, -1);

	cr_assert_geq(pid, 0);
	if (pid == 0)
		_exit(close_in_child());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(WEXITSTATUS(status), 0);
}

Test(jailer_files, tell_what_a_child_wrote_before_it_ended)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	cr_assert_eq(io_write(fds[1], "it broke", 8), 0);
	close(fds[1]);
	cr_expect_eq(process_wait_exec(fds[0], &err), -ECHILD);
	cr_expect_str_eq(err.text, "it broke");
	cr_expect_eq(process_wait_exec(fds[0], &err), 0);
	close(fds[0]);
}
