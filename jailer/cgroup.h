/* SPDX-License-Identifier: Apache-2.0
 *
 * cgroup: the control groups (cgroups) of a jail, versions 1 and 2 (contract, 7.4). All
 * values are written before a process joins.
 */
#ifndef HUSK_JAILER_CGROUP_H
#define HUSK_JAILER_CGROUP_H

#include <limits.h>
#include <stdio.h>

#include "vmm/base/base.h"
#include "vmm/base/err.h"

#define CGROUP_DIRS_MAX 32

/* One --cgroup <controller>.<file>=<value>. */
struct cgroup_property {
	char file[NAME_MAX + 1]; /* "cpu.shares" */
	char controller[NAME_MAX + 1]; /* "cpu" */
	const char *value; /* borrowed from the text */
};

/* The groups of this jail: one in version 2, one for each controller in version 1. exec
 * closes their descriptors. */
struct cgroup {
	unsigned version;
	size_t n;
	int dirs[CGROUP_DIRS_MAX];
	const char *controllers[CGROUP_DIRS_MAX]; /* borrowed from the properties */
};

/* Reads the value of --cgroup, which must outlive *out. -EINVAL with text. */
MUST_CHECK int cgroup_parse_property(
	const char *text, struct cgroup_property *out, struct err *e);

/* Finds where a hierarchy is mounted, in the lines of /proc/mounts: for version 1 the
 * one with the controller, for version 2 the first (controller NULL). 0 or -ENOENT. */
MUST_CHECK int cgroup_find_mount(
	FILE *mounts, unsigned version, const char *controller, char path[PATH_MAX]);

/* For version 2 without properties: the calling process joins the group `parent`, a
 * path relative to the mount, if that exists. -errno with text, also when no cgroup2 is
 * mounted. */
MUST_CHECK int cgroup_join_existing(const char *parent, struct err *e);

/* Makes the groups <mount>/<parent>/<id> and writes the n values. No process joins yet.
 * The caller sets c->version before. -EINVAL or -errno with text. */
MUST_CHECK int cgroup_set_up(struct cgroup *c, const char *parent, const char *id,
	const struct cgroup_property *p, size_t n, struct err *e);

/* Moves the calling process into the groups. -errno with text. */
MUST_CHECK int cgroup_attach(const struct cgroup *c, struct err *e);

#endif
