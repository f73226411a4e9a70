/* SPDX-License-Identifier: Apache-2.0
 *
 * replay: runs a fuzz target on every file of the directories given, in order of name,
 * without libFuzzer: so that the saved inputs are part of `make check` with any
 * compiler. A crash or a sanitizer's report is a failure; so is a directory without
 * inputs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 1 << 20 };

/* 1 when an input was run, 0 for what is no input, -errno with text. */
static int run_file(const char *dir, const char *name, struct err *e)
{
	char path[4096];
	char *buf;
	size_t n;
	int r;

	if (name[0] == '.')
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = io_read_file(path, INPUT_MAX, &buf, &n, e);
	if (r < 0)
		return r;
	(void)LLVMFuzzerTestOneInput((const uint8_t *)buf, n);
	free(buf);
	return 1;
}

static int run_dir(const char *dir, struct err *e)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, NULL, alphasort), ran = 0, r = 0;

	if (n < 0)
		return err_sys(e, "cannot list '%s'", dir);
	for (int i = 0; i < n; i++) {
		if (r >= 0)
			r = run_file(dir, entries[i]->d_name, e);
		ran += r > 0;
		free(entries[i]);
	}
	free(entries);
	if (r >= 0 && ran == 0)
		return err_bad(e, "no inputs in '%s'", dir);
	return r < 0 ? r : ran;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		struct err e;
		int r = run_dir(argv[i], &e);

		if (r < 0) {
			(void)fprintf(stderr, "replay: %s\n", e.text);
			return 1;
		}
		total += r;
	}
	printf("%d inputs replayed\n", total);
	return 0;
}
