# SPDX-License-Identifier: Apache-2.0
# Has the console interrupt, with 8259s that nobody has initialised and without an IDT: what
# came from them would be an exception, and a triple fault. Resets through port 0x92.
	.include "tests/guest/guest.inc"
main:
	mov $0x3f9, %dx
	mov $2, %al # "transmitter empty"
	out %al, %dx
	sti
	mov $0x3fa, %dx
	mov $100, %ecx
1:	in %dx, %al # exits, after each of which an interrupt could come
	loop 1b
	cli
	print "guest: undisturbed"
	mov $1, %al
	out %al, $0x92
7:	hlt
	jmp 7b
