/* SPDX-License-Identifier: Apache-2.0
 *
 * start: what is made of a machine's settings, as a table of steps in the order of the
 * boot. On the loop's thread.
 */
#include <assert.h>
#include <sys/random.h>

#include "vmm/base/clock.h"
#include "vmm/base/io.h"
#include "vmm/base/phases.h"
#include "vmm/codec/cmdline.h"
#include "vmm/machine/internal.h"
#include "vmm/process/landlock.h"
#include "vmm/x86/boot.h"
#include "vmm/x86/cpuid.h"
#include "vmm/x86/kernel_args.h"
#include "vmm/x86/kvm.h"
#include "vmm/x86/vcpu_state.h"

/* What one step leaves for those after it. */
struct start {
	struct machine *m;
	uint64_t began_us;
	const struct cpu_template *template;
	struct cmdline cmdline;
	struct kernel_args args;
	struct x86_entry entry;
};

static void on_vcpu_ended(void *self, enum vcpu_end how, const char *text)
{
	machine_end(self, how == VCPU_END_RESET ? 0 : 1, text);
}

/* Resets and power-offs end the machine alike. */
static void on_guest_end(void *self, const char *how)
{
	machine_end(self, 0, how);
}

/* Checks what no single setting could, and reads the arguments for the kernel. */
static int check_settings(struct start *s, struct err *e)
{
	struct machine *m = s->m;
	const char *args = m->boot.boot_args ? m->boot.boot_args : BOOT_ARGS_DEFAULT;
	int r;

	if (m->kernel_fd < 0)
		return err_bad(e, "no boot source is set");
	if (m->boot.share_kernel && m->cfg.huge_pages == GUEST_PAGES_2M)
		return err_bad(
			e, "share_kernel_pages and huge_pages 2M exclude each other");
	r = cmdline_init(&s->cmdline, args, e);
	if (r == 0)
		s->args = kernel_args_read(&s->cmdline);
	return r;
}

static int create_vm(struct start *s, struct err *e)
{
	struct kvm *kvm = &s->m->kvm;
	int r = x86_kvm_open(kvm, s->template->cap, s->template->n_caps, e);

	if (r == 0)
		r = x86_kvm_create_vm(kvm, e);
	if (r == 0 && !cpu_template_wants_counters(s->template))
		x86_kvm_disable_counters(kvm);
	return r;
}

static int create_memory(struct start *s, struct err *e)
{
	struct machine *m = s->m;
	struct guest_range ranges[GUEST_RANGES_MAX];
	unsigned n = boot_layout(m->cfg.mem_size_mib * MIB, ranges);
	int r = guest_mem_create(ranges, n, m->cfg.huge_pages, &m->mem, e);

	if (r == 0) /* a few pages of boot structures do not need a huge page */
		guest_use_small_pages(m->mem, 0, HUGE_PAGE_BYTES);
	if (r == 0 && m->cfg.track_dirty_pages) {
		r = guest_track_dirty(m->mem);
		if (r < 0)
			return err_code(e, r, "dirty pages of guest memory");
	}
	if (r == 0)
		r = kvm_set_memory(&m->kvm, m->mem, m->cfg.track_dirty_pages, e);
	return r;
}

static int add_serial(struct machine *m, struct err *e)
{
	const char *path = m->serial.serial_out_path;

	if (!path)
		return device_list_add_serial(
			&m->devices, STDIN_FILENO, STDOUT_FILENO, e);
	m->serial_fd = io_open_output(path, "serial output", e);
	if (m->serial_fd < 0)
		return m->serial_fd;
	return device_list_add_serial(&m->devices, -1, m->serial_fd, e);
}

static int add_platform(struct start *s, struct err *e)
{
	struct machine *m = s->m;
	struct device_list *d = &m->devices;
	int r = device_list_init(
		d, m->env.lock, &m->kvm, m->mem, m->env.loop, on_guest_end, m, e);

	if (r == 0 && m->env.boot_timer)
		r = device_list_add_boot_timer(d, m->env.phases, s->began_us, e);
	if (r == 0 && (m->has_serial || !s->args.no_com1))
		r = add_serial(m, e);
	if (r == 0 && d->serial)
		serial_set_limit(d->serial, &m->serial.rate_limiter);
	return r < 0 ? r : device_list_add_no_uarts(d, e);
}

static int add_devices(struct start *s, struct err *e)
{
	return machine_start_devices(s->m, e);
}

/* What husk adds to the user's arguments: contract, 3.4. */
static int finish_cmdline(struct start *s, struct err *e)
{
	const struct device_list *d = &s->m->devices;
	struct cmdline *c = &s->cmdline;
	int r = cmdline_add(c, e, "pci=off");

	if (r == 0)
		r = machine_add_device_args(s->m, c, e);
	for (unsigned i = 0; r == 0 && i < d->n_virtio; i++)
		r = cmdline_add(c, e, "virtio_mmio.device=%uK@%#llx:%u",
			d->place[i].len / 1024, (unsigned long long)d->place[i].start,
			d->place[i].gsi);
	return r;
}

static int load_kernel(struct start *s, struct err *e)
{
	struct machine *m = s->m;
	struct boot_plan plan = {
		.kernel_fd = m->kernel_fd,
		.initrd_fd = m->initrd_fd,
		.kernel_path = m->boot.kernel_image_path,
		.initrd_path = m->boot.initrd_path,
		.how = m->boot.share_kernel ? KERNEL_MAP : KERNEL_READ,
		.cmdline = s->cmdline.text,
		.n_vcpus = m->cfg.vcpu_count,
		.devices = m->devices.place,
		.n_devices = m->devices.n_virtio,
		.has_console = m->devices.serial != NULL,
		.has_keyboard = true,
		.pics_only = s->args.no_ioapic,
	};

	if (getrandom(plan.vmgenid, sizeof(plan.vmgenid), 0) != sizeof(plan.vmgenid))
		return err_sys(e, "getrandom");
	return boot_load(&plan, m->mem, &s->entry, e);
}

/* What vCPU i is before its first instruction. */
static int set_vcpu_state(
	struct start *s, unsigned i, struct cpuid *cpuid, struct err *e)
{
	const struct cpuid_topology topology = { s->m->cfg.vcpu_count, s->m->cfg.smt };
	int fd = vcpu_fd(s->m->vcpu[i]);
	int r = cpuid_normalise(cpuid, i, &topology, e);

	if (r == 0)
		r = vcpu_state_set_cpuid(fd, cpuid, e);
	if (r == 0) /* before the boot state, which overrides the template */
		r = vcpu_state_change_msrs(fd, s->template, e);
	return r < 0 ? r : vcpu_state_set_boot(fd, i == 0 ? &s->entry : NULL, e);
}

static int create_vcpus(struct start *s, struct err *e)
{
	struct machine *m = s->m;
	const struct vcpu_env env = {
		.ports = &m->devices.ports,
		.mmio = &m->devices.mmio,
		.phases = m->env.phases,
		.filters = m->env.filters,
		.ended = on_vcpu_ended,
		.self = m,
	};
	struct cpuid cpuid = { .head.nent = CPUID_ENTRIES_MAX };
	int r = x86_kvm_supported_cpuid(&m->kvm, &cpuid.head, e);

	if (r == 0)
		r = cpu_template_apply(s->template, &cpuid, e);
	if (r == 0 && !cpu_template_wants_counters(s->template))
		cpuid_hide_counters(&cpuid);
	for (unsigned i = 0; r == 0 && i < m->cfg.vcpu_count; i++) {
		r = vcpu_create(&m->kvm, i, &env, &m->vcpu[i], e);
		if (r < 0)
			break;
		m->n_vcpus = i + 1;
		r = set_vcpu_state(s, i, &cpuid, e);
	}
	return r;
}

/* Threads that are started later inherit it. It cannot be undone, so no other start can
 * open its files. */
static int forbid_files(struct start *s, struct err *e)
{
	return s->m->env.filters && s->m->env.opens_no_files ? landlock_forbid_files(e)
							     : 0;
}

/* Starts the threads and waits until each has its filter. */
static int start_threads(struct start *s, struct err *e)
{
	struct machine *m = s->m;
	int r = 0;

	for (unsigned i = m->n_vcpus; r == 0 && i > 0; i--)
		r = vcpu_start(m->vcpu[i - 1], e);
	for (unsigned i = m->n_vcpus; r == 0 && i > 0; i--)
		r = vcpu_wait_ready(m->vcpu[i - 1], e);
	return r;
}

static int filter_this_thread(struct start *s, struct err *e)
{
	const struct machine_env *env = &s->m->env;

	return seccomp_filter_install(
		env->filters, env->opens_no_files ? SECCOMP_NO_API : SECCOMP_VMM, e);
}

/* The steps of a boot; the first that fails ends the start. No vCPU runs the guest
 * before every thread has its filter, because threads share their memory. This thread's
 * filter comes last, because no other start is possible once it is installed. */
static const struct step {
	int (*run)(struct start *s, struct err *e);
	enum phase done; /* the phase that ends with it, or 0 */
} boot_steps[] = {
	{ .run = check_settings },
	{ .run = create_vm },
	{ .run = create_memory, .done = PHASE_MEMORY_READY },
	{ .run = add_platform },
	{ .run = add_devices },
	{ .run = finish_cmdline },
	{ .run = load_kernel, .done = PHASE_KERNEL_LOADED },
	{ .run = create_vcpus, .done = PHASE_VCPU_READY },
	{ .run = forbid_files },
	{ .run = start_threads },
	{ .run = filter_this_thread },
};

static int run_steps(struct start *s, const struct step *step, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = step[i].run(s, e);
		if (r == 0 && step[i].done)
			phase_mark(s->m->env.phases, step[i].done);
	}
	return r;
}

int machine_start(struct machine *m, struct err *e)
{
	struct start s = { .m = m, .began_us = clock_us() };
	int r;

	assert(m->state == MACHINE_NOT_STARTED);
	s.template = m->cpu_config.name ? &m->cpu_config
					: cpu_template_find(m->cfg.cpu_template);
	phase_mark(m->env.phases, PHASE_CONFIGURED);
	r = run_steps(&s, boot_steps, ARRAY_LEN(boot_steps), e);
	if (r == 0) {
		m->state = MACHINE_RUNNING;
		machine_release_vcpus(m);
		return 0;
	}
	machine_unbuild(m); /* no vCPU has run: none has ended either */
	phase_forget_from(m->env.phases, PHASE_CONFIGURED);
	return r;
}

int machine_boot(struct machine *m, struct err *e)
{
	int r = machine_start(m, e);

	if (r < 0)
		return err_add(e, r, "cannot start the microVM");
	(void)machine_write_metrics(m); /* a line that is lost is counted there */
	return 0;
}
