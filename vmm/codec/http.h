/* SPDX-License-Identifier: Apache-2.0
 *
 * http: HTTP/1.0 and 1.1 as the API speaks it (contract, 2.2 and 2.3). A parser turns
 * bytes into requests, and http_put_head a reply into its status line and headers. No
 * I/O, and no state but the parser's; any thread.
 */
#ifndef HUSK_CODEC_HTTP_H
#define HUSK_CODEC_HTTP_H

#include "vmm/base/base.h"

enum {
	/* Bytes: */
	HTTP_LINE_MAX = 1024, /* the request line, and each header, with its CRLF */
	HTTP_ERROR_MAX = 128, /* the text of an error, with its NUL */
	HTTP_HEAD_MAX = 256, /* a reply's status line and headers */
};

enum http_method {
	HTTP_METHOD_GET,
	HTTP_METHOD_PUT,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_DELETE,
};

struct http_request {
	enum http_method method;
	/* UTF-8 without control characters. Begins with just one '/'; scheme and host
	 * are removed. Percent-encoding is not decoded, and "?x" stays. */
	char path[HTTP_LINE_MAX];
	const char *body; /* never NULL; a NUL follows the last byte */
	size_t body_len;
	/* The client wants the connection to end with the reply: "Connection: close",
	 * or HTTP/1.0 without keep-alive (RFC 9112, 9.3). */
	bool is_last;
};

/* All zero when a handler gets it. The handler sets the status and, unless that is 204,
 * a body. */
struct http_reply {
	unsigned status;
	char *body; /* JSON from malloc, which the server frees; or NULL */
	size_t body_len;
	bool deprecated; /* the request used a deprecated field */
	/* The handler has no reply yet, and sets nothing else: the server calls it
	 * again with the same request after the loop has served other sources. */
	bool later;
};

typedef void http_handler(
	void *self, const struct http_request *req, struct http_reply *reply);

/* The parser of one connection. It holds one line, one path and one body at most,
 * whatever a client sends. */
struct http_parser;

/* Refuses bodies of more than max_body bytes. NULL without memory. */
struct http_parser *http_parser_create(size_t max_body);
void http_parser_destroy(struct http_parser *p);
DEFINE_AUTO(struct http_parser *, http_parser_destroy);

enum http_event {
	HTTP_EVENT_MORE, /* all n bytes are used; the request is not complete */
	HTTP_EVENT_CONTINUE, /* send status 100, for which the client waits; feed on */
	HTTP_EVENT_REQUEST, /* http_parser_request has it; feed on after serving it */
	HTTP_EVENT_ERROR, /* http_parser_error says why; only destroy the parser now */
};

/* Takes up to n bytes, and stops after a byte that causes an event other than MORE.
 * *used is the number of bytes taken. The events do not depend on how a client's bytes
 * are divided into calls. */
MUST_CHECK enum http_event http_parser_feed(
	struct http_parser *p, const char *bytes, size_t n, size_t *used);

/* The request, after HTTP_EVENT_REQUEST. Borrowed; valid until the next
 * http_parser_feed. */
const struct http_request *http_parser_request(const struct http_parser *p);

/* The reason, after HTTP_EVENT_ERROR: one line of ASCII without quotes, backslashes or
 * anything that the client sent, so that it can be put into a JSON string as it is.
 * Borrowed. */
const char *http_parser_error(const struct http_parser *p);

/* Whether the parser is between two requests: no byte of the next has come. */
bool http_parser_is_idle(const struct http_parser *p);

/* Writes the status line and the headers of a reply, with the empty line that ends
 * them. close: "Connection: close" is one of them. Returns the length. */
size_t http_put_head(char head[HTTP_HEAD_MAX], const struct http_reply *r, bool close);

#endif
