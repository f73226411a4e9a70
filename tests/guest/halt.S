# SPDX-License-Identifier: Apache-2.0
# Says a line and halts for good: interrupts are off.
	.include "tests/guest/guest.inc"
main:
	print "guest: halting"
1:	hlt
	jmp 1b
