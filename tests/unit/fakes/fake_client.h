/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_client: a server under test and clients of all manners, over a real socket and
 * the real loop, on one thread: clients never block, and a turn of the loop comes when
 * the test says so. Failures end the test.
 */
#ifndef HUSK_FAKE_CLIENT_H
#define HUSK_FAKE_CLIENT_H

#include "api/server.h"
#include "tests/unit/fakes/fake_file.h"
#include "vmm/base/unix_socket.h"

#define HEAD(status, more) \
	"HTTP/1.1 " status " \r\nServer: husk\r\nConnection: keep-alive\r\n" more "\r\n"
#define LAST(status, more) \
	"HTTP/1.1 " status " \r\nServer: husk\r\nConnection: close\r\n" more "\r\n"
#define NO_CONTENT HEAD("204", "")
#define JSON_TYPE "Content-Type: application/json\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n\r\n"

enum { FAKE_MAX_BODY = 1000, FAKE_BIG = 1 << 20 };

/* One server per test process, by client_set_up. */
struct fake_server {
	struct loop *loop;
	struct server *server;
	struct fake_dir dir;
	char path[64]; /* of the socket, in dir */
	struct unix_file file;
	unsigned served; /* calls of the handler */
	bool is_ready; /* to answer /later */
	char text[2 * FAKE_BIG]; /* what hear received last, as a string */
};
extern struct fake_server fake;

void client_set_up(void);
void client_tear_down(void);

/* By path: /echo… repeats the body or the path, /big sends FAKE_BIG bytes, /old is
 * deprecated, /later is answered when fake.is_ready, all others 204. Asserts that the
 * device lock is free. self: &fake. */
http_handler fake_handle;

/* Serves the loop n times without waiting. */
void turns(int n);

int new_socket(void);
void connect_to(int fd);
/* A client whose connection the server has accepted. */
int join(void);

void say_bytes(int fd, const char *bytes, size_t n);
void say(int fd, const char *bytes);

/* Receives all there is into fake.text. False when the connection has ended. */
bool hear(int fd);

/* After some turns it has heard just this, and is open; or has ended without a word. */
void expect_heard(int fd, const char *want);
void expect_end(int fd);

/* The reply's body is JSON of the length given, with "error" as its only key. */
void expect_error_body(const char *reply);
/* A transport error and the end. */
void expect_refusal(int fd);

#endif
