/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_start: what a machine's settings are made into, in the order of the boot, and
 * how that is taken apart again. On the loop's thread.
 */
#include <assert.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "virtio/blk/blk.h"
#include "virtio/vsock/vsock.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"
#include "vmm/boot/cmdline.h"
#include "vmm/boot/kernel_args.h"
#include "vmm/machine/internal.h"
#include "vmm/process/landlock.h"
#include "vmm/x86/boot.h"
#include "vmm/x86/cpuid.h"
#include "vmm/x86/kvm.h"
#include "vmm/x86/vcpu_state.h"

enum { END_TIMEOUT_US = 2 * 1000000 }; /* for disks, when the machine ends */

/* Waits for what a device has in flight, as long as there is time: whether it has
 * ended.
 */
static bool make_still(struct machine *m, struct mmio *t, uint64_t until_us)
{
	for (;;) {
		struct pollfd p = { .events = POLLIN };
		uint64_t now = clock_us();

		pthread_mutex_lock(m->env.lock);
		p.fd = mmio_pause(t);
		pthread_mutex_unlock(m->env.lock);
		if (p.fd < 0)
			return true;
		if (now >= until_us)
			return false;
		(void)poll(&p, 1, (int)((until_us - now) / 1000 + 1));
	}
}

/* Leaves devices alone whose disk does not answer, and the memory that it may still
 * write to: what the kernel has taken cannot be taken back. */
static void abandon_stuck_devices(struct machine *m)
{
	uint64_t until_us = clock_us() + END_TIMEOUT_US;

	for (unsigned i = 0; i < m->devices.n_virtio; i++) {
		struct mmio **t = &m->devices.virtio[i];

		if (make_still(m, *t, until_us))
			continue;
		log_warn("'%s': its disk does not answer; requests are left to it",
			mmio_vdev(*t)->id);
		*t = NULL;
		m->mem = NULL;
	}
}

void machine_unbuild(struct machine *m)
{
	machine_stop(m);
	while (m->n_vcpus > 0)
		vcpu_destroy(m->vcpu[--m->n_vcpus]);
	abandon_stuck_devices(m);
	if (m->vsock_is_listed)
		m->vsock_dev = NULL; /* destroyed with the list */
	m->vsock_is_listed = false;
	device_list_fini(&m->devices);
	kvm_close(&m->kvm);
	guest_mem_destroy(m->mem);
	m->mem = NULL;
	close_fd(TAKE_FD(m->serial_fd));
}

static void on_vcpu_ended(void *self, enum vcpu_end how, const char *text)
{
	machine_end(self, how == VCPU_END_RESET ? 0 : 1, text);
}

/* Resets and power-offs alike: the guest has finished. */
static void on_guest_end(void *self, const char *how)
{
	machine_end(self, 0, how);
}

static int start_memory(struct machine *m, struct err *e)
{
	struct guest_range ranges[GUEST_RANGES_MAX];
	unsigned n = boot_layout(m->cfg.mem_size_mib * MIB, ranges);
	int r = guest_mem_create(ranges, n, m->cfg.huge_pages, &m->mem, e);

	if (r == 0) /* the boot structures: a few pages */
		guest_use_small_pages(m->mem, 0, HUGE_PAGE_BYTES);
	if (r == 0 && m->cfg.track_dirty_pages) {
		r = guest_track_dirty(m->mem);
		if (r < 0)
			return err_code(e, r, "dirty pages of guest memory");
	}
	if (r == 0)
		r = kvm_set_memory(&m->kvm, m->mem, m->cfg.track_dirty_pages, e);
	if (r == 0)
		phase_mark(m->env.phases, PHASE_MEMORY_READY);
	return r;
}

/* The disk was handed to the device; it is opened anew when an earlier start failed. */
static int start_drive(struct machine *m, struct drive *d, struct err *e)
{
	int r = 0;

	if (!d->disk)
		r = drive_open_disk(
			&d->cfg, d->cfg.path_on_host, m->env.loop, &d->disk, e);
	if (r == 0)
		r = blk_create(d->cfg.drive_id, TAKE(d->disk),
			d->cfg.cache_type == CACHE_WRITEBACK, m->env.loop,
			&d->cfg.rate_limiter, &d->dev, e);
	if (r == 0)
		r = device_list_add_virtio(&m->devices, d->dev, e);
	return r < 0 ? err_add(e, r, "drive '%s'", d->cfg.drive_id) : 0;
}

/* The root drive is first, so that it is /dev/vda. */
static int start_drives(struct machine *m, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < m->n_drives; i++)
		if (m->drive[i].cfg.is_root_device)
			r = start_drive(m, &m->drive[i], e);
	for (unsigned i = 0; r == 0 && i < m->n_drives; i++)
		if (!m->drive[i].cfg.is_root_device)
			r = start_drive(m, &m->drive[i], e);
	return r;
}

/* Made with the setting, or anew when an earlier start failed, which destroyed it. */
static int start_vsock(struct machine *m, struct err *e)
{
	int r = 0;

	if (!m->vsock.uds_path)
		return 0;
	if (!m->vsock_dev)
		r = vsock_create(m->vsock.guest_cid, m->vsock.uds_path, m->env.loop,
			&m->vsock_dev, e);
	if (r == 0) {
		r = device_list_add_virtio(&m->devices, m->vsock_dev, e);
		m->vsock_is_listed = r == 0;
		if (r < 0)
			m->vsock_dev = NULL; /* taken over, and destroyed */
	}
	return r < 0 ? err_add(e, r, "vsock") : 0;
}

static int start_serial(struct machine *m, struct err *e)
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

static int start_devices(struct machine *m, const struct kernel_args *args,
	uint64_t started_us, struct err *e)
{
	struct device_list *d = &m->devices;
	int r = device_list_init(
		d, m->env.lock, &m->kvm, m->mem, m->env.loop, on_guest_end, m, e);

	if (r == 0 && m->env.boot_timer)
		r = device_list_add_boot_timer(d, m->env.phases, started_us, e);
	if (r == 0 && (m->has_serial || !args->no_com1))
		r = start_serial(m, e);
	if (r == 0 && d->serial)
		serial_set_limit(d->serial, &m->serial.rate_limiter);
	if (r == 0)
		r = device_list_add_no_uarts(d, e);
	if (r == 0)
		r = start_drives(m, e);
	if (r == 0)
		r = machine_start_nets(m, e);
	if (r == 0)
		r = start_vsock(m, e);
	return r;
}

/* What husk adds to the user's arguments: contract, 3.4. */
static int finish_cmdline(const struct machine *m, struct cmdline *c, struct err *e)
{
	const struct device_list *d = &m->devices;
	int r = cmdline_add(c, e, "pci=off");

	for (unsigned i = 0; r == 0 && i < m->n_drives; i++) {
		const struct drive_cfg *cfg = &m->drive[i].cfg;

		if (!cfg->is_root_device)
			continue;
		r = cfg->partuuid ? cmdline_add(c, e, "root=PARTUUID=%s", cfg->partuuid)
				  : cmdline_add(c, e, "root=/dev/vda");
		if (r == 0)
			r = cmdline_add(c, e, cfg->is_read_only ? "ro" : "rw");
	}
	for (unsigned i = 0; r == 0 && i < d->n_virtio; i++)
		r = cmdline_add(c, e, "virtio_mmio.device=%uK@%#llx:%u",
			d->place[i].len / 1024, (unsigned long long)d->place[i].start,
			d->place[i].gsi);
	return r;
}

static int start_kernel(struct machine *m, const struct cmdline *c,
	const struct kernel_args *args, struct x86_entry *entry, struct err *e)
{
	struct boot_plan plan = {
		.kernel_fd = m->kernel_fd,
		.initrd_fd = m->initrd_fd,
		.kernel_path = m->boot.kernel_image_path,
		.initrd_path = m->boot.initrd_path,
		.how = m->boot.share_kernel ? KERNEL_MAP : KERNEL_READ,
		.cmdline = c->text,
		.n_vcpus = m->cfg.vcpu_count,
		.devices = m->devices.place,
		.n_devices = m->devices.n_virtio,
		.has_console = m->devices.serial != NULL,
		.has_keyboard = true,
		.pics_only = args->no_ioapic,
	};
	int r;

	if (getrandom(plan.vmgenid, sizeof(plan.vmgenid), 0) != sizeof(plan.vmgenid))
		return err_sys(e, "getrandom");
	r = boot_load(&plan, m->mem, entry, e);
	if (r == 0)
		phase_mark(m->env.phases, PHASE_KERNEL_LOADED);
	return r;
}

static const struct cpu_template *template_of(const struct machine *m)
{
	return m->cpu_config.name ? &m->cpu_config
				  : cpu_template_find(m->cfg.cpu_template);
}

static int create_vcpus(struct machine *m, const struct x86_entry *entry, struct err *e)
{
	const struct vcpu_env env = {
		.ports = &m->devices.ports,
		.mmio = &m->devices.mmio,
		.phases = m->env.phases,
		.filters = m->env.filters,
		.ended = on_vcpu_ended,
		.self = m,
	};
	const struct cpuid_topology topology = { m->cfg.vcpu_count, m->cfg.smt };
	const struct cpu_template *template = template_of(m);
	struct cpuid cpuid = { .head.nent = CPUID_ENTRIES_MAX };
	int r = x86_kvm_supported_cpuid(&m->kvm, &cpuid.head, e);

	if (r == 0)
		r = cpu_template_apply(template, &cpuid, e);
	if (r == 0 && !cpu_template_wants_counters(template))
		cpuid_hide_counters(&cpuid);
	for (unsigned i = 0; r == 0 && i < m->cfg.vcpu_count; i++) {
		r = vcpu_create(&m->kvm, i, &env, &m->vcpu[i], e);
		if (r < 0)
			break;
		m->n_vcpus = i + 1;
		r = cpuid_normalise(&cpuid, i, &topology, e);
		if (r == 0)
			r = vcpu_state_set_cpuid(vcpu_fd(m->vcpu[i]), &cpuid, e);
		if (r == 0) /* before the boot state, which has the last word */
			r = vcpu_state_change_msrs(vcpu_fd(m->vcpu[i]), template, e);
		if (r == 0)
			r = vcpu_state_set_boot(
				vcpu_fd(m->vcpu[i]), i == 0 ? entry : NULL, e);
	}
	if (r == 0)
		phase_mark(m->env.phases, PHASE_VCPU_READY);
	return r;
}

/* Starts the threads and waits until each has its filter. */
static int start_threads(struct machine *m, struct err *e)
{
	int r = 0;

	for (unsigned i = m->n_vcpus; r == 0 && i > 0; i--)
		r = vcpu_start(m->vcpu[i - 1], e);
	for (unsigned i = m->n_vcpus; r == 0 && i > 0; i--)
		r = vcpu_wait_ready(m->vcpu[i - 1], e);
	return r;
}

/* No vCPU runs the guest before every thread has its filter, this one too, because
 * threads share their memory. This thread's filter comes after all that can fail: with
 * it no other start would be possible. */
static int start_vcpus(struct machine *m, struct err *e)
{
	int r = 0;

	if (m->env.filters && m->env.opens_no_files)
		r = landlock_forbid_files(e); /* threads inherit it */
	if (r == 0)
		r = start_threads(m, e);
	if (r == 0)
		r = seccomp_filter_install(m->env.filters,
			m->env.opens_no_files ? SECCOMP_NO_API : SECCOMP_VMM, e);
	for (unsigned i = m->n_vcpus; r == 0 && i > 0; i--)
		vcpu_resume(m->vcpu[i - 1]);
	return r;
}

static int start(struct machine *m, struct err *e)
{
	const struct cpu_template *template = template_of(m);
	uint64_t started_us = clock_us();
	struct kernel_args args;
	struct x86_entry entry;
	struct cmdline c;
	int r;

	if (m->kernel_fd < 0)
		return err_bad(e, "no boot source is set");
	if (m->boot.share_kernel && m->cfg.huge_pages == GUEST_PAGES_2M)
		return err_bad(
			e, "share_kernel_pages and huge_pages 2M exclude each other");
	r = cmdline_init(
		&c, m->boot.boot_args ? m->boot.boot_args : BOOT_ARGS_DEFAULT, e);
	if (r < 0)
		return r;
	args = kernel_args_read(&c);
	r = x86_kvm_open(&m->kvm, template->cap, template->n_caps, e);
	if (r == 0)
		r = x86_kvm_create_vm(&m->kvm, e);
	if (r == 0 && !cpu_template_wants_counters(template))
		x86_kvm_disable_counters(&m->kvm);
	if (r == 0)
		r = start_memory(m, e);
	if (r == 0)
		r = start_devices(m, &args, started_us, e);
	if (r == 0)
		r = finish_cmdline(m, &c, e);
	if (r == 0)
		r = start_kernel(m, &c, &args, &entry, e);
	if (r == 0)
		r = create_vcpus(m, &entry, e);
	if (r == 0)
		r = start_vcpus(m, e);
	return r;
}

int machine_start(struct machine *m, struct err *e)
{
	int r;

	assert(m->state == MACHINE_NOT_STARTED);
	phase_mark(m->env.phases, PHASE_CONFIGURED);
	r = start(m, e);
	if (r == 0) {
		m->state = MACHINE_RUNNING;
		machine_log_kick();
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
