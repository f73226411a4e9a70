/* SPDX-License-Identifier: Apache-2.0
 *
 * cgroup: the control groups of a jail, versions 1 and 2 (contract, 7.4). All values
 * are written before any process is attached.
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

/* The groups of this jail, one for each controller in version 1. Exec closes them. */
struct cgroup {
	unsigned version;
	size_t n;
	int dirs[CGROUP_DIRS_MAX];
	const char *controllers[CGROUP_DIRS_MAX]; /* borrowed from the properties */
};

MUST_CHECK int cgroup_parse_property(
	const char *text, struct cgroup_property *out, struct err *e);

/* Where a hierarchy is mounted, by the lines of /proc/mounts: of version 1 the one with
 * the controller, of version 2 the first (controller NULL). 0 or -ENOENT. */
MUST_CHECK int cgroup_find_mount(
	FILE *mounts, unsigned version, const char *controller, char path[PATH_MAX]);

/* Version 2 without properties: the calling process joins the group parent, a relative
 * path, if there is one. No cgroup2 mount is an error. */
MUST_CHECK int cgroup_join_existing(const char *parent, struct err *e);

/* Makes the groups <mount>/<parent>/<id> and writes the values. c->version is set by
 * the caller. Attaches nothing. */
MUST_CHECK int cgroup_set_up(struct cgroup *c, const char *parent, const char *id,
	const struct cgroup_property *p, size_t n, struct err *e);

/* Moves the calling process into the groups. */
MUST_CHECK int cgroup_attach(const struct cgroup *c, struct err *e);

#endif
