# SPDX-License-Identifier: Apache-2.0
# Floods the first virtio-blk device with reads, 64 of 4 MiB at a time, each of another
# place of a disk of 64 GiB, and then resets it while they are in flight; again and again.
	.include "tests/guest/guest.inc"
	.equ BATCH, 64
	.equ READ_BYTES, 4 << 20
	.equ DESC, 0x200000
	.equ AVAIL, 0x210000
	.equ USED, 0x220000
	.equ HEADERS, 0x230000		# 16 bytes each
	.equ STATUS, 0x240000
	.equ DATA, 0x400000
main:
	mov $0xc0001000, %ebx
	cmpl $2, 8(%rbx)		# DeviceID: block
	jne bad
	xor %r15, %r15			# the sector that comes next
	print "guest: floods"
again:
	call start_device
	call fill_ring
	movl $0, 0x50(%rbx)		# QueueNotify
	mov $2000000, %ecx
1:	dec %ecx
	jnz 1b
	movl $0, 0x70(%rbx)		# Status: reset
	cmpl $0, 0x70(%rbx)
	jne bad				# the write came back before it was complete
	jmp again

start_device:
	movl $0, 0x70(%rbx)
	movl $1, 0x70(%rbx)		# ACKNOWLEDGE
	movl $3, 0x70(%rbx)		# DRIVER
	movl $1, 0x24(%rbx)		# DriverFeaturesSel
	movl $1, 0x20(%rbx)		# VIRTIO_F_VERSION_1
	movl $11, 0x70(%rbx)		# FEATURES_OK
	movl $0, 0x30(%rbx)		# QueueSel
	movl $256, 0x38(%rbx)		# QueueNum
	movl $DESC, 0x80(%rbx)
	movl $AVAIL, 0x90(%rbx)
	movl $USED, 0xa0(%rbx)
	movl $1, 0x44(%rbx)		# QueueReady
	movl $15, 0x70(%rbx)		# DRIVER_OK
	ret

fill_ring:
	xor %ecx, %ecx			# request
	mov $DESC, %edi
	mov $HEADERS, %esi
1:	movq $0, (%rsi)			# VIRTIO_BLK_T_IN
	mov %r15, 8(%rsi)
	add $(READ_BYTES / 512), %r15
	and $((64 << 30) / 512 - 1), %r15
	mov %rsi, (%rdi)		# header
	movl $16, 8(%rdi)
	movw $1, 12(%rdi)		# NEXT
	lea (%rcx,%rcx,2), %eax
	mov %ax, AVAIL + 4(,%rcx,2)
	inc %eax
	mov %ax, 14(%rdi)
	movq $DATA, 16(%rdi)
	movl $READ_BYTES, 24(%rdi)
	movw $3, 28(%rdi)		# NEXT, WRITE
	inc %eax
	mov %ax, 30(%rdi)
	movq $STATUS, 32(%rdi)
	movl $1, 40(%rdi)
	movw $2, 44(%rdi)		# WRITE
	add $48, %rdi
	add $16, %rsi
	inc %ecx
	cmp $BATCH, %ecx
	jne 1b
	movw $0, AVAIL
	movw $BATCH, AVAIL + 2
	movw $0, USED + 2
	ret
bad:
	print "guest: not reset"
	reset
