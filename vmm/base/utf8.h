/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8: characters of UTF-8 text, and the ids that are made of them. No state; any
 * thread.
 */
#ifndef HUSK_BASE_UTF8_H
#define HUSK_BASE_UTF8_H

#include "vmm/base/base.h"

/* Reads the character at `at`: returns its length in bytes, 1 to 4, with its code point
 * in *c. 0 when the bytes up to `end` do not begin with a whole character (RFC 3629:
 * neither overlong nor a surrogate). */
size_t utf8_read(const char *at, const char *end, uint32_t *c);

/* Whether a code point is a letter or a digit of any script: alphabetic or numeric by
 * Unicode 14, as Firecracker's ids may have them. */
bool utf8_is_alphanumeric(uint32_t c);

/* Whether a string is 1 to max bytes of letters, digits and mark, an ASCII character.
 * Neither JSON nor a log line nor a path has to escape anything in such an id. */
bool utf8_is_id(const char *id, char mark, size_t max);

#endif
