// SPDX-License-Identifier: Apache-2.0
/*
 * A job for the reference host's own test (selftest.sh), with one argument:
 *   kvm   runs a real-mode guest of a few instructions and checks what it does
 *   work  does a fixed amount of work and prints its nanoseconds by CLOCK_MONOTONIC
 *   dump  prints the variable SELFTEST and copies the file "input" to /out/copy
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define LOAD_GPA 0x1000

/* mov dx, 0x3f8; add al, bl; out dx, al; hlt */
static const uint8_t guest_code[] = { 0xba, 0xf8, 0x03, 0x00, 0xd8, 0xee, 0xf4 };

static int must(int r, const char *what)
{
	if (r < 0)
		err(1, "%s", what);
	return r;
}

static void add_memory(int vm)
{
	void *mem = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.memory_size = 0x2000,
		.userspace_addr = (uintptr_t)mem,
	};

	if (mem == MAP_FAILED)
		err(1, "mmap");
	memcpy((char *)mem + LOAD_GPA, guest_code, sizeof(guest_code));
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region),
		"KVM_SET_USER_MEMORY_REGION");
}

static void set_registers(int vcpu)
{
	struct kvm_regs regs = { .rip = LOAD_GPA, .rax = 2, .rbx = 3, .rflags = 2 };
	struct kvm_sregs sregs;

	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static int run_kvm(void)
{
	int kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	int vcpu,
		size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
			"KVM_GET_VCPU_MMAP_SIZE");
	struct kvm_run *run;

	add_memory(vm);
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap of the vcpu");
	set_registers(vcpu);
	must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x3f8 ||
		*((uint8_t *)run + run->io.data_offset) != 5)
		errx(1, "wanted 5 on port 0x3f8, exit reason is %u", run->exit_reason);
	must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_HLT)
		errx(1, "wanted hlt, exit reason is %u", run->exit_reason);
	puts("kvm works");
	return 0;
}

static int run_work(void)
{
	struct timespec from, to;
	volatile uint64_t sum = 0;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint64_t i = 0; i < 2000000; i++)
		sum += i;
	for (int i = 0; i < 64; i++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		memset(p, i, 1 << 20);
		munmap(p, 1 << 20);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%lld\n",
		(to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
	return 0;
}

static int run_dump(void)
{
	FILE *in = fopen("input", "r"), *out = fopen("/out/copy", "w");
	int c;

	if (!in || !out)
		err(1, "input or /out/copy");
	while ((c = getc(in)) != EOF)
		putc(c, out);
	printf("SELFTEST is '%s'\n", getenv("SELFTEST"));
	return fclose(out) ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "kvm") == 0)
		return run_kvm();
	if (argc == 2 && strcmp(argv[1], "work") == 0)
		return run_work();
	if (argc == 2 && strcmp(argv[1], "dump") == 0)
		return run_dump();
	errx(2, "usage: selftest kvm|work|dump");
}
