/* SPDX-License-Identifier: Apache-2.0
 *
 * server: what bad clients, too many of them and a host without descriptors lead to.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_client.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

TestSuite(
	server_limits, .init = client_set_up, .fini = client_tear_down, .timeout = 30);

static void expect_turned_away(int fd)
{
	turns(3);
	cr_assert(!hear(fd));
	cr_assert_eq(strncmp(fake.text, "HTTP/1.1 503 \r\nServer: husk\r\n", 29), 0);
	cr_assert(strstr(fake.text, "\r\nConnection: close\r\n"));
	cr_assert(strstr(fake.text, "\r\nContent-Length: 40\r\n"));
	expect_error_body(fake.text);
	close(fd);
}

/* Ten connections, each with half a request under way. */
static void fill_with_busy(int fds[SERVER_CONNECTIONS])
{
	for (int i = 0; i < SERVER_CONNECTIONS; i++) {
		fds[i] = join();
		say(fds[i], "GET / HTTP/1.1\r\n");
		turns(2);
	}
}

Test(server_limits, turns_the_eleventh_away_while_ten_are_busy)
{
	int fds[SERVER_CONNECTIONS], extra;

	fill_with_busy(fds);
	extra = new_socket();
	connect_to(extra);
	say(extra, GET("/"));
	expect_turned_away(extra);
	for (int i = 0; i < SERVER_CONNECTIONS; i++) {
		say(fds[i], "\r\n");
		expect_heard(fds[i], NO_CONTENT);
	}
	close(fds[4]);
	turns(3);
	fds[4] = join();
	say(fds[4], GET("/"));
	expect_heard(fds[4], NO_CONTENT);
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		close(fds[i]);
}

Test(server_limits, lets_the_connection_go_that_was_idle_for_longest)
{
	int fds[SERVER_CONNECTIONS], next;

	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		fds[i] = join();
	say(fds[0], GET("/")); /* now the second has been silent for longest */
	expect_heard(fds[0], NO_CONTENT);
	say(fds[1], "G"); /* and this one is busy */
	turns(3);
	next = join();
	say(next, GET("/"));
	expect_heard(next, NO_CONTENT);
	expect_end(fds[2]);
	close(fds[2]);
	fds[2] = next;
	say(fds[1], "ET / HTTP/1.1\r\n\r\n");
	for (int i = 0; i < SERVER_CONNECTIONS; i++) {
		if (i != 1 && i != 2)
			say(fds[i], GET("/"));
		expect_heard(fds[i], i == 2 ? "" : NO_CONTENT);
	}
}

Test(server_limits, closes_no_connection_whose_request_is_not_read_yet)
{
	int fds[SERVER_CONNECTIONS], extra = new_socket();

	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		fds[i] = join();
	connect_to(extra); /* seen in the same turn as these, and before them */
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		say(fds[i], GET("/"));
	expect_turned_away(extra);
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		expect_heard(fds[i], NO_CONTENT);
}

Test(server_limits, serves_any_number_that_come_one_after_the_other_and_stay)
{
	int first = join(), fd = -1;

	for (int i = 0; i < 50; i++) {
		fd = join();
		say(fd, GET("/"));
		expect_heard(fd, NO_CONTENT);
	}
	expect_end(first);
	say(fd, GET("/"));
	expect_heard(fd, NO_CONTENT);
}

Test(server_limits, forgets_a_client_that_dies_in_any_part_of_a_request)
{
	static const char all[] =
		"PUT /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" GET("/") GET("/big")
			GET("/big");

	for (size_t cut = 0; cut < sizeof(all); cut++) {
		int fd = join();

		say_bytes(fd, all, cut);
		turns((int)cut % 3);
		close(fd);
	}
	turns(50);
	for (int i = 0; i < SERVER_CONNECTIONS; i++) { /* every slot is free again */
		int fd = join();

		say(fd, GET("/"));
		expect_heard(fd, NO_CONTENT);
	}
}

Test(server_limits, refuses_in_json_and_closes_what_is_not_http)
{
	static const char *const bad[] = { "POST / HTTP/1.1\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n", "GET /\r\n", "\x16\x03\x01\r\n",
		"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PUT / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int fd = join();

		say(fd, bad[i]);
		say(fd, GET("/after"));
		expect_refusal(fd);
		close(fd);
	}
	cr_assert_eq(fake.served, 0, "what followed an error was served");
}

Test(server_limits, answers_what_came_before_an_error)
{
	static const char before[] =
		NO_CONTENT HEAD("200", JSON_TYPE "Content-Length: 5\r\n") "/echo";
	size_t n = strlen(before);
	int fd = join();

	say(fd, GET("/") GET("/echo") "POST / HTTP/1.1\r\n\r\n" GET("/"));
	turns(20);
	cr_assert(!hear(fd));
	cr_assert_eq(strncmp(fake.text, before, n), 0, "'%s'", fake.text);
	cr_assert_eq(
		strncmp(fake.text + n, "HTTP/1.1 400 \r\n", 15), 0, "'%s'", fake.text);
	expect_error_body(fake.text + n);
	cr_assert_eq(fake.served, 2);
	close(fd);
}

Test(server_limits, gets_its_refusal_to_a_client_that_is_still_sending)
{
	static char body[300000];
	int fd = join();
	size_t sent = 0;

	memset(body, 'x', sizeof(body));
	say(fd, "PUT / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n");
	while (sent < sizeof(body)) {
		ssize_t n = send(fd, body + sent, sizeof(body) - sent, MSG_NOSIGNAL);

		cr_assert(n > 0 || errno == EAGAIN, "%s", strerror(errno));
		sent += (size_t)MAX(n, 0);
		turns(1);
	}
	expect_refusal(fd);
	close(fd);
}

Test(server_limits, drops_only_so_much_after_an_error)
{
	int fd = join();
	char chunk[4096] = "";
	size_t sent = 0;

	say(fd, "\r\n\r\n");
	while (send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0 && sent < 4 * MIB) {
		sent += sizeof(chunk);
		turns(2);
	}
	cr_assert_eq(errno, EPIPE);
	cr_assert_lt(sent, 2 * MIB);
	close(fd);
}

Test(server_limits, gives_the_slot_of_a_refused_client_to_the_next)
{
	int fds[SERVER_CONNECTIONS], next;

	for (int i = 0; i < SERVER_CONNECTIONS; i++) {
		fds[i] = join();
		say(fds[i], i < 5 ? "nonsense\r\n" : "GET / ");
	}
	turns(10);
	for (int i = 0; i < 5; i++) {
		next = join();
		say(next, GET("/") "GET ");
		expect_heard(next, NO_CONTENT);
	}
	expect_turned_away(join());
	for (int i = 0; i < SERVER_CONNECTIONS; i++)
		close(fds[i]);
}

static void say_with_descriptor(int fd, const char *bytes, int passed)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (char *)bytes, strlen(bytes) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &passed, sizeof(int));
	cr_assert_geq(sendmsg(fd, &msg, 0), 0);
}

/* Once all other copies of a pipe's writing end are closed, its reading end says so. */
static void expect_dropped(const char *bytes, int fd)
{
	int ends[2];
	char c;

	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	say_with_descriptor(fd, bytes, ends[1]);
	close(ends[1]);
	cr_assert_eq(read(ends[0], &c, 1), -1);
	turns(5);
	cr_assert_eq(read(ends[0], &c, 1), 0, "the descriptor is still open");
	close(ends[0]);
}

Test(server_limits, drops_descriptors_that_a_client_passes)
{
	int fd = join();

	expect_dropped("GET / ", fd);
	expect_dropped("HTTP/1.1\r\n\r\n", fd);
	expect_heard(fd, NO_CONTENT);
	expect_dropped("nonsense\r\n", fd);
	expect_dropped("more nonsense", fd);
	close(fd);
}

static void limit_descriptors(rlim_t n)
{
	struct rlimit r;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
	r.rlim_cur = n;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
}

/* Whether the loop has at most so many events within 250 ms. */
static void expect_few_events(unsigned most)
{
	uint64_t end = clock_us() + 250000;
	unsigned n = 0;

	while (clock_us() < end && n <= most) {
		uint64_t before = clock_us();

		cr_assert_eq(loop_poll(fake.loop, 50), 0);
		n += clock_us() - before < 45000;
	}
	cr_assert_leq(n, most, "the loop is busy");
}

Test(server_limits, waits_quietly_for_a_descriptor_and_accepts_when_one_is_closed)
{
	int old = join(), waiting = new_socket(), last = new_socket();

	limit_descriptors((rlim_t)last + 1);
	connect_to(waiting);
	connect_to(last);
	expect_few_events(10);
	say(waiting, GET("/"));
	say(old, GET("/"));
	expect_heard(old, NO_CONTENT);
	expect_heard(waiting, "");
	close(old);
	turns(5);
	expect_heard(waiting, NO_CONTENT);
	limit_descriptors((rlim_t)last + 10);
	close(waiting);
	turns(5);
	say(last, GET("/"));
	expect_heard(last, NO_CONTENT);
}

Test(server_limits, accepts_by_itself_when_others_have_closed_their_descriptors)
{
	int waiting = new_socket(), reserve = dup(waiting), n;
	bool answered = false;

	limit_descriptors((rlim_t)reserve + 1);
	connect_to(waiting);
	turns(5);
	say(waiting, GET("/"));
	expect_heard(waiting, "");
	close(reserve); /* as a guest's connection would: the server is not told */
	for (n = 0; n < 100 && !answered; n++) {
		cr_assert_eq(loop_poll(fake.loop, 100), 0);
		cr_assert(hear(waiting));
		answered = strcmp(fake.text, NO_CONTENT) == 0;
	}
	cr_assert(answered, "the connection waits for ever");
	cr_assert_lt(n, 20);
}

Test(server_limits, needs_no_heap_for_idle_connections)
{
	size_t before = mallinfo2().uordblks;
	int fds[SERVER_CONNECTIONS];

	if (before == 0)
		cr_skip_test("the allocator does not count: a sanitizer's");
	for (int i = 0; i < SERVER_CONNECTIONS; i++) {
		fds[i] = join();
		say(fds[i],
			GET("/echo") "PUT / HTTP/1.1\r\nContent-Length: 900\r\n\r\n");
	}
	turns(20);
	cr_assert_gt(mallinfo2().uordblks, before + SERVER_CONNECTIONS * 7 * KIB);
	for (int i = 0; i < SERVER_CONNECTIONS; i++) {
		char body[901];

		memset(body, 'x', sizeof(body));
		say_bytes(fds[i], body, 900);
	}
	turns(20);
	cr_assert_eq(fake.served, 2 * SERVER_CONNECTIONS);
	/* malloc keeps some small blocks at hand and counts them as used */
	cr_assert_lt(mallinfo2().uordblks, before + SERVER_CONNECTIONS * KIB);
}

Test(server_limits, logs_errors_in_limited_number_and_nothing_that_a_client_sent)
{
	char log[64], line[512];
	unsigned lines = 0;
	struct err e;
	FILE *f;

	(void)snprintf(log, sizeof(log), "%s/log", fake.dir.path);
	cr_assert_eq(log_open(log, &e), 0);
	log_set_level(LOG_DEBUG);
	for (int i = 0; i < 100; i++) {
		int fd = join();

		say(fd, "EVIL /evil HTTP/1.1\r\n");
		turns(3);
		close(fd);
		turns(2);
		if (i == 0)
			log_set_level(LOG_WARN);
	}
	f = fopen(log, "r");
	cr_assert(f);
	while (fgets(line, sizeof(line), f)) {
		char peer[64];

		(void)snprintf(peer, sizeof(peer), "pid=%d uid=%u", getpid(), getuid());
		if (lines++ == 0)
			cr_assert(strstr(line, peer), "%s", line);
		cr_assert_null(strcasestr(line, "evil"), "%s", line);
	}
	cr_assert(lines > 5 && lines < 20, "%u lines", lines);
	(void)fclose(f);
	(void)unlink(log);
}
