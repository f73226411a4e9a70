/* SPDX-License-Identifier: Apache-2.0
 *
 * http: this file collects each line and then gives it to llhttp as a whole, so that
 * nothing depends on how the bytes arrive. What llhttp would let pass is refused here
 * first. Bodies do not go through llhttp.
 */
#include "vmm/codec/http.h"

#include <assert.h>
#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vmm/base/name.h"
#include "vmm/base/utf8.h"

enum state {
	AT_REQUEST_LINE,
	AT_HEADER,
	AT_BODY,
	AT_END, /* the request is the caller's until bytes are fed again */
	AT_ERROR,
};

enum identity { IDENTITY_UNSAID, IDENTITY_WANTED, IDENTITY_BANNED };

struct http_parser {
	size_t max_body;
	enum state state;

	/* What the lines of the request under way have said so far. */
	struct head {
		llhttp_t ll;
		bool blank_seen; /* there was an empty line before the request */
		bool is_1_0, expects_100, has_length, star_banned;
		enum identity identity;
		uint64_t length;
	} head;
	struct http_request req;
	char *body;

	size_t line_len;
	char line[HTTP_LINE_MAX + 1];
	char error[HTTP_ERROR_MAX];
};

/* Stops llhttp at the end of the headers, before a body or an upgrade. */
static int on_headers_complete(llhttp_t *ll)
{
	(void)ll;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_headers_complete = on_headers_complete,
};

static void start_request(struct http_parser *p)
{
	free(TAKE(p->body));
	p->req.body = "";
	p->req.body_len = 0;
	p->head = (struct head){ 0 };
	llhttp_init(&p->head.ll, HTTP_REQUEST, &settings);
	p->state = AT_REQUEST_LINE;
}

struct http_parser *http_parser_create(size_t max_body)
{
	struct http_parser *p = calloc(1, sizeof(*p));

	if (p) {
		p->max_body = max_body;
		start_request(p);
	}
	return p;
}

void http_parser_destroy(struct http_parser *p)
{
	if (!p)
		return;
	free(p->body);
	free(p);
}

const struct http_request *http_parser_request(const struct http_parser *p)
{
	assert(p->state == AT_END);
	return &p->req;
}

const char *http_parser_error(const struct http_parser *p)
{
	assert(p->state == AT_ERROR);
	return p->error;
}

bool http_parser_is_idle(const struct http_parser *p)
{
	return p->state == AT_END ||
		(p->state == AT_REQUEST_LINE && p->line_len == 0 &&
			!p->head.blank_seen);
}

static enum http_event refuse(struct http_parser *p, const char *fmt, ...)
	PRINTF_LIKE(2, 3);
static enum http_event refuse(struct http_parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->error, sizeof(p->error), fmt, ap);
	va_end(ap);
	p->state = AT_ERROR;
	return HTTP_EVENT_ERROR;
}

/* Gives llhttp the line, with its CRLF. Whether llhttp accepts it. */
static bool is_wellformed(struct http_parser *p)
{
	llhttp_errno_t r = llhttp_execute(&p->head.ll, p->line, p->line_len);

	return r == HPE_OK || r == HPE_PAUSED;
}

static bool to_method(uint8_t method, enum http_method *out)
{
	static const struct {
		uint8_t from;
		enum http_method to;
	} methods[] = {
		{ HTTP_GET, HTTP_METHOD_GET },
		{ HTTP_PUT, HTTP_METHOD_PUT },
		{ HTTP_PATCH, HTTP_METHOD_PATCH },
		{ HTTP_DELETE, HTTP_METHOD_DELETE },
	};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (methods[i].from == method) {
			*out = methods[i].to;
			return true;
		}
	}
	return false;
}

static bool is_utf8(const char *s)
{
	const char *end = s + strlen(s);
	uint32_t c;
	size_t n = 1;

	for (; s < end && n > 0; s += n)
		n = utf8_read(s, end, &c);
	return n > 0;
}

/* Reduces a target in origin-form or absolute-form (RFC 9112, 3.2) to its path. */
static bool put_path(char path[HTTP_LINE_MAX], const char *target)
{
	if (strncasecmp(target, "http://", 7) == 0) {
		target += 7;
		target += strcspn(target, "/?#");
	} else if (*target != '/') {
		return false;
	}
	target += strspn(target, "/");
	/* fits: the line also held a method and a version */
	(void)snprintf(path, HTTP_LINE_MAX, "/%s", target);
	return true;
}

/* line: the parser's buffer, with its CRLF; this cuts it into its three words. */
static enum http_event take_request_line(struct http_parser *p, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version || strchr(version + 1, ' '))
		return refuse(p, "request line is not: method, target, version");
	if (strchr(line, '\t') || !is_utf8(line))
		return refuse(p, "target is not UTF-8 without control characters");
	if (!is_wellformed(p))
		return refuse(
			p, "request line: %s", llhttp_get_error_reason(&p->head.ll));
	if (!to_method(llhttp_get_method(&p->head.ll), &p->req.method))
		return refuse(p, "method is not one of GET, PUT, PATCH, DELETE");
	line[p->line_len - 2] = '\0';
	*target++ = *version++ = '\0';
	p->head.is_1_0 = strcmp(version, "HTTP/1.0") == 0;
	if (!p->head.is_1_0 && strcmp(version, "HTTP/1.1") != 0)
		return refuse(p, "version is neither HTTP/1.0 nor HTTP/1.1");
	if (!put_path(p->req.path, target))
		return refuse(p, "target is neither a path nor an http:// address");
	p->state = AT_HEADER;
	return HTTP_EVENT_MORE;
}

/* Cuts the spaces off both ends, in place. */
static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	s[n] = '\0';
	return s;
}

/* Whether the parameters of a coding say that its weight is 0: "q=0" or "q=0.000" (RFC
 * 9110, 12.4.2). */
static bool is_weight_zero(char *params)
{
	params = trim(params);
	if (strncasecmp(params, "q=0", 3) != 0)
		return false;
	params += 3;
	params += *params == '.';
	return params[strspn(params, "0")] == '\0';
}

/* Notes from Accept-Encoding (RFC 9110, 12.5.3) whether the client takes identity, the
 * only coding that replies have. */
static void take_encodings(struct head *h, char *value)
{
	char *next = value, *one;

	while ((one = strsep(&next, ",")) != NULL) {
		char *params = one;
		const char *coding = trim(strsep(&params, ";"));
		bool banned = params && is_weight_zero(params);

		if (strcasecmp(coding, "identity") == 0)
			h->identity = banned ? IDENTITY_BANNED : IDENTITY_WANTED;
		else if (strcmp(coding, "*") == 0)
			h->star_banned = banned;
	}
}

static bool is_identity_banned(const struct head *h)
{
	return h->identity == IDENTITY_BANNED ||
		(h->identity == IDENTITY_UNSAID && h->star_banned);
}

/* Takes over what the last line told llhttp about the length of the body, and clears it
 * there: otherwise llhttp would refuse the same length given twice, and a length beside
 * a Transfer-Encoding that it does not know. llhttp reports a Transfer-Encoding one
 * line late, when it sees that the line is not continued. */
static enum http_event take_framing(struct http_parser *p)
{
	struct head *h = &p->head;
	uint64_t length = h->ll.content_length;
	uint16_t flags = h->ll.flags;

	if (flags & F_CHUNKED)
		return refuse(p, "Transfer-Encoding: chunked is not served");
	if (flags & F_CONTENT_LENGTH) {
		if (length > UINT32_MAX)
			return refuse(p, "Content-Length is over %u", UINT32_MAX);
		if (h->has_length && h->length != length)
			return refuse(p, "Content-Length is given twice and differs");
		h->has_length = true;
		h->length = length;
	}
	h->ll.content_length = 0;
	h->ll.flags = (uint16_t)(flags & ~(F_CONTENT_LENGTH | F_TRANSFER_ENCODING));
	return HTTP_EVENT_MORE;
}

/* Gives llhttp a header, or the empty line after the last. */
static enum http_event judge_header(struct http_parser *p)
{
	if (!is_wellformed(p))
		return refuse(p, "header: %s", llhttp_get_error_reason(&p->head.ll));
	return take_framing(p);
}

static enum http_event take_header(struct http_parser *p, char *line)
{
	char *value = line + strcspn(line, ": \t");

	/* this also refuses a continuation line, which begins with a space */
	if (*value != ':' || value == line)
		return refuse(p, "header is not: name, colon, value");
	if (judge_header(p) == HTTP_EVENT_ERROR)
		return HTTP_EVENT_ERROR;
	line[p->line_len - 2] = '\0';
	*value++ = '\0';
	value = trim(value);
	if (strcasecmp(line, "Expect") == 0)
		p->head.expects_100 = strcasecmp(value, "100-continue") == 0;
	else if (strcasecmp(line, "Accept-Encoding") == 0)
		take_encodings(&p->head, value);
	return HTTP_EVENT_MORE;
}

/* Whether the client wants the connection to end with the reply. llhttp has collected
 * the words of all Connection headers. */
static bool is_last(const struct head *h)
{
	if (h->ll.flags & F_CONNECTION_CLOSE)
		return true;
	return h->is_1_0 && !(h->ll.flags & F_CONNECTION_KEEP_ALIVE);
}

static enum http_event end_headers(struct http_parser *p)
{
	const struct head *h = &p->head;

	if (judge_header(p) == HTTP_EVENT_ERROR)
		return HTTP_EVENT_ERROR;
	p->req.is_last = is_last(h);
	if (is_identity_banned(h))
		return refuse(
			p, "Accept-Encoding bans identity, the only coding served");
	if (h->length > p->max_body)
		return refuse(p, "body of %llu bytes: at most %zu are taken",
			(unsigned long long)h->length, p->max_body);
	if (h->length == 0) {
		p->state = AT_END;
		return HTTP_EVENT_REQUEST;
	}
	p->body = malloc(h->length + 1);
	if (!p->body)
		return refuse(p, "no memory for a body of %llu bytes",
			(unsigned long long)h->length);
	p->req.body = p->body;
	p->state = AT_BODY;
	/* a client of HTTP/1.0 does not know status 100 (RFC 9110, 10.1.1) */
	return h->expects_100 && !h->is_1_0 ? HTTP_EVENT_CONTINUE : HTTP_EVENT_MORE;
}

/* Skips one empty line before a request (RFC 9112, 2.2), and refuses a second. */
static enum http_event skip_blank(struct http_parser *p)
{
	if (p->head.blank_seen)
		return refuse(p, "request line is empty");
	p->head.blank_seen = true;
	return HTTP_EVENT_MORE;
}

static bool has_control(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') ||
			line[i] == 0x7f)
			return true;
	return false;
}

/* Takes a complete line, which ends with LF. */
static enum http_event take_line(struct http_parser *p)
{
	char *line = p->line;
	size_t n = p->line_len;

	line[n] = '\0';
	if (n < 2 || line[n - 2] != '\r')
		return refuse(p, "line ends without CR");
	n -= 2;
	if (has_control(line, n))
		return refuse(p, "line has a control character");
	if (p->state == AT_REQUEST_LINE)
		return n == 0 ? skip_blank(p) : take_request_line(p, line);
	return n == 0 ? end_headers(p) : take_header(p, line);
}

/* Adds bytes to the line, up to its LF. Sets *used to at least 1. */
static enum http_event feed_line(
	struct http_parser *p, const char *bytes, size_t n, size_t *used)
{
	const char *lf;
	enum http_event ev;

	n = MIN(n, HTTP_LINE_MAX - p->line_len);
	lf = memchr(bytes, '\n', n);
	if (lf)
		n = (size_t)(lf - bytes) + 1;
	memcpy(p->line + p->line_len, bytes, n);
	p->line_len += n;
	*used = n;
	if (!lf && p->line_len == HTTP_LINE_MAX)
		return refuse(p, "line is over %d bytes", HTTP_LINE_MAX);
	if (!lf)
		return HTTP_EVENT_MORE;
	ev = take_line(p);
	p->line_len = 0;
	return ev;
}

static enum http_event feed_body(
	struct http_parser *p, const char *bytes, size_t n, size_t *used)
{
	n = MIN(n, p->head.length - p->req.body_len);
	memcpy(p->body + p->req.body_len, bytes, n);
	p->req.body_len += n;
	*used = n;
	if (p->req.body_len < p->head.length)
		return HTTP_EVENT_MORE;
	p->body[p->req.body_len] = '\0';
	p->state = AT_END;
	return HTTP_EVENT_REQUEST;
}

enum http_event http_parser_feed(
	struct http_parser *p, const char *bytes, size_t n, size_t *used)
{
	enum http_event ev = HTTP_EVENT_MORE;
	size_t at = 0, taken;

	assert(p->state != AT_ERROR);
	if (p->state == AT_END)
		start_request(p);
	while (ev == HTTP_EVENT_MORE && at < n) {
		ev = p->state == AT_BODY ? feed_body(p, bytes + at, n - at, &taken)
					 : feed_line(p, bytes + at, n - at, &taken);
		at += taken;
	}
	*used = at;
	return ev;
}

size_t http_put_head(char head[HTTP_HEAD_MAX], const struct http_reply *r, bool close)
{
	const char *product = name_of_product();
	int n = snprintf(head, HTTP_HEAD_MAX,
		"HTTP/1.1 %u \r\nServer: %s%s\r\nConnection: %s\r\n%s", r->status,
		product, strcmp(product, "Firecracker") == 0 ? " API" : "",
		close ? "close" : "keep-alive",
		r->deprecated ? "Deprecation: true\r\n" : "");
	size_t len = (size_t)n;

	/* 1xx and 204 have no body, and any other reply needs a length to end */
	if (r->status >= 200 && r->status != 204)
		n = snprintf(head + len, HTTP_HEAD_MAX - len,
			"%sContent-Length: %zu\r\n",
			r->body ? "Content-Type: application/json\r\n" : "",
			r->body_len);
	else
		n = 0;
	len += (size_t)n;
	memcpy(head + len, "\r\n", 2);
	return len + 2;
}
