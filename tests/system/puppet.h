/* SPDX-License-Identifier: Apache-2.0
 *
 * puppet: makes a thread of another process do system calls, by ptrace: with its
 * credentials, namespaces and filters. It stands in for one whose code an attacker has
 * replaced. The tool ends with a message when its own part fails.
 */
#ifndef HUSK_PUPPET_H
#define HUSK_PUPPET_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CHILDREN_MAX = 64,
	SCRATCH_BYTES = 1024, /* of its stack, for arguments */
	RED_ZONE_BYTES = 128, /* below rsp, the thread's own */
};

struct puppet {
	pid_t pid, tid;
	int mem;
	uint64_t gadget; /* a syscall instruction of its own */
	uint64_t scratch, used;
	struct user_regs_struct saved;
	pid_t children[CHILDREN_MAX];
	int n_children;
};

_Noreturn static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Prints how the process ended, and ends too: an attack that kills it is over. */
_Noreturn static inline void puppet_ended(int status)
{
	if (WIFEXITED(status))
		printf("exit %d\n", WEXITSTATUS(status));
	else
		printf("killed by %s\n", sigabbrev_np(WTERMSIG(status)));
	exit(0);
}

static inline bool is_end(int status)
{
	return WIFEXITED(status) || WIFSIGNALED(status);
}

/* Lets every thread run until the process is gone. The trap of a last step, which may
 * be pending after a call that ended in a signal, is none of the process's own. */
_Noreturn static inline void puppet_watch_end(struct puppet *p)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) >= 0) {
		bool is_signal;

		if (tid == p->pid && is_end(status))
			puppet_ended(status);
		if (!WIFSTOPPED(status))
			continue;
		/* an event of ptrace's own is no signal */
		is_signal = status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP;
		(void)ptrace(
			PTRACE_CONT, tid, 0, is_signal ? (long)WSTOPSIG(status) : 0);
	}
	die("waitpid");
}

static inline uint64_t find_gadget(const struct puppet *p)
{
	static char text[1 << 20];
	char path[64], line[512];
	uint64_t from = 0;
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)p->pid);
	maps = fopen(path, "re");
	if (!maps)
		die(path);
	while (!from && fgets(line, sizeof(line), maps))
		if (strstr(line, " r-xp ") && strchr(line, '/'))
			from = strtoull(line, NULL, 16);
	(void)fclose(maps);
	for (uint64_t at = from; from; at += sizeof(text)) {
		ssize_t n = pread(p->mem, text, sizeof(text), (off_t)at);
		const char *found =
			n > 0 ? memmem(text, (size_t)n, "\x0f\x05", 2) : NULL;

		if (found)
			return at + (uint64_t)(found - text);
		if (n <= 0)
			break;
	}
	die("no syscall instruction");
}

/* The thread of that name, or the first. */
static inline pid_t find_thread(pid_t pid, const char *name)
{
	char path[64], comm[32];
	struct dirent *d;
	pid_t found = -1;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		die(path);
	while (found < 0 && (d = readdir(dir))) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/comm", (int)pid,
			d->d_name);
		f = d->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (f && fgets(comm, sizeof(comm), f) &&
			strncmp(comm, name, strlen(name)) == 0)
			found = (pid_t)strtol(d->d_name, NULL, 10);
		if (f)
			(void)fclose(f);
	}
	(void)closedir(dir);
	return found;
}

static inline void seize(pid_t tid)
{
	const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;

	if (ptrace(PTRACE_SEIZE, tid, 0, options) < 0)
		die("PTRACE_SEIZE");
}

/* Stops a thread: "main", or one whose name begins so. The leader is watched too: it is
 * the one that tells the exit status. */
static inline void puppet_attach(struct puppet *p, pid_t pid, const char *thread)
{
	char path[64];
	int status;

	*p = (struct puppet){ .pid = pid, .tid = pid };
	if (strcmp(thread, "main") != 0)
		p->tid = find_thread(pid, thread);
	if (p->tid < 0)
		die(thread);
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	p->mem = open(path, O_RDWR | O_CLOEXEC);
	if (p->mem < 0)
		die(path);
	seize(pid);
	if (p->tid != pid)
		seize(p->tid);
	if (ptrace(PTRACE_INTERRUPT, p->tid, 0, 0) < 0 ||
		waitpid(p->tid, &status, __WALL) != p->tid || !WIFSTOPPED(status))
		die("PTRACE_INTERRUPT");
	if (ptrace(PTRACE_GETREGS, p->tid, 0, &p->saved) < 0)
		die("PTRACE_GETREGS");
	p->gadget = find_gadget(p);
	p->scratch = (p->saved.rsp - RED_ZONE_BYTES - SCRATCH_BYTES) & ~(uint64_t)15;
}

/* Where a copy of the bytes is for the next call. */
static inline uint64_t puppet_put(struct puppet *p, const void *bytes, size_t n)
{
	uint64_t at = p->scratch + p->used;

	p->used += (n + 15) & ~(size_t)15;
	if (p->used > SCRATCH_BYTES ||
		pwrite(p->mem, bytes, n, (off_t)at) != (ssize_t)n)
		die("puppet_put");
	return at;
}

static inline uint64_t puppet_text(struct puppet *p, const char *text)
{
	return puppet_put(p, text, strlen(text) + 1);
}

static inline void puppet_get(const struct puppet *p, uint64_t at, void *out, size_t n)
{
	if (pread(p->mem, out, n, (off_t)at) != (ssize_t)n)
		die("puppet_get");
}

static inline void add_child(struct puppet *p)
{
	unsigned long child;

	if (ptrace(PTRACE_GETEVENTMSG, p->tid, 0, &child) < 0 ||
		p->n_children == CHILDREN_MAX)
		die("PTRACE_GETEVENTMSG");
	p->children[p->n_children++] = (pid_t)child;
}

static inline bool is_fork_event(int event)
{
	return event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
		event == PTRACE_EVENT_CLONE;
}

/* Until the thread has done its step; any end, and any signal, is the end. */
static inline void wait_for_step(struct puppet *p)
{
	int status;

	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		int event = status >> 16;

		if (tid < 0)
			die("waitpid");
		if (tid == p->pid && is_end(status))
			puppet_ended(status);
		if (tid == p->tid && is_end(status)) /* the leader is yet to end */
			puppet_watch_end(p);
		if (WIFSTOPPED(status) && event == PTRACE_EVENT_EXEC) {
			printf("ok\n");
			(void)kill(p->pid, SIGKILL);
			exit(0);
		}
		if (tid != p->tid) {
			/* a child stays stopped; the leader goes on */
			if (tid == p->pid && WIFSTOPPED(status))
				(void)ptrace(PTRACE_CONT, tid, 0,
					event ? 0 : (long)WSTOPSIG(status));
			continue;
		}
		if (is_fork_event(event))
			add_child(p);
		else if (WSTOPSIG(status) == SIGTRAP)
			return;
		else if (ptrace(PTRACE_CONT, tid, 0, (long)WSTOPSIG(status)) == 0)
			puppet_watch_end(p);
		if (ptrace(PTRACE_SINGLESTEP, tid, 0, 0) < 0)
			die("PTRACE_SINGLESTEP");
	}
}

/* The result of a system call that the thread does: -errno on failure. */
static inline long puppet_call(struct puppet *p, long nr, const uint64_t args[6])
{
	struct user_regs_struct regs = p->saved;

	regs.rip = p->gadget;
	regs.rax = (uint64_t)nr;
	regs.orig_rax = ~0ULL; /* it is in no call that could be done again */
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	if (ptrace(PTRACE_SETREGS, p->tid, 0, &regs) < 0 ||
		ptrace(PTRACE_SINGLESTEP, p->tid, 0, 0) < 0)
		die("PTRACE_SINGLESTEP");
	wait_for_step(p);
	if (ptrace(PTRACE_GETREGS, p->tid, 0, &regs) < 0)
		die("PTRACE_GETREGS");
	return (long)regs.rax;
}

/* call(p, SYS_x, argument...) */
#define call(p, nr, ...) puppet_call(p, nr, (const uint64_t[6]){ __VA_ARGS__ })

/* Whether a call left the thread a signal, which it has not seen yet. */
static inline bool has_signal(const struct puppet *p)
{
	uint64_t pending = 0;
	char path[64], line[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)p->tid);
	f = fopen(path, "re");
	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "SigPnd:", 7) == 0)
			pending = strtoull(line + 7, NULL, 16);
	(void)fclose(f);
	return pending != 0;
}

/* The thread goes on where it was; what it forked is gone. */
static inline void puppet_let_go(struct puppet *p)
{
	for (int i = 0; i < p->n_children; i++)
		(void)kill(p->children[i], SIGKILL);
	if (ptrace(PTRACE_SETREGS, p->tid, 0, &p->saved) < 0)
		die("PTRACE_SETREGS");
	if (has_signal(p) && ptrace(PTRACE_CONT, p->tid, 0, 0) == 0)
		puppet_watch_end(p);
	if (ptrace(PTRACE_DETACH, p->tid, 0, 0) < 0)
		die("PTRACE_DETACH");
	/* the leader, where it is another thread, is let go by the tool's end */
	(void)close(p->mem);
}

#endif
