/* SPDX-License-Identifier: Apache-2.0
 *
 * input: reads a fuzzer's input from the front; past its end there are zeros. Use one
 * take_ in an expression at most, because the compiler would choose their order.
 */
#ifndef HUSK_FUZZ_INPUT_H
#define HUSK_FUZZ_INPUT_H

#include <string.h>

#include "vmm/base/base.h"

struct input {
	const uint8_t *p;
	size_t left;
};

static inline void take(struct input *in, void *out, size_t n)
{
	size_t part = MIN(n, in->left);

	memset(out, 0, n);
	memcpy(out, in->p, part);
	in->p += part;
	in->left -= part;
}

#define TAKE_INT(name, type)                             \
	static inline type take_##name(struct input *in) \
	{                                                \
		type v;                                  \
		take(in, &v, sizeof(v));                 \
		return v;                                \
	}                                                \
	_Static_assert(1, "")
TAKE_INT(u8, uint8_t);
TAKE_INT(u16, uint16_t);
TAKE_INT(u32, uint32_t);

#endif
