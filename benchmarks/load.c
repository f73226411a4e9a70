/* SPDX-License-Identifier: Apache-2.0
 *
 * load: what the benchmark of devices runs in a guest, and on the other end of the
 * wire. Prints nanoseconds of CLOCK_MONOTONIC for one operation, after a warm-up of a
 * tenth.
 *
 *   load disk DEVICE random|sequential read|write BYTES DEPTH OPS
 *
 *   load tcp ADDRESS|listen PORT send|receive MIB    an operation is a MiB
 *
 *   load udp ADDRESS|listen PORT DEPTH OPS    datagrams of 64 bytes there and back
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/ends.h"

enum { DEPTH_MAX = 64, CHUNK = 128 << 10, DATAGRAM = 64, ALIGN = 4096 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int report(uint64_t since_ns, uint64_t ops)
{
	(void)printf("%.1f\n", (double)(now_ns() - since_ns) / (double)ops);
	return 0;
}

struct disk {
	int fd;
	bool random, write;
	uint64_t rng, at, blocks, bytes;
	char *buf;
	struct iocb cb[DEPTH_MAX];
};

/* Prepares the i-th request of those in flight. */
static struct iocb *prepare(struct disk *d, uint64_t i)
{
	d->rng = d->rng * 6364136223846793005 + 1442695040888963407;
	d->at = d->random ? d->rng >> 33 : d->at + 1;
	d->cb[i] = (struct iocb){
		.aio_data = i,
		.aio_lio_opcode = d->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)d->fd,
		.aio_buf = (uintptr_t)(d->buf + i * d->bytes),
		.aio_nbytes = d->bytes,
		.aio_offset = (int64_t)(d->at % d->blocks * d->bytes),
	};
	return &d->cb[i];
}

static void submit(aio_context_t aio, struct iocb **cb, long n)
{
	if (n > 0 && syscall(SYS_io_submit, aio, n, cb) != n)
		die("io_submit");
}

/* Keeps depth requests in flight until ops are done. For all that have ended meanwhile,
 * as many new ones are submitted together. */
static void run(struct disk *d, unsigned depth, unsigned ops, aio_context_t aio)
{
	struct io_event ev[DEPTH_MAX];
	struct iocb *cb[DEPTH_MAX];
	unsigned started = 0, done = 0;

	for (; started < depth; started++)
		cb[started] = prepare(d, started);
	submit(aio, cb, depth);
	while (done < ops) {
		long n = syscall(SYS_io_getevents, aio, 1L, (long)depth, ev, NULL);
		long more = 0;

		for (long i = 0; i < n; i++, done++) {
			if (ev[i].res != (int64_t)d->bytes)
				die("I/O");
			if (started < ops) {
				cb[more++] = prepare(d, ev[i].data);
				started++;
			}
		}
		submit(aio, cb, more);
	}
}

static int disk(char **arg)
{
	static struct disk d;
	unsigned depth = (unsigned)atoi(arg[4]), ops = (unsigned)atoi(arg[5]);
	aio_context_t aio = 0;
	uint64_t from;

	d.fd = open(arg[0], O_RDWR | O_DIRECT);
	d.random = strcmp(arg[1], "random") == 0;
	d.write = strcmp(arg[2], "write") == 0;
	d.bytes = (uint64_t)atoi(arg[3]);
	d.blocks = (uint64_t)lseek(d.fd, 0, SEEK_END) / d.bytes;
	d.buf = aligned_alloc(ALIGN, DEPTH_MAX * d.bytes);
	if (d.fd < 0 || !d.buf || depth == 0 || depth > DEPTH_MAX ||
		syscall(SYS_io_setup, DEPTH_MAX, &aio) < 0)
		die(arg[0]);
	memset(d.buf, 'h', DEPTH_MAX * d.bytes);
	run(&d, depth, depth + ops / 10, aio);
	from = now_ns();
	run(&d, depth, ops, aio);
	return report(from, ops);
}

/* A socket for datagrams, connected unless it listens. */
static int open_udp(const char *address, const char *port)
{
	struct end e = { .address = address, .port = atoi(port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	e.listens = strcmp(address, "listen") == 0;
	if (!tcp_end(&e) ||
		(e.listens ? bind(fd, (struct sockaddr *)&e.at, e.len)
			   : connect(fd, (struct sockaddr *)&e.at, e.len)) < 0)
		die(address);
	return fd;
}

/* One end of a connection that moves a number of chunks. The receiver answers the last.
 */
static void move(int fd, bool sends, unsigned chunks)
{
	static char buf[CHUNK];
	uint64_t left = (uint64_t)chunks * CHUNK;

	while (left > 0) {
		size_t part = left < CHUNK ? (size_t)left : CHUNK;
		ssize_t n = sends ? send(fd, buf, part, 0) : recv(fd, buf, part, 0);

		if (n <= 0)
			die("stream");
		left -= (uint64_t)n;
	}
	if ((sends ? recv(fd, buf, 1, 0) : send(fd, buf, 1, 0)) != 1)
		die("stream");
}

/* A byte there and back, so often. */
static void bounce(int fd, bool asks, unsigned times)
{
	char c = 0;

	while (times-- > 0) {
		if (asks && send(fd, &c, 1, 0) != 1)
			die("ask");
		if (recv(fd, &c, 1, 0) != 1)
			die("bounce");
		if (!asks && send(fd, &c, 1, 0) != 1)
			die("answer");
	}
}

static int stream(char **arg, int (*fill_in)(struct end *e))
{
	struct end e = end_open(arg[0], arg[1], fill_in);
	int fd = end_connect(&e);
	bool bounces = arg[2][0] == 'a', first;
	unsigned n = (unsigned)atoi(arg[3]);
	uint64_t from;

	first = strcmp(arg[2], bounces ? "ask" : "send") == 0;
	if (bounces)
		bounce(fd, first, n / 10);
	else
		move(fd, first, n * ((1 << 20) / CHUNK) / 10);
	from = now_ns();
	if (bounces)
		bounce(fd, first, n);
	else
		move(fd, first, n * ((1 << 20) / CHUNK));
	return report(from, n);
}

static int echo(int fd)
{
	char buf[DATAGRAM];
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	ssize_t n;

	/* until it is killed */
	while ((n = recvfrom(
			fd, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len)) >= 0)
		if (sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&peer, len) < 0)
			die("sendto");
	return 1;
}

static void exchange(int fd, unsigned depth, unsigned ops)
{
	char buf[DATAGRAM] = { 0 };

	for (unsigned sent = 0, got = 0; got < ops;) {
		for (; sent < ops && sent - got < depth; sent++)
			if (send(fd, buf, sizeof(buf), 0) < 0)
				die("send");
		/* none may be lost */
		if (recv(fd, buf, sizeof(buf), 0) != sizeof(buf))
			die("recv");
		got++;
		while (got < sent && recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			got++;
	}
}

static int udp(char **arg)
{
	int fd = open_udp(arg[0], arg[1]);
	unsigned depth = (unsigned)atoi(arg[2]), ops = (unsigned)atoi(arg[3]);
	uint64_t from;

	if (strcmp(arg[0], "listen") == 0)
		return echo(fd);
	exchange(fd, depth, ops / 10);
	from = now_ns();
	exchange(fd, depth, ops);
	return report(from, ops);
}

int main(int argc, char **argv)
{
	if (argc == 8 && strcmp(argv[1], "disk") == 0)
		return disk(argv + 2);
	if (argc == 6 && strcmp(argv[1], "tcp") == 0)
		return stream(argv + 2, tcp_end);
	if (argc == 6 && strcmp(argv[1], "vsock") == 0)
		return stream(argv + 2, vsock_end);
	if (argc == 6 && strcmp(argv[1], "unix") == 0)
		return stream(argv + 2, unix_end);
	if (argc == 6 && strcmp(argv[1], "udp") == 0)
		return udp(argv + 2);
	(void)fprintf(stderr, "load: see its source for what it takes\n");
	return 2;
}
