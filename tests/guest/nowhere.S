# SPDX-License-Identifier: Apache-2.0
# Reads and writes ports and addresses where nothing is: ones come back, nothing breaks.
	.include "tests/guest/guest.inc"
main:
	mov $0x1234, %dx
	in %dx, %al
	cmp $0xff, %al
	jne bad
	out %al, %dx
	mov $0xd0000000, %ebx
	mov (%rbx), %eax
	cmp $0xffffffff, %eax
	jne bad
	mov %eax, (%rbx)
	print "guest: nothing there"
	reset
bad:
	print "guest: something is there"
	reset
