/* SPDX-License-Identifier: Apache-2.0
 *
 * snap: the saved state of a machine as one stream. The same walk over a thing's fields
 * saves and loads them: direction lives in struct stream, so the two cannot drift
 * apart. The error is sticky: callers check once, at the end. One thread at a time.
 *
 * Format, all little-endian: sections of { tag u32, version u16, zero u16, length u32,
 * payload }, nested as stream_begin and stream_end nest; then xxh64 of all before it.
 * What is loaded is as hostile as what a guest writes: check it before it is used.
 */
#ifndef HUSK_CODEC_STREAM_H
#define HUSK_CODEC_STREAM_H

#include "vmm/base/base.h"

struct stream {
	bool loading;
	int error; /* sticky: 0, -EBADMSG (malformed), -ENOTSUP (newer), -ENOMEM */
	uint8_t *buf; /* owned when saving, borrowed when loading */
	size_t len, room; /* bytes in buf; bytes allocated, when saving */
	size_t at; /* next byte to load */
	unsigned depth;
	size_t section[4]; /* saving: where the length goes; loading: where it ends */
};

void stream_init_save(struct stream *s);
/* Borrows buf. A missing or wrong checksum is the first error. */
void stream_init_load(struct stream *s, const void *buf, size_t n);
void stream_fini(struct stream *s);

/* Ends a stream: appends the checksum, or asks that all was read. The sticky error. */
MUST_CHECK int stream_finish(struct stream *s);

/* tag: four letters. When loading, the tag must match; returns the version found, at
 * most the one given (0 after an error), so that fields can be added at the end. */
uint16_t stream_begin(struct stream *s, const char tag[4], uint16_t version);
void stream_end(struct stream *s);

/* Save *p, or load it; after an error nothing is loaded and *p stays. */
void stream_u8(struct stream *s, uint8_t *p);
void stream_u16(struct stream *s, uint16_t *p);
void stream_u32(struct stream *s, uint32_t *p);
void stream_u64(struct stream *s, uint64_t *p);
void stream_bool(struct stream *s, bool *p);
void stream_bytes(struct stream *s, void *p, size_t n);

/* What a thing returns at the end of its walk: the sticky error, which a false ok,
 * about values just loaded, turns into -EBADMSG. */
MUST_CHECK int stream_check(struct stream *s, bool ok);

#endif
