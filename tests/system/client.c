/* SPDX-License-Identifier: Apache-2.0
 *
 * client: an HTTP client for the tests of the API that does what curl will not.
 *   client SOCKET STEP...          does the steps over one connection:
 *     send TEXT                    as it is, with \r and \n for what they mean
 *     get PATH, put PATH BODY, patch PATH BODY   a whole request
 *     reply                        prints the next reply, "STATUS BODY"
 *     shut                         says that nothing more is sent
 *     eof                          the other side must end, with nothing unread
 *     sleep MS
 *     within MS                    no more time has passed since it connected
 *   client --notify SOCKET         makes it, prints the first datagram that comes
 *   client --inherit SOCKET COMMAND OPTION...   makes it, runs COMMAND with --api-fd
 * A step that fails, or that waits for 60 s, ends it with status 1.
 */
#include <sys/time.h>
#include <time.h>

#include "tests/system/http_client.h"

enum { TIMEOUT_S = 60, ARGS_MAX = 64 };

static struct client client;
static double connected_ms;

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int bind_socket(const char *path, int type)
{
	struct sockaddr_un at = address_of(path);
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(path);
	return fd;
}

static void limit_waits(int fd)
{
	const struct timeval limit = { .tv_sec = TIMEOUT_S };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		die("setsockopt");
}

static void print_notification(const char *path)
{
	char text[256];
	int fd = bind_socket(path, SOCK_DGRAM);
	ssize_t n;

	limit_waits(fd);
	n = recv(fd, text, sizeof(text), 0);
	if (n < 0)
		die("notification");
	printf("%.*s\n", (int)n, text);
}

_Noreturn static void run_with_socket(const char *path, char **argv)
{
	char *args[ARGS_MAX] = { argv[0], (char[]){ "--api-fd" } };
	char number[12];
	int fd = bind_socket(path, SOCK_STREAM);

	if (listen(fd, 8) < 0)
		die(path);
	(void)snprintf(number, sizeof(number), "%d", fd);
	args[2] = number;
	for (int i = 1; argv[i] && i + 3 < ARGS_MAX; i++)
		args[i + 2] = argv[i];
	execv(args[0], args);
	die(args[0]);
}

static void send_escaped(const char *text)
{
	char *bytes = strdup(text), *to = bytes;

	if (!bytes)
		die("send");
	for (; *text; text++) {
		if (text[0] == '\\' && (text[1] == 'r' || text[1] == 'n'))
			*to++ = *++text == 'r' ? '\r' : '\n';
		else
			*to++ = *text;
	}
	client_send(&client, bytes, (size_t)(to - bytes));
	free(bytes);
}

static void print_reply(void)
{
	static char body[REPLY_MAX];
	int status = client_reply(&client, body, sizeof(body));

	if (status == 0) {
		fprintf(stderr, "the connection ended before the reply\n");
		exit(1);
	}
	printf("%d%s%s\n", status, body[0] ? " " : "", body);
	(void)fflush(stdout);
}

static void expect_end(void)
{
	if (client.n > 0 || client_fill(&client)) {
		fprintf(stderr, "unread: %s\n", client.in);
		exit(1);
	}
}

static void check_time(double limit_ms)
{
	double took_ms = now_ms() - connected_ms;

	if (took_ms < limit_ms)
		return;
	fprintf(stderr, "took %.1f ms\n", took_ms);
	exit(1);
}

/* Does the step at argv and returns where the next one is; NULL for no known step. */
static char **step(char **argv)
{
	static const struct {
		const char *name, *method;
	} requests[] = { { "get", "GET" }, { "put", "PUT" }, { "patch", "PATCH" } };
	const char *name = argv[0];

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const char *body = i == 0 || !argv[1] ? NULL : argv[2];

		if (strcmp(name, requests[i].name) != 0)
			continue;
		if (!argv[1] || (i > 0 && !body))
			return NULL;
		client_request(&client, requests[i].method, argv[1], body);
		return argv + (i == 0 ? 2 : 3);
	}
	if (strcmp(name, "reply") == 0) {
		print_reply();
	} else if (strcmp(name, "eof") == 0) {
		expect_end();
	} else if (strcmp(name, "shut") == 0) {
		(void)shutdown(client.fd, SHUT_WR);
	} else if (strcmp(name, "send") == 0 && argv[1]) {
		send_escaped(argv[1]);
		return argv + 2;
	} else if (strcmp(name, "sleep") == 0 && argv[1]) {
		(void)usleep((useconds_t)strtoul(argv[1], NULL, 10) * 1000);
		return argv + 2;
	} else if (strcmp(name, "within") == 0 && argv[1]) {
		check_time(strtod(argv[1], NULL));
		return argv + 2;
	} else {
		return NULL;
	}
	return argv + 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--notify") == 0) {
		print_notification(argv[2]);
		return 0;
	}
	if (argc > 3 && strcmp(argv[1], "--inherit") == 0)
		run_with_socket(argv[2], argv + 3);
	if (argc < 3)
		return 2;
	connected_ms = now_ms();
	client_connect(&client, argv[1]);
	limit_waits(client.fd);
	for (char **at = argv + 2; *at;) {
		char **next = step(at);

		if (!next) {
			fprintf(stderr, "client: no step '%s' with that\n", *at);
			return 2;
		}
		at = next;
	}
	return 0;
}
