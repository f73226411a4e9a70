/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "jailer/paths.h"

#define MISC_MAJOR 10

static const struct node {
	const char *path; /* on the host, and in the jail */
	const char *name;
	unsigned major, minor;
	bool in_net;
} nodes[DEVICE_COUNT] = {
	[DEVICE_TUN] = { "/dev/net/tun", "tun", MISC_MAJOR, 200, true },
	[DEVICE_KVM] = { "/dev/kvm", "kvm", MISC_MAJOR, 232, false },
	[DEVICE_URANDOM] = { "/dev/urandom", "urandom", 1, 9, false },
	[DEVICE_USERFAULTFD] = { "/dev/userfaultfd", "userfaultfd", MISC_MAJOR, 0,
		false },
};

int devices_find_minor(FILE *misc, const char *name)
{
	char line[128], word[64];
	int minor;

	while (fgets(line, sizeof(line), misc))
		if (sscanf(line, "%d %63s", &minor, word) == 2 &&
			strcmp(word, name) == 0)
			return minor;
	return -1;
}

static int open_host_node(const char *path, struct err *e)
{
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return err_sys(e, "cannot take %s into the jail", path);
	return fd < 0 ? -1 : fd;
}

int devices_find(struct devices *d, bool bind, struct err *e)
{
	FILE *misc = fopen("/proc/misc", "re");

	*d = (struct devices){ .bind = bind, .misc_userfaultfd = -1 };
	for (size_t i = 0; i < DEVICE_COUNT; i++)
		d->host[i] = -1;
	if (misc) {
		d->misc_userfaultfd = devices_find_minor(misc, "userfaultfd");
		(void)fclose(misc);
	}
	for (size_t i = 0; bind && i < DEVICE_COUNT; i++) {
		d->host[i] = open_host_node(nodes[i].path, e);
		if (d->host[i] < -1)
			return d->host[i];
	}
	if (bind && d->host[DEVICE_KVM] < 0)
		return err_bad(e, "the host has no /dev/kvm");
	return 0;
}

void devices_close(struct devices *d)
{
	for (size_t i = 0; i < DEVICE_COUNT; i++)
		close_fd(TAKE_FD(d->host[i]));
}

static int make_node(int dir, const struct node *n, unsigned minor, uid_t uid,
	gid_t gid, struct err *e)
{
	dev_t number = makedev(n->major, minor);
	AUTO(close_fd) int fd = -1;
	struct stat st;

	/* mknod would succeed there, and the monitor could not open the node */
	if (path_has_mount_flag(dir, ST_NODEV))
		return err_bad(e,
			"cannot make %s in the jail: it would be on a nodev mount",
			n->path);
	if (mknodat(dir, n->name, S_IFCHR | 0600, number) < 0)
		return err_sys(e, "cannot make %s in the jail", n->path);
	/* the directory belongs to the jail's user by now, who could have put another
	 * file there */
	fd = openat(dir, n->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot open %s in the jail", n->path);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != number || st.st_nlink != 1)
		return err_bad(e, "%s in the jail was replaced", n->path);
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return err_sys(e, "cannot give %s to %u:%u", n->path, uid, gid);
	return 0;
}

static int mount_node(int dir, const struct node *n, int host, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	AUTO(close_fd) int fd = -1;

	if (host < 0)
		return 0;
	fd = openat(dir, n->name, flags, 0600);
	if (fd < 0)
		return err_sys(e, "cannot make %s in the jail", n->path);
	if (move_mount(host, "", fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, "cannot mount %s in the jail", n->path);
	return 0;
}

int devices_make(const struct devices *d, const struct jail_dirs *dirs, uid_t uid,
	gid_t gid, struct err *warning, struct err *e)
{
	for (size_t i = 0; i < DEVICE_COUNT; i++) {
		const struct node *n = &nodes[i];
		int dir = n->in_net ? dirs->net : dirs->dev;
		unsigned minor = n->minor;
		int r;

		if (i == DEVICE_USERFAULTFD && d->misc_userfaultfd < 0)
			continue;
		if (i == DEVICE_USERFAULTFD)
			minor = (unsigned)d->misc_userfaultfd;
		r = d->bind ? mount_node(dir, n, d->host[i], e)
			    : make_node(dir, n, minor, uid, gid, e);
		if (r < 0 && i != DEVICE_URANDOM)
			return r;
		if (r < 0)
			*warning = *e;
	}
	return 0;
}
