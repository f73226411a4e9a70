/* SPDX-License-Identifier: Apache-2.0
 *
 * talk: how connections end, for the tests of vsocks, inside the guest and beside it.
 * Without a fault it ends with 0. BYTES are the same on both sides, and the last of
 * each direction is followed by a clean end.
 *
 * talk say    vsock|unix ADDRESS PORT BYTES        sends them and closes
 * talk hear   vsock|unix ADDRESS PORT BYTES FILE   reads them once FILE exists
 * talk ask    vsock|unix ADDRESS PORT BYTES        sends, shuts down, reads
 * talk answer vsock|unix ADDRESS PORT BYTES        reads to the end, sends, closes
 * talk crowd  vsock|unix ADDRESS PORT NUMBER       so many connections, if it can; says
 *     how many and holds them until it is killed
 * talk host   unix listen:PATH PORT 0              takes all that come, and holds them
 */
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/system/ends.h"

enum { BYTES_MAX = 4 << 20 };

static uint8_t buf[BYTES_MAX];

static void fill(size_t n)
{
	uint64_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		buf[i] = (uint8_t)(x >> 56);
	}
}

static void send_all(int fd, size_t n)
{
	fill(n);
	for (size_t at = 0; at < n;) {
		ssize_t r = send(fd, buf + at, n - at, MSG_NOSIGNAL);

		if (r <= 0)
			die("send");
		at += (size_t)r;
	}
}

/* Exactly n bytes and the end. */
static void receive_all(int fd, size_t n)
{
	static uint8_t got[BYTES_MAX];
	size_t at = 0;
	ssize_t r;

	while ((r = recv(fd, got + at, sizeof(got) - at, 0)) > 0)
		at += (size_t)r;
	if (r < 0)
		die("recv");
	fill(n);
	if (at != n || memcmp(got, buf, n) != 0) {
		(void)fprintf(stderr, "%zu bytes of %zu, or others\n", at, n);
		exit(1);
	}
}

static void wait_for_file(const char *path)
{
	static const struct timespec ms = { 0, 1000000 };

	while (access(path, F_OK) < 0)
		(void)nanosleep(&ms, NULL);
}

static void raise_fd_limit(void)
{
	struct rlimit l = { 4096, 4096 };

	if (setrlimit(RLIMIT_NOFILE, &l) < 0)
		die("setrlimit");
}

_Noreturn static void crowd(struct end *e, int n)
{
	int held = 0;

	raise_fd_limit();
	for (int i = 0; i < n; i++) {
		int fd = socket(e->at.ss_family, SOCK_STREAM, 0);

		if (fd < 0)
			die("socket");
		if (connect(fd, (struct sockaddr *)&e->at, e->len) == 0)
			held++;
	}
	(void)printf("a crowd of %d of %d\n", held, n);
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

_Noreturn static void host(struct end *e)
{
	raise_fd_limit();
	for (;;)
		(void)end_connect(e);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct end e;
	size_t n;
	int fd;

	if (argc < 6 || atoi(argv[5]) > BYTES_MAX)
		return 2;
	e = end_open(
		argv[3], argv[4], strcmp(argv[2], "vsock") == 0 ? vsock_end : unix_end);
	n = (size_t)atoi(argv[5]);
	if (strcmp(what, "crowd") == 0)
		crowd(&e, (int)n);
	if (strcmp(what, "host") == 0)
		host(&e);
	fd = end_connect(&e);
	if (strcmp(what, "say") == 0) {
		send_all(fd, n);
	} else if (strcmp(what, "hear") == 0 && argc > 6) {
		wait_for_file(argv[6]);
		receive_all(fd, n);
	} else if (strcmp(what, "ask") == 0) {
		send_all(fd, n);
		if (shutdown(fd, SHUT_WR) < 0)
			die("shutdown");
		receive_all(fd, n);
	} else if (strcmp(what, "answer") == 0) {
		receive_all(fd, n);
		send_all(fd, n);
	} else {
		return 2;
	}
	return close(fd) < 0;
}
