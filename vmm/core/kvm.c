/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#define KVM_NEEDS(cap)    \
	{                 \
		cap, #cap \
	}
static const struct {
	uint32_t cap;
	const char *name;
} needed[] = {
	KVM_NEEDS(KVM_CAP_USER_MEMORY),
	KVM_NEEDS(KVM_CAP_IRQCHIP),
	KVM_NEEDS(KVM_CAP_PIT2),
	KVM_NEEDS(KVM_CAP_IRQFD),
	KVM_NEEDS(KVM_CAP_IOEVENTFD),
	KVM_NEEDS(KVM_CAP_IMMEDIATE_EXIT),
	KVM_NEEDS(KVM_CAP_EXT_CPUID),
	KVM_NEEDS(KVM_CAP_SET_TSS_ADDR),
	KVM_NEEDS(KVM_CAP_SET_IDENTITY_MAP_ADDR),
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

static int check_capabilities(const struct kvm *k, const struct kvm_cap_change *change,
	unsigned n, struct err *e)
{
	int version = ioctl(k->dev_fd, KVM_GET_API_VERSION, 0);
	int bytes;

	if (version != KVM_API_VERSION)
		return err_bad(e, "/dev/kvm: API version %d, not %d", version,
			KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (is_asked_for(needed[i].cap, true, change, n) &&
			!has_capability(k, needed[i].cap))
			return err_bad(e, "/dev/kvm: capability %s (%u) is missing",
				needed[i].name, needed[i].cap);
	for (unsigned i = 0; i < n; i++)
		if (is_asked_for(change[i].cap, false, change, n) &&
			!has_capability(k, change[i].cap))
			return err_bad(e,
				"/dev/kvm: capability %u, which is asked for, is missing",
				change[i].cap);
	bytes = ioctl(k->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < (int)sizeof(struct kvm_run))
		return err_bad(e, "/dev/kvm: vCPU area of %d bytes", bytes);
	return bytes;
}

int kvm_open(
	struct kvm *k, const struct kvm_cap_change *change, unsigned n, struct err *e)
{
	int r;

	*k = (struct kvm){ .dev_fd = -1, .vm_fd = -1 };
	k->dev_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->dev_fd < 0)
		return err_sys(e, "cannot open /dev/kvm");
	r = check_capabilities(k, change, n, e);
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

/* A guest that enables interrupts without having set up the 8259s must get none from
 * them: they would come as the exceptions 0 to 15. KVM masks nothing. The first command
 * word clears the mask, so that a guest which does set them up sees no difference. */
static int mask_pics(const struct kvm *k, struct err *e)
{
	/* which lines can be level-triggered (elcr_mask): as KVM has it */
	struct kvm_irqchip master = {
		.chip_id = KVM_IRQCHIP_PIC_MASTER,
		.chip.pic = { .imr = 0xff, .elcr_mask = 0xf8 },
	};
	struct kvm_irqchip slave = {
		.chip_id = KVM_IRQCHIP_PIC_SLAVE,
		.chip.pic = { .imr = 0xff, .elcr_mask = 0xde },
	};

	if (ioctl(k->vm_fd, KVM_SET_IRQCHIP, &master) < 0 ||
		ioctl(k->vm_fd, KVM_SET_IRQCHIP, &slave) < 0)
		return err_sys(e, "KVM_SET_IRQCHIP");
	return 0;
}

/* The flag has KVM serve port 0x61 too, where a guest gates and reads channel 2. */
static int create_pit(const struct kvm *k, struct err *e)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(k->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return err_sys(e, "KVM_CREATE_PIT2");
	return 0;
}

int kvm_create_vm(struct kvm *k, gpa_t scratch, struct err *e)
{
	uint64_t identity = scratch;
	int r;

	do
		k->vm_fd = ioctl(k->dev_fd, KVM_CREATE_VM, 0);
	while (k->vm_fd < 0 && errno == EINTR);
	if (k->vm_fd < 0)
		return err_sys(e, "KVM_CREATE_VM");
	if (ioctl(k->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return err_sys(e, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(k->vm_fd, KVM_SET_TSS_ADDR, identity + PAGE_BYTES) < 0)
		return err_sys(e, "KVM_SET_TSS_ADDR");
	if (ioctl(k->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(e, "KVM_CREATE_IRQCHIP");
	r = mask_pics(k, e);
	return r < 0 ? r : create_pit(k, e);
}

void kvm_disable_counters(const struct kvm *k)
{
	const struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PMU_CAPABILITY,
		.args = { KVM_PMU_CAP_DISABLE },
	};

	(void)ioctl(k->vm_fd, KVM_ENABLE_CAP, &cap);
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

	/* can only fail for a GSI that there is not */
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

int kvm_supported_cpuid(const struct kvm *k, struct kvm_cpuid2 *out, struct err *e)
{
	if (ioctl(k->dev_fd, KVM_GET_SUPPORTED_CPUID, out) < 0)
		return err_sys(e, "KVM_GET_SUPPORTED_CPUID");
	return 0;
}
