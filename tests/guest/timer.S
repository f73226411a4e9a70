# SPDX-License-Identifier: Apache-2.0
# Times one tick by channel 2 of the 8254, gated and read by port 0x61, as kernels measure
# the processor's clock.
	.include "tests/guest/guest.inc"
main:
	in $0x61, %al
	and $0xfc, %al # gate and speaker off
	out %al, $0x61
	mov $0xb0, %al # channel 2, low and high byte, mode 0: up at the end
	out %al, $0x43
	mov $0xff, %al
	out %al, $0x42
	mov $0xff, %al # 55 ms
	out %al, $0x42
	in $0x61, %al
	or $1, %al
	out %al, $0x61
	in $0x61, %al
	test $0x20, %al
	jnz bad # at once: nothing counts
1:	pause
	in $0x61, %al
	test $0x20, %al
	jz 1b
	print "guest: timer"
	reset
bad:
	print "guest: no timer"
	reset
