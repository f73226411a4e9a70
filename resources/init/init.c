/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first program of a guest of husk. It reports the end of boot through the boot
 * timer before anything else, mounts what a runtime expects, runs one program and
 * resets the machine when that ends. One thread; it trusts the kernel's command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define BOOT_TIMER_GPA 0xc0000000 /* the monitor's device page */
#define BOOT_TIMER_INIT 123 /* "guest init runs" */
#define MAX_ARGS 32

struct mount_entry {
	const char *source, *target, *type;
	unsigned long flags;
	const char *data;
};

/* In order: a later target may lie in an earlier mount. /tmp, /run and /dev/shm are
 * what a read-only root needs to be writable. */
static const struct mount_entry mounts[] = {
	{ "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL },
	{ "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "ptmxmode=0666" },
	{ "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755" },
	{ "tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		NULL },
};

/* The node is in the initramfs, or in the devtmpfs that the kernel mounts over a root
 * from a disk; the other two ways are for roots that were made without either. */
static int open_dev_mem(void)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	mkdir("/dev", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
		mknod("/dev/mem", S_IFCHR | 0600, makedev(1, 1));
	return open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
}

/* A monitor without the device ignores the write; a kernel that refuses is no matter.
 */
static void report_boot(void)
{
	volatile uint8_t *page;
	int fd = open_dev_mem();

	if (fd < 0)
		return;
	page = mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, BOOT_TIMER_GPA);
	close(fd);
	if (page == MAP_FAILED)
		return;
	page[0] = BOOT_TIMER_INIT;
	munmap((void *)page, 1);
}

/* The kernel opened the console for us where there is one. Returns whether it did. */
static bool open_stdio(void)
{
	bool console = fcntl(0, F_GETFD) >= 0;
	int fd = 0;

	if (!console)
		fd = open("/dev/console", O_RDWR);
	if (fd >= 0 && !console)
		console = true;
	else if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 2)
		fd = dup(fd);
	return console;
}

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct mount_entry *m = &mounts[i];

		/* What is there already, and what this kernel or root lacks, is
		 * skipped. */
		mkdir(m->target, 0755);
		mount(m->source, m->target, m->type, m->flags, m->data);
	}
}

static void bring_up_lo(void)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	ioctl(fd, SIOCSIFFLAGS, &req);
	close(fd);
}

/* Finds type and mode of the root in /proc/mounts, where the last mount on / counts. */
static void describe_root(char *out, size_t size)
{
	char type[32], target[256], mode[3];
	FILE *f = fopen("/proc/mounts", "re");

	snprintf(out, size, "unknown");
	if (!f)
		return;
	while (fscanf(f, "%*s %255s %31s %2s%*[^\n]", target, type, mode) == 3)
		if (!strcmp(target, "/"))
			snprintf(out, size, "%s %s", type, mode);
	fclose(f);
}

static void greet(void)
{
	char root[40];
	struct utsname u;
	struct sysinfo s;

	uname(&u);
	sysinfo(&s);
	describe_root(root, sizeof(root));
	dprintf(1, "husk guest: %s %s, %ld vCPU, %llu MiB, root %s\n", u.sysname,
		u.release, sysconf(_SC_NPROCESSORS_ONLN),
		(unsigned long long)s.totalram * s.mem_unit >> 20, root);
}

/* Splits at blanks; the result lives as long as the words do. */
static char **split_words(char *words, char *args[MAX_ARGS])
{
	size_t n = 0;

	for (char *w = strtok(words, " \t"); w && n < MAX_ARGS - 1;
		w = strtok(NULL, " \t"))
		args[n++] = w;
	args[n] = NULL;
	return n ? args : NULL;
}

static char shell[] = "/bin/sh";

/*
 * The program to run, or NULL if there is nothing: a path after "--" on the command
 * line of the kernel, FUNCTION="/path argument..." there, /sbin/function, or a shell if
 * there is a console. (Words that the kernel does not know come as arguments too, but
 * no path.)
 */
static char **choose_program(char **argv, bool console)
{
	static char *args[MAX_ARGS];
	static char function[] = "/sbin/function";
	char *words = getenv("FUNCTION");

	for (; *argv; argv++)
		if (**argv == '/')
			return argv;
	if (words && *words)
		return split_words(words, args);
	if (access(function, X_OK) == 0)
		return split_words(function, args);
	if (!console || access(shell, X_OK) < 0)
		return NULL;
	args[0] = shell;
	return args;
}

static int listen_on_vsock(unsigned port)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
		listen(fd, 1) == 0)
		return fd;
	dprintf(2, "husk guest: cannot listen on vsock port %u: %s\n", port,
		strerror(errno));
	close(fd);
	return -1;
}

/* VSOCK_PORT=N on the command line: waits for a connection to that port, which becomes
 * the program's input and output. -1 if there is none to be had. */
static int accept_on_vsock(void)
{
	const char *port = getenv("VSOCK_PORT");
	int fd = port ? listen_on_vsock((unsigned)strtoul(port, NULL, 10)) : -1;
	int connection;

	if (fd < 0)
		return -1;
	connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	close(fd);
	return connection;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A reset loses what has not left yet: says that no more comes, and waits a second at
 * most for the other side to have it all and to close. */
static void finish(int connection)
{
	struct pollfd p = { .fd = connection, .events = POLLIN };
	int64_t end = now_ms() + 1000, left;
	char rest[4096];

	shutdown(connection, SHUT_WR);
	while ((left = end - now_ms()) > 0 && poll(&p, 1, (int)left) > 0 &&
		recv(connection, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
}

/* connection: its input and output; -1: those of init. */
static pid_t start(char **program, int connection)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	setsid();
	if (connection >= 0) {
		dup2(connection, 0);
		dup2(connection, 1);
	}
	/* Job control for the shell only: when the leader of a terminal's session ends,
	 * the kernel drops what that terminal has not sent yet. */
	if (program[0] == shell)
		ioctl(0, TIOCSCTTY, 1);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		0);
	setenv("HOME", "/root", 1);
	execvp(program[0], program);
	dprintf(2, "husk guest: cannot run %s: %s\n", program[0], strerror(errno));
	_exit(127);
}

/* Orphans become our children too: reaps until the one that counts has ended. */
static void wait_for(pid_t pid)
{
	int status = 0;
	pid_t ended;

	do
		ended = wait(&status);
	while (ended != pid && (ended > 0 || errno == EINTR));
	if (ended != pid)
		dprintf(2, "husk guest: cannot start a program: %s\n", strerror(errno));
	else if (WIFSIGNALED(status))
		dprintf(1, "husk guest: function killed by signal %d\n",
			WTERMSIG(status));
	else
		dprintf(1, "husk guest: function exited with status %d\n",
			WEXITSTATUS(status));
}

static void on_alarm(int signal)
{
	(void)signal; /* it interrupts what waits */
}

/* Waits a second at most for the console to take what was written, also where somebody
 * typed Ctrl-S: only stopping the output once more lets it be started from here. */
static void drain_console(void)
{
	struct sigaction interrupts = { .sa_handler = on_alarm };
	struct itimerval second = { .it_value.tv_sec = 1, .it_interval.tv_sec = 1 };

	tcflow(1, TCOOFF);
	tcflow(1, TCOON);
	sigaction(SIGALRM, &interrupts, NULL);
	setitimer(ITIMER_REAL, &second, NULL);
	tcdrain(1);
}

static void reset_machine(void)
{
	kill(-1, SIGKILL);
	sync();
	drain_console();
	/* A clean journal: the next boot of this disk has nothing to replay. */
	mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	reboot(RB_AUTOBOOT);
}

int main(int argc, char **argv)
{
	char **program;
	bool console;
	int connection;

	report_boot();
	mount_all();
	console = open_stdio();
	bring_up_lo();
	greet();
	program = choose_program(argv + (argc > 0), console);
	if (program) {
		connection = accept_on_vsock();
		wait_for(start(program, connection));
		if (connection >= 0)
			finish(connection);
	} else {
		/* Nothing to run: an idle guest, until the monitor ends it. */
		for (;;)
			pause();
	}
	reset_machine();
	return 1;
}
