/* SPDX-License-Identifier: Apache-2.0
 *
 * acpi: the smallest set of ACPI tables (6.4) from which a distribution's kernel learns
 * what the MP table says too: RSDP, XSDT, FADT, MADT, and a DSDT with the virtio-mmio
 * devices, VMGenID and its event device. The machine is hardware-reduced, unless the
 * plan says that the kernel uses the 8259s, which Linux cannot do on such a machine.
 */
#ifndef HUSK_X86_ACPI_H
#define HUSK_X86_ACPI_H

#include "vmm/core/guest_mem.h"
#include "vmm/x86/boot.h"

/* Writes the tables for the plan's vCPUs and devices at X86_ACPI_GPA, the RSDP first.
 * 0; -EFAULT when memory is too small; -ENOSPC when the tables do not fit into a page.
 */
MUST_CHECK int acpi_write(struct guest_mem *mem, const struct boot_plan *plan);

#endif
