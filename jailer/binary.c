/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/binary.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

/* Lets the file system copy n bytes by itself. Returns how many it copied; why it
 * stopped will show when copy_pages copies the rest. */
static uint64_t copy_in_file_system(int from, int to, uint64_t n)
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

/* Copies bytes from offset `at` up to n, inside the kernel. Works between any two file
 * systems. */
static int copy_pages(int from, int to, uint64_t at, uint64_t n)
{
	off_t in = (off_t)at;

	if (lseek(to, in, SEEK_SET) < 0)
		return -errno;
	while ((uint64_t)in < n) {
		ssize_t got = sendfile(to, from, &in, n - (uint64_t)in);

		if (got <= 0)
			return got < 0 ? -errno : -ENODATA;
	}
	return 0;
}

static int copy_bytes(int from, int to, uint64_t n)
{
	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	return copy_pages(from, to, copy_in_file_system(from, to, n), n);
}

/* Removes an older copy. It is not written to, because the owner of the directory could
 * put a link to another file there after this check, and take it away again before a
 * second check. */
static int remove_old(int dir, const char *name, const struct stat *src, struct err *e)
{
	struct stat old;

	if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			? 0
			: err_sys(e, "cannot look at '%s' in the jail", name);
	if (S_ISLNK(old.st_mode))
		return err_bad(e, "'%s' in the jail is a symbolic link", name);
	if (!S_ISREG(old.st_mode))
		return err_bad(e, "'%s' in the jail is not a regular file", name);
	if (old.st_dev == src->st_dev && old.st_ino == src->st_ino)
		return err_bad(e, "'%s' in the jail is the executable itself", name);
	if (old.st_nlink != 1)
		return err_bad(e, "'%s' in the jail has another link", name);
	if (unlinkat(dir, name, 0) < 0)
		return err_sys(e, "cannot replace '%s' in the jail", name);
	return 0;
}

int binary_copy(
	int from, int dir, const char *name, uid_t uid, gid_t gid, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	AUTO(close_fd) int to = -1;
	struct stat src;
	int r;

	if (fstat(from, &src) < 0)
		return err_sys(e, "cannot read the executable");
	r = remove_old(dir, name, &src, e);
	if (r < 0)
		return r;
	to = openat(dir, name, flags, src.st_mode & 0777);
	if (to < 0)
		return err_sys(e, "cannot create '%s' in the jail", name);
	r = copy_bytes(from, to, (uint64_t)src.st_size);
	if (r < 0)
		return err_code(e, r, "cannot copy the executable to '%s'", name);
	/* owner first: a change of owner clears bits of the mode */
	if (fchown(to, uid, gid) < 0 || fchmod(to, src.st_mode & 0777) < 0)
		return err_sys(e, "cannot set the owner and mode of '%s'", name);
	return 0;
}
