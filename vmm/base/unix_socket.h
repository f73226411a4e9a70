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

/* The file of a listening socket. All zero: there is none. */
struct unix_file {
	char path[UNIX_PATH_MAX + 1]; /* "": none */
	dev_t dev;
	ino_t ino;
};

/* Makes a stream socket that listens at path, which must not exist and is 1 to
 * UNIX_PATH_MAX bytes long. Its mode is 0777 less the umask. Returns the descriptor,
 * close on exec and non-blocking, which is the caller's, with *file filled; or -errno
 * with text: -EADDRINUSE when the path exists, -EINVAL for its length.
 *
 * The socket is bound to a hidden name (".husk-" and six characters) in the same
 * directory, listens, and is then linked to its path, which fails when that exists. The
 * hidden name is what getpeername and ss show; a SIGKILL within these few microseconds
 * leaves it behind. Where that cannot be done (no room for the name in an address, a
 * file system without hard links), the socket is bound to its path directly. */
MUST_CHECK int unix_listen(const char *path, struct unix_file *file, struct err *e);

/* Removes the file, if what is at its path is still the file that unix_listen made;
 * forgets it in any case. The socket must still be open: the kernel gives the inode
 * number to no other file while it is. */
void unix_file_remove(struct unix_file *file);

#endif
