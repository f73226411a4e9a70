/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_kernel: the input is a kernel image. It is loaded both ways into fresh memory of
 * two ranges; the two must agree, and what was accepted must lie inside memory with
 * nothing written below the lowest address.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/base/io.h"
#include "vmm/kernel_image.h"
#include "vmm/x86.h"

#define KERNEL_MIN MIB

enum { COMPARED = 4 * 4096 }; /* bytes at the entry point's page */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct loaded {
	int r;
	struct kernel_image k;
	struct guest_mem *mem;
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct loaded load(int fd, enum kernel_load_how how)
{
	/* Low memory is small, so that the hole is near for what a mutation can reach;
	 * the loader takes the ranges from guest_mem. */
	const struct guest_range ranges[] = {
		{ 0, 32 * MIB },
		{ X86_HOLE_END, 8 * MIB },
	};
	struct loaded l = { .r = 0 };
	struct err e = { "" };

	require(guest_mem_create(ranges, 2, GUEST_PAGES_NONE, &l.mem, &e) == 0);
	l.r = kernel_load(fd, KERNEL_MIN, how, l.mem, &l.k, &e);
	require(l.r == 0 || (e.text[0] != '\0' && strlen(e.text) < sizeof(e.text)));
	return l;
}

static void check(const struct loaded *l)
{
	static uint8_t low[0x9000];
	static const uint8_t zero[sizeof(low)];
	uint8_t byte;

	require(guest_read(l->mem, 0, low, sizeof(low)) == 0);
	require(memcmp(low, zero, sizeof(low)) == 0);
	if (l->r < 0)
		return;
	require(l->k.entry >= KERNEL_MIN && l->k.entry < l->k.end);
	require(guest_read(l->mem, l->k.entry, &byte, 1) == 0);
	require(guest_read(l->mem, l->k.end - 1, &byte, 1) == 0);
	require(l->k.setup_len <= KERNEL_SETUP_MAX);
}

static void compare(const struct loaded *a, const struct loaded *b)
{
	static uint8_t x[COMPARED], y[COMPARED];
	gpa_t at;

	require(a->r == b->r);
	if (a->r < 0)
		return;
	require(a->k.entry == b->k.entry && a->k.end == b->k.end);
	require(a->k.setup_len == b->k.setup_len);
	at = round_down(a->k.entry, PAGE_BYTES);
	if (guest_read(a->mem, at, x, sizeof(x)) < 0)
		return; /* too near to the end of memory */
	require(guest_read(b->mem, at, y, sizeof(y)) == 0);
	require(memcmp(x, y, sizeof(x)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(close_fd) int fd = memfd_create("kernel", MFD_CLOEXEC);
	struct loaded a, b;

	require(fd >= 0 && io_write(fd, data, n) == 0);
	a = load(fd, KERNEL_READ);
	b = load(fd, KERNEL_MAP);
	check(&a);
	check(&b);
	compare(&a, &b);
	guest_mem_destroy(a.mem);
	guest_mem_destroy(b.mem);
	return 0;
}
