# SPDX-License-Identifier: Apache-2.0
# Says a line, then sends back each byte that comes, after a '<', and resets at a 'q'.
	.include "tests/guest/guest.inc"
main:
	print "guest: echoes"
1:	mov $0x3fd, %dx # LSR: is there a byte?
	in %dx, %al
	test $1, %al
	jz 1b
	mov $0x3f8, %dx
	in %dx, %al
	mov %al, %cl
	mov $'<', %al
	out %al, %dx
	mov %cl, %al
	out %al, %dx
	cmp $'q', %cl
	jne 1b
	reset
