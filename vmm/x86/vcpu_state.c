/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu_state: see the header. By Linux's 64-bit protocol a kernel starts in long mode,
 * with flat segments and the page tables that boot.c wrote; by PVH (Xen,
 * docs/misc/pvh.pandoc) in 32-bit protected mode, with flat segments and no paging.
 */
#include <asm/kvm.h>
#include <errno.h>
#include <sys/ioctl.h>

#include "vmm/x86/vcpu_state.h"

/* Bits of control registers and EFER (SDM volume 3, 2.5; APM volume 2, 3.1). */
#define CR0_PE (1ull << 0)
#define CR0_ET (1ull << 4)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)

enum {
	MSR_MISC_ENABLE = 0x1a0,
	MISC_ENABLE_FAST_STRING = 1,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MTRR_ENABLE_WRITE_BACK = 0x800 | 6,
	LVT_LINT0 = 0x350, /* offsets in the local APIC's page */
	LVT_LINT1 = 0x360,
	LVT_MODE_MASK = 7 << 8,
	LVT_MODE_NMI = 4 << 8,
	LVT_MODE_EXTINT = 7 << 8,
};

int vcpu_state_set_cpuid(int fd, const struct cpuid *c, struct err *e)
{
	const struct kvm_enable_cap cap = {
		.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
		.args = { 1 },
	};

	(void)ioctl(fd, KVM_ENABLE_CAP, &cap); /* fails before Linux 5.10 */
	if (ioctl(fd, KVM_SET_CPUID2, &c->head) < 0)
		return err_sys(e, "KVM_SET_CPUID2 with %u entries", c->head.nent);
	return 0;
}

enum { MSRS_AT_ONCE = 64 }; /* KVM accepts fewer than 256 */

/* Reads, changes and writes n of the template's MSRs, from number `first` on. */
static int change_some_msrs(
	int fd, const struct cpu_template *t, unsigned first, unsigned n, struct err *e)
{
	const struct msr_change *to = t->msr + first;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[MSRS_AT_ONCE];
	} m = { .head.nmsrs = n };
	int done;

	for (unsigned i = 0; i < n; i++)
		m.entry[i].index = to[i].addr;
	done = ioctl(fd, KVM_GET_MSRS, &m);
	if (done < 0)
		return err_sys(e, "%s: KVM_GET_MSRS", t->name);
	if (done != (int)n)
		return err_bad(e, "%s: MSR %#x is not supported on this host", t->name,
			to[done].addr);
	for (unsigned i = 0; i < n; i++)
		m.entry[i].data = (m.entry[i].data & ~to[i].clear) | to[i].set;
	done = ioctl(fd, KVM_SET_MSRS, &m);
	if (done < 0)
		return err_sys(e, "%s: KVM_SET_MSRS", t->name);
	if (done != (int)n)
		return err_bad(e, "%s: KVM refuses %#llx for MSR %#x", t->name,
			(unsigned long long)m.entry[done].data, to[done].addr);
	return 0;
}

int vcpu_state_change_msrs(int fd, const struct cpu_template *t, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < t->n_msrs; i += MSRS_AT_ONCE)
		r = change_some_msrs(fd, t, i, MIN(t->n_msrs - i, MSRS_AT_ONCE), e);
	return r;
}

/* Selectors of what boot.c and pvh.c put into the GDT: the TSS (PVH only), code, data.
 */
enum { TSS = 0x08, CODE = 0x10, DATA = 0x18, TSS_BYTES = 0x68 };

static void set_segments(struct kvm_sregs *s, bool is_pvh)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = CODE,
		.type = 11, /* code, readable, accessed */
		.present = 1,
		.s = 1,
		.l = !is_pvh,
		.db = is_pvh,
		.g = 1,
	};
	struct kvm_segment data = code;

	data.selector = DATA;
	data.type = 3; /* data, writable, accessed */
	data.l = 0;
	data.db = 1;
	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->gdt.base = X86_GDT_GPA;
	s->gdt.limit = X86_GDT_BYTES - 1;
	if (is_pvh)
		s->tr = (struct kvm_segment){
			.limit = TSS_BYTES - 1,
			.selector = TSS,
			.type = 11, /* 32-bit TSS, busy */
			.present = 1,
		};
}

static int set_mode(int fd, bool is_pvh, struct err *e)
{
	struct kvm_sregs s;

	if (ioctl(fd, KVM_GET_SREGS, &s) < 0)
		return err_sys(e, "KVM_GET_SREGS");
	set_segments(&s, is_pvh);
	s.cr0 = CR0_PE | CR0_ET | (is_pvh ? 0 : CR0_PG);
	s.cr3 = is_pvh ? 0 : X86_PML4_GPA;
	s.cr4 = is_pvh ? 0 : CR4_PAE;
	s.efer = is_pvh ? 0 : EFER_LME | EFER_LMA;
	return ioctl(fd, KVM_SET_SREGS, &s) < 0 ? err_sys(e, "KVM_SET_SREGS") : 0;
}

static int set_msrs(int fd, struct err *e)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[2];
	} m = {
		.head.nmsrs = 2,
		.entry = {
			{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WRITE_BACK },
			{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
		},
	};
	int set = ioctl(fd, KVM_SET_MSRS, &m);

	if (set < 0)
		return err_sys(e, "KVM_SET_MSRS");
	if (set != (int)m.head.nmsrs)
		return err_bad(e, "KVM_SET_MSRS refuses MSR %#x", m.entry[set].index);
	return 0;
}

static void set_lvt(struct kvm_lapic_state *l, unsigned at, uint32_t mode)
{
	uint32_t v;

	__builtin_memcpy(&v, l->regs + at, sizeof(v));
	v = (v & ~(uint32_t)LVT_MODE_MASK) | mode;
	__builtin_memcpy(l->regs + at, &v, sizeof(v));
}

/* Virtual wire mode (MP specification, 3.6.2.2): LINT0 takes the 8259s' interrupts,
 * LINT1 the NMI. */
static int set_lapic(int fd, struct err *e)
{
	struct kvm_lapic_state l;

	if (ioctl(fd, KVM_GET_LAPIC, &l) < 0)
		return err_sys(e, "KVM_GET_LAPIC");
	set_lvt(&l, LVT_LINT0, LVT_MODE_EXTINT);
	set_lvt(&l, LVT_LINT1, LVT_MODE_NMI);
	return ioctl(fd, KVM_SET_LAPIC, &l) < 0 ? err_sys(e, "KVM_SET_LAPIC") : 0;
}

int vcpu_state_set_boot(int fd, const struct x86_entry *entry, struct err *e)
{
	int r = set_msrs(fd, e);

	if (r < 0 || !entry) /* INIT and start-up IPI set the rest */
		return r;
	r = set_lapic(fd, e);
	if (r == 0)
		r = set_mode(fd, entry->is_pvh, e);
	if (r < 0)
		return r;

	struct kvm_regs regs = {
		.rflags = 2, /* the bit that is always set */
		.rip = entry->rip,
		.rbx = entry->is_pvh ? entry->params : 0,
		.rsi = entry->is_pvh ? 0 : entry->params,
		.rsp = X86_STACK_GPA,
		.rbp = X86_STACK_GPA,
	};

	return ioctl(fd, KVM_SET_REGS, &regs) < 0 ? err_sys(e, "KVM_SET_REGS") : 0;
}
