# SPDX-License-Identifier: Apache-2.0
# Faults with no table to handle it: a triple fault, which is no reset.
	.include "tests/guest/guest.inc"
main:
	lidt null(%rip)
	ud2
null:	.word 0
	.quad 0
