// SPDX-License-Identifier: Apache-2.0
/*
 * The reference host's side of its channel to refhost, used by init only:
 *   channel receive          waits for the job's files and writes them, a cpio archive,
 * to stdout channel finish STATUS    hands over stdin (what /out holds) and the status,
 * stops the machine Bulk goes through a DIMM that is a file of refhost's: the length,
 * from byte 4096 on the bytes; plain stores, so it costs what a copy costs. Single
 * bytes go to the port of QEMU's debug console. A C program because Debian's kernel has
 * no /dev/port.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <unistd.h>

#define STATUS_PORT 0xe9
#define EXIT_PORT 0x501
#define SHARED_SIZE ((size_t)1 << 30)
#define BYTES_AT 4096
#define PIECE ((size_t)1 << 20)

/* In pieces, because mapping a page of /dev/mem costs more than copying it. */
static char *map_shared(uint64_t offset, size_t len)
{
	const char *at =
		getenv("shared_at"); /* the kernel makes it of its command line */
	int fd = open("/dev/mem", O_RDWR);
	void *mem;

	if (fd < 0 || !at)
		err(1, "/dev/mem, or no shared_at=");
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		atoll(at) + (off_t)offset);
	if (mem == MAP_FAILED)
		err(1, "mapping shared memory at %s", at);
	close(fd);
	return mem;
}

/* 'R' tells refhost that the host has booted: this is where its state is saved and
 * resumed. */
static void receive(void)
{
	volatile uint64_t *head = (volatile uint64_t *)map_shared(0, BYTES_AT);
	uint64_t at = 0, len;
	char *bytes;

	outb('R', STATUS_PORT);
	while ((len = *head) == 0)
		usleep(10000);
	if (len > SHARED_SIZE - BYTES_AT)
		errx(1, "the job's files claim %llu bytes", (unsigned long long)len);
	bytes = map_shared(BYTES_AT, len);
	while (at < len) {
		ssize_t n = write(STDOUT_FILENO, bytes + at, len - at);

		if (n < 0)
			err(1, "writing the job's files");
		at += (uint64_t)n;
	}
	*head = 0;
}

/* Leaves the length 0, which refhost takes for a failure, when stdin does not fit. */
static void send_stdin(void)
{
	volatile uint64_t *head = (volatile uint64_t *)map_shared(0, BYTES_AT);
	uint64_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len + PIECE <= SHARED_SIZE - BYTES_AT) {
		char *piece = map_shared(BYTES_AT + len, PIECE);
		size_t have = 0;

		while (have < PIECE &&
			(n = read(STDIN_FILENO, piece + have, PIECE - have)) > 0)
			have += (size_t)n;
		munmap(piece, PIECE);
		len += have;
	}
	if (n == 0)
		*head = len;
}

int main(int argc, char **argv)
{
	if (ioperm(STATUS_PORT, 1, 1) < 0 || ioperm(EXIT_PORT, 1, 1) < 0)
		err(1, "ioperm");
	if (argc == 2 && strcmp(argv[1], "receive") == 0) {
		receive();
		return 0;
	}
	if (argc != 3 || strcmp(argv[1], "finish") != 0)
		errx(1, "usage: channel receive | finish STATUS");
	send_stdin();
	outb((unsigned char)atoi(argv[2]), STATUS_PORT);
	outb(1, EXIT_PORT);
	return 1;
}
