# SPDX-License-Identifier: Apache-2.0
# A kernel whose only entry is the PVH note: its entry point in the ELF header is a virtual
# address, as FreeBSD's is. Checks the state that the protocol promises (Xen,
# docs/misc/pvh.pandoc) and says what it was given: command line, module, memory.
	.set start, 0xffffffff80100000
	.globl start

	.section .pvh, "a", @note
	.long 2f - 1f, 4f - 3f, 18	# XEN_ELFNOTE_PHYS32_ENTRY
1:	.asciz "Xen"
2:	.balign 4
3:	.quad pvh_start
4:	.balign 4

	.macro print text
	mov $9f, %esi
	call puts
	jmp 8f
9:	.asciz "\text"
8:
	.endm

	.macro check why # the flags say "equal"
	je 7f
	print "guest: wrong \why\n"
	jmp end
7:
	.endm

	.text
	.code32
pvh_start:
	mov $stack, %esp
	pushf
	pop %eax
	test $0x20300, %eax		# VM, IF and TF are clear
	jz 7f
	print "guest: wrong eflags\n"
	jmp end
7:	mov %cr0, %eax
	cmp $0x11, %eax			# protection, and the bit that is always set
	check "cr0"
	mov %cr4, %eax
	test %eax, %eax
	check "cr4"
	mov $0xc0000080, %ecx
	rdmsr
	test %eax, %eax
	check "efer"
	cmpl $0x336ec578, (%ebx)
	check "magic"
	cmpl $1, 4(%ebx)
	check "version"
	mov 32(%ebx), %eax		# the RSDP
	cmpl $0x20445352, (%eax)	# "RSD "
	check "rsdp"
	print "guest: command line "
	mov 24(%ebx), %esi
	call puts
	print "\n"
	cmpl $0, 12(%ebx)		# modules
	je 1f
	print "guest: module "
	mov 16(%ebx), %eax
	mov (%eax), %esi
	mov 8(%eax), %ecx
	call putn
1:	mov 40(%ebx), %edi		# the memory map
	mov 48(%ebx), %ecx
	xor %edx, %edx
2:	cmpl $1, 16(%edi)		# RAM
	jne 3f
	add 8(%edi), %edx
3:	add $24, %edi
	loop 2b
	shr $20, %edx
	cmp $15, %edx			# 16 MiB without what is reserved below 1 MiB
	check "memory map"
	movl $0x12345678, 0xf00000	# flat, and memory up to there
	cmpl $0x12345678, 0xf00000
	check "memory"
	print "guest: entered by PVH\n"
end:	mov $0xfe, %al			# reset, through the i8042
	out %al, $0x64
1:	hlt
	jmp 1b

puts:	# esi: text that ends with a NUL, to COM1
	mov $0x3f8, %dx
1:	lodsb
	test %al, %al
	jz 2f
	out %al, %dx
	jmp 1b
2:	ret

putn:	# esi: text, ecx: its length, not 0
	mov $0x3f8, %dx
1:	lodsb
	out %al, %dx
	loop 1b
	ret

	.bss
	.balign 16
	.skip 256
stack:
