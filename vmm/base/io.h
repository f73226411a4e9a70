/* SPDX-License-Identifier: Apache-2.0
 *
 * io: whole reads and writes, over short transfers and EINTR. Any thread.
 */
#ifndef HUSK_IO_H
#define HUSK_IO_H

#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Reads n bytes at offset at. 0, -errno, or -ENODATA when the file ends before. */
MUST_CHECK int io_pread(int fd, void *buf, size_t n, off_t at);

/* Writes n bytes. 0 or -errno; on failure part may have been written. */
MUST_CHECK int io_write(int fd, const void *buf, size_t n);

/* Writes what fd takes without waiting, at most n bytes: the number, or -errno, -EAGAIN
 * when it takes nothing now. For descriptors that others share, such as stdout, whose
 * O_NONBLOCK is not ours to set. */
MUST_CHECK ssize_t io_write_now(int fd, const void *buf, size_t n);

/* Opens /dev/null for stdin, stdout and stderr where they are closed: a launcher may
 * have closed them, and then the next file opened would get what is written to the
 * console. Where there is no /dev/null they stay closed. First of all in main. */
void io_fill_standard_fds(void);

/* Lets husk have as many descriptors as it may: the soft limit becomes the hard one. A
 * shell's soft limit of 1024 is for programs that use select. Early in main. */
void io_raise_fd_limit(void);

/* Reads the regular file at path whole, at most max bytes, into a new buffer that the
 * caller frees and that carries a NUL after its last byte. *len is without that NUL. */
MUST_CHECK int io_read_file(
	const char *path, size_t max, char **buf, size_t *len, struct err *e);

#endif
