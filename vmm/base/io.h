/* SPDX-License-Identifier: Apache-2.0
 *
 * io: reads and writes of files, pipes and terminals, and the descriptors that a
 * process begins with. Any thread.
 */
#ifndef HUSK_BASE_IO_H
#define HUSK_BASE_IO_H

#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Reads all n bytes at file offset `at`, over short reads and EINTR. 0, -errno, or
 * -ENODATA when the file ends before. */
MUST_CHECK int io_pread(int fd, void *buf, size_t n, off_t at);

/* Writes all n bytes, over short writes and EINTR. 0 or -errno; on failure part of them
 * may have been written. */
MUST_CHECK int io_write(int fd, const void *buf, size_t n);

/* A descriptor to which husk writes without waiting. Other processes may share its file
 * description; husk must not set O_NONBLOCK there, since that would change it for them.
 */
struct io_output {
	int fd;
	enum io_way {
		/* poll, then write. Another process can take the room in between; the
		 * write then waits. */
		IO_POLLED,
		IO_OWN, /* write: nobody shares it and it is O_NONBLOCK, or a file */
		IO_SOCKET, /* send with MSG_DONTWAIT */
	} way;
	bool is_opened; /* by io_output_init: io_output_fini closes it */
};

/* Chooses the way to write to fd, which is borrowed until io_output_fini. Opens a pipe
 * or a terminal again, with io_open_own. Where that fails, the way is IO_POLLED: in a
 * jail, which has no /proc (but there the jailer has called io_own_standard_outputs),
 * or when the file belongs to another user. */
void io_output_init(struct io_output *o, int fd);
/* Closes what io_output_init opened. */
void io_output_fini(struct io_output *o);

/* Writes up to n bytes, as many as o takes without waiting. Returns their number, or
 * -errno; -EAGAIN when o takes none now. Safe in a signal handler. */
MUST_CHECK ssize_t io_write_now(const struct io_output *o, const void *buf, size_t n);

/* Opens the pipe or terminal behind fd again, through /proc: a new file description,
 * which nobody shares and which is O_NONBLOCK. flags: O_RDONLY or O_WRONLY. Returns a
 * descriptor for the caller to close, or -errno: -EINVAL when fd is neither. */
MUST_CHECK int io_open_own(int fd, int flags);

/* Replaces stdout and stderr, where they are pipes or terminals, by file descriptions
 * from io_open_own. For the jailer: the husk that it executes inherits them, and has no
 * /proc to do this itself. */
void io_own_standard_outputs(void);

/* Opens /dev/null for each of stdin, stdout and stderr that is closed. Without it, the
 * next file that is opened would get the number, and with it what is written to the
 * console. Where there is no /dev/null they stay closed. Call it first in main. */
void io_fill_standard_fds(void);

enum {
	/* How long io_read_file waits for a FIFO to get a writer, and then for the
	 * writer, or a terminal, to write something. */
	IO_WRITER_MS = 5000,
	IO_SILENCE_MS = 60000,
};

/* Raises the soft limit of descriptors to the hard limit. The usual soft limit of 1024
 * is for programs that use select. Call it early in main. */
void io_raise_fd_limit(void);

/* Opens the file or FIFO for a log, metrics or a console's output. Creates it if it is
 * missing, appends to it, and never waits for the reader of a FIFO. what: for the text,
 * such as "log". Returns a descriptor for the caller to close, or -errno with text. */
MUST_CHECK int io_open_output(const char *path, const char *what, struct err *e);

/* For a string that its scope owns: AUTO(free_text) char *text. */
static inline void free_text(char *p)
{
	free(p);
}
DEFINE_AUTO(char *, free_text);

/* Reads the whole file at path, at most max bytes, into a new buffer, which the caller
 * frees. A NUL follows the last byte; *len does not count it. The file may be a FIFO,
 * /dev/stdin or a shell's <(command): it is then read until its writer closes it, or
 * -ETIMEDOUT, see above. Blocks: for the start only. -errno with text, and *buf and
 * *len are then untouched. */
MUST_CHECK int io_read_file(
	const char *path, size_t max, char **buf, size_t *len, struct err *e);

#endif
