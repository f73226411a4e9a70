/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_table: how a guest reads a firmware table: little-endian numbers and checksums.
 */
#ifndef HUSK_FAKE_TABLE_H
#define HUSK_FAKE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The number of n bytes, at most 8, at p. */
static inline uint64_t le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/* The sum of n bytes, which is 0 for a table with a right checksum. */
static inline uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n-- > 0)
		s = (uint8_t)(s + *p++);
	return s;
}

#endif
