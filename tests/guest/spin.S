# SPDX-License-Identifier: Apache-2.0
# Says a line and never ends by itself: for signals.
	.include "tests/guest/guest.inc"
main:
	print "guest: spinning"
1:	pause
	jmp 1b
