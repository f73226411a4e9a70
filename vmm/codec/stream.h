/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: the fields of structs as a stream of bytes with a checksum, for saved state
 * and for files of filters. The same function saves an object's fields and loads them:
 * struct stream knows the direction, so that the two cannot drift apart. Errors are
 * sticky: callers check once, at the end. One thread at a time.
 *
 * The format, in little-endian: sections of { tag u32, version u16, zero u16, length
 * u32, payload }, nested as the calls of stream_begin and stream_end are; then the
 * xxh64 of all bytes before. What is loaded is as hostile as what a guest writes: check
 * it before use.
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
/* Borrows buf until stream_fini. The sticky error is -EBADMSG from the beginning when
 * the checksum is missing or wrong. */
void stream_init_load(struct stream *s, const void *buf, size_t n);
void stream_fini(struct stream *s);

/* Ends the stream: when saving, appends the checksum; when loading, checks that every
 * byte was read. Returns the sticky error. */
MUST_CHECK int stream_finish(struct stream *s);

/* Begins a section. tag: four letters; when loading they must match. Returns the
 * version of the section, when loading the one that was found, or 0 after an error. A
 * newer version than the one given is an error; an older one lacks the fields that were
 * added at its end since. */
uint16_t stream_begin(struct stream *s, const char tag[4], uint16_t version);
void stream_end(struct stream *s);

/* Save *p, or load it. After an error *p stays as it is. */
void stream_u8(struct stream *s, uint8_t *p);
void stream_u16(struct stream *s, uint16_t *p);
void stream_u32(struct stream *s, uint32_t *p);
void stream_u64(struct stream *s, uint64_t *p);
void stream_bool(struct stream *s, bool *p);
void stream_bytes(struct stream *s, void *p, size_t n);

/* For the end of a function that saves and loads an object. ok: the values are valid;
 * if not, the sticky error becomes -EBADMSG. Returns the sticky error. */
MUST_CHECK int stream_check(struct stream *s, bool ok);

#endif
