/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/process/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sys/syscall.h>

/* A sanitizer reads files to look for leaks and to report. */
#ifdef __SANITIZE_ADDRESS__
#define FORBIDDEN_READS 0
#else
#define FORBIDDEN_READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#endif

/* All rights that the first version of Landlock knows, and so every later one, except
 * the removal of files. */
static const struct landlock_ruleset_attr attr = {
	.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE |
		LANDLOCK_ACCESS_FS_WRITE_FILE | FORBIDDEN_READS |
		LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
};

int landlock_forbid_files(struct err *e)
{
	/* a ruleset without rules allows none of these anywhere */
	AUTO(close_fd)
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	/* EPERM: from a seccomp filter of the program that started husk */
	if (fd < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
		return 0;
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_sys(e, "Landlock");
	return 0;
}
