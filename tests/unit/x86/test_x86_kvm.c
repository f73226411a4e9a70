/* SPDX-License-Identifier: Apache-2.0
 *
 * x86_kvm: the interrupt controllers and the timer of a new VM. This file's ioctl
 * stands in for KVM.
 */
#include "vmm/x86/kvm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/unit/fakes/fake_ioctl.h"

enum { CALLS_MAX = 16 };

static unsigned long call[CALLS_MAX];
static unsigned n_calls;
static unsigned long refused; /* fails */
static struct kvm_irqchip pic[2];
static unsigned n_pics;
static struct kvm_pit_config pit;
static struct kvm kvm;
static struct err e;

static int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	(void)fd;
	cr_assert_lt(n_calls, CALLS_MAX);
	call[n_calls++] = request;
	if (request == refused) {
		errno = EBUSY;
		return -1;
	}
	if (request == KVM_CREATE_VM)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (request == KVM_SET_IRQCHIP && n_pics < ARRAY_LEN(pic))
		pic[n_pics] = *(struct kvm_irqchip *)arg;
	n_pics += request == KVM_SET_IRQCHIP;
	if (request == KVM_CREATE_PIT2)
		pit = *(struct kvm_pit_config *)arg;
	return 0;
}

FAKE_IOCTL(kvm_ioctl)

static void set_up(void)
{
	kvm = (struct kvm){ .dev_fd = -1, .vm_fd = -1 };
	n_calls = n_pics = 0;
	refused = 0;
}

static void tear_down(void)
{
	kvm_close(&kvm);
}

TestSuite(x86_kvm, .init = set_up, .fini = tear_down);

static unsigned place_of(unsigned long request)
{
	unsigned i = 0;

	while (i < n_calls && call[i] != request)
		i++;
	cr_assert_lt(i, n_calls, "%#lx was not called", request);
	return i;
}

Test(x86_kvm, both_8259s_begin_with_every_line_masked)
{
	cr_assert_eq(x86_kvm_create_vm(&kvm, &e), 0, "%s", e.text);
	cr_assert_eq(n_pics, 2);
	for (uint32_t i = 0; i < 2; i++) {
		cr_expect_eq(pic[i].chip_id, i);
		cr_expect_eq(pic[i].chip.pic.imr, 0xff);
	}
	/* lines 0 to 2, 8 and 13 are edges on every PC */
	cr_expect_eq(pic[0].chip.pic.elcr_mask, 0xf8);
	cr_expect_eq(pic[1].chip.pic.elcr_mask, 0xde);
	cr_expect_gt(place_of(KVM_SET_IRQCHIP), place_of(KVM_CREATE_IRQCHIP));
}

Test(x86_kvm, there_is_an_8254_with_port_0x61)
{
	cr_assert_eq(x86_kvm_create_vm(&kvm, &e), 0, "%s", e.text);
	cr_assert_eq(pit.flags, KVM_PIT_SPEAKER_DUMMY);
	/* KVM wants its interrupt controllers first */
	cr_assert_gt(place_of(KVM_CREATE_PIT2), place_of(KVM_CREATE_IRQCHIP));
}

Test(x86_kvm, says_what_of_them_fails)
{
	refused = KVM_CREATE_PIT2;
	cr_assert_eq(x86_kvm_create_vm(&kvm, &e), -EBUSY);
	cr_assert_eq(strncmp(e.text, "KVM_CREATE_PIT2: ", 17), 0, "%s", e.text);
	kvm_close(&kvm);
	refused = KVM_SET_IRQCHIP;
	cr_assert_eq(x86_kvm_create_vm(&kvm, &e), -EBUSY);
	cr_assert_eq(strncmp(e.text, "KVM_SET_IRQCHIP: ", 17), 0, "%s", e.text);
}
