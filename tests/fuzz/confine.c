/* SPDX-License-Identifier: Apache-2.0
 *
 * confine: see the header. A path without '/' is a name in the current directory, or
 * "." or "..", which cannot be opened as files. The directory is made for the first
 * input and removed at the end.
 */
#include "tests/fuzz/confine.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/log.h"

void (*fuzz_on_end)(const void *bytes, size_t n);

static char dir[64];
static int dir_fd = -1, home_fd = -1;
static unsigned closed_before;

static struct {
	const char *name;
	off_t bytes;
	ino_t ino; /* of the one that is there */
} files[] = {
	{ "kernel", 16, 0 },
	{ "disk", 2048, 0 },
	{ "_proc_self_exe", 4096, 0 },
};

static const char *const others[] = { "fifo", "dir", "_tmp", "_dev_null" };

static bool is_kept(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(files[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strcmp(others[i], name) == 0)
			return true;
	return name[0] == '.' && (name[1] == '\0' || strcmp(name, "..") == 0);
}

/* Removes the files that inputs made, or all files. */
static void sweep(bool all)
{
	static DIR *d;
	const struct dirent *entry;

	if (!d)
		d = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	assert(d);
	rewinddir(d);
	while ((entry = readdir(d)))
		if ((all || !is_kept(entry->d_name)) &&
			unlinkat(dir_fd, entry->d_name, 0) < 0)
			(void)unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
}

static void remove_dir(void)
{
	sweep(true);
	(void)rmdir(dir);
}

/* Whether no input has replaced or changed the file. Files hold zeros, so a change
 * shows in the size or the number of blocks, unless it wrote zeros. */
static bool is_as_made(size_t i)
{
	struct stat st;

	return fstatat(dir_fd, files[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_ino == files[i].ino && st.st_size == files[i].bytes &&
		st.st_blocks == 0;
}

static void fill(void)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct stat st;
		int fd;

		if (is_as_made(i))
			continue;
		(void)unlinkat(dir_fd, files[i].name, 0);
		fd = openat(dir_fd, files[i].name,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, files[i].bytes) < 0 || fstat(fd, &st) < 0)
			abort();
		files[i].ino = st.st_ino;
		close_fd(fd);
	}
}

/* Without root no TAP can be made, however an input asks for one. */
static void drop_net_admin(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	uint32_t kept = ~(UINT32_C(1) << CAP_NET_ADMIN);

	if (syscall(SYS_capget, &head, caps) < 0)
		abort();
	caps[0].effective &= kept;
	caps[0].permitted &= kept;
	caps[0].inheritable &= kept;
	if (syscall(SYS_capset, &head, caps) < 0)
		abort();
}

const char *confine_tmp(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static void start(void)
{
	struct err e;

	(void)snprintf(dir, sizeof(dir), "%s/husk-fuzz-......", confine_tmp());
	memset(dir + strlen(dir) - 6, 'X', 6); /* what mkdtemp wants */
	if (!mkdtemp(dir))
		abort();
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	home_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || home_fd < 0 || mkfifoat(dir_fd, "fifo", 0600) < 0 ||
		mkdirat(dir_fd, "dir", 0700) < 0 || mkdirat(dir_fd, "_tmp", 0700) < 0 ||
		symlinkat("/dev/null", dir_fd, "_dev_null") < 0 ||
		log_open("/dev/null", &e) < 0)
		abort();
	fill();
	sweep(false);
	drop_net_admin();
	(void)atexit(remove_dir);
}

/* Descriptors that leak take the lowest numbers, so looking at 64 is enough. */
static unsigned closed_fds(void)
{
	struct pollfd fds[64];
	unsigned n = 0;

	for (int i = 0; i < (int)ARRAY_LEN(fds); i++)
		fds[i] = (struct pollfd){ .fd = i };
	if (poll(fds, ARRAY_LEN(fds), 0) < 0)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		n += (fds[i].revents & POLLNVAL) != 0;
	return n;
}

void confine_enter(void)
{
	if (dir_fd < 0)
		start();
	if (fchdir(dir_fd) < 0)
		abort();
	log_set_level(LOG_OFF);
	closed_before = closed_fds();
}

void confine_leave(void)
{
	struct err e;

	log_set_level(LOG_OFF);
	log_set_module("");
	log_set_show_level(false);
	log_set_show_origin(false);
	if (log_open("/dev/null", &e) < 0 || fchdir(home_fd) < 0)
		abort();
	assert(closed_fds() == closed_before);
	sweep(false);
	fill();
}

char *confine_json(const char *text, size_t n)
{
	char *copy = malloc(n + 1), *at;

	if (!copy)
		abort();
	memcpy(copy, text, n);
	copy[n] = '\0';
	for (at = copy; at < copy + n; at++) {
		if (*at == '/')
			*at = '_';
		if (*at != '\\' || at + 1 == copy + n)
			continue;
		if (at[1] == '/')
			*at = at[1] = '_';
		else if (strncasecmp(at + 1, "u002f", 5) == 0)
			at[4] = '5'; /* "_" */
		at++; /* past what the backslash escapes */
	}
	return copy;
}
