/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_args: which arguments say that nothing uses the UART, and which the IOAPIC.
 */
#include "vmm/x86/kernel_args.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "vmm/machine/config.h"

static struct kernel_args read_args(const char *args)
{
	struct cmdline c;
	struct err e;

	cr_assert_eq(cmdline_init(&c, args, &e), 0, "%s", e.text);
	return kernel_args_read(&c);
}

Test(kernel_args, the_uart_is_there_unless_its_driver_is_told_of_none)
{
	static const char *const with[] = { "", "console=ttyS0",
		"console=ttyS0,115200n8", "console=uart8250,io,0x3f8",
		"console=uart,io,0x3f8,115200", "console=com", "console=hvc0",
		"earlyprintk", "earlyprintk=serial", "earlycon", "\"console=ttyS0\"",
		"console=\"ttyS0\"", "quiet reboot=k panic=1", "8250.nr_uarts=1",
		"8250.nr_uarts=", "8250.nr_uarts", "8250.nr_uarts=x",
		"8250.nr_uarts=0x", "8250.nr_uarts=01", "x8250.nr_uarts=0",
		"8250.nr_uarts=0 8250.nr_uarts=4", "quiet -- 8250.nr_uarts=0",
		"X=\"a 8250.nr_uarts=0\"" };
	static const char *const without[] = { BOOT_ARGS_DEFAULT, "8250.nr_uarts=0",
		"quiet 8250.nr_uarts=0 panic=1", "\"8250.nr_uarts=0\"",
		"8250.nr_uarts=\"0\"", "8250.nr-uarts=0", "8250.nr_uarts=00",
		"8250.nr_uarts=0x0", "8250.nr_uarts=4 8250.nr_uarts=0",
		"8250.nr_uarts=0 console=hvc0", "8250.nr_uarts=0 -- console=ttyS0",
		"8250.nr_uarts=0 xconsole=ttyS0 X=console=ttyS0" };

	for (size_t i = 0; i < ARRAY_LEN(with); i++)
		cr_expect(!read_args(with[i]).no_com1, "'%s'", with[i]);
	for (size_t i = 0; i < ARRAY_LEN(without); i++)
		cr_expect(read_args(without[i]).no_com1, "'%s'", without[i]);
}

Test(kernel_args, a_serial_console_has_its_uart_without_the_driver)
{
	static const char *const with[] = { "earlyprintk", "earlyprintk=ttyS0",
		"earlyprintk=serial,0x3f8,115200", "earlycon",
		"earlycon=uart8250,io,0x3f8", "console=uart8250,io,0x3f8",
		"console=uart,io,0x3f8", "console=com", "console=ttyS0",
		"\"console=ttyS0,115200\"", "console=\"ttyS0\"" };
	char args[128];

	for (size_t i = 0; i < ARRAY_LEN(with); i++) {
		(void)snprintf(args, sizeof(args), "8250.nr_uarts=0 %s", with[i]);
		cr_expect(!read_args(args).no_com1, "'%s'", args);
		(void)snprintf(args, sizeof(args), "%s 8250.nr_uarts=0", with[i]);
		cr_expect(!read_args(args).no_com1, "'%s'", args);
	}
}

Test(kernel_args, the_ioapic_is_used_unless_an_argument_forbids_it)
{
	static const char *const with[] = { "", BOOT_ARGS_DEFAULT, "noapictimer",
		"nolapic_timer", "apic", "maxcpus=1", "maxcpus", "maxcpus=10",
		"acpi=off", "acpi=noirqs", "acpi", "pci=off", "pci=noacpi,x", "pci",
		"quiet -- noapic", "X=\"a noapic\"" };
	static const char *const without[] = {
		"ro console=ttyS0 noapic reboot=k panic=1 pci=off nomodules", "noapic",
		"\"noapic\"", "noapic=1", "nosmp", "nolapic", "disableapic",
		"maxcpus=0", "maxcpus=\"0\"", "acpi=noirq", "pci=noacpi",
		"noapic acpi=off"
	};

	for (size_t i = 0; i < ARRAY_LEN(with); i++)
		cr_expect(!read_args(with[i]).no_ioapic, "'%s'", with[i]);
	for (size_t i = 0; i < ARRAY_LEN(without); i++)
		cr_expect(read_args(without[i]).no_ioapic, "'%s'", without[i]);
}
