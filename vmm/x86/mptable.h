/* SPDX-License-Identifier: Apache-2.0
 *
 * mptable: the Intel MultiProcessor table (specification 1.4) with the CPUs, one ISA
 * bus, one IOAPIC and the interrupt lines: all that a kernel without ACPI needs.
 */
#ifndef HUSK_X86_MPTABLE_H
#define HUSK_X86_MPTABLE_H

#include "vmm/core/guest_mem.h"

/* Writes the table for n_vcpus vCPUs (1 to VCPUS_MAX) at X86_MPTABLE_GPA, its floating
 * pointer first, and a copy of that pointer at address 0, where Linux looks first. The
 * vCPUs have APIC ids 0 to n_vcpus - 1, the IOAPIC has n_vcpus. 0, or -EFAULT when
 * memory is too small. */
MUST_CHECK int mptable_write(struct guest_mem *mem, unsigned n_vcpus);

#endif
