/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_kvm: /dev/kvm, a VM and vCPUs for a machine that starts without KVM. A vCPU ends
 * when it runs. What a test does not answer itself succeeds, and does nothing. One in a
 * process. Failures of its own end the test.
 */
#ifndef HUSK_FAKE_KVM_H
#define HUSK_FAKE_KVM_H

#include <fcntl.h>

#include "tests/unit/fakes/fake_ioctl.h"
#include "vmm/x86/cpuid.h"

enum { FAKE_VCPUS_MAX = 8, FAKE_KVM_VM = -1 };

struct fake_kvm {
	struct cpuid host; /* the CPUID that KVM supports */
	/* The test's answer to an ioctl of a vCPU, by its index, or of /dev/kvm and the
	 * VM, by FAKE_KVM_VM: whether it has one, which is then in *r and errno. Called
	 * on any thread. NULL: none. */
	bool (*answer)(int vcpu, unsigned long request, void *arg, int *r);
	unsigned n_vcpus; /* made since /dev/kvm was opened */
	int vcpu_fd[FAKE_VCPUS_MAX];
};

extern struct fake_kvm fake_kvm;

int fake_kvm_open(const char *path, int flags, mode_t mode);
int fake_kvm_ioctl(int fd, unsigned long request, void *arg);

/* Puts both in the place of the C library's, for the whole test binary. Other files and
 * other ioctls go on to the kernel. */
#define FAKE_KVM                                         \
	int open(const char *path, int flags, ...)       \
	{                                                \
		mode_t mode;                             \
		va_list ap;                              \
                                                         \
		va_start(ap, flags);                     \
		mode = va_arg(ap, mode_t);               \
		va_end(ap);                              \
		return fake_kvm_open(path, flags, mode); \
	}                                                \
	FAKE_IOCTL(fake_kvm_ioctl)

#endif
