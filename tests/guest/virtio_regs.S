# SPDX-License-Identifier: Apache-2.0
# Reads the identity of the first virtio-mmio device, then writes garbage to each of its
# registers, twice over with other garbage, and kicks queues that are not ready.
	.include "tests/guest/guest.inc"
main:
	mov $0xc0001000, %ebx
	cmpl $0x74726976, 0(%rbx)	# MagicValue "virt"
	jne bad
	cmpl $2, 4(%rbx)		# Version
	jne bad
	cmpl $2, 8(%rbx)		# DeviceID: block
	jne bad
	mov $0xdeadbeef, %eax
	call garbage
	mov $0xffffffff, %eax
	call garbage
	movl $0, 0x70(%rbx)		# Status: reset
	cmpl $0, 0x70(%rbx)
	jne bad
	print "guest: device stands"
	reset
garbage:
	xor %ecx, %ecx
1:	mov %eax, (%rbx,%rcx)
	add $4, %ecx
	cmp $0x200, %ecx
	jne 1b
	ret
bad:
	print "guest: wrong register"
	reset
