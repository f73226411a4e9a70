# SPDX-License-Identifier: Apache-2.0
# Lets the keyboard interrupt, waits until four scan codes were typed, resets.
	.include "tests/guest/guest.inc"
main:
	mov $0x60, %al # the control byte: interrupts of the keyboard
	out %al, $0x64
	mov $0x01, %al
	out %al, $0x60
	print "guest: type"
	mov $4, %cl
1:	in $0x64, %al
	test $1, %al
	jz 1b
	in $0x60, %al
	dec %cl
	jnz 1b
	reset
