/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/kvm.h"

#include <sys/ioctl.h>

#include "vmm/x86/layout.h"

static const struct kvm_need needs[] = {
	KVM_NEED(KVM_CAP_IRQCHIP),
	KVM_NEED(KVM_CAP_PIT2),
	KVM_NEED(KVM_CAP_EXT_CPUID),
	KVM_NEED(KVM_CAP_SET_TSS_ADDR),
	KVM_NEED(KVM_CAP_SET_IDENTITY_MAP_ADDR),
	{ 0, NULL },
};

int x86_kvm_open(
	struct kvm *k, const struct kvm_cap_change *change, unsigned n, struct err *e)
{
	return kvm_open(k, needs, change, n, e);
}

/* A guest that enables interrupts without having set up the 8259s must get none from
 * them: they would come as the exceptions 0 to 15. KVM masks nothing. The first command
 * word clears the mask, so that a guest which does set them up sees no difference. */
static int mask_pics(const struct kvm *k, struct err *e)
{
	/* elcr_mask: the lines that can be level-triggered, as KVM has it */
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

/* The flag makes KVM serve port 0x61 as well, where a guest gates and reads channel 2.
 */
static int create_pit(const struct kvm *k, struct err *e)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(k->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return err_sys(e, "KVM_CREATE_PIT2");
	return 0;
}

int x86_kvm_create_vm(struct kvm *k, struct err *e)
{
	uint64_t identity = X86_KVM_SCRATCH_GPA;
	int r = kvm_create_vm(k, e);

	if (r < 0)
		return r;
	if (ioctl(k->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return err_sys(e, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(k->vm_fd, KVM_SET_TSS_ADDR, identity + PAGE_BYTES) < 0)
		return err_sys(e, "KVM_SET_TSS_ADDR");
	if (ioctl(k->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(e, "KVM_CREATE_IRQCHIP");
	r = mask_pics(k, e);
	return r < 0 ? r : create_pit(k, e);
}

void x86_kvm_disable_counters(const struct kvm *k)
{
	const struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PMU_CAPABILITY,
		.args = { KVM_PMU_CAP_DISABLE },
	};

	(void)ioctl(k->vm_fd, KVM_ENABLE_CAP, &cap); /* an old kernel: see the header */
}

int x86_kvm_supported_cpuid(const struct kvm *k, struct kvm_cpuid2 *out, struct err *e)
{
	if (ioctl(k->dev_fd, KVM_GET_SUPPORTED_CPUID, out) < 0)
		return err_sys(e, "KVM_GET_SUPPORTED_CPUID");
	return 0;
}
