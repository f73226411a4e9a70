/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/chroot.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "jailer/paths.h"

int chroot_make_root(
	int base, const char *exec, const char *id, int *root, struct err *e)
{
	AUTO(close_fd) int exec_dir = -1;
	AUTO(close_fd) int id_dir = -1;
	int r = path_make_dir(base, exec, 0755, &exec_dir, e);

	if (r == 0)
		r = path_make_dir(exec_dir, id, 0755, &id_dir, e);
	return r < 0 ? r : path_make_dir(id_dir, "root", 0755, root, e);
}

int chroot_unshare(int root, struct err *e)
{
	/* unshare moves the working directory to the new mounts, but no descriptors */
	if (fchdir(root) < 0)
		return err_sys(e, "cannot enter the jail's root");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, "cannot make a mount namespace");
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_sys(e, "cannot make the mounts slaves of the host's");
	return 0;
}

int chroot_pivot(int *root, struct err *e)
{
	AUTO(close_fd)
	int tree = open_tree(
		AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0 ||
		move_mount(tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
		fchdir(tree) < 0)
		return err_sys(e, "cannot mount the jail's root on itself");
	/* pivot_root(2): with "." twice the old root lies over the new one, from where
	 * it is unmounted. No directory is needed for it in the jail, where the jail's
	 * user may write. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, "cannot change the root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, "cannot leave the old root");
	if (chdir("/") < 0)
		return err_sys(e, "cannot enter the new root");
	*root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *root < 0 ? err_sys(e, "cannot open the new root") : 0;
}

static int give(int dir, const char *name, uid_t uid, gid_t gid, struct err *e)
{
	if (fchown(dir, uid, gid) < 0 || fchmod(dir, 0700) < 0)
		return err_sys(e, "cannot give %s to %u:%u", name, uid, gid);
	return 0;
}

int chroot_make_dirs(int root, uid_t uid, gid_t gid, struct jail_dirs *d, struct err *e)
{
	AUTO(close_fd) int run = -1;
	int r = path_make_dir(root, "dev", 0700, &d->dev, e);

	if (r == 0)
		r = path_make_dir(d->dev, "net", 0700, &d->net, e);
	if (r == 0)
		r = path_make_dir(root, "run", 0700, &run, e);
	/* from the inside out: the owner of a directory can rename what is in it */
	if (r == 0)
		r = give(run, "/run", uid, gid, e);
	if (r == 0)
		r = give(d->net, "/dev/net", uid, gid, e);
	if (r == 0)
		r = give(d->dev, "/dev", uid, gid, e);
	return r < 0 ? r : give(root, "/", uid, gid, e);
}
