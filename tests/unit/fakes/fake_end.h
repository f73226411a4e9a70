/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_end: what a device calls when the guest resets the machine or powers it off.
 */
#ifndef HUSK_FAKE_END_H
#define HUSK_FAKE_END_H

struct fake_end {
	unsigned n; /* calls */
	const char *how; /* of the last one */
};

/* self is a struct fake_end. */
static inline void fake_end(void *self, const char *how)
{
	struct fake_end *end = self;

	end->n++;
	end->how = how;
}

#endif
