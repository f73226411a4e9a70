/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

/* On any architecture. */
static const struct kvm_need needs[] = {
	KVM_NEED(KVM_CAP_USER_MEMORY),
	KVM_NEED(KVM_CAP_IRQFD),
	KVM_NEED(KVM_CAP_IOEVENTFD),
	KVM_NEED(KVM_CAP_IMMEDIATE_EXIT),
	{ 0, NULL },
};

static bool is_asked_for(
	uint32_t cap, bool by_default, const struct kvm_cap_change *change, unsigned n)
{
	bool asked = by_default;

	for (unsigned i = 0; i < n; i++)
		if (change[i].cap == cap)
			asked = !change[i].drop;
	return asked;
}

static bool has_capability(const struct kvm *k, uint32_t cap)
{
	return ioctl(k->dev_fd, KVM_CHECK_EXTENSION, (unsigned long)cap) > 0;
}

static int check_needs(const struct kvm *k, const struct kvm_need *need,
	const struct kvm_cap_change *change, unsigned n, struct err *e)
{
	for (; need->name; need++)
		if (is_asked_for(need->cap, true, change, n) &&
			!has_capability(k, need->cap))
			return err_bad(e, "/dev/kvm: capability %s (%u) is missing",
				need->name, need->cap);
	return 0;
}

/* Those that the changes add. */
static int check_added(const struct kvm *k, const struct kvm_cap_change *change,
	unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++)
		if (is_asked_for(change[i].cap, false, change, n) &&
			!has_capability(k, change[i].cap))
			return err_bad(e,
				"/dev/kvm: capability %u, which is asked for, is missing",
				change[i].cap);
	return 0;
}

/* How large a vCPU's run area is, or -errno. */
static int read_run_bytes(const struct kvm *k, struct err *e)
{
	int bytes = ioctl(k->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (bytes < (int)sizeof(struct kvm_run))
		return err_bad(e, "/dev/kvm: vCPU area of %d bytes", bytes);
	return bytes;
}

static int check_version(const struct kvm *k, struct err *e)
{
	int version = ioctl(k->dev_fd, KVM_GET_API_VERSION, 0);

	return version == KVM_API_VERSION
		? 0
		: err_bad(e, "/dev/kvm: API version %d, not %d", version,
			  KVM_API_VERSION);
}

int kvm_open(struct kvm *k, const struct kvm_need *arch_needs,
	const struct kvm_cap_change *change, unsigned n, struct err *e)
{
	int r;

	*k = (struct kvm){ .dev_fd = -1, .vm_fd = -1 };
	k->dev_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->dev_fd < 0)
		return err_sys(e, "cannot open /dev/kvm");
	r = check_version(k, e);
	if (r == 0)
		r = check_needs(k, needs, change, n, e);
	if (r == 0)
		r = check_needs(k, arch_needs, change, n, e);
	if (r == 0)
		r = check_added(k, change, n, e);
	if (r == 0)
		r = read_run_bytes(k, e);
	if (r < 0) {
		kvm_close(k);
		return r;
	}
	k->run_bytes = (size_t)r;
	return 0;
}

void kvm_close(struct kvm *k)
{
	close_fd(TAKE_FD(k->vm_fd));
	close_fd(TAKE_FD(k->dev_fd));
}

int kvm_create_vm(struct kvm *k, struct err *e)
{
	do
		k->vm_fd = ioctl(k->dev_fd, KVM_CREATE_VM, 0);
	while (k->vm_fd < 0 && errno == EINTR);
	return k->vm_fd < 0 ? err_sys(e, "KVM_CREATE_VM") : 0;
}

int kvm_set_memory(struct kvm *k, struct guest_mem *mem, bool log_dirty, struct err *e)
{
	for (unsigned i = 0; i < guest_mem_ranges(mem); i++) {
		void *host;
		struct guest_range r = guest_mem_range(mem, i, &host);
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.flags = log_dirty ? KVM_MEM_LOG_DIRTY_PAGES : 0,
			.guest_phys_addr = r.start,
			.memory_size = r.len,
			.userspace_addr = (uintptr_t)host,
		};

		if (ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(e,
				"KVM refuses %llu MiB of guest memory at %#llx",
				(unsigned long long)(r.len / MIB),
				(unsigned long long)r.start);
	}
	return 0;
}

int kvm_add_irqfd(struct kvm *k, int fd, unsigned gsi, struct err *e)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi };

	if (ioctl(k->vm_fd, KVM_IRQFD, &irqfd) < 0)
		return err_sys(e, "KVM_IRQFD for interrupt %u", gsi);
	return 0;
}

void kvm_pulse_irq(const struct kvm *k, unsigned gsi)
{
	struct kvm_irq_level line = { .irq = gsi, .level = 1 };

	/* can only fail for a line that does not exist */
	(void)ioctl(k->vm_fd, KVM_IRQ_LINE, &line);
	line.level = 0;
	(void)ioctl(k->vm_fd, KVM_IRQ_LINE, &line);
}

int kvm_add_ioeventfd(struct kvm *k, int fd, gpa_t addr, uint32_t value, struct err *e)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = value,
		.addr = addr,
		.len = sizeof(value),
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(k->vm_fd, KVM_IOEVENTFD, &ioeventfd) < 0)
		return err_sys(e, "KVM_IOEVENTFD at %#llx", (unsigned long long)addr);
	return 0;
}

int kvm_create_vcpu(struct kvm *k, unsigned index, struct err *e)
{
	int fd = ioctl(k->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);

	return fd < 0 ? err_sys(e, "KVM_CREATE_VCPU %u", index) : fd;
}
