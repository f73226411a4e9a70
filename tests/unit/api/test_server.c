/* SPDX-License-Identifier: Apache-2.0
 *
 * server: how clients are served, in which order, and who waits for whom.
 */
#include "api/server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/fakes/fake_client.h"
#include "vmm/base/clock.h"

enum { MANY_TURNS = 3000 };

TestSuite(server, .init = client_set_up, .fini = client_tear_down, .timeout = 30);

Test(server, answers_with_and_without_a_body)
{
	int fd = join();

	say(fd, GET("/"));
	expect_heard(fd, NO_CONTENT);
	say(fd, "PUT /echo HTTP/1.1\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
	expect_heard(fd, HEAD("200", JSON_TYPE "Content-Length: 7\r\n") "{\"a\":1}");
	say(fd, GET("/old"));
	expect_heard(fd, HEAD("204", "Deprecation: true\r\n"));
	close(fd);
}

/* The request is answered, and the connection ends or not. */
static void expect_last(const char *request, bool last)
{
	int fd = join();

	say(fd, request);
	turns(20);
	cr_assert_eq(hear(fd), !last, "%s", request);
	cr_assert_str_eq(fake.text, last ? LAST("204", "") : NO_CONTENT, "%s", request);
	close(fd);
}

Test(server, closes_a_connection_when_the_client_says_so)
{
	expect_last("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", true);
	expect_last("GET / HTTP/1.1\r\nconnection:\tCLOSE \r\n\r\n", true);
	expect_last("GET / HTTP/1.1\r\nConnection: TE, close\r\n\r\n", true);
	expect_last("GET / HTTP/1.1\r\nConnection: keep-alive\r\n"
		    "Connection: close\r\n\r\n",
		true);
	expect_last(
		"PUT / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		true);
	expect_last("GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", false);
	expect_last("GET / HTTP/1.1\r\nConnection: closed\r\n\r\n", false);
	expect_last("GET / HTTP/1.1\r\nX-Connection: close\r\n\r\n", false);
}

Test(server, closes_a_connection_of_http_1_0_unless_asked_to_keep_it)
{
	expect_last("GET / HTTP/1.0\r\n\r\n", true);
	expect_last("GET / HTTP/1.0\r\nConnection: close\r\n\r\n", true);
	expect_last("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false);
	expect_last("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", true);
}

Test(server, serves_nothing_after_the_request_that_ends_the_connection)
{
	int fd = join();

	say(fd,
		GET("/") "GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n" GET(
			"/after"));
	turns(20);
	cr_assert(!hear(fd));
	cr_assert_str_eq(fake.text,
		NO_CONTENT LAST("200", JSON_TYPE "Content-Length: 5\r\n") "/echo");
	cr_assert_eq(fake.served, 2);
	close(fd);
}

Test(server, sends_the_whole_of_a_last_reply_to_a_slow_reader)
{
	int fd = join();
	size_t got = 0;

	say(fd, "GET /big HTTP/1.0\r\n\r\n");
	for (int i = 0; i < MANY_TURNS; i++) {
		bool open;

		turns(1);
		open = hear(fd);
		got += strlen(fake.text);
		if (!open)
			break;
	}
	cr_assert_eq(got,
		strlen(LAST("200", JSON_TYPE "Content-Length: 1048576\r\n")) +
			FAKE_BIG);
	close(fd);
}

Test(server, answers_pipelined_requests_in_order_wherever_they_are_cut)
{
	static const char all[] = GET("/echo1") GET("/echo22") GET("/") GET("/echo3");
	static const char want[] = HEAD(
		"200", JSON_TYPE "Content-Length: 6\r\n") "/echo1" HEAD("200",
		JSON_TYPE "Content-Length: 7\r\n") "/echo22" NO_CONTENT HEAD("200",
		JSON_TYPE "Content-Length: 6\r\n") "/echo3";
	int fd = join();

	for (size_t cut = 0; cut < sizeof(all); cut++) {
		char first[sizeof(all)] = "";

		memcpy(first, all, cut);
		say(fd, first);
		turns(5);
		say(fd, all + cut);
		expect_heard(fd, want);
	}
	for (const char *c = all; *c != '\0'; c++) {
		say_bytes(fd, c, 1);
		turns(1);
	}
	expect_heard(fd, want);
	close(fd);
}

Test(server, serves_one_request_of_a_connection_per_turn_without_new_bytes)
{
	int fd = join();

	say(fd, GET("/") GET("/") GET("/") GET("/"));
	for (unsigned i = 1; i <= 4; i++) {
		turns(1);
		cr_assert_eq(fake.served, i);
	}
	turns(3);
	cr_assert_eq(fake.served, 4);
	cr_assert_eq(loop_poll(fake.loop, 0), 0);
	close(fd);
}

Test(server, does_not_wake_the_loop_while_nothing_is_to_be_done)
{
	int fd = join();
	uint64_t before;

	say(fd, GET("/") GET("/") "GET /half");
	turns(10);
	before = clock_us();
	cr_assert_eq(loop_poll(fake.loop, 50), 0);
	cr_assert_geq(clock_us() - before, 45000);
	close(fd);
}

Test(server, lets_no_flood_delay_another_client)
{
	int flood = join(), other = join();

	for (int i = 0; i < 200; i++)
		say(flood, GET("/"));
	turns(10);
	say(other, GET("/echo"));
	turns(2);
	cr_assert(hear(other));
	cr_assert(strstr(fake.text, "/echo"));
	cr_assert_lt(fake.served, 15);
	close(flood);
	close(other);
}

Test(server, lets_no_silent_client_delay_another)
{
	static const char *const starts[] = { "", "G", "GET / HTTP/1.1\r\nHost: x",
		"PUT / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{" };
	int silent[ARRAY_LEN(starts)], fd = join();

	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		silent[i] = join();
		say(silent[i], starts[i]);
	}
	say(fd, GET("/"));
	expect_heard(fd, NO_CONTENT);
	cr_assert_eq(fake.served, 1);
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		close(silent[i]);
	close(fd);
}

Test(server, sends_a_client_to_continue_and_then_answers)
{
	int fd = join();

	say(fd, "PUT /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	expect_heard(fd, HEAD("100", ""));
	say(fd, "{}");
	expect_heard(fd, HEAD("200", JSON_TYPE "Content-Length: 2\r\n") "{}");
	close(fd);
}

Test(server, waits_for_a_slow_reader_without_serving_it_or_delaying_others)
{
	int slow = join(), other = join();
	size_t got = 0;

	say(slow, GET("/big") GET("/big") GET("/echo"));
	turns(100);
	cr_assert_eq(
		fake.served, 1, "its second reply is made before the first is taken");
	say(other, GET("/"));
	expect_heard(other, NO_CONTENT);
	for (int i = 0; i < MANY_TURNS && !strstr(fake.text, "/echo"); i++) {
		turns(1);
		cr_assert(hear(slow));
		got += strlen(fake.text);
	}
	cr_assert_eq(fake.served, 4);
	cr_assert_eq(got,
		2 * strlen(HEAD("200", JSON_TYPE "Content-Length: 1048576\r\n")) +
			2 * FAKE_BIG +
			strlen(HEAD("200", JSON_TYPE "Content-Length: 5\r\n") "/echo"));
	close(slow);
	close(other);
}

Test(server, reads_no_more_from_a_client_that_takes_no_replies)
{
	int fd = join();
	ssize_t n;
	size_t sent = 0;

	while ((n = send(fd, GET("/big"), strlen(GET("/big")), MSG_NOSIGNAL)) > 0) {
		sent += (size_t)n;
		turns(1);
		cr_assert_lt(sent, 4 * MIB);
	}
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(fake.served, 1);
	close(fd);
}

Test(server, answers_a_client_that_has_shut_its_side_and_then_closes)
{
	int fd = join();

	say(fd, GET("/echo") GET("/"));
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	turns(20);
	cr_assert(!hear(fd));
	cr_assert_str_eq(fake.text,
		HEAD("200", JSON_TYPE "Content-Length: 5\r\n") "/echo" NO_CONTENT);
	close(fd);
	fd = join();
	say(fd, GET("/big"));
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	for (size_t got = 0; got < FAKE_BIG; got += strlen(fake.text)) {
		turns(1);
		(void)hear(fd);
	}
	expect_end(fd);
	close(fd);
	fd = join();
	say(fd, "GET /half");
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	expect_end(fd);
	close(fd);
}

Test(server, ends_with_requests_and_replies_under_way)
{
	int half = join(), full = join(), idle = join(), wrong = join();

	say(half, "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
	say(full, GET("/big") GET("/"));
	say(wrong, "nonsense\r\n");
	turns(5);
	server_destroy(fake.server);
	fake.server = NULL;
	turns(3);
	cr_assert(!hear(idle));
	cr_assert(!hear(half));
	cr_assert(!hear(full));
	cr_assert(!hear(wrong));
}

static void expect_no_listener(int fd)
{
	struct server *s = NULL;
	struct err e;

	cr_assert_eq(
		server_create(fake.loop, fd, FAKE_MAX_BODY, fake_handle, &fake, &s, &e),
		-EINVAL);
	cr_assert(strstr(e.text, "not a listening Unix stream socket"), "%s", e.text);
	cr_assert_null(s);
	cr_assert_eq(fcntl(fd, F_GETFD), -1, "the descriptor is still open");
}

Test(server, refuses_an_inherited_descriptor_that_does_not_listen)
{
	int pair[2], tcp = socket(AF_INET, SOCK_STREAM, 0);
	struct server *s = NULL;
	struct err e;

	expect_no_listener(open("/dev/null", O_RDONLY));
	expect_no_listener(new_socket());
	expect_no_listener(socket(AF_UNIX, SOCK_DGRAM, 0));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	expect_no_listener(pair[0]);
	cr_assert_eq(listen(tcp, 1), 0);
	expect_no_listener(tcp);
	cr_assert_eq(
		server_create(fake.loop, -1, FAKE_MAX_BODY, fake_handle, &fake, &s, &e),
		-EBADF);
}

Test(server, takes_an_inherited_listener_and_makes_it_fit)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), client;
	struct err e;

	unix_file_remove(&fake.file);
	server_destroy(TAKE(fake.server));
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", fake.path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(fd, 5), 0);
	cr_assert_eq(server_create(fake.loop, fd, FAKE_MAX_BODY, fake_handle, &fake,
			     &fake.server, &e),
		0);
	cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	client = join();
	say(client, GET("/"));
	expect_heard(client, NO_CONTENT);
	close(client);
}

/* Until the handler has been asked so often. */
static void turns_until_served(unsigned n)
{
	while (fake.served < n)
		cr_assert_eq(loop_poll(fake.loop, 1000), 0);
}

Test(server, answers_later_and_others_meanwhile)
{
	int slow = join(), other = join();

	say(slow, GET("/later1") GET("/echo"));
	for (unsigned i = 0; i < 5; i++) {
		turns_until_served(fake.served + 2);
		say(other, GET("/"));
		expect_heard(other, NO_CONTENT);
	}
	fake.is_ready = true;
	turns_until_served(fake.served + 2);
	expect_heard(slow,
		NO_CONTENT HEAD("200", JSON_TYPE "Content-Length: 5\r\n") "/echo");
	say(slow, GET("/"));
	expect_heard(slow, NO_CONTENT);
	close(slow);
	close(other);
}

Test(server, does_not_wake_the_loop_once_all_are_answered)
{
	int fd = join();
	uint64_t before;

	say(fd, GET("/later"));
	turns_until_served(5);
	fake.is_ready = true;
	turns_until_served(6);
	expect_heard(fd, NO_CONTENT);
	turns(5);
	before = clock_us();
	cr_assert_eq(loop_poll(fake.loop, 50), 0);
	cr_assert_geq(clock_us() - before, 45000);
	close(fd);
}

/* What it asked for is done nevertheless, so its request is not forgotten. */
Test(server, goes_on_for_a_client_that_hung_up)
{
	int fd = join(), other = join();
	unsigned before;

	say(fd, GET("/later"));
	turns_until_served(2);
	close(fd);
	before = fake.served;
	turns_until_served(before + 3);
	fake.is_ready = true;
	turns_until_served(fake.served + 1);
	before = fake.served;
	say(other, GET("/"));
	expect_heard(other, NO_CONTENT);
	cr_assert_eq(fake.served, before + 1, "nothing is left to be asked for");
	close(other);
}
