/* SPDX-License-Identifier: Apache-2.0
 *
 * options: reads and checks the jailer's command line (contract, 7.1), before anything
 * is opened or changed.
 */
#ifndef HUSK_JAILER_OPTIONS_H
#define HUSK_JAILER_OPTIONS_H

#include <sys/types.h>

#include "jailer/cgroup.h"
#include "vmm/base/base.h"
#include "vmm/base/err.h"

#define KEEP_FDS_MAX 64
#define NO_FILE_DEFAULT 2048

/* All text is borrowed from argv. */
struct options {
	const char *id, *exec_file, *base_dir;
	const char *netns; /* path, or NULL to stay in the caller's */
	const char *parent_cgroup; /* NULL for the executable's name */
	uid_t uid;
	gid_t gid;
	bool daemonize, new_pid_ns;
	unsigned cgroup_version; /* 1 or 2 */
	struct cgroup_property *properties;
	size_t n_properties;
	uint64_t no_file;
	uint64_t fsize; /* bytes */
	bool has_fsize;
	int keep_fds[KEEP_FDS_MAX]; /* in rising order */
	size_t n_keep_fds;
	char **extra; /* the words after "--", with a NULL at the end */
};

/* Reads argv, which must outlive *o. Returns an enum args_found, or -EINVAL or -ENOMEM
 * with text. Call options_fini in any case. */
MUST_CHECK int options_parse(int argc, char **argv, struct options *o, struct err *e);
void options_fini(struct options *o);

/* Prints the options to stdout. */
void options_print_help(void);

#endif
