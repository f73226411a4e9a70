/* SPDX-License-Identifier: Apache-2.0
 *
 * http: what is a request, what is refused and why, and that it does not matter how the
 * bytes are cut into pieces. Each case is a transcript with a line for each event.
 */
#include "vmm/codec/http.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BODY = 100, TRANSCRIPT_MAX = 8192 };

static const char *const method_names[] = {
	[HTTP_METHOD_GET] = "GET",
	[HTTP_METHOD_PUT] = "PUT",
	[HTTP_METHOD_PATCH] = "PATCH",
	[HTTP_METHOD_DELETE] = "DELETE",
};

static void note_request(char *out, const struct http_request *q)
{
	size_t n = strlen(out);

	cr_assert_eq(q->body[q->body_len], '\0');
	(void)snprintf(out + n, TRANSCRIPT_MAX - n, "%s %s [%s]\n",
		method_names[q->method], q->path, q->body);
}

/* Feeds one piece and notes what happens; false after an error. */
static bool feed(struct http_parser *p, const char *at, size_t left, char *out)
{
	while (left > 0) {
		size_t used = SIZE_MAX;
		enum http_event ev = http_parser_feed(p, at, left, &used);

		cr_assert(used > 0 && used <= left);
		cr_assert(ev != HTTP_EVENT_MORE || used == left);
		at += used;
		left -= used;
		if (ev == HTTP_EVENT_CONTINUE)
			(void)strcat(out, "100\n");
		if (ev == HTTP_EVENT_REQUEST)
			note_request(out, http_parser_request(p));
		if (ev == HTTP_EVENT_ERROR) {
			size_t n = strlen(out);

			(void)snprintf(out + n, TRANSCRIPT_MAX - n, "error: %s\n",
				http_parser_error(p));
			return false;
		}
	}
	return true;
}

/* The transcript of n bytes in pieces: the first of `first` bytes, all others of
 * `each`.
 */
static void transcribe(
	const char *bytes, size_t n, size_t first, size_t each, char *out)
{
	/* an allocation of its own for each piece: a read past it is seen */
	AUTO(http_parser_destroy) struct http_parser *p = http_parser_create(MAX_BODY);
	size_t piece = MIN(first, n), at = 0;
	bool open = true;

	out[0] = '\0';
	while (at < n && open) {
		char *copy = malloc(piece + 1);

		memcpy(copy, bytes + at, piece);
		open = feed(p, copy, piece, out);
		free(copy);
		at += piece;
		piece = MIN(each, n - at);
	}
	if (open)
		(void)strcat(out, http_parser_is_idle(p) ? "" : "more\n");
}

/* Feeds it whole, byte by byte, and in two pieces with the cut at each place. */
static void expect_bytes(const char *bytes, size_t n, const char *want)
{
	static char got[TRANSCRIPT_MAX];

	transcribe(bytes, n, n, 1, got);
	cr_assert_str_eq(got, want, "'%s': got '%s', not '%s'", bytes, got, want);
	transcribe(bytes, n, 1, 1, got);
	cr_assert_str_eq(got, want, "'%s' by bytes: got '%s'", bytes, got);
	for (size_t cut = 1; cut < n; cut++) {
		transcribe(bytes, n, cut, n, got);
		cr_assert_str_eq(
			got, want, "'%s' cut at %zu: got '%s'", bytes, cut, got);
	}
}

static void expect(const char *text, const char *want)
{
	expect_bytes(text, strlen(text), want);
}

/* One request whose headers are these. */
static void expect_headers(const char *headers, const char *body, const char *want)
{
	char text[4096];

	(void)snprintf(
		text, sizeof(text), "PUT /x HTTP/1.1\r\n%s\r\n%s", headers, body);
	expect(text, want);
}

/* An error, and the same one however the text is cut. */
static void expect_error(const char *text)
{
	char got[TRANSCRIPT_MAX];

	transcribe(text, strlen(text), 64, 64, got);
	cr_assert_eq(strncmp(got, "error: ", 7), 0, "'%s': '%s'", text, got);
	expect(text, got);
}

Test(http, takes_the_four_methods)
{
	expect("GET / HTTP/1.1\r\n\r\n", "GET / []\n");
	expect("PUT /a HTTP/1.1\r\n\r\n", "PUT /a []\n");
	expect("PATCH /a HTTP/1.1\r\n\r\n", "PATCH /a []\n");
	expect("DELETE /a/b HTTP/1.1\r\n\r\n", "DELETE /a/b []\n");
}

Test(http, refuses_every_other_method)
{
	static const char *const methods[] = { "POST", "HEAD", "OPTIONS", "TRACE",
		"CONNECT", "PRI", "SOURCE", "get", "Put", "PUTT", "GE", "G\"T", "",
		"PLAY", "M-SEARCH" };

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		char text[64];

		(void)snprintf(
			text, sizeof(text), "%s /a HTTP/1.1\r\n\r\n", methods[i]);
		expect_error(text);
	}
	expect("POST /a HTTP/1.1\r\n\r\n",
		"error: method is not one of GET, PUT, PATCH, DELETE\n");
}

Test(http, takes_only_versions_1_0_and_1_1)
{
	static const char *const versions[] = { "HTTP/0.9", "HTTP/1.2", "HTTP/2.0",
		"HTTP/1.10", "http/1.1", "HTTP/1", "HTTP/11", "HTTP/01.1", "RTSP/1.0",
		"HTTP/1.1x", "" };

	expect("GET /a HTTP/1.0\r\n\r\n", "GET /a []\n");
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "GET /a %s\r\n\r\n", versions[i]);
		expect_error(text);
	}
	expect("GET /a RTSP/1.0\r\n\r\n",
		"error: version is neither HTTP/1.0 nor HTTP/1.1\n");
}

Test(http, refuses_what_is_no_request_line)
{
	static const char shape[] =
		"error: request line is not: method, target, version\n";

	expect("GET /\r\n", shape); /* HTTP/0.9 */
	expect("GET\r\n", shape);
	expect("GET  / HTTP/1.1\r\n", shape);
	expect("GET / HTTP/1.1 \r\n", shape);
	expect("GET / x HTTP/1.1\r\n", shape);
	expect(" GET / HTTP/1.1\r\n", shape);
	expect("{\"a\":1}\r\n", shape);
	expect("GET /\tx HTTP/1.1\r\n",
		"error: target is not UTF-8 without control characters\n");
	expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"error: method is not one of GET, PUT, PATCH, DELETE\n");
}

Test(http, skips_one_empty_line_before_a_request_and_no_more)
{
	expect("\r\nGET / HTTP/1.1\r\n\r\n", "GET / []\n");
	expect("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "error: request line is empty\n");
	expect("\r\n", "more\n");
}

Test(http, reduces_the_target_to_its_path)
{
	expect("GET //machine-config HTTP/1.1\r\n\r\n", "GET /machine-config []\n");
	expect("GET ///// HTTP/1.1\r\n\r\n", "GET / []\n");
	expect("GET /a//b/ HTTP/1.1\r\n\r\n", "GET /a//b/ []\n");
	expect("GET http://localhost/a/b HTTP/1.1\r\n\r\n", "GET /a/b []\n");
	expect("GET HTTP://[::1]:80//a HTTP/1.1\r\n\r\n", "GET /a []\n");
	expect("GET http://localhost HTTP/1.1\r\n\r\n", "GET / []\n");
	expect("GET http://localhost?x HTTP/1.1\r\n\r\n", "GET /?x []\n");
	expect("GET /a?x=/b HTTP/1.1\r\n\r\n", "GET /a?x=/b []\n");
	expect("GET /%61%2F%00 HTTP/1.1\r\n\r\n", "GET /%61%2F%00 []\n");
	expect("GET /drives/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 HTTP/1.1\r\n\r\n",
		"GET /drives/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 []\n");
}

Test(http, refuses_a_target_that_is_no_path)
{
	static const char form[] =
		"error: target is neither a path nor an http:// address\n";
	static const char coding[] =
		"error: target is not UTF-8 without control characters\n";

	expect("GET * HTTP/1.1\r\n", form);
	expect("GET https://localhost/a HTTP/1.1\r\n", form);
	expect("GET a HTTP/1.1\r\n",
		"error: request line: Invalid characters in url\n");
	expect("GET http:/a HTTP/1.1\r\n",
		"error: request line: Unexpected char in url schema\n");
	expect("GET /\xff HTTP/1.1\r\n", coding);
	expect("GET /\xc0\xaf HTTP/1.1\r\n", coding); /* an overlong '/' */
	expect("GET /\xe0\x80\xaf HTTP/1.1\r\n", coding);
	expect("GET /\xed\xa0\x80 HTTP/1.1\r\n", coding); /* a surrogate */
	expect("GET /\xf4\x90\x80\x80 HTTP/1.1\r\n", coding);
	expect("GET /\xe2\x82 HTTP/1.1\r\n", coding); /* cut short */
}

Test(http, takes_a_body_of_the_length_given)
{
	expect_headers("Content-Length: 5\r\n", "hello", "PUT /x [hello]\n");
	expect_headers("content-LENGTH:5\r\n", "hello", "PUT /x [hello]\n");
	expect_headers("Content-Length:  005 \r\n", "hello", "PUT /x [hello]\n");
	expect_headers("Content-Length: 0\r\n", "", "PUT /x []\n");
	expect_headers("Content-Length: 5\r\n", "hell", "more\n");
	expect("GET /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "GET /x [{}]\n");
	expect("PUT /x HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", "PUT /x [{}]\n");
}

Test(http, ends_a_body_with_a_nul_wherever_nuls_are_in_it)
{
	static const char text[] = "PUT /x HTTP/1.1\r\nContent-Length: 4\r\n\r\n\0a\0b";
	AUTO(http_parser_destroy) struct http_parser *p = http_parser_create(4);
	size_t used;

	cr_assert_eq(
		http_parser_feed(p, text, sizeof(text) - 1, &used), HTTP_EVENT_REQUEST);
	cr_assert_eq(http_parser_request(p)->body_len, 4);
	cr_assert_arr_eq(http_parser_request(p)->body, "\0a\0b\0", 5);
}

Test(http, takes_pipelined_requests_in_order)
{
	expect("GET /1 HTTP/1.1\r\n\r\n"
	       "PUT /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
	       "PATCH /3 HTTP/1.0\r\nHost: x\r\n\r\n"
	       "GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	       "GET /5 HTTP/1.1\r\n",
		"GET /1 []\nPUT /2 [abc]\nPATCH /3 []\nGET /4 []\nmore\n");
}

Test(http, remembers_nothing_of_the_request_before)
{
	expect("PUT /1 HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"
	       "Accept-Encoding: identity\r\n\r\nabc"
	       "PUT /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy"
	       "GET /3 HTTP/1.1\r\nAccept-Encoding: *;q=0\r\n\r\n",
		"100\nPUT /1 [abc]\nPUT /2 [xy]\n"
		"error: Accept-Encoding bans identity, the only coding served\n");
}

Test(http, refuses_what_is_no_content_length)
{
	static const char *const values[] = { "+5", "-5", "0x5", "5 5", "5,5", "5, 5",
		"5.0", "five", "", " ", "\"5\"", "5;", "99999999999999999999999999" };

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char text[128], got[TRANSCRIPT_MAX];

		(void)snprintf(text, sizeof(text),
			"PUT /x HTTP/1.1\r\nContent-Length: %s\r\n\r\nhello",
			values[i]);
		transcribe(text, strlen(text), 128, 128, got);
		cr_assert_eq(strncmp(got, "error: header: ", 15), 0, "'%s': '%s'", text,
			got);
		expect(text, got);
	}
	expect_headers("Content-Length: 4294967296\r\n", "",
		"error: Content-Length is over 4294967295\n");
	expect_headers("Content-Length: 4294967295\r\n", "",
		"error: body of 4294967295 bytes: at most 100 are taken\n");
}

Test(http, takes_a_content_length_twice_only_when_it_is_the_same)
{
	static const char differs[] =
		"error: Content-Length is given twice and differs\n";

	expect_headers("Content-Length: 5\r\nHost: x\r\nContent-Length: 05\r\n",
		"hello", "PUT /x [hello]\n");
	expect_headers("Content-Length: 5\r\nContent-Length: 6\r\n", "hello", differs);
	expect_headers("Content-Length: 0\r\nContent-Length: 5\r\n", "hello", differs);
	expect_headers("Content-Length: 5\r\nContent-Length: 0\r\n", "hello", differs);
	expect_headers("Content-Length: 5\r\nContent-Length: \r\n", "hello",
		"error: header: Empty Content-Length\n");
}

Test(http, refuses_a_chunked_body)
{
	static const char chunked[] =
		"error: Transfer-Encoding: chunked is not served\n";
	static const char chunks[] = "5\r\nhello\r\n0\r\n\r\n";

	expect_headers("Transfer-Encoding: chunked\r\n", chunks, chunked);
	expect_headers("transfer-encoding:  CHUNKED \r\n", chunks, chunked);
	expect_headers("Transfer-Encoding: gzip, chunked\r\n", chunks, chunked);
	expect_headers(
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks, chunked);
	expect_headers(
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks, chunked);
	expect_headers("Transfer-Encoding: chunked, gzip\r\n", chunks,
		"error: header: Invalid `Transfer-Encoding` header value\n");
}

Test(http, ignores_headers_and_codings_that_it_does_not_know)
{
	expect_headers("Transfer-Encoding: gzip\r\nContent-Length: 2\r\n", "ab",
		"PUT /x [ab]\n");
	expect_headers("Content-Length: 2\r\nTransfer-Encoding: identity\r\n", "ab",
		"PUT /x [ab]\n");
	expect_headers(
		"Host: localhost\r\nUser-Agent: x\r\nAccept: application/json\r\n"
		"Content-Type: text/html\r\nX-Empty:\r\nCookie: \xff\x80\t\"\\\r\n",
		"", "PUT /x []\n");
	expect_headers("Content-Lengths: 5\r\nContent: 5\r\nX-Content-Length: 5\r\n",
		"", "PUT /x []\n");
}

Test(http, never_switches_protocols)
{
	expect_headers(
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 2\r\n",
		"{}GET /y HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
		"GET /z HTTP/1.1\r\n\r\n",
		"PUT /x [{}]\nGET /y []\nGET /z []\n");
}

Test(http, asks_to_continue_only_for_a_body_that_is_due_and_acceptable)
{
	expect_headers("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab",
		"100\nPUT /x [ab]\n");
	expect_headers(
		"Content-Length: 2\r\nexpect: 100-CONTINUE \r\n", "", "100\nmore\n");
	expect_headers("Expect: 100-continue\r\n", "", "PUT /x []\n");
	expect_headers(
		"Expect: 100-continue\r\nContent-Length: 0\r\n", "", "PUT /x []\n");
	expect_headers("Expect: 100-continue\r\nContent-Length: 101\r\n", "",
		"error: body of 101 bytes: at most 100 are taken\n");
	expect_headers(
		"Expect: 200-ok\r\nContent-Length: 2\r\n", "ab", "PUT /x [ab]\n");
	expect("PUT /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
		"PUT /x [ab]\n");
}

Test(http, refuses_only_an_explicit_ban_on_identity)
{
	static const struct {
		const char *value;
		bool refused;
	} cases[] = {
		{ "gzip", false },
		{ "gzip, deflate;q=0", false },
		{ "", false },
		{ "*", false },
		{ "*;q=0.1", false },
		{ "identity;q=0.001", false },
		{ "identity;q=0", true },
		{ "IDENTITY ; Q=0.000", true },
		{ "gzip,identity;q=0.", true },
		{ "identity;q=0,*", true },
		{ "*;q=0", true },
		{ "gzip;q=1.0, *;q=0", true },
		{ "*;q=0, identity", false },
		{ "identity;q=0.5, *;q=0", false },
		{ "identity;q=00x", false },
		{ ",;,;q=0,", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char header[64];

		(void)snprintf(header, sizeof(header), "Accept-Encoding: %s\r\n",
			cases[i].value);
		expect_headers(header, "",
			cases[i].refused
				? "error: Accept-Encoding bans identity, the only "
				  "coding served\n"
				: "PUT /x []\n");
	}
	expect_headers("Accept-Encoding: *;q=0\r\nAccept-Encoding: identity\r\n", "",
		"PUT /x []\n");
}

Test(http, refuses_what_is_no_header)
{
	static const char form[] = "error: header is not: name, colon, value\n";

	expect_headers("no colon\r\n", "", form);
	expect_headers("nocolon\r\n", "", form);
	expect_headers("Content-Length : 5\r\n", "hello", form);
	expect_headers("Host: a\r\n folded\r\n", "", form);
	expect_headers("Host: a\r\n\tContent-Length: 5\r\n", "", form);
	expect_headers(": x\r\n", "", form);
	expect_headers("a(b): x\r\n", "", "error: header: Invalid header token\n");
	expect_headers("\xc3\xa9: x\r\n", "", "error: header: Invalid header token\n");
}

Test(http, refuses_lines_without_cr_and_control_characters)
{
	static const char lf[] = "error: line ends without CR\n";
	static const char control[] = "error: line has a control character\n";
	static const char nul_path[] = "GET /a\0b HTTP/1.1\r\n\r\n";
	static const char nul_value[] = "GET /a HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	static const char nuls[] = "\0\0\0\r\n";

	expect("GET / HTTP/1.1\n\n", lf);
	expect("\nGET / HTTP/1.1\r\n\r\n", lf);
	expect("GET / HTTP/1.1\r\n\n", lf);
	expect_headers("Host: a\nContent-Length: 5\r\n", "", lf);
	expect_headers("Host: a\rContent-Length: 5\r\n", "", control);
	expect_headers("Host: a\r\r\n", "", control);
	expect_headers("Host: a\x7f\r\n", "", control);
	expect("GET /\r\r\n", control);
	expect_bytes(nul_path, sizeof(nul_path) - 1, control);
	expect_bytes(nul_value, sizeof(nul_value) - 1, control);
	expect_bytes(nuls, sizeof(nuls) - 1, control);
}

/* A line of n bytes with its CRLF, made so by `fill` between two parts. */
static void put_line(
	char *to, const char *before, char fill, const char *after, size_t n)
{
	size_t len = n - 2 - strlen(before) - strlen(after);

	(void)strcat(to, before);
	memset(to + strlen(to), fill, len);
	(void)strcat(to, after);
	(void)strcat(to, "\r\n");
}

Test(http, takes_lines_of_1024_bytes_and_refuses_1025)
{
	static const char over[] = "error: line is over 1024 bytes\n";
	char got[TRANSCRIPT_MAX], text[4096] = "";

	put_line(text, "GET /", 'a', " HTTP/1.1", 1024);
	(void)strcat(text, "\r\n");
	transcribe(text, strlen(text), 4096, 1, got);
	cr_assert_eq(
		strlen(got), strlen("GET /  []") + 1024 - strlen("GET / HTTP/1.1\r\n"));
	expect(text, got);

	memset(text, 0, sizeof(text));
	put_line(text, "GET /", 'a', " HTTP/1.1", 1025);
	expect(text, over);

	memset(text, 0, sizeof(text));
	put_line(text, "GET /", '/', "b HTTP/1.1", 1024);
	put_line(text, "X: ", ' ', "b", 1024);
	put_line(text, "X", 'y', ": b", 1024);
	(void)strcat(text, "\r\n");
	expect(text, "GET /b []\n");

	memset(text, 0, sizeof(text));
	(void)strcat(text, "GET / HTTP/1.1\r\n");
	put_line(text, "X: ", 'a', "", 1025);
	expect(text, over);
}

Test(http, refuses_a_line_without_end_as_soon_as_it_is_too_long)
{
	char text[HTTP_LINE_MAX];

	memset(text, 'a', sizeof(text));
	expect_bytes(text, HTTP_LINE_MAX, "error: line is over 1024 bytes\n");
	text[HTTP_LINE_MAX - 1] = '\0';
	expect_bytes(text, HTTP_LINE_MAX - 1, "more\n");
}

Test(http, takes_headers_without_number)
{
	AUTO(http_parser_destroy) struct http_parser *p = http_parser_create(MAX_BODY);
	char got[TRANSCRIPT_MAX] = "";

	cr_assert(feed(p, "PUT /x HTTP/1.1\r\n", 17, got));
	for (int i = 0; i < 100000; i++)
		cr_assert(feed(p, "Name: value\r\n", 13, got));
	cr_assert(feed(p, "Content-Length: 1\r\n\r\nz", 22, got));
	cr_assert_str_eq(got, "PUT /x [z]\n");
}

Test(http, takes_a_body_of_the_limit_and_refuses_one_more_before_it_comes)
{
	char body[MAX_BODY + 1] = "", want[TRANSCRIPT_MAX];

	memset(body, 'b', MAX_BODY);
	(void)snprintf(want, sizeof(want), "PUT /x [%s]\n", body);
	expect_headers("Content-Length: 100\r\n", body, want);
	expect_headers("Content-Length: 101\r\n", "",
		"error: body of 101 bytes: at most 100 are taken\n");
}

Test(http, takes_no_body_when_the_limit_is_zero)
{
	static const char text[] = "PUT /x HTTP/1.1\r\nContent-Length: 1\r\n\r\n";
	AUTO(http_parser_destroy) struct http_parser *p = http_parser_create(0);
	size_t used;

	cr_assert_eq(http_parser_feed(p, text, strlen(text), &used), HTTP_EVENT_ERROR);
	cr_assert_str_eq(http_parser_error(p), "body of 1 bytes: at most 0 are taken");
}

Test(http, is_idle_only_between_requests)
{
	static const char text[] = "PUT /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nab";
	AUTO(http_parser_destroy) struct http_parser *p = http_parser_create(MAX_BODY);
	size_t used;

	cr_assert(http_parser_is_idle(p));
	for (size_t i = 0; i + 2 < sizeof(text); i++) {
		cr_assert_eq(http_parser_feed(p, text + i, 1, &used), HTTP_EVENT_MORE);
		cr_assert(!http_parser_is_idle(p));
	}
	cr_assert_eq(http_parser_feed(p, "b", 1, &used), HTTP_EVENT_REQUEST);
	cr_assert(http_parser_is_idle(p));
}

static void expect_head(struct http_reply r, bool close, const char *want)
{
	char head[HTTP_HEAD_MAX + 1];
	size_t n = http_put_head(head, &r, close);

	cr_assert(n <= HTTP_HEAD_MAX);
	head[n] = '\0';
	cr_assert_str_eq(head, want);
}

Test(http, puts_the_heads_that_clients_know)
{
	expect_head((struct http_reply){ .status = 204 }, false,
		"HTTP/1.1 204 \r\nServer: husk\r\nConnection: keep-alive\r\n\r\n");
	expect_head((struct http_reply){ .status = 100 }, false,
		"HTTP/1.1 100 \r\nServer: husk\r\nConnection: keep-alive\r\n\r\n");
	expect_head((struct http_reply){ .status = 204, .deprecated = true }, false,
		"HTTP/1.1 204 \r\nServer: husk\r\nConnection: keep-alive\r\n"
		"Deprecation: true\r\n\r\n");
	expect_head((struct http_reply){ .status = 400,
			    .body = "{}",
			    .body_len = SIZE_MAX,
			    .deprecated = true },
		true,
		"HTTP/1.1 400 \r\nServer: husk\r\nConnection: close\r\n"
		"Deprecation: true\r\nContent-Type: application/json\r\n"
		"Content-Length: 18446744073709551615\r\n\r\n");
}

Test(http, gives_a_reply_without_body_an_end_that_a_client_can_see)
{
	expect_head((struct http_reply){ .status = 200 }, false,
		"HTTP/1.1 200 \r\nServer: husk\r\nConnection: keep-alive\r\n"
		"Content-Length: 0\r\n\r\n");
}
