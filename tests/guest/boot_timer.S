# SPDX-License-Identifier: Apache-2.0
# Writes the boot timer as an init does, by MMIO, then resets.
	.include "tests/guest/guest.inc"
main:
	mov $0xc0000000, %ebx
	movb $123, (%rbx)
	reset
