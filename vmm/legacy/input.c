/* SPDX-License-Identifier: Apache-2.0
 *
 * input: see the header. How to read without waiting depends on the descriptor:
 *   - a pipe: splice with SPLICE_F_NONBLOCK into a pipe of husk's own, which works on
 *     every kernel and without /proc;
 *   - a socket: MSG_DONTWAIT;
 *   - a terminal: it is opened again with O_NONBLOCK, or, where that fails, set to
 * return 0 bytes at once (VMIN 0).
 */
#include "vmm/legacy/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/base/io.h"

/* How often to look whether husk is in the foreground: a shell sends no signal when it
 * brings a running job there. */
enum { LOOK_EVERY_NS = 500 * 1000000 };

/* Also true for a terminal of another session, which has no job control for husk. */
static bool is_in_foreground(const struct input *in)
{
	pid_t group;

	return ioctl(in->source.fd, TIOCGPGRP, &group) < 0 || group == in->group;
}

/* While husk is in the background, the terminal's bytes are for another job. EPOLLET:
 * it then wakes husk once when bytes come, not for as long as they are there. */
static void watch(struct input *in)
{
	bool is_foreign = in->kind == INPUT_TERMINAL && !in->is_raw;
	uint32_t events = is_foreign ? EPOLLIN | EPOLLET : EPOLLIN;

	if (in->source.fd >= 0)
		(void)loop_set(in->loop, &in->source, in->is_watched ? events : 0);
}

static void set_raw(struct input *in)
{
	struct termios t = in->cooked;

	cfmakeraw(&t);
	t.c_oflag |= OPOST;
	if (!in->is_own)
		t.c_cc[VMIN] = 0; /* another reader may be first: then do not wait */
	in->is_raw = tcsetattr(in->source.fd, TCSANOW, &t) == 0;
}

/* Sets the terminal to raw mode if husk's job is in the foreground; else looks again
 * later. */
static void take_terminal(struct input *in)
{
	struct itimerspec when = { { 0, 0 }, { 0, 0 } };

	if (!is_in_foreground(in))
		in->is_raw = false; /* its mode is the foreground job's business */
	else if (in->is_raw || tcgetattr(in->source.fd, &in->cooked) == 0)
		set_raw(in);
	if (!in->is_raw)
		when.it_value.tv_nsec = when.it_interval.tv_nsec = LOOK_EVERY_NS;
	(void)timerfd_settime(in->look.fd, 0, &when, NULL); /* arguments are right */
	watch(in);
}

static void leave_terminal(struct input *in)
{
	if (in->is_raw && is_in_foreground(in))
		(void)tcsetattr(in->source.fd, TCSANOW, &in->cooked);
	in->is_raw = false;
}

static void on_look(void *self, uint32_t events)
{
	struct input *in = self;
	uint64_t n;

	(void)events;
	(void)!read(in->look.fd, &n, sizeof(n)); /* resets it */
	if (in->source.fd >= 0 && is_in_foreground(in))
		take_terminal(in);
}

/* Ends the input, for good. */
static void end(struct input *in)
{
	if (in->source.fd < 0)
		return;
	leave_terminal(in);
	loop_remove(in->loop, &in->source);
	if (in->is_own)
		close_fd(in->source.fd);
	in->source.fd = -1;
	loop_remove(in->loop, &in->look);
	close_fd(TAKE_FD(in->look.fd));
}

static void on_input(void *self, uint32_t events)
{
	struct input *in = self;

	if (in->kind != INPUT_TERMINAL || in->is_raw)
		in->ready(in->self);
	else if (events & (EPOLLHUP | EPOLLERR))
		end(in);
	else if (is_in_foreground(in))
		take_terminal(in); /* else nothing: loop_set would report them again */
}

static int open_terminal(struct input *in, struct err *e)
{
	int own = io_open_own(in->source.fd, O_RDONLY);
	int r;

	if (own >= 0) {
		in->source.fd = own;
		in->is_own = true;
	}
	in->group = getpgrp();
	in->look = (struct loop_source){ .fd = -1, .fn = on_look, .self = in };
	r = loop_add_timer(in->loop, &in->look);
	return r < 0 ? err_code(e, r, "serial input") : 0;
}

static int prepare(struct input *in, struct err *e)
{
	struct stat st;

	if (fstat(in->source.fd, &st) < 0)
		return 0; /* closed: input_open sees that by loop_add */
	if (isatty(in->source.fd)) {
		in->kind = INPUT_TERMINAL;
		return open_terminal(in, e);
	}
	if (S_ISSOCK(st.st_mode))
		in->kind = INPUT_SOCKET;
	if (!S_ISFIFO(st.st_mode))
		return 0;
	in->kind = INPUT_PIPE;
	return pipe2(in->pipe, O_CLOEXEC) < 0 ? err_sys(e, "serial input") : 0;
}

int input_open(struct input *in, int fd, void (*ready)(void *self), void *self,
	struct loop *loop, struct err *e)
{
	int r;

	*in = (struct input){ .ready = ready, .self = self, .loop = loop };
	in->source = (struct loop_source){ .fd = fd, .fn = on_input, .self = in };
	in->pipe[0] = in->pipe[1] = in->look.fd = -1;
	in->is_watched = true;
	if (fd < 0)
		return 0;
	r = prepare(in, e);
	if (r < 0)
		return r;
	r = loop_add(loop, &in->source, EPOLLIN);
	if (r == -EPERM || r == -EBADF) { /* a regular file, /dev/null, closed */
		in->source.fd = -1;
		return 0;
	}
	if (r == 0 && in->kind == INPUT_TERMINAL)
		take_terminal(in);
	return r < 0 ? err_code(e, r, "serial input") : 0;
}

void input_close(struct input *in)
{
	if (!in->loop)
		return;
	end(in);
	close_fd(in->pipe[0]);
	close_fd(in->pipe[1]);
}

void input_watch(struct input *in, bool on)
{
	in->is_watched = on;
	watch(in);
}

static ssize_t read_now(struct input *in, void *buf, size_t n)
{
	ssize_t got;

	switch (in->kind) {
	case INPUT_PIPE:
		got = splice(
			in->source.fd, NULL, in->pipe[1], NULL, n, SPLICE_F_NONBLOCK);
		return got > 0 ? read(in->pipe[0], buf, (size_t)got) : got;
	case INPUT_SOCKET:
		return recv(in->source.fd, buf, n, MSG_DONTWAIT);
	case INPUT_TERMINAL:
	case INPUT_OTHER:
		break;
	}
	return read(in->source.fd, buf, n);
}

/* Whether a read of 0 bytes was the end: with VMIN 0 it may also mean "nothing now". */
static bool is_at_end(const struct input *in)
{
	struct pollfd p = { .fd = in->source.fd, .events = POLLIN };

	if (in->kind != INPUT_TERMINAL || in->is_own)
		return true;
	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

size_t input_read(struct input *in, void *buf, size_t n)
{
	ssize_t got = read_now(in, buf, n);

	if (got > 0)
		return (size_t)got;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got < 0 && in->kind == INPUT_TERMINAL && !is_in_foreground(in))
		take_terminal(in); /* EIO: it was put into the background */
	else if (got < 0 || is_at_end(in))
		end(in);
	return 0;
}

void input_suspend(struct input *in)
{
	if (in->source.fd >= 0 && in->kind == INPUT_TERMINAL)
		leave_terminal(in);
}

void input_resume(struct input *in)
{
	if (in->source.fd >= 0 && in->kind == INPUT_TERMINAL)
		take_terminal(in);
}

void input_restore_fatal(const struct input *in)
{
	if (in->is_raw)
		(void)tcsetattr(in->source.fd, TCSANOW, &in->cooked);
}
