/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_stream: the state of one object, saved and loaded into another one:
 *
 *	struct fake_stream f;
 *
 *	(void)!power_snap(&from, fake_save(&f));
 *	r = fake_loaded(&f, power_snap(&to, fake_load(&f)));
 */
#ifndef HUSK_FAKE_STREAM_H
#define HUSK_FAKE_STREAM_H

#include <criterion/criterion.h>

#include "vmm/codec/stream.h"

struct fake_stream {
	struct stream saved, loading;
};

/* Begins to save. */
static inline struct stream *fake_save(struct fake_stream *f)
{
	stream_init_save(&f->saved);
	return &f->saved;
}

/* Ends to save and begins to load. An object that refused to save its state does not
 * matter here: a test of hostile state wants to know whether it is refused when loaded.
 */
static inline struct stream *fake_load(struct fake_stream *f)
{
	f->saved.error = 0;
	cr_assert_eq(stream_finish(&f->saved), 0);
	stream_init_load(&f->loading, f->saved.buf, f->saved.len);
	return &f->loading;
}

/* Ends to load. r is what the load returned; the first error is returned. */
static inline int fake_loaded(struct fake_stream *f, int r)
{
	if (r == 0)
		r = stream_finish(&f->loading);
	stream_fini(&f->saved);
	return r;
}

#endif
