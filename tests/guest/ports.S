# SPDX-License-Identifier: Apache-2.0
# Touches the ports of a PC that kernels touch without asking, where one that waited for
# what it reads would wait for ever; then powers off as hardware-reduced ACPI says.
	.include "tests/guest/guest.inc"

	.macro read port
	mov $\port, %dx
	in %dx, %al
	.endm

	.macro clock register
	mov $\register, %al
	out %al, $0x70
	in $0x71, %al
	.endm
main:
1:	clock 0x0a # until it is not about to change
	test $0x80, %al
	jnz 1b
	clock 0x0d
	test $0x80, %al # its time is valid
	jz bad
	.irp base, 0x2f8, 0x3e8, 0x2e8 # no UART: nothing to drain, and it can send
	read \base+5
	and $0x21, %al
	cmp $0x20, %al
	jne bad
	.endr
	in $0x92, %al # A20, as boot loaders turn it on
	or $2, %al
	out %al, $0x92
	mov $0xcf8, %dx # no PCI
	mov $0x80000000, %eax
	out %eax, %dx
	in %dx, %eax
	cmp $0xffffffff, %eax
	jne bad
	out %al, $0x80 # the delay of old
	print "guest: nothing holds it up"
	mov $0x606, %dx
	mov $0x34, %al # type 5, enable
	out %al, %dx
7:	hlt
	jmp 7b
bad:
	print "guest: a port holds it up"
	reset
