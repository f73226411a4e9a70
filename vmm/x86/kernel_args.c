/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_args: see the header. Names and meanings of arguments are those of Linux'
 * Documentation/admin-guide/kernel-parameters.txt.
 */
#include "vmm/x86/kernel_args.h"

#include <string.h>

/* As kstrtouint reads it, in any base: "0", "00", "0x0". */
static bool is_zero(const struct cmdline_arg *a)
{
	const char *v = a->value;
	size_t n = a->value_len;

	if (!v || n == 0)
		return false;
	if (n > 2 && v[0] == '0' && (v[1] == 'x' || v[1] == 'X')) {
		v += 2;
		n -= 2;
	}
	for (size_t i = 0; i < n; i++)
		if (v[i] != '0')
			return false;
	return true;
}

static bool starts_with(const struct cmdline_arg *a, const char *text)
{
	size_t n = strlen(text);

	return a->value && a->value_len >= n && memcmp(a->value, text, n) == 0;
}

static bool is_serial_console(const struct cmdline_arg *a)
{
	return cmdline_arg_is(a, "earlyprintk") || cmdline_arg_is(a, "earlycon") ||
		(cmdline_arg_is(a, "console") &&
			(starts_with(a, "ttyS") || starts_with(a, "uart") ||
				starts_with(a, "com")));
}

/* "nosmp" and "maxcpus=0" disable the IOAPIC too (arch_disable_smp_support). An IOAPIC
 * cannot be used without local APICs, and Linux uses the one that ACPI names only with
 * ACPI's interrupts. */
static bool disables_ioapic(const struct cmdline_arg *a)
{
	return cmdline_arg_is(a, "noapic") || cmdline_arg_is(a, "nosmp") ||
		cmdline_arg_is(a, "nolapic") || cmdline_arg_is(a, "disableapic") ||
		(cmdline_arg_is(a, "maxcpus") && is_zero(a)) ||
		(cmdline_arg_is(a, "acpi") && cmdline_value_is(a, "noirq")) ||
		(cmdline_arg_is(a, "pci") && cmdline_value_is(a, "noacpi"));
}

struct kernel_args kernel_args_read(const struct cmdline *c)
{
	bool has_console = false, has_ports = true;
	struct kernel_args k = { .no_ioapic = false };
	struct cmdline_arg a;
	size_t at = 0;

	while (cmdline_next(c, &at, &a)) {
		has_console |= is_serial_console(&a);
		if (cmdline_arg_is(&a, "8250.nr_uarts")) /* the last one counts */
			has_ports = !is_zero(&a);
		k.no_ioapic |= disables_ioapic(&a);
	}
	k.no_com1 = !has_ports && !has_console;
	return k;
}
