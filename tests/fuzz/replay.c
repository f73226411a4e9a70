/* SPDX-License-Identifier: Apache-2.0
 *
 * replay: runs a fuzz target on every file of the given directories, without libFuzzer,
 * so that `make check` tries the saved inputs with any compiler. Each input runs twice,
 * in order of names and then in reverse; the target's checksum of its final state must
 * be the same both times, so that no input depends on those before it. A crash or a
 * sanitizer's report is a failure; so is a directory without inputs.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/confine.h"
#include "vmm/base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 1 << 20, INPUTS_MAX = 10000 };

static uint64_t
	sums[INPUTS_MAX]; /* of what the inputs of a directory left, by number */
static uint64_t sum; /* of the one that runs */

static void add_result(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ b[i]) * 0x100000001b3;
}

/* Runs the target on one file. 0, or -errno with text. */
static int run_file(const char *dir, const char *name, struct err *e)
{
	char path[4096];
	char *buf;
	size_t n;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = io_read_file(path, INPUT_MAX, &buf, &n, e);
	if (r < 0)
		return r;
	sum = 0xcbf29ce484222325;
	(void)LLVMFuzzerTestOneInput((const uint8_t *)buf, n);
	free(buf);
	return 0;
}

static int run_both_ways(const char *dir, struct dirent **files, int n, struct err *e)
{
	int r;

	for (int i = 0; i < n; i++) {
		r = run_file(dir, files[i]->d_name, e);
		if (r < 0)
			return r;
		sums[i] = sum;
	}
	for (int i = n - 1; i >= 0; i--) {
		r = run_file(dir, files[i]->d_name, e);
		if (r < 0)
			return r;
		if (sum != sums[i])
			return err_bad(e, "'%s/%s' depends on what ran before it", dir,
				files[i]->d_name);
	}
	return n;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Runs all inputs of a directory. Their number, or -errno with text. */
static int run_dir(const char *dir, struct err *e)
{
	struct dirent **files;
	int n = scandir(dir, &files, is_input, alphasort), r;

	if (n < 0)
		return err_sys(e, "cannot list '%s'", dir);
	if (n == 0 || n > INPUTS_MAX)
		r = err_bad(e, "'%s' has %d inputs, not 1 to %d", dir, n, INPUTS_MAX);
	else
		r = run_both_ways(dir, files, n, e);
	for (int i = 0; i < n; i++)
		free(files[i]);
	free(files);
	return r;
}

int main(int argc, char **argv)
{
	int total = 0;

	fuzz_on_end = add_result;
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
