/* SPDX-License-Identifier: Apache-2.0
 *
 * power: by which accesses a guest ends the machine, and by which it does not.
 */
#include "vmm/legacy/power.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fakes/fake_end.h"
#include "tests/unit/fakes/fake_stream.h"

static struct power dev;
static struct fake_end end;

static void set_up(void)
{
	power_init(&dev, fake_end, &end);
}

TestSuite(power, .init = set_up);

static void put(const struct bus_ops *ops, uint64_t at, uint32_t v, size_t n)
{
	ops->write(&dev, at, &v, n);
}

/* Reads as the bus does: bytes that the device does not set are ones. */
static uint32_t get(const struct bus_ops *ops, uint64_t at, size_t n)
{
	uint32_t v = 0;

	memset(&v, 0xff, n);
	ops->read(&dev, at, &v, n);
	return v;
}

static void expect_end(const char *how)
{
	cr_assert_eq(end.n, 1);
	cr_assert_str_eq(end.how, how);
	end.n = 0;
}

Test(power, resets_when_the_cpu_bit_of_0xcf9_rises)
{
	const struct bus_ops *ops = power_reset_bus_ops();

	/* as Linux does it with reboot=p */
	put(ops, 0, 0x02, 1);
	cr_assert_eq(end.n, 0);
	cr_assert_eq(get(ops, 0, 1), 0x02);
	put(ops, 0, 0x0e, 1);
	expect_end("reset through port 0xcf9");
	put(ops, 0, 0x0e, 1);
	cr_assert_eq(end.n, 0, "it was up already");
	put(ops, 0, 0x00, 1);
	put(ops, 0, 0xf1, 1);
	cr_assert_eq(end.n, 0);
	cr_assert_eq(get(ops, 0, 1), 0, "reserved bits do not stay");
	put(ops, 0, 0x06, 1); /* the value that ACPI names */
	expect_end("reset through port 0xcf9");
}

Test(power, resets_when_bit_0_of_port_0x92_is_set)
{
	const struct bus_ops *ops = power_port_a_bus_ops();

	put(ops, 0, 0xfe, 1);
	cr_assert_eq(end.n, 0);
	put(ops, 0, 0x01, 1);
	expect_end("reset through port 0x92");
}

Test(power, enabling_a20_by_port_0x92_resets_nothing)
{
	const struct bus_ops *ops = power_port_a_bus_ops();

	put(ops, 0, get(ops, 0, 1) | 2, 1);
	cr_assert_eq(end.n, 0);
	cr_assert_eq(get(ops, 0, 1) & 2, 2, "it is on");
}

Test(power, powers_off_by_sleep_control_with_type_s5)
{
	const struct bus_ops *ops = power_acpi_bus_ops();

	put(ops, POWER_SLEEP_STATUS, 0x80, 1); /* clears the wake status */
	put(ops, POWER_SLEEP_CONTROL, POWER_SLEEP_TYPE_S5 << 2, 1);
	cr_assert_eq(end.n, 0, "not enabled");
	put(ops, POWER_SLEEP_CONTROL, 1 << 5 | 1 << 2, 1);
	cr_assert_eq(end.n, 0, "another state");
	put(ops, POWER_SLEEP_CONTROL, 1 << 5 | POWER_SLEEP_TYPE_S5 << 2, 1);
	expect_end("powered off through ACPI");
	cr_assert_eq(get(ops, POWER_SLEEP_STATUS, 1), 0);
}

Test(power, powers_off_by_pm1_control_with_type_s5)
{
	const struct bus_ops *ops = power_acpi_bus_ops();

	put(ops, POWER_PM1_CONTROL, POWER_SLEEP_TYPE_S5 << 10, 2);
	put(ops, POWER_PM1_CONTROL, 1 << 13 | 3 << 10, 2);
	cr_assert_eq(end.n, 0);
	put(ops, POWER_PM1_CONTROL, 1 << 13 | POWER_SLEEP_TYPE_S5 << 10, 2);
	expect_end("powered off through ACPI");
}

Test(power, pm1_is_in_acpi_mode_and_has_no_events)
{
	const struct bus_ops *ops = power_acpi_bus_ops();

	cr_assert_eq(get(ops, POWER_PM1_CONTROL, 2), 1, "SCI_EN");
	put(ops, POWER_PM1_CONTROL, 1 << 13 | 1 << 10, 2);
	cr_assert_eq(get(ops, POWER_PM1_CONTROL, 2), 1 << 10 | 1, "SLP_EN reads as 0");
	put(ops, POWER_PM1_EVENT, 0xffff, 2);
	cr_assert_eq(get(ops, POWER_PM1_EVENT, 2), 0);
	/* Linux reads back whether an event has been enabled */
	put(ops, POWER_PM1_EVENT + 2, 0x0020, 2);
	cr_assert_eq(get(ops, POWER_PM1_EVENT + 2, 2), 0x0020);
}

Test(power, ignores_accesses_of_another_width_or_offset)
{
	const struct bus_ops *ops = power_acpi_bus_ops();
	static const size_t widths[] = { 1, 2, 4 };

	for (size_t i = 0; i < ARRAY_LEN(widths); i++)
		for (uint64_t at = 0; at + widths[i] <= POWER_ACPI_PORTS; at++) {
			size_t n = widths[i];

			if ((at == POWER_PM1_CONTROL && n == 2) ||
				(at == POWER_SLEEP_CONTROL && n == 1))
				continue;
			put(ops, at, UINT32_MAX, n);
			/* type S5 and enable of either register, in every byte */
			put(ops, at, 0x34343434, n);
		}
	cr_assert_eq(end.n, 0);
	cr_assert_eq(get(ops, POWER_PM1_CONTROL, 4), UINT32_MAX);
	cr_assert_eq(get(ops, POWER_PM1_CONTROL, 1), 0xff);
	cr_assert_eq(get(ops, POWER_SLEEP_CONTROL, 2), 0xffff);
}

static int load(struct power *from)
{
	struct fake_stream f;

	(void)!power_snap(from, fake_save(&f));
	return fake_loaded(&f, power_snap(&dev, fake_load(&f)));
}

Test(power, goes_on_where_it_was_saved)
{
	struct power old = {
		.pm1_enable = 0x120, .pm1_control = 0x1401, .reset_control = 0x02
	};

	cr_assert_eq(load(&old), 0);
	cr_assert_eq(get(power_acpi_bus_ops(), POWER_PM1_EVENT + 2, 2), 0x120);
	cr_assert_eq(get(power_acpi_bus_ops(), POWER_PM1_CONTROL, 2), 0x1401);
	put(power_reset_bus_ops(), 0, 0x06, 1);
	expect_end("reset through port 0xcf9");
}

Test(power, refuses_saved_bits_that_cannot_be_set)
{
	struct power sleeps = { .pm1_control = 1 << 13 };
	struct power reserved = { .reset_control = 0x10 };

	cr_assert_eq(load(&sleeps), -EBADMSG);
	cr_assert_eq(load(&reserved), -EBADMSG);
}
