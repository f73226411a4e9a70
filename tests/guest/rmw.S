# Writes a device's register by instructions that read it and write it back, for ever, and
# says so when a write was lost. The device's status register keeps what is written to it.
# SPDX-License-Identifier: Apache-2.0
	.include "tests/guest/guest.inc"
main:
	mov $0xc0001000, %ebx
	print "guest: begins"
1:	movl $0, 0x70(%rbx)
	orl $1, 0x70(%rbx)
	mov 0x70(%rbx), %eax
	cmp $1, %eax
	je 1b
	print "guest: lost a write"
	reset
