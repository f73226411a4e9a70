/* SPDX-License-Identifier: Apache-2.0
 *
 * spans: the one walk over a list of spans of memory (struct iovec). Devices move bytes
 * by it, so it is all inline. The list belongs to the caller and is not changed. Any
 * thread. A walk trusts its caller: it may be asked for no more bytes than are left.
 */
#ifndef HUSK_BASE_SPANS_H
#define HUSK_BASE_SPANS_H

#include <string.h>
#include <sys/uio.h>

#include "vmm/base/base.h"

/* What is left of a list: n spans, without the first `skip` bytes of the first one. A
 * walk begins with { list, n, 0 }, and consumes bytes from the front. No span is empty,
 * and skip is less than the length of the first one; where n is 0 nothing is left. */
struct spans {
	const struct iovec *iov;
	unsigned n;
	size_t skip;
};

/* Goes past the next n bytes. */
static inline void spans_skip(struct spans *s, size_t n)
{
	s->skip += n;
	for (; s->n > 0 && s->skip >= s->iov->iov_len; s->n--, s->iov++)
		s->skip -= s->iov->iov_len;
}

/* The next bytes that lie in one span, at most max of them. They stay in the walk. */
static inline struct iovec spans_front(const struct spans *s, size_t max)
{
	return (struct iovec){ (uint8_t *)s->iov->iov_base + s->skip,
		MIN(s->iov->iov_len - s->skip, max) };
}

/* The same, and goes past them. */
static inline struct iovec spans_next(struct spans *s, size_t max)
{
	struct iovec front = spans_front(s, max);

	s->skip += front.iov_len;
	if (s->skip == s->iov->iov_len) {
		s->iov++;
		s->n--;
		s->skip = 0;
	}
	return front;
}

/* Copies the next n bytes to dst, and goes past them. */
static inline void spans_read(struct spans *s, void *dst, size_t n)
{
	while (n > 0) {
		struct iovec next = spans_next(s, n);

		memcpy(dst, next.iov_base, next.iov_len);
		dst = (uint8_t *)dst + next.iov_len;
		n -= next.iov_len;
	}
}

/* Copies n bytes from src over the next ones, and goes past them. */
static inline void spans_write(struct spans *s, const void *src, size_t n)
{
	while (n > 0) {
		struct iovec next = spans_next(s, n);

		memcpy(next.iov_base, src, next.iov_len);
		src = (const uint8_t *)src + next.iov_len;
		n -= next.iov_len;
	}
}

/* Makes a list of the next `bytes` bytes, or of as many as max spans hold, in out, and
 * goes past them. Returns the number of spans, and in *got their bytes. */
static inline unsigned spans_cut(
	struct spans *s, size_t bytes, struct iovec *out, unsigned max, size_t *got)
{
	unsigned n = 0;

	for (*got = 0; n < max && *got < bytes && s->n > 0; n++) {
		out[n] = spans_next(s, bytes - *got);
		*got += out[n].iov_len;
	}
	return n;
}

#endif
