/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/binary.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "vmm/base/io.h"

/* Copies without passing the bytes through here, as far as the file systems can: how
 * many. Why it stopped shows when the rest is copied by hand. */
static uint64_t copy_in_kernel(int from, int to, uint64_t n)
{
	uint64_t done = 0;
	ssize_t got = 1;

	while (done < n && got > 0) {
		off_t in = (off_t)done, out = (off_t)done;

		got = copy_file_range(from, &in, to, &out, n - done, 0);
		done += got > 0 ? (uint64_t)got : 0;
	}
	return done;
}

static int copy_by_hand(int from, int to, uint64_t at, uint64_t n)
{
	char buf[16384];
	int r = 0;

	if (lseek(to, (off_t)at, SEEK_SET) < 0)
		return -errno;
	while (r == 0 && at < n) {
		size_t part = MIN(n - at, sizeof(buf));

		r = io_pread(from, buf, part, (off_t)at);
		if (r == 0)
			r = io_write(to, buf, part);
		at += part;
	}
	return r;
}

static int copy_bytes(int from, int to, uint64_t n)
{
	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	return copy_by_hand(from, to, copy_in_kernel(from, to, n), n);
}

int binary_copy(
	int from, int dir, const char *name, uid_t uid, gid_t gid, struct err *e)
{
	/* O_NONBLOCK: a FIFO is refused below, not waited for */
	const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	AUTO(close_fd) int to = -1;
	struct stat src, dst;
	int r;

	if (fstat(from, &src) < 0)
		return err_sys(e, "cannot read the executable");
	to = openat(dir, name, flags, src.st_mode & 0777);
	if (to < 0 && errno == ELOOP)
		return err_bad(e, "'%s' in the jail is a symbolic link", name);
	if (to < 0 || fstat(to, &dst) < 0)
		return err_sys(e, "cannot create '%s' in the jail", name);
	if (!S_ISREG(dst.st_mode))
		return err_bad(e, "'%s' in the jail is not a regular file", name);
	if (dst.st_dev == src.st_dev && dst.st_ino == src.st_ino)
		return err_bad(e, "'%s' in the jail is the executable itself", name);
	if (dst.st_nlink != 1)
		return err_bad(e, "'%s' in the jail has another link", name);
	if (ftruncate(to, 0) < 0)
		return err_sys(e, "cannot empty '%s' in the jail", name);
	r = copy_bytes(from, to, (uint64_t)src.st_size);
	if (r < 0)
		return err_code(e, r, "cannot copy the executable to '%s'", name);
	/* the owner first: a change of owner would take bits off the mode */
	if (fchown(to, uid, gid) < 0 || fchmod(to, src.st_mode & 0777) < 0)
		return err_sys(e, "cannot set the owner and mode of '%s'", name);
	return 0;
}
