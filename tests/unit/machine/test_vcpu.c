/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu: a vCPU taken out of the guest, made to wait, let go on and stopped, under
 * guests of a few instructions that tell a device what they saw: no access is
 * lost or made twice. Skipped, but for the first test, where /dev/kvm does not open.
 */
#include "vmm/base/clock.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/x86/kvm.h"
#include "vmm/x86/vcpu_state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "tests/unit/fakes/await.h"

enum { PORT = 0x80, CODE_GPA = 0x1000, WAIT_MS = 20000 };

/* The device at PORT and PORT + 1. What it counts is read while the vCPU runs. */
struct gauge {
	unsigned accesses; /* atomic, as is wrong */
	unsigned wrong; /* writes that are not what they have to be */
	uint8_t next; /* what a write has to be, or a read gives */
	bool asked; /* atomic: what reads give when it is no count */
	bool counts; /* reads give a count, and writes have to say it */
};

static struct err e;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct phases phases;
static struct kvm kvm = { .dev_fd = -1, .vm_fd = -1 };
static struct guest_mem *mem;
static struct bus ports, mmio;
static struct gauge gauge;
static struct vcpu *vcpu;
static unsigned n_ended; /* atomic */
static enum vcpu_end how_ended;

static void gauge_read(void *self, uint64_t at, void *data, size_t n)
{
	struct gauge *g = self;

	(void)at;
	memset(data, g->counts ? g->next : __atomic_load_n(&g->asked, __ATOMIC_ACQUIRE),
		n);
	__atomic_fetch_add(&g->accesses, 1, __ATOMIC_RELEASE);
}

static void gauge_write(void *self, uint64_t at, const void *data, size_t n)
{
	struct gauge *g = self;

	(void)at;
	(void)n;
	if (*(const uint8_t *)data != g->next++)
		__atomic_fetch_add(&g->wrong, 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&g->accesses, 1, __ATOMIC_RELEASE);
}

static const struct bus_ops gauge_ops = {
	.name = "gauge", .read = gauge_read, .write = gauge_write
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
	const struct guest_range range = { 0, 1 << 20 };

	if (x86_kvm_open(&kvm, NULL, 0, &e) < 0)
		cr_skip_test("%s", e.text);
	cr_assert_eq(x86_kvm_create_vm(&kvm, &e), 0, "%s", e.text);
	cr_assert_eq(guest_mem_create(&range, 1, GUEST_PAGES_NONE, &mem, &e), 0);
	cr_assert_eq(kvm_set_memory(&kvm, mem, false, &e), 0, "%s", e.text);
	bus_init(&ports, &lock);
	bus_init(&mmio, &lock);
	cr_assert_eq(bus_add(&ports, PORT, 2, &gauge_ops, &gauge, &e), 0);
}

static void tear_down(void)
{
	vcpu_destroy(vcpu);
	kvm_close(&kvm);
	guest_mem_destroy(mem);
}

TestSuite(vcpu, .init = set_up, .fini = tear_down, .timeout = 120);

/* Starts a vCPU with this code, in protected mode with flat segments. */
static void run(const void *code, size_t n)
{
	const struct kvm_segment code_segment = { .limit = UINT32_MAX,
		.selector = 8,
		.type = 11,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1 };
	const struct kvm_segment data_segment = { .limit = UINT32_MAX,
		.selector = 16,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1 };
	const struct vcpu_env env = {
		.ports = &ports, .mmio = &mmio, .phases = &phases, .ended = on_ended
	};
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2 };
	struct kvm_sregs s;

	cr_assert_eq(guest_write(mem, CODE_GPA, code, n), 0);
	cr_assert_eq(vcpu_create(&kvm, 0, &env, &vcpu, &e), 0, "%s", e.text);
	cr_assert_eq(ioctl(vcpu_fd(vcpu), KVM_GET_SREGS, &s), 0);
	s.cs = code_segment;
	s.ds = s.es = s.ss = data_segment;
	s.cr0 |= 1; /* PE */
	s.idt.limit = 0; /* any exception is a triple fault */
	cr_assert_eq(ioctl(vcpu_fd(vcpu), KVM_SET_SREGS, &s), 0);
	cr_assert_eq(ioctl(vcpu_fd(vcpu), KVM_SET_REGS, &regs), 0);
	cr_assert_eq(vcpu_start(vcpu, &e), 0, "%s", e.text);
	vcpu_resume(vcpu);
}
#define RUN(code) run(code, sizeof(code))

/* Says 0, 1, 2 ... to PORT: "1: out %al, $0x80; inc %al; jmp 1b". */
static const uint8_t says_numbers[] = { 0xe6, 0x80, 0xfe, 0xc0, 0xeb, 0xfa };
/* Says what it reads: "1: in $0x80, %al; out %al, $0x81; jmp 1b". */
static const uint8_t says_what_it_reads[] = { 0xe4, 0x80, 0xe6, 0x81, 0xeb, 0xfa };
/* Says 0 and spins: "out %al, $0x80; 1: jmp 1b". */
static const uint8_t spins[] = { 0xe6, 0x80, 0xeb, 0xfe };
/* Says 0 and waits for an interrupt that never comes. */
static const uint8_t halts[] = { 0xe6, 0x80, 0xf4, 0xeb, 0xfd };
/* Until asked, and then a triple fault:
 * "1: in $0x80, %al; test %al, %al; jz 1b; ud2". */
static const uint8_t ends_when_asked[] = { 0xe4, 0x80, 0x84, 0xc0, 0x74, 0xfa, 0x0f,
	0x0b };

static void pause_now(void)
{
	vcpu_pause(vcpu);
	cr_assert_eq(vcpu_wait_paused(vcpu, clock_us() + WAIT_MS * 1000), 0);
}

/* It stands still: nothing is counted any more. */
static void expect_still(void)
{
	unsigned n = load(&gauge.accesses);

	for (int i = 0; i < 20; i++)
		nap();
	cr_expect_eq(load(&gauge.accesses), n);
}

Test(vcpu_without_kvm, is_not_created_without_a_vm)
{
	const struct vcpu_env env = { .ended = on_ended };
	struct kvm none = { .dev_fd = -1, .vm_fd = -1 };

	cr_expect_eq(vcpu_create(&none, 0, &env, &vcpu, &e), -EBADF);
	cr_expect(strstr(e.text, "KVM_CREATE_VCPU"), "%s", e.text);
	cr_expect_null(vcpu);
	vcpu_destroy(NULL);
}

Test(vcpu, pauses_and_goes_on)
{
	RUN(says_numbers);
	await(&gauge.accesses, 3);
	pause_now();
	expect_still();
	vcpu_resume(vcpu);
	await(&gauge.accesses, load(&gauge.accesses) + 3);
	cr_expect_eq(load(&gauge.wrong), 0);
}

Test(vcpu, pauses_what_spins)
{
	RUN(spins);
	await(&gauge.accesses, 1);
	pause_now();
	vcpu_resume(vcpu);
	pause_now();
	cr_expect_eq(load(&gauge.accesses), 1);
}

Test(vcpu, pauses_what_halts)
{
	RUN(halts);
	await(&gauge.accesses, 1);
	pause_now();
	vcpu_resume(vcpu);
	pause_now();
	cr_expect_eq(load(&gauge.accesses), 1);
}

Test(vcpu, pauses_twice_and_resumes_twice)
{
	RUN(says_numbers);
	await(&gauge.accesses, 1);
	pause_now();
	pause_now();
	expect_still();
	vcpu_resume(vcpu);
	vcpu_resume(vcpu);
	await(&gauge.accesses, load(&gauge.accesses) + 3);
	cr_expect_eq(load(&gauge.wrong), 0);
}

Test(vcpu, says_when_it_does_not_pause_in_time)
{
	RUN(says_numbers);
	await(&gauge.accesses, 1);
	pthread_mutex_lock(&lock); /* its next access waits for this */
	vcpu_pause(vcpu);
	if (vcpu_wait_paused(vcpu, clock_us() + 50000) ==
		0) { /* it was between two accesses */
		vcpu_resume(vcpu);
		for (int i = 0; i < 100; i++)
			nap();
		vcpu_pause(vcpu);
		cr_expect_eq(vcpu_wait_paused(vcpu, clock_us() + 50000), -ETIMEDOUT);
	}
	pthread_mutex_unlock(&lock);
	cr_expect_eq(vcpu_wait_paused(vcpu, clock_us() + WAIT_MS * 1000), 0);
	cr_expect_eq(load(&gauge.wrong), 0);
}

/* The boot state with which a vCPU begins. */
static void get_boot_state(
	struct x86_entry entry, struct kvm_regs *regs, struct kvm_sregs *s)
{
	const struct vcpu_env env = { .ended = on_ended };

	cr_assert_eq(vcpu_create(&kvm, 0, &env, &vcpu, &e), 0, "%s", e.text);
	cr_assert_eq(vcpu_state_set_boot(vcpu_fd(vcpu), &entry, &e), 0, "%s", e.text);
	cr_assert_eq(ioctl(vcpu_fd(vcpu), KVM_GET_REGS, regs), 0);
	cr_assert_eq(ioctl(vcpu_fd(vcpu), KVM_GET_SREGS, s), 0);
}

static void expect_flat(const struct kvm_segment *s, unsigned type, bool l, bool db)
{
	cr_expect(s->base == 0 && s->limit == UINT32_MAX && s->present && s->s && s->g);
	cr_expect(s->type == type && s->l == l && s->db == db && s->dpl == 0);
}

Test(vcpu, begins_linux_in_long_mode_with_the_zero_page)
{
	struct kvm_regs regs;
	struct kvm_sregs s;

	get_boot_state(
		(struct x86_entry){ .rip = 0x1234567, .params = 0x7000 }, &regs, &s);
	cr_expect(regs.rip == 0x1234567 && regs.rsi == 0x7000 && regs.rflags == 2);
	cr_expect(s.cr0 == 0x80000011 && s.cr4 == 0x20 && s.efer == 0x500);
	cr_expect_eq(s.cr3, X86_PML4_GPA);
	expect_flat(&s.cs, 11, true, false);
	expect_flat(&s.ss, 3, false, true);
}

/* Xen, docs/misc/pvh.pandoc. */
Test(vcpu, begins_pvh_in_protected_mode_without_paging)
{
	struct kvm_regs regs;
	struct kvm_sregs s;

	get_boot_state(
		(struct x86_entry){
			.is_pvh = true, .rip = 0x1234567, .params = 0x6000 },
		&regs, &s);
	cr_expect(regs.rip == 0x1234567 && regs.rbx == 0x6000 && regs.rflags == 2);
	cr_expect(s.cr0 == 0x11 && s.cr4 == 0 && s.efer == 0);
	expect_flat(&s.cs, 11, false, true);
	expect_flat(&s.ds, 3, false, true);
	expect_flat(&s.es, 3, false, true);
	expect_flat(&s.ss, 3, false, true);
	cr_expect(s.tr.base == 0 && s.tr.limit == 0x67 && s.tr.type == 11);
}

Test(vcpu, waits_for_its_first_order_before_it_runs)
{
	const struct vcpu_env env = {
		.ports = &ports, .mmio = &mmio, .phases = &phases, .ended = on_ended
	};

	cr_assert_eq(vcpu_create(&kvm, 0, &env, &vcpu, &e), 0, "%s", e.text);
	cr_assert_eq(vcpu_start(vcpu, &e), 0, "%s", e.text);
	cr_assert_eq(vcpu_wait_ready(vcpu, &e), 0, "%s", e.text);
	cr_expect_eq(phase_us(&phases, PHASE_FIRST_RUN), 0);
	vcpu_stop(vcpu);
	cr_expect_eq(phase_us(&phases, PHASE_FIRST_RUN), 0);
	cr_expect_eq(load(&n_ended), 0);
}

Test(vcpu, is_paused_from_its_first_instruction_on)
{
	RUN(says_numbers);
	pause_now(); /* its thread may not even run yet */
	expect_still();
	vcpu_resume(vcpu);
	await(&gauge.accesses, 3);
	cr_expect_eq(load(&gauge.wrong), 0);
}

/* The sequence of what the guest says shows any access that a pause cut or repeated. */
static void pause_often(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		pause_now();
		vcpu_resume(vcpu);
	}
	await(&gauge.accesses, load(&gauge.accesses) + 3);
	cr_expect_eq(load(&gauge.wrong), 0);
	cr_expect_eq(load(&n_ended), 0);
}

Test(vcpu, survives_a_thousand_pauses_of_what_writes)
{
	RUN(says_numbers);
	pause_often(1000);
}

Test(vcpu, survives_a_thousand_pauses_of_what_reads)
{
	gauge.counts = true;
	RUN(says_what_it_reads);
	pause_often(1000);
}

Test(vcpu, survives_pauses_that_nobody_waits_for)
{
	RUN(says_numbers);
	for (int i = 0; i < 1000; i++) {
		vcpu_pause(vcpu);
		vcpu_resume(vcpu);
	}
	await(&gauge.accesses, load(&gauge.accesses) + 3);
	cr_expect_eq(load(&gauge.wrong), 0);
}

Test(vcpu, has_finished_the_access_that_it_paused_in)
{
	struct kvm_regs regs;

	RUN(says_numbers);
	for (int i = 0; i < 20; i++) {
		pause_now();
		cr_assert_eq(ioctl(vcpu_fd(vcpu), KVM_GET_REGS, &regs), 0);
		/* at the write, al is what comes next; after it, one less */
		cr_expect_eq((regs.rax + (regs.rip == CODE_GPA + 2)) & 0xff, gauge.next,
			"at %#llx", (unsigned long long)regs.rip);
		vcpu_resume(vcpu);
	}
}

Test(vcpu, stops_while_it_runs)
{
	RUN(says_numbers);
	await(&gauge.accesses, 1);
	vcpu_stop(vcpu);
	expect_still();
	vcpu_stop(vcpu); /* once more is fine */
	cr_expect_eq(load(&n_ended), 0);
}

Test(vcpu, stops_while_it_is_paused)
{
	RUN(says_numbers);
	pause_now();
	vcpu_stop(vcpu);
	expect_still();
	cr_expect_eq(load(&n_ended), 0);
}

Test(vcpu, stops_on_its_way_to_a_pause)
{
	RUN(says_numbers);
	vcpu_pause(vcpu);
	vcpu_stop(vcpu);
	expect_still();
}

Test(vcpu, ends_by_itself_once_and_counts_as_paused)
{
	RUN(ends_when_asked);
	await(&gauge.accesses, 1);
	__atomic_store_n(&gauge.asked, true, __ATOMIC_RELEASE);
	await(&n_ended, 1);
	cr_expect_eq(how_ended, VCPU_END_TRIPLE_FAULT);
	pause_now();
	vcpu_resume(vcpu);
	pause_now();
	vcpu_stop(vcpu);
	cr_expect_eq(load(&n_ended), 1);
	cr_expect_eq(vcpu_counts(vcpu)->exits[EXIT_SHUTDOWN], 1);
}

Test(vcpu, may_end_while_it_is_to_pause)
{
	for (int i = 0; i < 20; i++) {
		unsigned before = load(&n_ended);

		__atomic_store_n(&gauge.asked, false, __ATOMIC_RELEASE);
		RUN(ends_when_asked);
		await(&gauge.accesses, load(&gauge.accesses) + 1);
		__atomic_store_n(&gauge.asked, true, __ATOMIC_RELEASE);
		pause_now();
		vcpu_resume(vcpu);
		await(&n_ended, before + 1);
		vcpu_destroy(TAKE(vcpu));
		cr_expect_eq(load(&n_ended), before + 1);
		tear_down();
		kvm = (struct kvm){ .dev_fd = -1, .vm_fd = -1 };
		set_up();
	}
}

Test(vcpu, counts_its_accesses)
{
	RUN(says_numbers);
	await(&gauge.accesses, 5);
	pause_now();
	cr_expect_eq(vcpu_counts(vcpu)->exits[EXIT_IO_OUT], load(&gauge.accesses));
	cr_expect_eq(vcpu_counts(vcpu)->exits[EXIT_IO_IN], 0);
}

/* --- a device that is busy after a write --- */

enum { BUSY_GPA = 0x200000 };

/* What the device says: atomic. */
static bool is_busy;
static unsigned n_asked;
static int busy_fd = -1;

static int tell_busy(void *self)
{
	(void)self;
	__atomic_fetch_add(&n_asked, 1, __ATOMIC_RELEASE);
	return __atomic_load_n(&is_busy, __ATOMIC_ACQUIRE) ? busy_fd : -1;
}

static void ignore_write(void *self, uint64_t at, const void *data, size_t n)
{
	(void)self;
	(void)at;
	(void)data;
	(void)n;
}

/* "movb $0, BUSY_GPA; out %al, $0x80; 1: jmp 1b": 0 is said when the device is ready.
 */
static void write_to_a_busy_device(void)
{
	static const struct bus_ops ops = { .name = "busy",
		.read = gauge_read,
		.write = ignore_write,
		.busy = tell_busy };
	static const uint8_t code[] = { 0xc6, 0x05, 0x00, 0x00, 0x20, 0x00, 0x00, 0xe6,
		0x80, 0xeb, 0xfe };

	cr_assert_eq(bus_add(&mmio, BUSY_GPA, 4096, &ops, NULL, &e), 0);
	is_busy = true;
	busy_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	RUN(code);
	await(&n_asked, 1);
}

Test(vcpu, waits_for_a_device_that_is_busy_without_its_lock)
{
	write_to_a_busy_device();
	await(&n_asked, 5);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	expect_still();
	cr_expect_eq(load(&gauge.accesses), 0);
	__atomic_store_n(&is_busy, false, __ATOMIC_RELEASE);
	await(&gauge.accesses, 1);
}

Test(vcpu, pauses_and_goes_on_to_wait_for_a_device_that_is_busy)
{
	unsigned n;

	write_to_a_busy_device();
	for (int i = 0; i < 3; i++) {
		pause_now();
		n = load(&n_asked);
		expect_still();
		cr_expect_eq(load(&n_asked), n);
		vcpu_resume(vcpu);
		await(&n_asked, n + 1);
	}
	cr_expect_eq(load(&gauge.accesses), 0);
	__atomic_store_n(&is_busy, false, __ATOMIC_RELEASE);
	await(&gauge.accesses, 1);
}

Test(vcpu, stops_while_a_device_is_busy)
{
	write_to_a_busy_device();
	vcpu_stop(vcpu);
	cr_expect_eq(load(&gauge.accesses), 0);
	cr_expect_eq(load(&n_ended), 0);
}
