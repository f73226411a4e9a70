/* SPDX-License-Identifier: Apache-2.0
 *
 * http: HTTP/1.0 and 1.1 as the API speaks it (contract, 2.2 and 2.3): bytes become
 * requests, replies become heads. No I/O and no state beyond the parser; any thread.
 */
#ifndef HUSK_CODEC_HTTP_H
#define HUSK_CODEC_HTTP_H

#include "vmm/base/base.h"

enum {
	HTTP_LINE_MAX = 1024, /* of the request line and of each header, with CRLF */
	HTTP_ERROR_MAX = 128, /* of the text of an error, with its NUL */
	HTTP_HEAD_MAX = 256, /* of a reply's status line and headers */
};

enum http_method {
	HTTP_METHOD_GET,
	HTTP_METHOD_PUT,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_DELETE,
};

struct http_request {
	enum http_method method;
	/* UTF-8 without control characters. Starts with one '/', has no scheme and no
	 * host. Nothing is decoded, and "?x" stays part of it. */
	char path[HTTP_LINE_MAX];
	const char *body; /* never NULL; a NUL follows the last byte */
	size_t body_len;
	/* The client wants the connection to end with the reply: "Connection: close",
	 * or HTTP/1.0 without keep-alive (RFC 9112, 9.3). */
	bool is_last;
};

/* Zeroes before a handler sets it: status, and a body for all but 204. */
struct http_reply {
	unsigned status;
	char *body; /* JSON from malloc, which the server frees; or NULL */
	size_t body_len;
	bool deprecated; /* the request used a deprecated field */
	/* There is no reply yet, and nothing else is set: the handler wants to be asked
	 * again, with this very request, when the loop has served others. */
	bool later;
};

typedef void http_handler(
	void *self, const struct http_request *req, struct http_reply *reply);

/* Holds a line, a path and a body, whatever a client sends. */
struct http_parser;

/* Bodies of up to max_body bytes are taken. NULL without memory. */
struct http_parser *http_parser_create(size_t max_body);
void http_parser_destroy(struct http_parser *p);
DEFINE_AUTO(struct http_parser *, http_parser_destroy);

enum http_event {
	HTTP_EVENT_MORE, /* all n bytes are used, and more must come */
	HTTP_EVENT_CONTINUE, /* send a 100 status, the client waits for it; feed on */
	HTTP_EVENT_REQUEST, /* http_parser_request has one; feed on after serving it */
	HTTP_EVENT_ERROR, /* http_parser_error says why; this parser is of no use now */
};

/* Takes up to n bytes, and stops after the one that made something happen. *used says
 * how many. What is answered does not depend on how the bytes are cut. */
MUST_CHECK enum http_event http_parser_feed(
	struct http_parser *p, const char *bytes, size_t n, size_t *used);

/* After HTTP_EVENT_REQUEST; borrowed, valid until bytes are fed again. */
const struct http_request *http_parser_request(const struct http_parser *p);

/* After HTTP_EVENT_ERROR: one line of ASCII without quotes, backslashes or anything
 * that the client sent, so fit for a JSON string as it is. Borrowed. */
const char *http_parser_error(const struct http_parser *p);

/* Whether it holds nothing of a request that is not yet complete. */
bool http_parser_is_idle(const struct http_parser *p);

/* The status line and headers of a reply, with the empty line; close: say that the
 * connection ends with it. Returns the length. */
size_t http_put_head(char head[HTTP_HEAD_MAX], const struct http_reply *r, bool close);

#endif
