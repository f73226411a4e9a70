/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_file: files for tests that leave nothing behind: memory files with a path, and a
 * directory for what only a file system has. Failures of its own end the test.
 */
#ifndef HUSK_FAKE_FILE_H
#define HUSK_FAKE_FILE_H

#include "vmm/base/base.h"

struct fake_file {
	int fd;
	char path[32]; /* of this process only, while fd is open */
};

/* A regular file of n bytes. */
struct fake_file fake_file(const void *bytes, size_t n);
void fake_file_close(struct fake_file *f);

/* What the file holds now, as a string, at most room - 1 bytes of it. */
size_t fake_file_text(const struct fake_file *f, char *buf, size_t room);

/* A new FIFO, whose directory and name are gone when fake_fifo_remove has been called.
 */
struct fake_fifo {
	char dir[32], path[40];
};

struct fake_fifo fake_fifo(void);
void fake_fifo_remove(const struct fake_fifo *f);

/* How many file descriptors the process has open. */
unsigned fake_open_fds(void);

#endif
