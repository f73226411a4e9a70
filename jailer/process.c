/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Closes the descriptors from first to last, which may be none. */
static int close_from_to(unsigned first, unsigned last, struct err *e)
{
	if (first <= last && close_range(first, last, CLOSE_RANGE_UNSHARE) < 0)
		return err_sys(e, "cannot close inherited descriptors");
	return 0;
}

static int refuse_directory(int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot keep descriptor %d", fd);
	return S_ISDIR(st.st_mode)
		? err_bad(e, "descriptor %d is a directory: it leads out of the jail",
			  fd)
		: 0;
}

static int keep_fd(int fd, struct err *e)
{
	int r = refuse_directory(fd, e);

	if (r < 0)
		return r;
	if (fcntl(fd, F_SETFD, 0) < 0)
		return err_sys(e, "cannot keep descriptor %d", fd);
	return 0;
}

int process_close_fds(const int *keep, size_t n, struct err *e)
{
	unsigned first = STDERR_FILENO + 1;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = close_from_to(first, (unsigned)keep[i] - 1, e);
		if (r == 0)
			r = keep_fd(keep[i], e);
		first = (unsigned)keep[i] + 1;
	}
	return r < 0 ? r : close_from_to(first, ~0U, e);
}

int process_check_standard_fds(struct err *e)
{
	int r = 0;

	for (int fd = STDIN_FILENO; r == 0 && fd <= STDERR_FILENO; fd++)
		r = refuse_directory(fd, e);
	return r;
}

pid_t process_spawn(uint64_t flags, int cgroup_fd)
{
	struct clone_args a = { .flags = flags, .exit_signal = SIGCHLD };
	long pid;

	if (cgroup_fd >= 0) {
		/* created in it, because joining later waits for every CPU of the host
		 */
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (unsigned)cgroup_fd;
	}
	pid = syscall(SYS_clone3, &a, sizeof(a));
	return pid < 0 ? -errno : (pid_t)pid;
}

int process_wait_exec(int fd, struct err *e)
{
	size_t n = 0;
	ssize_t got;

	do {
		got = read(fd, e->text + n, sizeof(e->text) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	e->text[n] = '\0';
	return n > 0 ? -ECHILD : 0;
}
