/* SPDX-License-Identifier: Apache-2.0
 *
 * ends: the connections of the tests' and the benchmarks' tools: TCP, vsock, and the
 * Unix sockets that are the host's side of a vsock. What fails ends the program.
 */
#ifndef HUSK_TESTS_ENDS_H
#define HUSK_TESTS_ENDS_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

_Noreturn static inline void die(const char *what)
{
	(void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* One end of connections, of a kind of socket. */
struct end {
	const char *address;
	int port;
	bool listens;
	int listener; /* -1: not yet */
	struct sockaddr_storage at;
	socklen_t len;
};

static inline int tcp_end(struct end *e)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&e->at;

	*in = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)e->port) };
	e->len = sizeof(*in);
	return e->listens || inet_pton(AF_INET, e->address, &in->sin_addr) == 1;
}

static inline int vsock_end(struct end *e)
{
	struct sockaddr_vm *vm = (struct sockaddr_vm *)&e->at;

	*vm = (struct sockaddr_vm){ .svm_family = AF_VSOCK,
		.svm_port = (unsigned)e->port,
		.svm_cid = e->listens ? VMADDR_CID_ANY : (unsigned)atoi(e->address) };
	e->len = sizeof(*vm);
	return 1;
}

/* husk's side of a vsock: it connects to PATH_PORT, and is asked on PATH for a port. */
static inline int unix_end(struct end *e)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&e->at;
	int n;

	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	e->len = sizeof(*un);
	n = e->listens ? snprintf(un->sun_path, sizeof(un->sun_path), "%s_%d",
				 strchr(e->address, ':') + 1, e->port)
		       : snprintf(un->sun_path, sizeof(un->sun_path), "%s", e->address);
	if (e->listens)
		(void)unlink(un->sun_path);
	return n < (int)sizeof(un->sun_path);
}

/* What precedes a stream of a vsock to the guest. False when nobody listens there. */
static inline bool ask_for_port(int fd, int port)
{
	char c = 0, first = 0;

	(void)dprintf(fd, "CONNECT %d\n", port);
	while (c != '\n' && recv(fd, &c, 1, 0) == 1)
		first = first ? first : c;
	return first == 'O' && c == '\n';
}

static inline void end_listen(struct end *e)
{
	int one = 1;

	e->listener = socket(e->at.ss_family, SOCK_STREAM, 0);
	(void)setsockopt(e->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(e->listener, (struct sockaddr *)&e->at, e->len) < 0 ||
		listen(e->listener, 64) < 0)
		die("listen");
}

/* An end by one of the functions above; "listen..." takes connections. */
static inline struct end end_open(
	const char *address, const char *port, int (*fill_in)(struct end *e))
{
	struct end e = { .address = address, .port = atoi(port), .listener = -1 };

	e.listens = strncmp(address, "listen", 6) == 0;
	if (!fill_in(&e))
		die(address);
	if (e.listens)
		end_listen(&e);
	return e;
}

/* The next connection, made or taken. */
static inline int end_connect(struct end *e)
{
	int fd = e->listens ? accept(e->listener, NULL, NULL)
			    : socket(e->at.ss_family, SOCK_STREAM, 0);

	if (fd < 0 ||
		(!e->listens && connect(fd, (struct sockaddr *)&e->at, e->len) < 0))
		die("connect");
	if (!e->listens && e->at.ss_family == AF_UNIX && !ask_for_port(fd, e->port))
		die("CONNECT");
	return fd;
}

#endif
