# SPDX-License-Identifier: Apache-2.0
# Whether AMD's four old performance counters, which no CPUID bit announces, keep what is
# written to them. Without them KVM ignores the write, or the instruction faults.
	.include "tests/guest/guest.inc"
main:
	lea idt(%rip), %rdi		# vector 13, general protection
	lea skip(%rip), %rax
	mov %ax, 13*16(%rdi)
	movw $0x10, 13*16+2(%rdi)
	movw $0x8e00, 13*16+4(%rdi)
	shr $16, %eax
	mov %ax, 13*16+6(%rdi)
	movw $14*16-1, idtr(%rip)
	mov %rdi, idtr+2(%rip)
	lidt idtr(%rip)
	xor %ebx, %ebx
	mov $0xc0010000, %ecx		# selectors 0 to 3, counters 0 to 3
1:	mov $0x1234, %eax
	xor %edx, %edx
	wrmsr
	xor %eax, %eax
	rdmsr
	or %eax, %ebx
	inc %ecx
	cmp $0xc0010008, %ecx
	jne 1b
	test %ebx, %ebx
	jnz 2f
	print "guest: no counters"
	reset
2:	print "guest: counters"
	reset

skip:	# over the instruction of two bytes that faulted
	xor %eax, %eax
	add $8, %rsp			# the error code
	addq $2, (%rsp)
	iretq

	.bss
	.balign 16
idt:	.skip 14*16
idtr:	.skip 10
