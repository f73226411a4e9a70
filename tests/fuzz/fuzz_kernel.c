/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_kernel: the input is a kernel image. It is loaded both ways (KERNEL_READ and
 * KERNEL_MAP) into fresh memory of two ranges. Both must agree, and an image that is
 * accepted must lie inside memory, with nothing written below the lowest address. It is
 * then made ready to boot with the same file as initrd, which must not touch the
 * kernel.
 */
#include <asm/bootparam.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/base/io.h"
#include "vmm/x86/boot.h"

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
	/* Low memory is small, so that mutations of a size or an address reach its end.
	 * The loader takes the ranges from guest_mem. */
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
	require(l->k.start >= KERNEL_MIN && l->k.start < l->k.end);
	require(l->k.protocol == KERNEL_LINUX_64 || l->k.entry <= UINT32_MAX);
}

static void compare(const struct loaded *a, const struct loaded *b)
{
	static uint8_t x[COMPARED], y[COMPARED];
	gpa_t at;

	require(a->r == b->r);
	if (a->r < 0)
		return;
	require(a->k.entry == b->k.entry && a->k.end == b->k.end);
	require(a->k.start == b->k.start && a->k.protocol == b->k.protocol);
	require(a->k.setup_len == b->k.setup_len);
	at = round_down(a->k.entry, PAGE_BYTES);
	if (guest_read(a->mem, at, x, sizeof(x)) < 0)
		return; /* too near to the end of memory */
	require(guest_read(b->mem, at, y, sizeof(y)) == 0);
	require(memcmp(x, y, sizeof(x)) == 0);
}

static uint64_t number(struct guest_mem *mem, gpa_t at, size_t bytes)
{
	uint64_t n = 0;

	require(guest_read(mem, at, &n, bytes) == 0);
	return n;
}

/* The place of the initrd that the boot structures name. */
static gpa_t initrd_of(struct guest_mem *mem, const struct x86_entry *x)
{
	if (!x->is_pvh)
		return number(mem,
			x->params + offsetof(struct boot_params, hdr.ramdisk_image), 4);
	require(number(mem, x->params, 4) == 0x336ec578);
	require(number(mem, x->params + 12, 4) == 1);
	return number(mem, number(mem, x->params + 16, 8), 8);
}

static void boot(int fd, size_t n, const struct kernel_image *k)
{
	const struct boot_plan plan = { .kernel_fd = fd,
		.initrd_fd = fd,
		.kernel_path = "kernel",
		.initrd_path = "initrd",
		.cmdline = "",
		.n_vcpus = 1 };
	struct guest_range ranges[GUEST_RANGES_MAX];
	unsigned n_ranges = boot_layout(32 * MIB, ranges);
	struct err e = { "" };
	struct guest_mem *mem;
	struct x86_entry x;
	gpa_t at;

	require(guest_mem_create(ranges, n_ranges, GUEST_PAGES_NONE, &mem, &e) == 0);
	if (boot_load(&plan, mem, &x, &e) == 0) {
		require(x.rip == k->entry && x.is_pvh == (k->protocol == KERNEL_PVH));
		at = initrd_of(mem, &x);
		require(at >= KERNEL_MIN && at % PAGE_BYTES == 0);
		require(at + n <= k->start || at >= k->end);
		require(at + n - 1 <= k->initrd_max && at + n <= 32 * MIB);
	} else {
		require(e.text[0] != '\0');
	}
	guest_mem_destroy(mem);
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
	if (a.r == 0)
		boot(fd, n, &a.k);
	guest_mem_destroy(a.mem);
	guest_mem_destroy(b.mem);
	return 0;
}
