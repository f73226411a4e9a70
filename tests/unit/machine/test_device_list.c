/* SPDX-License-Identifier: Apache-2.0
 *
 * device_list: what guests find at the ports of a PC that they touch without asking.
 */
#include "vmm/machine/device_list.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fakes/fake_end.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kvm kvm = { .dev_fd = -1, .vm_fd = -1 };
static struct device_list list;
static struct fake_end end;
static struct err e;

static void set_up(void)
{
	cr_assert_eq(
		device_list_init(&list, &lock, &kvm, NULL, NULL, fake_end, &end, &e), 0,
		"%s", e.text);
}

static void tear_down(void)
{
	device_list_fini(&list);
}

TestSuite(device_list, .init = set_up, .fini = tear_down);

static uint32_t get(uint16_t port, size_t n)
{
	uint32_t v = 0;

	(void)bus_read(&list.ports, port, &v, n);
	return v;
}

static void put(uint16_t port, uint32_t v, size_t n)
{
	(void)bus_write(&list.ports, port, &v, n);
}

static void expect_end(uint16_t port, uint32_t v, size_t n, const char *how)
{
	end.n = 0;
	put(port, v, n);
	cr_assert_eq(end.n, 1, "port %#x", port);
	cr_assert_str_eq(end.how, how);
}

Test(device_list, every_way_to_reset_or_power_off_ends_the_machine)
{
	expect_end(0x64, 0xfe, 1, "reset through the i8042");
	expect_end(0xcf9, 0x06, 1, "reset through port 0xcf9");
	expect_end(0x92, 0x01, 1, "reset through port 0x92");
	expect_end(0x606, 0x34, 1, "powered off through ACPI");
	expect_end(0x604, 0x3400, 2, "powered off through ACPI");
}

Test(device_list, a_clock_is_never_about_to_change_for_ever)
{
	unsigned tries = 0;

	put(0x70, 0x0a, 1);
	while (get(0x71, 1) & 0x80)
		cr_assert_lt(tries++, 100000000u);
	put(0x70, 0x0d, 1);
	cr_assert_eq(get(0x71, 1), 0x80, "its time is valid");
}

/* As a driver does it that does not look whether there is a UART. */
static void expect_no_data(uint16_t base)
{
	cr_expect_eq(get(base + 5, 1) & 0x01, 0, "%#x: nothing to drain", base);
	cr_expect_eq(get(base + 5, 1) & 0x20, 0x20, "%#x: it can send", base);
}

Test(device_list, serial_ports_without_a_uart_hold_up_no_driver)
{
	static const uint16_t base[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };

	cr_assert_eq(device_list_add_no_uarts(&list, &e), 0, "%s", e.text);
	for (size_t i = 0; i < ARRAY_LEN(base); i++) {
		expect_no_data(base[i]);
		/* Linux and others look for bits that cannot be cleared */
		put(base[i] + 1, 0, 1);
		cr_expect_eq(get(base[i] + 1, 1), 0xff, "%#x: no UART", base[i]);
		put(base[i] + 5, 0, 1);
		expect_no_data(base[i]);
	}
}

Test(device_list, there_is_no_pci)
{
	put(0xcf8, 0x80000000, 4);
	cr_assert_eq(get(0xcf8, 4), UINT32_MAX);
	cr_assert_eq(get(0xcfc, 4), UINT32_MAX);
	cr_assert_eq(get(0xcf8, 2), 0xffff, "which reaches over port 0xcf9");
	put(0xcf8, 0xffff, 2);
	cr_assert_eq(end.n, 0);
}
