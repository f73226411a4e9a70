# SPDX-License-Identifier: Apache-2.0
# Says a line on the console, then resets: husk prints it and exits with status 0.
	.include "tests/guest/guest.inc"
main:
	print "guest: hello"
	reset
