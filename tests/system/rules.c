/* SPDX-License-Identifier: Apache-2.0
 *
 * rules: runs a program and notes which rules of its system call filters it reaches,
 * when those were compiled with husk-seccomp --trace: a call that a rule allows stops
 * here with the rule's number, and goes on. The program is the process itself, and its
 * child watches, so that whoever started this can signal it and wait for it.
 *   rules FILE PROGRAM ARGUMENT...   FILE gets a line a rule
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RULES_MAX = 1 << 16, STATUS_OWN = 125 };

static bool reached[RULES_MAX];

static void die(const char *what)
{
	perror(what);
	_exit(STATUS_OWN);
}

static void write_reached(const char *path)
{
	FILE *out = fopen(path, "a");

	if (!out)
		die(path);
	for (unsigned i = 0; i < RULES_MAX; i++)
		if (reached[i])
			(void)fprintf(out, "%u\n", i);
	if (fclose(out) != 0)
		die(path);
}

/* Lets a stopped thread go on. A thread that is gone by now is not missed. */
static void go_on(pid_t pid, int status)
{
	int event = status >> 16, sig = WSTOPSIG(status);
	unsigned long number;

	if (event == PTRACE_EVENT_SECCOMP &&
		ptrace(PTRACE_GETEVENTMSG, pid, NULL, &number) == 0 &&
		number < RULES_MAX)
		reached[number] = true;
	if (event == PTRACE_EVENT_STOP && sig != SIGTRAP)
		(void)ptrace(PTRACE_LISTEN, pid, NULL, NULL); /* SIGSTOP: stays */
	else
		(void)ptrace(PTRACE_CONT, pid, NULL, event == 0 ? sig : 0);
}

static void watch(pid_t program, const char *path, int ready)
{
	const long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
		PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXIT;
	int status;
	pid_t pid;

	if (ptrace(PTRACE_SEIZE, program, NULL, options) < 0)
		die("rules: ptrace");
	(void)!write(ready, "", 1);
	(void)close(ready);
	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (pid < 0 || !WIFSTOPPED(status))
			continue;
		/* before whoever waits for the program can know */
		if (pid == program && status >> 16 == PTRACE_EVENT_EXIT)
			write_reached(path);
		go_on(pid, status);
	}
}

int main(int argc, char **argv)
{
	int ready[2];
	char byte;

	if (argc < 3) {
		(void)fprintf(stderr, "usage: rules FILE PROGRAM ARGUMENT...\n");
		return STATUS_OWN;
	}
	if (pipe(ready) < 0)
		die("rules: pipe");
	if (fork() == 0) {
		(void)close(ready[0]);
		(void)close(STDIN_FILENO);
		(void)close(STDOUT_FILENO);
		watch(getppid(), argv[1], ready[1]);
		_exit(0);
	}
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("rules: nobody watches");
	(void)close(ready[0]);
	(void)execvp(argv[2], argv + 2);
	die(argv[2]);
	return STATUS_OWN;
}
