/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8: characters of UTF-8 text, and the ids that are made of them. No state; any
 * thread.
 */
#ifndef HUSK_BASE_UTF8_H
#define HUSK_BASE_UTF8_H

#include "vmm/base/base.h"

/* The length in bytes, 1 to 4, of the character at `at` (RFC 3629: neither overlong nor
 * a surrogate), with its code point in *c; 0 when there is none that ends by `end`. */
size_t utf8_read(const char *at, const char *end, uint32_t *c);

/* Whether a code point is a letter or a digit of any script: alphabetic or numeric by
 * Unicode 14, as Firecracker's ids may have them. */
bool utf8_is_alphanumeric(uint32_t c);

/* Whether a string is 1 to max bytes of letters, digits and mark, an ASCII character.
 * An id that passes has nothing that JSON, a log line or a path would have to escape.
 */
bool utf8_is_id(const char *id, char mark, size_t max);

#endif
