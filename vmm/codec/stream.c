/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/codec/stream.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

void stream_init_save(struct stream *s)
{
	*s = (struct stream){ .loading = false };
}

void stream_init_load(struct stream *s, const void *buf, size_t n)
{
	uint64_t sum;

	*s = (struct stream){ .loading = true, .buf = (uint8_t *)(uintptr_t)buf };
	if (n < sizeof(sum)) {
		s->error = -EBADMSG;
		return;
	}
	s->len = n - sizeof(sum);
	memcpy(&sum, s->buf + s->len, sizeof(sum));
	if (le64toh(sum) != XXH64(buf, s->len, 0))
		s->error = -EBADMSG;
}

void stream_fini(struct stream *s)
{
	if (!s->loading)
		free(s->buf);
	*s = (struct stream){ .loading = s->loading };
}

static bool make_room(struct stream *s, size_t n)
{
	size_t want = s->room > 0 ? s->room : 4096;
	uint8_t *buf;

	while (want < s->len + n)
		want *= 2;
	if (want == s->room)
		return true;
	buf = realloc(s->buf, want);
	if (!buf)
		return false;
	s->buf = buf;
	s->room = want;
	return true;
}

/* Where reading has to stop: at the end of the innermost section, or of the stream. */
static size_t load_end(const struct stream *s)
{
	return s->depth > 0 ? s->section[s->depth - 1] : s->len;
}

void stream_bytes(struct stream *s, void *p, size_t n)
{
	if (s->error != 0)
		return;
	if (s->loading) {
		if (n > load_end(s) - s->at) {
			s->error = -EBADMSG;
			return;
		}
		memcpy(p, s->buf + s->at, n);
		s->at += n;
		return;
	}
	if (!make_room(s, n)) {
		s->error = -ENOMEM;
		return;
	}
	memcpy(s->buf + s->len, p, n);
	s->len += n;
}

int stream_finish(struct stream *s)
{
	uint64_t sum;

	assert(s->depth == 0);
	if (s->error != 0)
		return s->error;
	if (s->loading)
		return s->error = s->at == s->len ? 0 : -EBADMSG;
	sum = htole64(XXH64(s->buf, s->len, 0));
	stream_bytes(s, &sum, sizeof(sum));
	return s->error;
}

uint16_t stream_begin(struct stream *s, const char tag[4], uint16_t version)
{
	char found[4];
	uint16_t v = version, zero = 0;
	uint32_t len = 0;

	assert(s->depth < ARRAY_LEN(s->section));
	memcpy(found, tag, sizeof(found));
	stream_bytes(s, found, sizeof(found));
	stream_u16(s, &v);
	stream_u16(s, &zero);
	stream_u32(s, &len);
	if (s->loading && s->error == 0) {
		if (memcmp(found, tag, sizeof(found)) != 0 || zero != 0 || v == 0 ||
			len > load_end(s) - s->at)
			s->error = -EBADMSG;
		else if (v > version)
			s->error = -ENOTSUP;
	}
	s->section[s->depth++] = s->loading ? s->at + len : s->len;
	return s->error == 0 ? v : 0;
}

void stream_end(struct stream *s)
{
	size_t at;
	uint32_t len;

	assert(s->depth > 0);
	at = s->section[--s->depth];
	if (s->error != 0)
		return;
	if (s->loading) {
		if (s->at != at)
			s->error = -EBADMSG;
		return;
	}
	len = htole32((uint32_t)(s->len - at));
	memcpy(s->buf + at - sizeof(len), &len, sizeof(len));
}

void stream_u8(struct stream *s, uint8_t *p)
{
	stream_bytes(s, p, sizeof(*p));
}

void stream_u16(struct stream *s, uint16_t *p)
{
	uint16_t v = htole16(*p);

	stream_bytes(s, &v, sizeof(v));
	*p = le16toh(v);
}

void stream_u32(struct stream *s, uint32_t *p)
{
	uint32_t v = htole32(*p);

	stream_bytes(s, &v, sizeof(v));
	*p = le32toh(v);
}

void stream_u64(struct stream *s, uint64_t *p)
{
	uint64_t v = htole64(*p);

	stream_bytes(s, &v, sizeof(v));
	*p = le64toh(v);
}

void stream_bool(struct stream *s, bool *p)
{
	uint8_t v = s->loading ? 0 : *p; /* loading: *p may not be set yet */

	stream_u8(s, &v);
	if (v > 1)
		s->error = -EBADMSG;
	else if (s->error == 0)
		*p = v == 1;
}

int stream_check(struct stream *s, bool ok)
{
	if (s->error == 0 && !ok)
		s->error = -EBADMSG;
	return s->error;
}
