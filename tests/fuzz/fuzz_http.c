/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_http: the input goes to the parser twice: in pieces, whose sizes are the input's
 * first eight bytes in turn, and in one piece. Beyond the sanitizers the target checks
 * that both give the same result, and that requests and errors are as http.h promises.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/codec/http.h"

enum { PIECES = 8, MAX_BODY = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void add(uint64_t *sum, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		*sum = (*sum ^ b[i]) * 0x100000001b3;
}

static void check_request(const struct http_request *q, uint64_t *sum)
{
	size_t n = strnlen(q->path, sizeof(q->path));

	assert(n > 0 && n < sizeof(q->path));
	assert(q->path[0] == '/' && q->path[1] != '/');
	for (size_t i = 0; i < n; i++)
		assert((uint8_t)q->path[i] > ' ' && q->path[i] != 0x7f);
	assert(q->method <= HTTP_METHOD_DELETE);
	assert(q->body && q->body_len <= MAX_BODY && q->body[q->body_len] == '\0');
	add(sum, &q->method, sizeof(q->method));
	add(sum, q->path, n + 1);
	add(sum, q->body, q->body_len + 1);
}

static void check_error(const char *why, uint64_t *sum)
{
	size_t n = strlen(why);

	assert(n > 0 && n < HTTP_ERROR_MAX - 1); /* not cut */
	for (size_t i = 0; i < n; i++)
		assert(why[i] >= ' ' && why[i] <= '~' && why[i] != '"' &&
			why[i] != '\\');
	add(sum, why, n);
}

/* Feeds one piece. False after an error. */
static bool feed(struct http_parser *p, const char *at, size_t left, uint64_t *sum)
{
	while (left > 0) {
		size_t used = 0;
		enum http_event ev = http_parser_feed(p, at, left, &used);

		assert(used > 0 && used <= left);
		assert(ev != HTTP_EVENT_MORE || used == left);
		at += used;
		left -= used;
		if (ev != HTTP_EVENT_MORE)
			add(sum, &ev, sizeof(ev));
		if (ev == HTTP_EVENT_REQUEST) {
			assert(http_parser_is_idle(p));
			check_request(http_parser_request(p), sum);
		} else if (ev == HTTP_EVENT_ERROR) {
			check_error(http_parser_error(p), sum);
			return false;
		}
	}
	return true;
}

/* A checksum of what the parser made of n bytes. */
static uint64_t run(const uint8_t *sizes, const char *bytes, size_t n)
{
	AUTO(http_parser_destroy) struct http_parser *p = http_parser_create(MAX_BODY);
	uint64_t sum = 0xcbf29ce484222325;
	bool open = true;

	if (!p)
		abort();
	for (size_t at = 0, i = 0; at < n && open; i++) {
		size_t piece = sizes ? MIN((size_t)sizes[i % PIECES] + 1, n - at) : n;
		/* an allocation of its own, so that ASan sees a read past it */
		char *copy = malloc(piece);

		if (!copy)
			abort();
		memcpy(copy, bytes + at, piece);
		open = feed(p, copy, piece, &sum);
		free(copy);
		at += piece;
	}
	if (open)
		sum ^= http_parser_is_idle(p);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *bytes = (const char *)data + PIECES;

	if (n < PIECES)
		return 0;
	n -= PIECES;
	if (run(data, bytes, n) != run(NULL, bytes, n))
		abort();
	return 0;
}
