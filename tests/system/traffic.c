/* SPDX-License-Identifier: Apache-2.0
 *
 * traffic: what the tests of devices do inside the guest and beside it, where busybox
 * has no command for it. Without a fault it ends with 0, and is silent but for what is
 * said here. How MUCH is a number, or until:FILE: until that exists.
 *
 * traffic disk-write DEVICE MUCH
 *     writes blocks at random, reads some back and then all; says how often
 * traffic disk-check DEVICE TIMES
 *     the same writes without writing: is all there?
 * traffic tcp|vsock|unix ADDRESS PORT send|receive MUCH
 *     a stream of so many MiB; until: one that the sender ends
 * traffic tcp|vsock|unix ADDRESS PORT first|second MIB [TIMES]
 *     streams both ways
 * traffic flood ADDRESS PORT BYTES PER_SECOND SECONDS
 *     UDP; 0 a second: unpaced
 * traffic offloads INTERFACE on|off
 * traffic api SOCKET METHOD PATH BODY
 *     one request; prints what came back
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/ethtool.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/ends.h"

enum {
	BLOCK = 4096,
	RUN_BLOCKS_MAX = 8, /* of one request */
	SLOTS = 16, /* requests in flight, each in a part of the disk of its own */
	NS_PER_S = 1000000000,
};

/* --- how much --- */

static unsigned much; /* what a number says */
static const char *until; /* or the file to wait for */

static void set_much(const char *arg)
{
	if (strncmp(arg, "until:", 6) == 0)
		until = arg + 6;
	else
		much = (unsigned)atoi(arg);
}

static bool is_time(void)
{
	return until && access(until, F_OK) == 0;
}

/* --- disks --- */

struct slot {
	struct iocb cb;
	uint64_t rng;
	uint64_t first; /* block of the request in flight */
	unsigned n;
	bool write;
	uint8_t *buf;
};

struct disk {
	int fd;
	uint64_t blocks; /* of each slot's part */
	uint32_t *generation; /* times that a block was written */
	struct slot slot[SLOTS];
};

static uint64_t next(uint64_t *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng;
}

/* What block has after its generation-th writing; before the first it is not known. */
static void fill(uint64_t *words, uint64_t block, uint32_t generation)
{
	uint64_t rng = (block + 1) * 0x9e3779b97f4a7c15 + generation;

	for (unsigned i = 0; i < BLOCK / sizeof(*words); i++)
		words[i] = next(&rng);
}

static void check(const struct disk *d, const struct slot *s)
{
	uint64_t want[BLOCK / sizeof(uint64_t)];

	for (unsigned i = 0; i < s->n; i++) {
		uint64_t block = s->first + i;

		if (d->generation[block] == 0)
			continue;
		fill(want, block, d->generation[block]);
		if (memcmp(s->buf + (size_t)i * BLOCK, want, BLOCK) == 0)
			continue;
		(void)fprintf(stderr,
			"traffic: block %llu, written %u times, is wrong\n",
			(unsigned long long)block, d->generation[block]);
		exit(1);
	}
}

/* Chooses what a slot does next; one in four is a read. */
static void choose(struct disk *d, unsigned i)
{
	struct slot *s = &d->slot[i];
	uint64_t r = next(&s->rng);

	s->n = 1 + (unsigned)(r >> 8) % RUN_BLOCKS_MAX;
	s->first = i * d->blocks + (r >> 16) % (d->blocks - s->n);
	s->write = (r & 3) != 0;
	for (unsigned k = 0; s->write && k < s->n; k++)
		d->generation[s->first + k]++;
}

static void start(struct disk *d, unsigned i, aio_context_t aio)
{
	struct slot *s = &d->slot[i];
	struct iocb *cb = &s->cb;

	choose(d, i);
	for (unsigned k = 0; s->write && k < s->n; k++)
		fill((uint64_t *)(void *)(s->buf + (size_t)k * BLOCK), s->first + k,
			d->generation[s->first + k]);
	*cb = (struct iocb){
		.aio_data = i,
		.aio_lio_opcode = s->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)d->fd,
		.aio_buf = (uintptr_t)s->buf,
		.aio_nbytes = (uint64_t)s->n * BLOCK,
		.aio_offset = (int64_t)(s->first * BLOCK),
	};
	if (syscall(SYS_io_submit, aio, 1L, &cb) != 1)
		die("io_submit");
}

/* Each slot makes as many requests, all slots at once. Returns how many. */
static unsigned write_all(struct disk *d)
{
	unsigned made[SLOTS], most = 1, busy = SLOTS;
	aio_context_t aio = 0;

	if (syscall(SYS_io_setup, SLOTS, &aio) < 0)
		die("io_setup");
	for (unsigned i = 0; i < SLOTS; i++) {
		made[i] = 1;
		start(d, i, aio);
	}
	while (busy > 0) {
		struct io_event ev;
		struct slot *s;

		if (syscall(SYS_io_getevents, aio, 1L, 1L, &ev, NULL) != 1)
			die("io_getevents");
		s = &d->slot[ev.data];
		errno = ev.res < 0 ? (int)-ev.res : EIO;
		if (ev.res != (int64_t)s->n * BLOCK)
			die(s->write ? "a write" : "a read");
		if (!s->write)
			check(d, s);
		if (is_time()) {
			much = most;
			until = NULL;
		}
		if (until || made[ev.data] < much) {
			made[ev.data]++;
			most = made[ev.data] > most ? made[ev.data] : most;
			start(d, (unsigned)ev.data, aio);
		} else {
			busy--;
		}
	}
	return most;
}

static void read_all(struct disk *d)
{
	struct slot *s = &d->slot[0];

	s->n = RUN_BLOCKS_MAX;
	for (s->first = 0; s->first + s->n <= d->blocks * SLOTS; s->first += s->n) {
		size_t bytes = (size_t)s->n * BLOCK;

		if (pread(d->fd, s->buf, bytes, (off_t)(s->first * BLOCK)) !=
			(ssize_t)bytes)
			die("reading back");
		check(d, s);
	}
}

static void disk_open(struct disk *d, const char *path)
{
	off_t bytes;

	/* A device past the guest's page cache; a plain file where there is no such */
	d->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (d->fd < 0)
		d->fd = open(path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		die(path);
	bytes = lseek(d->fd, 0, SEEK_END);
	d->blocks = (uint64_t)bytes / BLOCK / SLOTS;
	d->generation = calloc(d->blocks * SLOTS, sizeof(*d->generation));
	if (bytes < 0 || d->blocks <= RUN_BLOCKS_MAX || !d->generation)
		die(path);
	for (unsigned i = 0; i < SLOTS; i++) {
		d->slot[i].rng = i + 1;
		d->slot[i].buf = aligned_alloc(BLOCK, (size_t)RUN_BLOCKS_MAX * BLOCK);
		if (!d->slot[i].buf)
			die("memory");
	}
}

static int disk_write(char **arg)
{
	static struct disk d;

	set_much(arg[1]);
	disk_open(&d, arg[0]);
	(void)printf("wrote %s times %u\n", arg[0], write_all(&d));
	read_all(&d);
	return fsync(d.fd) < 0;
}

static int disk_check(char **arg)
{
	static struct disk d;
	int ops = atoi(arg[1]);

	disk_open(&d, arg[0]);
	for (unsigned i = 0; i < SLOTS; i++)
		for (int k = 0; k < ops; k++)
			choose(&d, i);
	read_all(&d);
	return 0;
}

/* --- network --- */

enum { CHUNK = 64 << 10 };
static uint64_t chunk[CHUNK / sizeof(uint64_t)];

/* What the i-th chunk of a stream has; the last of one without a set length begins with
 * a zero. */
static void fill_chunk(unsigned i, bool last)
{
	uint64_t rng = (i + 1) * 0x9e3779b97f4a7c15;

	for (unsigned k = 0; k < CHUNK / sizeof(*chunk); k++)
		chunk[k] = next(&rng);
	if (last)
		chunk[0] = 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void stream_send(int fd)
{
	bool last = false;

	for (unsigned i = 0; until ? !last : i < much; i++) {
		last = is_time();
		fill_chunk(i, last);
		for (size_t at = 0; at < CHUNK;) {
			ssize_t n =
				send(fd, (char *)chunk + at, CHUNK - at, MSG_NOSIGNAL);

			if (n <= 0)
				die("send");
			at += (size_t)n;
		}
	}
}

static void stream_receive(int fd)
{
	static uint64_t got[CHUNK / sizeof(uint64_t)];
	bool last = false;

	for (unsigned i = 0; until ? !last : i < much; i++) {
		ssize_t n = recv(fd, got, CHUNK, MSG_WAITALL);

		last = until && got[0] == 0;
		fill_chunk(i, last);
		if (n != CHUNK || memcmp(got, chunk, CHUNK) != 0)
			die("what came is not what was sent");
	}
}

/* One connection from beginning to end. The receiver answers with a byte when it has
 * all and nothing more. */
static void stream(int fd, const char *how)
{
	bool sends = strcmp(how, "send") == 0, first = strcmp(how, "first") == 0;
	char last = 0;

	if (first || strcmp(how, "second") == 0) {
		/* both ways; the second has the last word */
		first ? stream_send(fd) : stream_receive(fd);
		first ? stream_receive(fd) : stream_send(fd);
		sends = first;
	} else if (sends) {
		stream_send(fd);
	} else {
		stream_receive(fd);
	}
	/* no half-close, which is talk's */
	if (sends && recv(fd, &last, 1, 0) != 1)
		die("the other side does not have all");
	if (!sends &&
		(send(fd, &last, 1, MSG_NOSIGNAL) != 1 || recv(fd, &last, 1, 0) != 0))
		die("the end");
	(void)close(fd);
}

static int streams(char **arg, int (*address)(struct end *e))
{
	struct end e = end_open(arg[0], arg[1], address);
	int times = arg[4] ? atoi(arg[4]) : 1;

	set_much(arg[3]);
	much *= (1 << 20) / CHUNK;
	while (times-- > 0)
		stream(end_connect(&e), arg[2]);
	return 0;
}

static int tcp(char **arg)
{
	return streams(arg, tcp_end);
}

static int vsock(char **arg)
{
	return streams(arg, vsock_end);
}

static int unix_(char **arg)
{
	return streams(arg, unix_end);
}

static int flood(char **arg)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(arg[1])) };
	static uint8_t frame[65507];
	size_t bytes = (size_t)atoi(arg[2]);
	uint64_t gap = atoi(arg[3]) > 0 ? NS_PER_S / (unsigned)atoi(arg[3]) : 0;
	uint64_t at = now_ns(), end = at + (uint64_t)atoi(arg[4]) * NS_PER_S;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || inet_pton(AF_INET, arg[0], &to.sin_addr) != 1 ||
		bytes > sizeof(frame))
		die(arg[0]);
	for (; now_ns() < end; at += gap) {
		struct timespec ts = { (time_t)(at / NS_PER_S), (long)(at % NS_PER_S) };

		if (gap > 0)
			(void)clock_nanosleep(
				CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		/* nobody need listen */
		if (sendto(fd, frame, bytes, 0, (struct sockaddr *)&to, sizeof(to)) <
				0 &&
			errno != ECONNREFUSED && errno != ENOBUFS)
			die("sendto");
	}
	return 0;
}

static int offloads(char **arg)
{
	/* those that need another go last when on, first when off */
	static const uint32_t on[] = { ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO,
		ETHTOOL_SGSO, ETHTOOL_SGRO };
	unsigned n = sizeof(on) / sizeof(on[0]);
	bool is_on = strcmp(arg[1], "on") == 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (unsigned i = 0; i < n; i++) {
		struct ethtool_value v = { on[is_on ? i : n - 1 - i], is_on };
		struct ifreq req = { .ifr_data = (char *)&v };

		(void)strncpy(req.ifr_name, arg[0], IFNAMSIZ - 1);
		if (ioctl(fd, SIOCETHTOOL, &req) < 0)
			die(arg[0]);
	}
	return 0;
}

/* --- the control socket --- */

static int api(char **arg)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char reply[4096];
	ssize_t n;

	(void)strncpy(at.sun_path, arg[0], sizeof(at.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(arg[0]);
	(void)dprintf(fd,
		"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		arg[1], arg[2], strlen(arg[3]), arg[3]);
	/* these answers are short, and come at once */
	n = recv(fd, reply, sizeof(reply) - 1, 0);
	if (n <= 0)
		die("no answer");
	reply[n] = '\0';
	(void)puts(reply);
	return strncmp(reply, "HTTP/1.1 2", 10) != 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(char **arg);
		int n_args;
	} commands[] = {
		{ "disk-write", disk_write, 2 },
		{ "disk-check", disk_check, 2 },
		{ "tcp", tcp, 4 },
		{ "vsock", vsock, 4 },
		{ "unix", unix_, 4 },
		{ "flood", flood, 5 },
		{ "offloads", offloads, 2 },
		{ "api", api, 4 },
	};

	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (argc >= 2 + commands[i].n_args &&
			strcmp(argv[1], commands[i].name) == 0)
			return commands[i].fn(argv + 2);
	(void)fprintf(stderr, "traffic: see its source for what it takes\n");
	return 2;
}
