/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/name.h"

#include <string.h>
#include <sys/auxv.h>

const char *name_of_path(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *name_of_program(void)
{
	/* the path that was given to execve: argv[0] may be anything */
	const char *path = (const char *)(uintptr_t)getauxval(AT_EXECFN);

	return path && path[0] != '\0' ? name_of_path(path) : "husk";
}

const char *name_of_product(void)
{
	return strcmp(name_of_program(), "firecracker") == 0 ? "Firecracker" : "husk";
}
