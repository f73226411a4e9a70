/* SPDX-License-Identifier: Apache-2.0
 *
 * launch: executes a program with each argument "@NOW@" replaced by CLOCK_MONOTONIC in
 * microseconds, so that the program can be timed from its exec. Writes the time to
 * descriptor 3 too, if that is open.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char now[24];
	struct timespec ts;

	if (argc < 2)
		return 2;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)snprintf(now, sizeof(now), "%lld",
		(long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "@NOW@") == 0)
			argv[i] = now;
	(void)dprintf(3, "%s\n", now);
	(void)close(3);
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
