/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_kvm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

/* Of a vCPU: its struct kvm_run, and what KVM puts behind that. */
enum { RUN_BYTES = 3 * 4096 };

struct fake_kvm fake_kvm;

/* Mapped, when it is a vCPU's. */
static int new_fd(void)
{
	int fd = (int)syscall(SYS_memfd_create, "kvm", 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, RUN_BYTES), 0);
	return fd;
}

int fake_kvm_open(const char *path, int flags, mode_t mode)
{
	if (strcmp(path, "/dev/kvm") != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	fake_kvm.n_vcpus = 0;
	return new_fd();
}

static int new_vcpu(void)
{
	cr_assert_lt(fake_kvm.n_vcpus, FAKE_VCPUS_MAX);
	return fake_kvm.vcpu_fd[fake_kvm.n_vcpus++] = new_fd();
}

static int vm_ioctl(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CHECK_EXTENSION:
		return 1;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_BYTES;
	case KVM_CREATE_VM:
		return new_fd();
	case KVM_CREATE_VCPU:
		return new_vcpu();
	case KVM_GET_SUPPORTED_CPUID:
		*(struct cpuid *)arg = fake_kvm.host;
		return 0;
	default:
		return 0;
	}
}

static int vcpu_ioctl(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_RUN:
		errno = EIO;
		return -1;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_GET_LAPIC:
		memset(arg, 0, sizeof(struct kvm_lapic_state));
		return 0;
	case KVM_SET_MSRS:
		return (int)((struct kvm_msrs *)arg)->nmsrs;
	default:
		return 0;
	}
}

static int find_vcpu(int fd)
{
	for (unsigned i = 0; i < fake_kvm.n_vcpus; i++)
		if (fd == fake_kvm.vcpu_fd[i])
			return (int)i;
	return FAKE_KVM_VM;
}

int fake_kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int vcpu, r;

	if (_IOC_TYPE(request) != KVMIO)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	vcpu = find_vcpu(fd);
	if (fake_kvm.answer && fake_kvm.answer(vcpu, request, arg, &r))
		return r;
	return vcpu == FAKE_KVM_VM ? vm_ioctl(request, arg) : vcpu_ioctl(request, arg);
}
