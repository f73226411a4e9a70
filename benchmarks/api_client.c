/* SPDX-License-Identifier: Apache-2.0
 *
 * api_client: runs a husk, drives its API and prints raw figures, "FIGURE VALUE":
 *
 *   api_client reply HUSK OPTION...   exec to the first reply, and husk's memory
 *
 *   api_client put HUSK OPTION...     what a PUT /machine-config costs husk
 *
 *   api_client start KERNEL INITRD HUSK OPTION...   InstanceStart to the guest's init
 *
 *   api_client pause SOCKET           pauses and resumes of a running guest
 *
 * The socket is made and connected here, before husk runs, so nothing polls for it.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/system/http_client.h"

enum { PUTS = 200, PAUSES = 20, TRIES = 100, ARGS_MAX = 32 };

static struct client client;
static char body[REPLY_MAX];
static uint64_t *exec_ns; /* shared with the child, which sets it */

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void print_ms(const char *figure, uint64_t ns)
{
	printf("%s %.3f\n", figure, (double)ns / 1e6);
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* A listening socket without a name in the file system, and the client connected. */
static int listen_and_connect(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(at);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(sa_family_t)) < 0 ||
		listen(fd, 1) < 0 || getsockname(fd, (struct sockaddr *)&at, &n) < 0 ||
		connect(client.fd, (struct sockaddr *)&at, n) < 0)
		die("socket");
	return fd;
}

/* Runs argv with --api-fd. */
static pid_t run(int listen_fd, char **argv)
{
	char *args[ARGS_MAX] = { argv[0], (char[]){ "--api-fd" }, NULL };
	char number[12];
	pid_t pid;

	(void)snprintf(number, sizeof(number), "%d", listen_fd);
	args[2] = number;
	for (int i = 1; argv[i] && i + 3 < ARGS_MAX; i++)
		args[i + 2] = argv[i];
	exec_ns = mmap(NULL, sizeof(*exec_ns), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (exec_ns == MAP_FAILED)
		die("mmap");
	*exec_ns = 0; /* the page is there before the clock is read */
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		*exec_ns = now_ns();
		execv(args[0], args);
		_exit(127);
	}
	(void)close(listen_fd);
	return pid;
}

static void expect(int want)
{
	int status = client_reply(&client, body, sizeof(body));

	if (status == want)
		return;
	fprintf(stderr, "status %d, not %d: %s\n", status, want, body);
	exit(1);
}

static void put(const char *path, const char *text)
{
	client_request(&client, "PUT", path, text);
	expect(204);
}

/* The number after the word in a file of /proc. */
static uint64_t proc_number(pid_t pid, const char *file, const char *word)
{
	char path[64], text[4096];
	const char *at;
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	if (!f)
		die(path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	at = strstr(text, word);
	if (!at)
		die(path);
	return strtoull(at + strlen(word), NULL, 10);
}

static void finish(pid_t pid)
{
	int status;

	if (kill(pid, SIGTERM) < 0 || waitpid(pid, &status, 0) < 0 ||
		!WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM)
		die("husk");
}

static void time_reply(char **argv)
{
	int fd = listen_and_connect();
	uint64_t arrived;
	pid_t pid;

	client_request(&client, "GET", "/machine-config", NULL);
	pid = run(fd, argv);
	expect(200);
	arrived = now_ns();
	print_ms("api.exec_to_first_reply", arrived - *exec_ns);
	sleep_ms(10); /* until it waits again */
	/* exact, where VmRSS is what the kernel counted up to 64 page faults ago */
	printf("api.idle_rss_mib %.2f\n",
		(double)proc_number(pid, "smaps_rollup", "Rss:") / 1024);
	finish(pid);
}

static void time_put(char **argv)
{
	static const char text[] =
		"{\"vcpu_count\":2,\"mem_size_mib\":256,\"smt\":false,"
		"\"track_dirty_pages\":false}";
	int fd = listen_and_connect();
	pid_t pid = run(fd, argv);
	uint64_t before;

	put("/machine-config", text);
	sleep_ms(10);
	before = proc_number(pid, "schedstat", "");
	for (int i = 0; i < PUTS; i++)
		put("/machine-config", text);
	sleep_ms(10);
	print_ms("api.put_machine_config",
		(proc_number(pid, "schedstat", "") - before) / PUTS);
	finish(pid);
}

/* Phases are counted from 1 us of CLOCK_MONOTONIC. */
static void time_start(char **argv)
{
	char text[512];
	int fd = listen_and_connect();
	char *args[ARGS_MAX] = { argv[2], (char[]){ "--boot-timer" },
		(char[]){ "--start-time-us" }, (char[]){ "1" } };
	uint64_t sent, init_us = 0;
	pid_t pid;

	for (int i = 3; argv[i] && i + 2 < ARGS_MAX; i++)
		args[i + 1] = argv[i];
	pid = run(fd, args);
	(void)snprintf(text, sizeof(text),
		"{\"kernel_image_path\":\"%s\",\"initrd_path\":\"%s\"}", argv[0],
		argv[1]);
	put("/boot-source", text);
	put("/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":128}");
	sent = now_ns();
	put("/actions", "{\"action_type\":\"InstanceStart\"}");
	for (int i = 0; i < TRIES && init_us == 0; i++) {
		const char *at;

		sleep_ms(100);
		client_request(&client, "GET", "/metrics", NULL);
		expect(200);
		at = strstr(body, "\"guest_init_us\":");
		init_us =
			at ? strtoull(at + strlen("\"guest_init_us\":"), NULL, 10) : 0;
	}
	if (init_us == 0) {
		fprintf(stderr, "the guest's init does not run\n");
		exit(1);
	}
	print_ms("api.start_to_init", (init_us + 1) * 1000 - sent);
	finish(pid);
}

static void time_patch(const char *figure, const char *text)
{
	uint64_t sent;

	sleep_ms(20); /* meanwhile the guest runs, or is paused */
	sent = now_ns();
	client_request(&client, "PATCH", "/vm", text);
	expect(204);
	print_ms(figure, now_ns() - sent);
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "reply") == 0) {
		time_reply(argv + 2);
	} else if (argc > 2 && strcmp(argv[1], "put") == 0) {
		time_put(argv + 2);
	} else if (argc > 4 && strcmp(argv[1], "start") == 0) {
		time_start(argv + 2);
	} else if (argc == 3 && strcmp(argv[1], "pause") == 0) {
		client_connect(&client, argv[2]);
		for (int i = 0; i < PAUSES; i++) {
			time_patch("api.pause", "{\"state\":\"Paused\"}");
			time_patch("api.resume", "{\"state\":\"Resumed\"}");
		}
	} else {
		fprintf(stderr, "usage: api_client reply|put|start|pause ...\n");
		return 2;
	}
	return 0;
}
