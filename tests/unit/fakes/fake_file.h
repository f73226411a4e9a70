/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_file: files for tests that leave nothing behind: memory files with a path, and
 * files and directories below /tmp for what only a file system has. Failures of its own
 * end the test.
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

/* A new directory, which fake_dir_remove removes with all that is in it. */
struct fake_dir {
	char path[32];
};

struct fake_dir fake_dir(void);
void fake_dir_remove(const struct fake_dir *d);

/* A new, empty file with a name of its own in path, for what memory files cannot do.
 * The caller unlinks it and closes the descriptor. */
enum { FAKE_PATH_MAX = 32 };
int fake_disk_file(char path[static FAKE_PATH_MAX]);

/* A new FIFO in a directory of its own; fake_fifo_remove removes both. */
struct fake_fifo {
	struct fake_dir dir;
	char path[40];
};

struct fake_fifo fake_fifo(void);
void fake_fifo_remove(const struct fake_fifo *f);

/* How many file descriptors the process has open. */
unsigned fake_open_fds(void);

#endif
