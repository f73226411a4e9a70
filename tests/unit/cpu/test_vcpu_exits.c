/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu: pauses while an instruction makes several accesses. This file's ioctl stands in
 * for KVM. Like the kernel's it completes a pending access when it is entered again,
 * whatever immediate_exit says, and looks at immediate_exit only between instructions.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/unit/fakes/await.h"
#include "tests/unit/fakes/fake_ioctl.h"
#include "vmm/base/clock.h"
#include "vmm/cpu/vcpu.h"

enum { RUN_BYTES = 4096, REGISTER = 0xd0000000, ACCESSES = 4, WAIT_MS = 10000 };

static struct err e;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct phases phases;
static struct kvm kvm = { .dev_fd = -1, .vm_fd = -1, .run_bytes = RUN_BYTES };
static struct bus ports, mmio;
static struct vcpu *vcpu;

/* --- KVM and its guest, whose instructions each are read, write, read, write --- */

static struct {
	int fd;
	struct kvm_run *run;
	unsigned at; /* accesses of the instruction that were asked for */
	unsigned wrong; /* writes that are not what was read, and one */
	unsigned told; /* of pauses */
	bool ends; /* atomic: the next access is a triple fault instead */
	uint8_t last;
} fake;

static void ask_access(struct kvm_run *run)
{
	bool is_write = fake.at % 2;

	if (is_write)
		fake.last = (uint8_t)(run->mmio.data[0] + 1);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = REGISTER;
	run->mmio.len = 1;
	run->mmio.is_write = is_write;
	run->mmio.data[0] = is_write ? fake.last : 0;
	fake.at++;
}

static int run_guest(struct kvm_run *run)
{
	fake.at %= ACCESSES;
	if (fake.at == 0 && run->immediate_exit) {
		errno = EINTR;
		return -1;
	}
	if (__atomic_load_n(&fake.ends, __ATOMIC_ACQUIRE))
		run->exit_reason = KVM_EXIT_SHUTDOWN;
	else
		ask_access(run);
	return 0;
}

static int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_CREATE_VCPU:
		return dup(fake.fd);
	case KVM_RUN:
		return run_guest(fake.run);
	case KVM_KVMCLOCK_CTRL:
		fake.told++;
		return 0;
	default:
		return (int)syscall(SYS_ioctl, fd, request, arg);
	}
}

FAKE_IOCTL(kvm_ioctl)

/* --- the device at REGISTER --- */

static uint8_t value;
static unsigned n_accesses, hold_at, n_held, n_let_go, n_ended; /* all atomic */
static enum vcpu_end how_ended;

/* Access number hold_at, counted from 1, does not return until the test allows it. */
static void count_access(void)
{
	add(&n_accesses);
	if (load(&n_accesses) != load(&hold_at))
		return;
	add(&n_held);
	while (load(&n_let_go) < load(&n_held))
		nap();
}

static void read_register(void *self, uint64_t at, void *data, size_t n)
{
	(void)self;
	(void)at;
	count_access();
	memset(data, value, n);
}

static void write_register(void *self, uint64_t at, const void *data, size_t n)
{
	(void)self;
	(void)at;
	(void)n;
	count_access();
	fake.wrong += *(const uint8_t *)data != (uint8_t)(value + 1);
	value = *(const uint8_t *)data;
}

static const struct bus_ops register_ops = {
	.name = "register", .read = read_register, .write = write_register
};

static void on_ended(void *self, enum vcpu_end end, const char *text)
{
	(void)self;
	(void)text;
	how_ended = end;
	add(&n_ended);
}

static void set_up(void)
{
	const struct vcpu_env env = {
		.ports = &ports, .mmio = &mmio, .phases = &phases, .ended = on_ended
	};

	fake.fd = (int)syscall(SYS_memfd_create, "vcpu", 0);
	cr_assert_eq(ftruncate(fake.fd, RUN_BYTES), 0);
	fake.run =
		mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fake.fd, 0);
	cr_assert_neq(fake.run, MAP_FAILED);
	bus_init(&ports, &lock);
	bus_init(&mmio, &lock);
	cr_assert_eq(bus_add(&mmio, REGISTER, 1, &register_ops, NULL, &e), 0);
	cr_assert_eq(vcpu_create(&kvm, 0, &env, &vcpu, &e), 0, "%s", e.text);
}

static void tear_down(void)
{
	vcpu_destroy(vcpu);
	(void)munmap(fake.run, RUN_BYTES);
	close(fake.fd);
}

TestSuite(vcpu_exits, .init = set_up, .fini = tear_down, .timeout = 60);

/* Pauses while the k-th access of an instruction is being served; `then` may change
 * what follows. Before, the vCPU is between two instructions. */
static void pause_in(unsigned k, bool is_new, void (*then)(void))
{
	unsigned before = load(&n_held);

	__atomic_store_n(&hold_at, load(&n_accesses) + k + 1, __ATOMIC_RELEASE);
	if (is_new)
		cr_assert_eq(vcpu_start(vcpu, &e), 0, "%s", e.text);
	vcpu_resume(vcpu);
	await(&n_held, before + 1);
	vcpu_pause(vcpu);
	if (then)
		then();
	add(&n_let_go);
	cr_assert_eq(vcpu_wait_paused(vcpu, clock_us() + WAIT_MS * 1000), 0);
}

Test(vcpu_exits, finishes_an_instruction_of_several_accesses_before_it_pauses)
{
	for (unsigned i = 0; i < 3 * ACCESSES; i++) {
		pause_in(i % ACCESSES, i == 0, NULL);
		cr_assert_eq(load(&n_accesses), (i + 1) * ACCESSES, "access %u", i);
		cr_expect_eq(fake.at, 0);
		cr_expect_eq(value, (uint8_t)((i + 1) * ACCESSES / 2));
		cr_expect_eq(fake.told, i + 1);
	}
	cr_expect_eq(fake.wrong, 0);
	cr_expect_eq(load(&n_ended), 0);
}

Test(vcpu_exits, runs_freely_after_a_pause)
{
	pause_in(1, true, NULL);
	cr_expect_eq(fake.run->immediate_exit, 0);
	vcpu_resume(vcpu);
	await(&n_accesses, 1000);
	vcpu_stop(vcpu);
	cr_expect_eq(fake.wrong, 0);
}

static void end_next(void)
{
	__atomic_store_n(&fake.ends, true, __ATOMIC_RELEASE);
}

Test(vcpu_exits, ends_for_good_by_what_it_finishes)
{
	pause_in(2, true, end_next);
	cr_expect_eq(load(&n_ended), 1);
	cr_expect_eq(how_ended, VCPU_END_TRIPLE_FAULT);
	cr_expect_eq(load(&n_accesses), 3);
	cr_expect_eq(fake.told, 0);
	vcpu_resume(vcpu);
	for (unsigned i = 0; i < 20; i++)
		nap();
	cr_expect_eq(load(&n_ended), 1);
	cr_expect_eq(load(&n_accesses), 3);
}
