/* SPDX-License-Identifier: Apache-2.0
 *
 * unix_socket: listening Unix sockets, and the files by which clients find them. A path
 * appears in the file system only when its socket listens, so that a client which waits
 * for the path can connect at once; and a file is removed only by the husk that made
 * it. Any thread.
 */
#ifndef HUSK_BASE_UNIX_SOCKET_H
#define HUSK_BASE_UNIX_SOCKET_H

#include <sys/types.h>
#include <sys/un.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

enum {
	/* bytes of a path, without its NUL */
	UNIX_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
};

/* The file of a listening socket; all zero when there is none. */
struct unix_file {
	char path[UNIX_PATH_MAX + 1]; /* "": none */
	dev_t dev;
	ino_t ino;
};

/* Makes a stream socket that listens at path, which must not exist and is 1 to
 * UNIX_PATH_MAX bytes long. Its mode is 0777 less the umask. Fills *file and returns
 * the descriptor (close on exec, non-blocking), which the caller closes. Else -errno
 * with text: -EADDRINUSE when the path exists, -EINVAL when its length is wrong.
 *
 * The socket is first bound to a hidden name (".husk-" and six characters) in the same
 * directory and set to listen. Then it is linked to its path, which fails if the path
 * exists, and the hidden name is removed. getpeername and ss show the hidden name; a
 * SIGKILL within these few microseconds leaves it behind. If that way fails (the
 * address has no room for the name, the file system has no hard links), the socket is
 * bound to its path directly. */
MUST_CHECK int unix_listen(const char *path, struct unix_file *file, struct err *e);

/* Removes the file, unless another file has taken its path since unix_listen, and
 * clears *file. Call it while the socket is still open: until it is closed, the kernel
 * gives its inode number to no other file. */
void unix_file_remove(struct unix_file *file);

#endif
