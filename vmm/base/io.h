/* SPDX-License-Identifier: Apache-2.0
 *
 * io: whole reads and writes, over short transfers and EINTR. Any thread.
 */
#ifndef HUSK_BASE_IO_H
#define HUSK_BASE_IO_H

#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Reads n bytes at offset at. 0, -errno, or -ENODATA when the file ends before. */
MUST_CHECK int io_pread(int fd, void *buf, size_t n, off_t at);

/* Writes n bytes. 0 or -errno; on failure part may have been written. */
MUST_CHECK int io_write(int fd, const void *buf, size_t n);

/* A descriptor that is written to without waiting, also when other processes share its
 * file description, whose O_NONBLOCK is then not husk's to set. */
struct io_output {
	int fd;
	enum io_way {
		IO_POLLED, /* poll, then write: who shares it may take the room before
			    */
		IO_OWN, /* does not block, and is nobody else's; or a regular file */
		IO_SOCKET, /* asked not to wait each time */
	} way;
	bool is_opened; /* here, and so to be closed */
};

/* Opens a pipe or terminal anew through /proc, as a file description of husk's own. It
 * stays IO_POLLED where that cannot be: without /proc, as in a jail (the jailer has
 * done it then), or when the file is another user's. fd is borrowed, until
 * io_output_fini. */
void io_output_init(struct io_output *o, int fd);
/* Closes what was opened; *o is not used after it. */
void io_output_fini(struct io_output *o);

/* Writes what o takes without waiting, at most n bytes: the number, or -errno, -EAGAIN
 * when it takes nothing now. Any thread; safe in a signal handler. */
MUST_CHECK ssize_t io_write_now(const struct io_output *o, const void *buf, size_t n);

/* Opens the pipe or terminal that fd is anew, as a file description that nobody shares
 * and that does not block. flags: O_RDONLY or O_WRONLY. The caller's descriptor, or
 * -errno: -EINVAL when fd is something else. */
MUST_CHECK int io_open_own(int fd, int flags);

/* Puts file descriptions of the process's own in place of stdout and stderr, as far as
 * they are pipes or terminals: what the process executes then has them, where there may
 * be no /proc. */
void io_own_standard_outputs(void);

/* Opens /dev/null for stdin, stdout and stderr where they are closed: a launcher may
 * have closed them, and then the next file opened would get what is written to the
 * console. Where there is no /dev/null they stay closed. First of all in main. */
void io_fill_standard_fds(void);

enum {
	IO_WRITER_MS = 5000, /* how long a FIFO is waited for to have a writer */
	IO_SILENCE_MS = 60000, /* and a writer, or a terminal, to write something */
};

/* Lets husk have as many descriptors as it may: the soft limit becomes the hard one. A
 * shell's soft limit of 1024 is for programs that use select. Early in main. */
void io_raise_fd_limit(void);

/* Opens a file or FIFO to write lines or bytes to, created when missing: the log, the
 * metrics, a console. What is in it already stays, and neither the call nor a write to
 * a FIFO waits for a reader. what: for the text, such as "log". The caller's
 * descriptor, or -errno with text. */
MUST_CHECK int io_open_output(const char *path, const char *what, struct err *e);

/* For a text that a scope owns: AUTO(free_text). */
static inline void free_text(char *p)
{
	free(p);
}
DEFINE_AUTO(char *, free_text);

/* Reads the file at path whole, at most max bytes, into a new buffer that the caller
 * frees and that carries a NUL after its last byte. *len is without that NUL. The file
 * may be a FIFO, /dev/stdin or what a shell makes of <(command): it is read to its end,
 * which is waited for, but not for ever: -ETIMEDOUT, see above. For start-up only: it
 * blocks. -errno with text; *buf and *len are untouched then. */
MUST_CHECK int io_read_file(
	const char *path, size_t max, char **buf, size_t *len, struct err *e);

#endif
