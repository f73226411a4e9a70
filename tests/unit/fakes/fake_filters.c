/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_filters.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>

#include "vmm/process/signals.h"

enum { STATUS_BROKEN = 99 };

static _Noreturn void child(const struct seccomp_filters *set,
	enum seccomp_filter_category which, int (*fn)(const long *arg), const long *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct process_counts counts;
	static struct signals s = { .counts = &counts };
	struct loop *loop;
	struct err e;

	if (loop_create(&lock, &loop, &e) < 0 || signals_watch(&s, loop, &e) < 0 ||
		seccomp_filter_prepare(&e) < 0 ||
		seccomp_filter_install(set, which, &e) < 0)
		_exit(STATUS_BROKEN);
	_exit(fn(arg));
}

static void read_text(int fd, char *text, size_t room)
{
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, text + at, room - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
}

struct tried try_filter(const struct seccomp_filters *set,
	enum seccomp_filter_category which, int (*fn)(const long *arg), const long *arg)
{
	struct tried t = { .status = -1 };
	int fds[2], status;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)dup2(fds[1], STDERR_FILENO);
		child(set, which, fn, arg);
	}
	close(fds[1]);
	read_text(fds[0], t.text, sizeof(t.text));
	close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		t.status = WEXITSTATUS(status);
	if (WIFSIGNALED(status))
		t.signal = WTERMSIG(status);
	cr_assert_neq(t.status, STATUS_BROKEN, "%s", t.text);
	return t;
}
