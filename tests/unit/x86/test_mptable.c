/* SPDX-License-Identifier: Apache-2.0
 *
 * mptable: the table as a guest reads it, by byte offsets from the MultiProcessor
 * Specification 1.4, chapter 4, so that nothing is shared with the code under test.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fakes/fake_kernel.h"
#include "tests/unit/fakes/fake_table.h"
#include "vmm/x86/layout.h"
#include "vmm/x86/mptable.h"

static uint8_t at_ebda[KIB];
static const uint8_t *const table = at_ebda + 16;

static void write_table(unsigned n_vcpus)
{
	struct guest_mem *mem = fake_memory(4 * MIB);
	uint8_t copy[16];

	cr_assert_eq(mptable_write(mem, n_vcpus), 0);
	cr_assert_eq(guest_read(mem, X86_EBDA_GPA, at_ebda, sizeof(at_ebda)), 0);
	cr_assert_eq(guest_read(mem, 0, copy, sizeof(copy)), 0);
	cr_assert_arr_eq(copy, at_ebda, sizeof(copy));
	guest_mem_destroy(mem);
}

/* The i-th entry of a type, or NULL. */
static const uint8_t *entry(unsigned type, unsigned i)
{
	const uint8_t *p = table + 44, *end = table + le(table + 4, 2);

	for (; p < end; p += *p == 0 ? 20 : 8)
		if (*p == type && i-- == 0)
			return p;
	cr_assert_eq(p, end, "entries and length disagree");
	return NULL;
}

static unsigned count(unsigned type)
{
	unsigned n = 0;

	while (entry(type, n))
		n++;
	return n;
}

Test(mptable, every_sum_is_zero_and_all_is_in_the_first_kib_for_1_to_32_vcpus)
{
	for (unsigned n = 1; n <= 32; n++) {
		write_table(n);
		cr_assert_arr_eq(at_ebda, "_MP_", 4);
		cr_assert_eq(le(at_ebda + 4, 4), 0x9fc10);
		cr_assert_eq(at_ebda[8], 1);
		cr_assert_eq(at_ebda[9], 4);
		cr_assert_eq(sum(at_ebda, 16), 0);
		cr_assert_arr_eq(table, "PCMP", 4);
		cr_assert_leq(16 + le(table + 4, 2), 1024);
		cr_assert_eq(table[6], 4);
		cr_assert_eq(sum(table, le(table + 4, 2)), 0);
		cr_assert_eq(le(table + 36, 4), 0xfee00000);
	}
}

Test(mptable, has_a_processor_for_each_vcpu_and_the_first_one_boots)
{
	for (unsigned n = 1; n <= 32; n++) {
		write_table(n);
		cr_assert_eq(count(0), n);
		for (unsigned i = 0; i < n; i++) {
			cr_assert_eq(entry(0, i)[1], i);
			cr_assert_eq(entry(0, i)[3], i == 0 ? 3 : 1);
		}
		cr_assert_eq(le(table + 34, 2),
			count(0) + count(1) + count(2) + count(3) + count(4));
	}
}

Test(mptable, has_one_isa_bus)
{
	write_table(2);
	cr_assert_eq(count(1), 1);
	cr_assert_eq(entry(1, 0)[1], 0);
	cr_assert_arr_eq(entry(1, 0) + 2, "ISA   ", 6);
}

Test(mptable, has_one_ioapic_whose_id_is_no_processors)
{
	write_table(32);
	cr_assert_eq(count(2), 1);
	cr_assert_eq(entry(2, 0)[1], 32);
	cr_assert_eq(entry(2, 0)[3], 1);
	cr_assert_eq(le(entry(2, 0) + 4, 4), 0xfec00000);
}

Test(mptable, each_of_24_lines_goes_to_its_own_pin)
{
	write_table(3);
	cr_assert_eq(count(3), 24);
	for (unsigned i = 0; i < 24; i++) {
		const uint8_t expected[8] = { 3, 0, 0, 0, 0, (uint8_t)i, 3,
			(uint8_t)i };

		cr_assert_arr_eq(entry(3, i), expected, 8);
	}
}

Test(mptable, external_interrupts_come_at_lint0_and_nmi_at_lint1)
{
	const uint8_t ext[8] = { 4, 3, 0, 0, 0, 0, 0, 0 };
	const uint8_t nmi[8] = { 4, 1, 0, 0, 0, 0, 0xff, 1 };

	write_table(1);
	cr_assert_eq(count(4), 2);
	cr_assert_arr_eq(entry(4, 0), ext, 8);
	cr_assert_arr_eq(entry(4, 1), nmi, 8);
}

Test(mptable, refuses_memory_without_an_ebda)
{
	struct guest_mem *mem = fake_memory(512 * KIB);

	cr_assert_eq(mptable_write(mem, 1), -EFAULT);
	guest_mem_destroy(mem);
}
