# SPDX-License-Identifier: Apache-2.0
# Empties the receiver of COM1 without looking whether there is a UART, sends a letter as
# soon as that can be, and resets through port 0xcf9.
	.include "tests/guest/guest.inc"
main:
	mov $0x3fd, %dx
1:	in %dx, %al
	test $1, %al # data
	jz 2f
	mov $0x3f8, %dx
	in %dx, %al
	mov $0x3fd, %dx
	jmp 1b
2:	in %dx, %al
	test $0x20, %al # room
	jz 2b
	mov $0x3f8, %dx
	mov $'x', %al
	out %al, %dx
	mov $0xcf9, %dx
	mov $0x02, %al
	out %al, %dx
	mov $0x06, %al
	out %al, %dx
7:	hlt
	jmp 7b
