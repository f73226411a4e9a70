/* SPDX-License-Identifier: Apache-2.0
 *
 * main: the steps by which the jailer puts a monitor into its jail, as a table, in the
 * order of the contract (7.2). There is one thread, and exec closes what it opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "jailer/binary.h"
#include "jailer/cgroup.h"
#include "jailer/chroot.h"
#include "jailer/devices.h"
#include "jailer/ids.h"
#include "jailer/options.h"
#include "jailer/paths.h"
#include "jailer/process.h"
#include "vmm/base/args.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"
#include "vmm/base/version.h"

#define OWN_WORDS 9 /* words of the monitor's command line that the jailer adds */

/* What a step returns in the process that was started first, when a child of it goes on
 * with the steps. */
#define LEFT_TO_CHILD 1

struct jail {
	struct options o;
	uint64_t start_us; /* CLOCK_MONOTONIC when the jailer started */
	uint64_t parent_cpu_us; /* CPU time of this process's ancestors in the jailer */
	char exec_name[NAME_MAX + 1];
	int exec, base; /* executable and base directory, on the host */
	int root; /* the jail's root, seen from the host and later from inside */
	int lock; /* the same directory, held locked against a second jailer */
	int null; /* /dev/null, with --daemonize */
	struct cgroup cgroup;
	struct devices devices;
	struct jail_dirs dirs;
	bool in_user_ns; /* the jailer has made a user namespace */
	bool binds_devices; /* mount the host's device nodes, since none can be made */
	mode_t umask; /* the caller's, given back to the monitor */
	sighandler_t on_file_too_big; /* likewise, for SIGXFSZ */
	int report[2]; /* a pipe on which a child tells the first process of a failure
			*/
};

static const char *parent_cgroup(const struct jail *j)
{
	return j->o.parent_cgroup ? j->o.parent_cgroup : j->exec_name;
}

static void warn(const char *text)
{
	(void)fprintf(stderr, "husk-jailer: warning: %s\n", text);
}

static int open_inputs(struct jail *j, struct err *e)
{
	int r = path_open_exec(j->o.exec_file, &j->exec, j->exec_name, e);

	if (r == 0)
		r = path_open_dir(j->o.base_dir, &j->base, e);
	if (r == 0 && j->o.cgroup_version == 2 && j->o.n_properties == 0)
		r = cgroup_join_existing(parent_cgroup(j), e);
	if (r < 0)
		return r;
	j->in_user_ns = !ids_is_privileged();
	j->binds_devices = j->in_user_ns || ids_is_in_user_ns();
	/* warn now, because with --daemonize there is no stderr later */
	if (ids_keeps_capabilities(j->o.uid, j->in_user_ns))
		warn("user 0 keeps its capabilities in the jail, and so has ways out of "
		     "it; another --uid has none");
	return j->in_user_ns ? ids_enter_user_ns(j->o.uid, j->o.gid, e) : 0;
}

static int make_root(struct jail *j, struct err *e)
{
	int r;

	/* the modes of what the jailer makes shall not depend on the caller's umask */
	j->umask = umask(022);
	r = chroot_make_root(j->base, j->exec_name, j->o.id, &j->root, e);
	if (r < 0)
		return r;
	/* held until exec; a file system without locks is accepted */
	j->lock = fcntl(j->root, F_DUPFD_CLOEXEC, 0);
	if (j->lock < 0)
		return err_sys(e, "cannot keep the jail's root");
	if (flock(j->root, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return err_bad(e, "another jailer makes the jail '%s'", j->o.id);
	/* exec would only say "Permission denied" */
	if (path_has_mount_flag(j->root, ST_NOEXEC))
		return err_bad(e,
			"'%s' is on a noexec mount: the monitor cannot be run there",
			j->o.base_dir);
	return 0;
}

static int copy_binary(struct jail *j, struct err *e)
{
	return binary_copy(j->exec, j->root, j->exec_name, j->o.uid, j->o.gid, e);
}

static int join_netns(struct jail *j, struct err *e)
{
	AUTO(close_fd) int fd = -1;

	if (!j->o.netns)
		return 0;
	fd = open(j->o.netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, "cannot open the network namespace '%s'", j->o.netns);
	if (setns(fd, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot join the network namespace '%s'", j->o.netns);
	return 0;
}

static int set_limits(struct jail *j, struct err *e)
{
	int r = ids_limit(RLIMIT_NOFILE, "no-file", j->o.no_file, e);

	/* until exec, a file that grows too big shall be an error with a text */
	j->on_file_too_big = signal(SIGXFSZ, SIG_IGN);
	return r == 0 && j->o.has_fsize
		? ids_limit(RLIMIT_FSIZE, "fsize", j->o.fsize, e)
		: r;
}

/* Whether the process that becomes the monitor is created in its cgroup. */
static bool is_spawned_into_cgroup(const struct jail *j)
{
	return j->cgroup.version == 2 && j->cgroup.n > 0 &&
		(j->o.daemonize || j->o.new_pid_ns);
}

static int set_cgroups(struct jail *j, struct err *e)
{
	int r;

	j->cgroup.version = j->o.cgroup_version;
	r = cgroup_set_up(&j->cgroup, parent_cgroup(j), j->o.id, j->o.properties,
		j->o.n_properties, e);
	return r < 0 || is_spawned_into_cgroup(j) ? r : cgroup_attach(&j->cgroup, e);
}

static int open_null(struct jail *j, struct err *e)
{
	if (!j->o.daemonize)
		return 0;
	j->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return j->null < 0 ? err_sys(e, "cannot open /dev/null") : 0;
}

static int change_root(struct jail *j, struct err *e)
{
	int r = chroot_unshare(j->root, e);

	if (r == 0)
		r = devices_find(&j->devices, j->binds_devices, e);
	if (r < 0)
		return r;
	close_fd(TAKE_FD(j->root));
	return chroot_pivot(&j->root, e);
}

static int make_dirs(struct jail *j, struct err *e)
{
	return chroot_make_dirs(j->root, j->o.uid, j->o.gid, &j->dirs, e);
}

static int make_devices(struct jail *j, struct err *e)
{
	struct err warning = { "" };
	int r = devices_make(&j->devices, &j->dirs, j->o.uid, j->o.gid, &warning, e);

	devices_close(&j->devices);
	if (warning.text[0] != '\0')
		warn(warning.text);
	return r;
}

static bool is_first(const struct jail *j)
{
	return j->report[0] >= 0;
}

/* Makes a child that goes on with the steps; is_last: it becomes the monitor. 0 in the
 * child; in the parent its id, or -errno with text. */
static pid_t spawn(struct jail *j, uint64_t flags, bool is_last, struct err *e)
{
	uint64_t so_far = clock_cpu_us();
	pid_t pid;

	if (j->report[1] < 0 && pipe2(j->report, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	pid = process_spawn(
		flags, is_last && is_spawned_into_cgroup(j) ? j->cgroup.dirs[0] : -1);
	if (pid < 0)
		return err_code(e, pid, "cannot start the monitor's process");
	if (pid == 0) {
		j->parent_cpu_us += so_far;
		close_fd(TAKE_FD(j->report[0]));
	}
	return pid;
}

/* For a parent whose child goes on with the steps. The process that was started first
 * returns LEFT_TO_CHILD, because it waits for the outcome; any other one exits here. */
static int leave_to_child(const struct jail *j)
{
	if (!is_first(j))
		_exit(EXIT_SUCCESS);
	return LEFT_TO_CHILD;
}

static int daemonize(struct jail *j, struct err *e)
{
	pid_t pid;

	if (!j->o.daemonize)
		return 0;
	pid = spawn(j, 0, false, e);
	if (pid != 0)
		return pid < 0 ? pid : leave_to_child(j);
	if (setsid() < 0)
		return err_sys(e, "cannot make a session");
	pid = spawn(j, 0, !j->o.new_pid_ns, e);
	if (pid != 0)
		return pid < 0 ? pid : leave_to_child(j);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(j->null, fd) < 0)
			return err_sys(e, "cannot leave descriptor %d", fd);
	return 0;
}

static int create_pid_file(const struct jail *j, int *fd, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char name[NAME_MAX + 8];

	(void)snprintf(name, sizeof(name), "%s.pid", j->exec_name);
	*fd = openat(j->root, name, flags, 0644);
	return *fd < 0 ? err_sys(e, "cannot create the pid file '%s'", name) : 0;
}

static int write_pid(int fd, pid_t pid, struct err *e)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);
	int r = io_write(fd, text, (size_t)n);

	return r < 0 ? err_code(e, r, "cannot write the pid file") : 0;
}

/* Creates the pid file before the process that it names, so that a file that exists
 * already stops the start. */
static int enter_pid_ns(struct jail *j, struct err *e)
{
	AUTO(close_fd) int file = -1;
	bool leads_session = getsid(0) == getpid();
	pid_t pid = 0;
	int r = create_pid_file(j, &file, e);

	if (r == 0 && j->o.new_pid_ns)
		pid = spawn(j, CLONE_NEWPID, true, e);
	if (r < 0 || pid < 0)
		return MIN(r, pid);
	if (j->o.new_pid_ns && pid == 0)
		return leads_session && setsid() < 0
			? err_sys(e, "cannot make a session")
			: 0;
	r = write_pid(file, pid ? pid : getpid(), e);
	if (r < 0 && pid) /* not waited for yet, so nobody else has this id */
		(void)kill(pid, SIGKILL);
	if (r < 0 || pid == 0)
		return r;
	return leave_to_child(j);
}

static int count_words(char **words)
{
	int n = 0;

	while (words[n])
		n++;
	return n;
}

static int run_monitor(struct jail *j, struct err *e)
{
	char path[NAME_MAX + 2], start[24], cpu[24], parent_cpu[24];
	char *own[OWN_WORDS] = { path, (char[]){ "--id" }, (char *)j->o.id,
		(char[]){ "--start-time-us" }, start, (char[]){ "--start-time-cpu-us" },
		cpu, (char[]){ "--parent-cpu-time-us" }, parent_cpu };
	size_t n_extra = (size_t)count_words(j->o.extra);
	char **argv = calloc(OWN_WORDS + n_extra + 1, sizeof(*argv));
	char *no_environment[] = { NULL };
	int r;

	if (!argv)
		return err_sys(e, "the monitor's arguments");
	memcpy(argv, own, sizeof(own));
	memcpy(argv + OWN_WORDS, j->o.extra, n_extra * sizeof(*argv));
	(void)umask(j->umask);
	(void)signal(SIGXFSZ, j->on_file_too_big);
	r = ids_drop(j->o.uid, j->o.gid, j->in_user_ns, e);
	if (r == 0) {
		(void)snprintf(path, sizeof(path), "/%s", j->exec_name);
		(void)snprintf(
			start, sizeof(start), "%llu", (unsigned long long)j->start_us);
		(void)snprintf(
			cpu, sizeof(cpu), "%llu", (unsigned long long)clock_cpu_us());
		(void)snprintf(parent_cpu, sizeof(parent_cpu), "%llu",
			(unsigned long long)j->parent_cpu_us);
		(void)execve(path, argv, no_environment);
		r = err_sys(e, "cannot run '%s' in the jail", path);
	}
	free(argv);
	return r;
}

/* The numbers are those of the contract, 7.2; step 1 is in main. */
static int (*const steps[])(struct jail *, struct err *) = {
	open_inputs, /* 2 */
	make_root, /* 3 */
	copy_binary, /* 4 */
	join_netns, /* 5 */
	set_limits, /* 6 */
	set_cgroups, /* 7 */
	open_null, /* 8 */
	change_root, /* 9 */
	make_dirs, /* 10 */
	make_devices, /* 11 */
	daemonize, /* 12 */
	enter_pid_ns, /* 13, 14 */
	run_monitor, /* 15 */
};

/* Reports a failure on stderr; a child tells the first process, which has stderr. */
static int fail(const struct jail *j, const struct err *e)
{
	if (j->report[1] >= 0 && !is_first(j))
		(void)!io_write(j->report[1], e->text, strlen(e->text));
	else
		(void)fprintf(stderr, "husk-jailer: %s\n", e->text);
	return EXIT_FAILURE;
}

static int run(struct jail *j, struct err *e)
{
	int r = process_close_fds(j->o.keep_fds, j->o.n_keep_fds, e);

	io_fill_standard_fds();
	if (r == 0 && !j->o.daemonize)
		r = process_check_standard_fds(e);
	if (r == 0 && !j->o.daemonize) /* here, since a jail has no /proc */
		io_own_standard_outputs();
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++)
		r = steps[i](j, e);
	if (r != LEFT_TO_CHILD)
		return r;
	close_fd(TAKE_FD(j->report[1]));
	return process_wait_exec(j->report[0], e);
}

int main(int argc, char **argv)
{
	struct jail j = { .start_us = clock_us(),
		.exec = -1,
		.base = -1,
		.root = -1,
		.lock = -1,
		.null = -1,
		.dirs = { -1, -1 },
		.report = { -1, -1 } };
	struct err e = { "" };
	int r;

	(void)clearenv();
	r = options_parse(argc, argv, &j.o, &e);
	if (r == ARGS_VERSION) {
		printf("Jailer v%s\n", HUSK_VERSION);
		return EXIT_SUCCESS;
	}
	if (r == ARGS_HELP) {
		printf("Jailer v%s: puts a microVM monitor into its jail\n\n",
			HUSK_VERSION);
		options_print_help();
		return EXIT_SUCCESS;
	}
	if (r == ARGS_RUN)
		r = run(&j, &e);
	r = r < 0 ? fail(&j, &e) : EXIT_SUCCESS;
	options_fini(&j.o);
	return r;
}
