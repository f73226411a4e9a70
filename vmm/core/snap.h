/* SPDX-License-Identifier: Apache-2.0
 *
 * snap: the saved state of a machine as one stream. The same walk over a thing's fields
 * saves and loads them: direction lives in struct snap, so the two cannot drift apart.
 * The error is sticky: callers check once, at the end. One thread at a time.
 *
 * Format, all little-endian: sections of { tag u32, version u16, zero u16, length u32,
 * payload }, nested as snap_begin and snap_end nest; then xxh64 of all before it.
 * What is loaded is as hostile as what a guest writes: check it before it is used.
 */
#ifndef HUSK_SNAP_H
#define HUSK_SNAP_H

#include "vmm/base/base.h"

struct snap {
	bool loading;
	int error; /* sticky: 0, -EBADMSG (malformed), -ENOTSUP (newer), -ENOMEM */
	uint8_t *buf; /* owned when saving, borrowed when loading */
	size_t len, room; /* bytes in buf; bytes allocated, when saving */
	size_t at; /* next byte to load */
	unsigned depth;
	size_t section[4]; /* saving: where the length goes; loading: where it ends */
};

void snap_init_save(struct snap *s);
/* Borrows buf. A missing or wrong checksum is the first error. */
void snap_init_load(struct snap *s, const void *buf, size_t n);
void snap_fini(struct snap *s);

/* Ends a stream: appends the checksum, or asks that all was read. The sticky error. */
MUST_CHECK int snap_finish(struct snap *s);

/* tag: four letters. When loading, the tag must match; returns the version found, at
 * most the one given (0 after an error), so that fields can be added at the end. */
uint16_t snap_begin(struct snap *s, const char tag[4], uint16_t version);
void snap_end(struct snap *s);

/* Save *p, or load it; after an error nothing is loaded and *p stays. */
void snap_u8(struct snap *s, uint8_t *p);
void snap_u16(struct snap *s, uint16_t *p);
void snap_u32(struct snap *s, uint32_t *p);
void snap_u64(struct snap *s, uint64_t *p);
void snap_bool(struct snap *s, bool *p);
void snap_bytes(struct snap *s, void *p, size_t n);

/* What a thing returns at the end of its walk: the sticky error, which a false ok,
 * about values just loaded, turns into -EBADMSG. */
MUST_CHECK int snap_check(struct snap *s, bool ok);

#endif
