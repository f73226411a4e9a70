/* SPDX-License-Identifier: Apache-2.0
 *
 * jailed: put into a jail in place of husk, it tries what must not work there, writes a
 * line for each to /report, and stays until it is killed, to be looked at from outside.
 * "ok" is what is hoped for. Beside the jail it is what the tests lack:
 *   jailed as ID COMMAND...             as a user and group without rights
 *   jailed swap A B                     two directories that change places for ever
 *   jailed relink FILE LINK             makes a hard link and takes it away for ever
 *   jailed socket PATH FD COMMAND...    with a socket that listens, at that number
 *   jailed tap NAME FD COMMAND...       with a TAP interface, likewise
 *   jailed tap-of ID NAME               makes one that stays, of that user
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static FILE *report;

static void say(const char *what, bool ok)
{
	(void)fprintf(report, "%s: %s\n", what, ok ? "ok" : strerror(errno));
}

static void refused(const char *what, int r)
{
	if (r >= 0)
		(void)fprintf(report, "%s: was possible\n", what);
	else
		say(what, true);
}

static void try_to_gain(void)
{
	/* user 0 has nothing to gain, and would lose what it has */
	if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1)
		return;
	refused("setuid 0", setuid(0));
	refused("setresuid 1", setresuid(1, 1, 1));
	refused("setgid 0", setgid(0));
	refused("setgroups", setgroups(0, NULL));
	refused("chroot", chroot("/run"));
	refused("mknod", mknod("/run/mem", S_IFCHR | 0600, makedev(1, 1)));
	refused("mount", mount("none", "/run", "tmpfs", 0, NULL));
	refused("mount namespace", unshare(CLONE_NEWNS));
	refused("privileges by exec", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void try_devices(void)
{
	char byte;
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	say("read urandom", fd >= 0 && read(fd, &byte, 1) == 1);
	if (fd >= 0)
		(void)close(fd);
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	/* a host without KVM has no driver behind the node */
	say("open kvm", fd >= 0 || errno == ENXIO || errno == ENODEV);
	if (fd >= 0)
		(void)close(fd);
}

/* Where a test has made one that only capabilities open. */
static void try_fifo(void)
{
	int fd;

	if (access("/logs.fifo", F_OK) < 0)
		return;
	fd = open("/logs.fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	say("open a FIFO of mode 0", fd >= 0);
	if (fd >= 0)
		(void)close(fd);
}

/* The way out of a chroot, which a root of its own has not. */
static bool is_outside(void)
{
	struct stat root, up;

	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			break;
	return stat("/", &root) < 0 || stat(".", &up) < 0 || root.st_ino != up.st_ino ||
		root.st_dev != up.st_dev;
}

static int run_as(id_t id, char **command)
{
	if (setgroups(0, NULL) == 0 && setresgid(id, id, id) == 0 &&
		setresuid(id, id, id) == 0)
		(void)execvp(command[0], command);
	perror(command[0]);
	return EXIT_FAILURE;
}

static int swap(const char *a, const char *b)
{
	(void)alarm(60);
	while (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0)
		;
	perror(a);
	return EXIT_FAILURE;
}

_Noreturn static void relink(const char *file, const char *at)
{
	(void)alarm(60);
	for (;;) {
		(void)link(file, at);
		(void)unlink(at);
	}
}

static int run_with_fd(int fd, const char *number, char **command)
{
	int wanted = (int)strtol(number, NULL, 10);

	if (fd >= 0 && (fd == wanted || dup2(fd, wanted) >= 0)) {
		if (fd != wanted)
			(void)close(fd);
		(void)execvp(command[0], command);
	}
	perror(command[0]);
	return EXIT_FAILURE;
}

static int make_socket(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 8) == 0
		? fd
		: -1;
}

static int make_tap(const char *name)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR);

	(void)strncpy(req.ifr_name, name, IFNAMSIZ - 1);
	return fd >= 0 && ioctl(fd, TUNSETIFF, &req) == 0 ? fd : -1;
}

static int make_tap_of(id_t id, const char *name)
{
	int fd = make_tap(name);

	if (fd >= 0 && ioctl(fd, TUNSETOWNER, id) == 0 &&
		ioctl(fd, TUNSETPERSIST, 1) == 0)
		return EXIT_SUCCESS;
	perror(name);
	return EXIT_FAILURE;
}

/* What it is beside the jail; -1 for what it is not. */
static int run_beside(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "as") == 0)
		return run_as((id_t)strtoul(argv[2], NULL, 10), argv + 3);
	if (argc == 4 && strcmp(argv[1], "swap") == 0)
		return swap(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "tap-of") == 0)
		return make_tap_of((id_t)strtoul(argv[2], NULL, 10), argv[3]);
	if (argc == 4 && strcmp(argv[1], "relink") == 0)
		relink(argv[2], argv[3]);
	if (argc > 4 && strcmp(argv[1], "socket") == 0)
		return run_with_fd(make_socket(argv[2]), argv[3], argv + 4);
	if (argc > 4 && strcmp(argv[1], "tap") == 0)
		return run_with_fd(make_tap(argv[2]), argv[3], argv + 4);
	return -1;
}

int main(int argc, char **argv)
{
	int beside = run_beside(argc, argv);
	char cwd[64];
	mode_t mask = umask(0);

	(void)umask(mask);
	if (beside >= 0)
		return beside;
	report = fopen("/report.new", "we");
	if (!report)
		return EXIT_FAILURE;
	say("working directory", getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	say("environment is empty", !environ[0]);
	try_devices();
	try_fifo();
	try_to_gain();
	(void)fprintf(report, "outside: %s\n", is_outside() ? "yes" : "ok");
	(void)fprintf(report, "umask %o, pid %d\n", mask, (int)getpid());
	for (int i = 0; i < argc; i++)
		(void)fprintf(report, "arg %d %s\n", i, argv[i]);
	(void)fclose(report);
	/* whole when it is there */
	if (rename("/report.new", "/report") < 0)
		return EXIT_FAILURE;
	/* not alarm: the first process of a PID namespace gets no such signal */
	(void)sleep(60);
	return EXIT_SUCCESS;
}
