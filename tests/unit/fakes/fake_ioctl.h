/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_ioctl: a function of the test in the place of the C library's ioctl, for the
 * whole test binary. A macro for one file of the test, since fakes.a is linked into
 * tests that need the real one.
 */
#ifndef HUSK_FAKE_IOCTL_H
#define HUSK_FAKE_IOCTL_H

#include <stdarg.h>
#include <sys/ioctl.h>

/* answer: int (int fd, unsigned long request, void *arg). An argument that is a number
 * comes as a pointer of that value. */
#define FAKE_IOCTL(answer)                            \
	int ioctl(int fd, unsigned long request, ...) \
	{                                             \
		void *arg;                            \
		va_list ap;                           \
                                                      \
		va_start(ap, request);                \
		arg = va_arg(ap, void *);             \
		va_end(ap);                           \
		return answer(fd, request, arg);      \
	}

#endif
