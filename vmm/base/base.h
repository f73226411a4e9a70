/* SPDX-License-Identifier: Apache-2.0
 *
 * base: what every file of husk uses: guest addresses, scoped clean-up, checked
 * arithmetic. No state, no thread, no allocation.
 */
#ifndef HUSK_BASE_H
#define HUSK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

typedef uint64_t gpa_t; /* guest physical address */

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define PAGE_BYTES ((uint64_t)4096)
#define HUGE_PAGE_BYTES (2 * MIB)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* AUTO(f) x: calls f(x) at the end of the scope unless TAKE(x) handed it over. A type
 * with a clean-up f declares DEFINE_AUTO(type, f) once, in the header that declares f;
 * f must accept NULL. For file descriptors: AUTO(close_fd) and TAKE_FD. */
#define DEFINE_AUTO(type, fn)                 \
	static inline void fn##_auto(type *p) \
	{                                     \
		fn(*p);                       \
	}                                     \
	_Static_assert(1, "")
#define AUTO(fn) __attribute__((cleanup(fn##_auto)))
#define TAKE(p)                           \
	({                                \
		__auto_type taken_ = (p); \
		(p) = NULL;               \
		taken_;                   \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

static inline void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}
DEFINE_AUTO(int, close_fd);

/* For sums and products of numbers that a guest, a file or a client chose. True with
 * the result in *out when it fits, else false with *out unspecified. */
#define add_ok(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define mul_ok(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

/* Round to a multiple of unit, a power of two. round_up wraps to 0 for numbers near the
 * end of uint64_t, so check hostile numbers first. */
static inline uint64_t round_down(uint64_t n, uint64_t unit)
{
	return n & ~(unit - 1);
}

static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return round_down(n + unit - 1, unit);
}

#define LETTERS_AND_DIGITS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* The value of a hexadecimal digit of either case, or -1. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
