/* SPDX-License-Identifier: Apache-2.0
 *
 * machine: see the header. Settings are checked and their files opened here; what they
 * are made into when the machine starts is in start_* below, in the order of the boot.
 */
#include "vmm/machine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "virtio/devices.h"
#include "vmm/base/log.h"
#include "vmm/boot_x86.h"
#include "vmm/cmdline.h"
#include "vmm/core/kvm.h"
#include "vmm/cpuid_x86.h"
#include "vmm/device_list.h"
#include "vmm/vcpu.h"

struct drive {
	struct drive_cfg cfg;
	struct disk
		*disk; /* opened with the setting; the device has it from start on */
};

struct machine {
	struct machine_env env;

	struct machine_cfg cfg;
	struct boot_cfg boot;
	int kernel_fd, initrd_fd;
	unsigned n_drives;
	struct drive drive[VIRTIO_DEVICES_MAX];
	struct serial_cfg serial;
	bool has_serial; /* the settings name one */

	struct kvm kvm;
	struct guest_mem *mem;
	struct device_list devices;
	int serial_fd; /* of serial.serial_out_path */
	unsigned n_vcpus;
	struct vcpu *vcpu[X86_VCPUS_MAX];

	/* How the guest ended. Written by vCPU threads, atomically; the rest by the
	 * first of them, for the loop that it then wakes. */
	bool has_ended;
	int exit_status;
	enum log_level end_level;
	char end_text[160];
	struct loop_source end; /* eventfd */
};

static void on_end(void *self, uint32_t events)
{
	struct machine *m = self;
	eventfd_t n;

	(void)events;
	(void)eventfd_read(m->end.fd, &n); /* resets it */
	/* here, not on the vCPU's thread: after what the guest wrote to its console */
	log_at(m->end_level, "guest ended: %s", m->end_text);
	m->env.ended(m->env.self);
}

/* Any thread. An error status beats success when several vCPUs end; the first is
 * logged, since a guest that waits for its reset asks again. */
static void end_with(struct machine *m, int status, const char *why)
{
	if (status != 0)
		__atomic_store_n(&m->exit_status, status, __ATOMIC_RELEASE);
	if (__atomic_exchange_n(&m->has_ended, true, __ATOMIC_ACQ_REL))
		return;
	m->end_level = status == 0 ? LOG_INFO : LOG_ERROR;
	(void)snprintf(m->end_text, sizeof(m->end_text), "%s", why);
	(void)eventfd_write(m->end.fd, 1); /* cannot be full */
}

static void on_vcpu_ended(void *self, enum vcpu_end how, const char *text)
{
	end_with(self, how == VCPU_END_RESET ? 0 : 1, text);
}

static void on_guest_reset(void *self)
{
	end_with(self, 0, "reset through the i8042");
}

int machine_create(const struct machine_env *env, struct machine **out, struct err *e)
{
	AUTO(machine_destroy) struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_code(e, -ENOMEM, "machine");
	m->env = *env;
	m->cfg = MACHINE_CFG_DEFAULT;
	m->kernel_fd = m->initrd_fd = m->serial_fd = -1;
	m->kvm = (struct kvm){ .dev_fd = -1, .vm_fd = -1 };
	m->end = (struct loop_source){ .fn = on_end, .self = m };
	m->end.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->end.fd < 0)
		return err_sys(e, "machine");
	r = loop_add(env->loop, &m->end, EPOLLIN);
	if (r < 0)
		return err_code(e, r, "machine");
	*out = TAKE(m);
	return 0;
}

/* Takes apart what machine_start built, or began to build. */
static void unbuild(struct machine *m)
{
	machine_stop(m);
	while (m->n_vcpus > 0)
		vcpu_destroy(m->vcpu[--m->n_vcpus]);
	device_list_fini(&m->devices);
	kvm_close(&m->kvm);
	guest_mem_destroy(m->mem);
	m->mem = NULL;
	close_fd(TAKE_FD(m->serial_fd));
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	unbuild(m);
	for (unsigned i = 0; i < m->n_drives; i++) {
		disk_close(m->drive[i].disk);
		drive_cfg_fini(&m->drive[i].cfg);
	}
	boot_cfg_fini(&m->boot);
	serial_cfg_fini(&m->serial);
	close_fd(m->kernel_fd);
	close_fd(m->initrd_fd);
	loop_remove(m->env.loop, &m->end);
	close_fd(m->end.fd);
	free(m);
}

int machine_set_config(struct machine *m, const struct machine_cfg *cfg, struct err *e)
{
	int r = config_check_machine(cfg, e);

	if (r == 0)
		m->cfg = *cfg;
	return r;
}

int machine_set_boot_source(struct machine *m, struct boot_cfg *cfg, struct err *e)
{
	AUTO(close_fd) int initrd_fd = -1;
	AUTO(close_fd) int kernel_fd = -1;
	struct cmdline check;
	int r = cmdline_init(&check, cfg->boot_args ? cfg->boot_args : "", e);

	if (r < 0)
		return r;
	/* O_NONBLOCK: a FIFO without a writer is not waited for, and fails later */
	kernel_fd = open(cfg->kernel_image_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (kernel_fd < 0)
		return err_sys(e, "cannot open kernel '%s'", cfg->kernel_image_path);
	if (cfg->initrd_path) {
		initrd_fd = open(cfg->initrd_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (initrd_fd < 0)
			return err_sys(e, "cannot open initrd '%s'", cfg->initrd_path);
	}
	close_fd(m->kernel_fd);
	close_fd(m->initrd_fd);
	boot_cfg_fini(&m->boot);
	m->kernel_fd = TAKE_FD(kernel_fd);
	m->initrd_fd = TAKE_FD(initrd_fd);
	m->boot = *cfg;
	*cfg = (struct boot_cfg){ 0 };
	return 0;
}

/* The drive of that id, or the free place after the last, or NULL when all are taken.
 */
static struct drive *drive_place(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->n_drives; i++)
		if (strcmp(m->drive[i].cfg.drive_id, id) == 0)
			return &m->drive[i];
	return m->n_drives < ARRAY_LEN(m->drive) ? &m->drive[m->n_drives] : NULL;
}

int machine_put_drive(struct machine *m, struct drive_cfg *cfg, struct err *e)
{
	AUTO(disk_close) struct disk *disk = NULL;
	struct drive *place;
	int r = config_check_drive(cfg, e);

	if (r < 0)
		return r;
	place = drive_place(m, cfg->drive_id);
	if (!place)
		return err_bad(e, "drive '%s': there are %u already", cfg->drive_id,
			m->n_drives);
	for (unsigned i = 0; cfg->is_root_device && i < m->n_drives; i++)
		if (&m->drive[i] != place && m->drive[i].cfg.is_root_device)
			return err_bad(e, "drive '%s': '%s' is the root device already",
				cfg->drive_id, m->drive[i].cfg.drive_id);
	r = disk_open(cfg->path_on_host, cfg->is_read_only, &disk, e);
	if (r < 0)
		return err_add(e, r, "drive '%s'", cfg->drive_id);
	if (disk_hidden_tail(disk) > 0)
		log_warn(
			"drive '%s': the last %u bytes are not a sector and stay hidden",
			cfg->drive_id, disk_hidden_tail(disk));
	if (place == &m->drive[m->n_drives])
		m->n_drives++;
	disk_close(place->disk);
	drive_cfg_fini(&place->cfg);
	*place = (struct drive){ .cfg = *cfg, .disk = TAKE(disk) };
	*cfg = (struct drive_cfg){ 0 };
	return 0;
}

int machine_set_serial(struct machine *m, struct serial_cfg *cfg, struct err *e)
{
	(void)e; /* the path is opened at the start: contract, 3.14 */
	serial_cfg_fini(&m->serial);
	m->serial = *cfg;
	m->has_serial = true;
	*cfg = (struct serial_cfg){ 0 };
	return 0;
}

/* --- the start, step by step --- */

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
	struct vdev *dev;
	int r = 0;

	if (!d->disk)
		r = disk_open(d->cfg.path_on_host, d->cfg.is_read_only, &d->disk, e);
	if (r == 0)
		r = blk_create(d->cfg.drive_id, TAKE(d->disk),
			d->cfg.cache_type == CACHE_WRITEBACK, &dev, e);
	if (r == 0)
		r = device_list_add_virtio(&m->devices, dev, e);
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

static int start_serial(struct machine *m, struct err *e)
{
	const char *path = m->serial.serial_out_path;

	if (!path)
		return device_list_add_serial(
			&m->devices, STDIN_FILENO, STDOUT_FILENO, e);
	m->serial_fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
	if (m->serial_fd < 0)
		return err_sys(e, "cannot open serial output '%s'", path);
	return device_list_add_serial(&m->devices, -1, m->serial_fd, e);
}

static bool wants_console(const struct cmdline *c)
{
	return cmdline_has(c, "console=ttyS0") || cmdline_has(c, "console=ttyS0,") ||
		cmdline_has(c, "earlyprintk=") || cmdline_has(c, "earlycon=");
}

static int start_devices(
	struct machine *m, const struct cmdline *c, uint64_t started_us, struct err *e)
{
	struct device_list *d = &m->devices;
	int r = device_list_init(
		d, m->env.lock, &m->kvm, m->mem, m->env.loop, on_guest_reset, m, e);

	if (r == 0 && m->env.boot_timer)
		r = device_list_add_boot_timer(d, m->env.phases, started_us, e);
	if (r == 0 && (m->has_serial || wants_console(c)))
		r = start_serial(m, e);
	if (r == 0)
		r = start_drives(m, e);
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
	struct x86_entry *entry, struct err *e)
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
	};
	int r;

	if (getrandom(plan.vmgenid, sizeof(plan.vmgenid), 0) != sizeof(plan.vmgenid))
		return err_sys(e, "getrandom");
	r = boot_load(&plan, m->mem, entry, e);
	if (r == 0)
		phase_mark(m->env.phases, PHASE_KERNEL_LOADED);
	return r;
}

static int start_vcpus(struct machine *m, const struct x86_entry *entry, struct err *e)
{
	const struct vcpu_env env = {
		.ports = &m->devices.ports,
		.mmio = &m->devices.mmio,
		.phases = m->env.phases,
		.ended = on_vcpu_ended,
		.self = m,
	};
	const struct cpuid_topology topology = { m->cfg.vcpu_count, m->cfg.smt };
	struct cpuid cpuid = { .head.nent = CPUID_ENTRIES_MAX };
	int r = kvm_supported_cpuid(&m->kvm, &cpuid.head, e);

	for (unsigned i = 0; r == 0 && i < m->cfg.vcpu_count; i++) {
		r = vcpu_create(&m->kvm, i, &env, &m->vcpu[i], e);
		if (r < 0)
			break;
		m->n_vcpus = i + 1;
		r = cpuid_normalise(&cpuid, i, &topology, e);
		if (r == 0)
			r = vcpu_set_cpuid(m->vcpu[i], &cpuid, e);
		if (r == 0)
			r = vcpu_set_boot_state(m->vcpu[i], i == 0 ? entry : NULL, e);
	}
	phase_mark(m->env.phases, PHASE_VCPU_READY);
	for (unsigned i = m->cfg.vcpu_count; r == 0 && i > 0; i--)
		r = vcpu_start(m->vcpu[i - 1], e);
	return r;
}

static int start(struct machine *m, struct err *e)
{
	uint64_t started_us = clock_us();
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
	if (r == 0)
		r = kvm_open(&m->kvm, e);
	if (r == 0)
		r = kvm_create_vm(&m->kvm, X86_KVM_SCRATCH_GPA, e);
	if (r == 0)
		r = start_memory(m, e);
	if (r == 0)
		r = start_devices(m, &c, started_us, e);
	if (r == 0)
		r = finish_cmdline(m, &c, e);
	if (r == 0)
		r = start_kernel(m, &c, &entry, e);
	if (r == 0)
		r = start_vcpus(m, &entry, e);
	return r;
}

int machine_start(struct machine *m, struct err *e)
{
	eventfd_t n;
	int r;

	assert(m->n_vcpus == 0);
	r = start(m, e);
	if (r == 0)
		return 0;
	unbuild(m);
	/* a vCPU that ran may have ended: that is not the end of the next start's */
	m->has_ended = false;
	m->exit_status = 0;
	(void)eventfd_read(m->end.fd, &n); /* empty when none has */
	return r;
}

void machine_stop(struct machine *m)
{
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_stop(m->vcpu[i]);
}

int machine_exit_status(const struct machine *m)
{
	return __atomic_load_n(&m->exit_status, __ATOMIC_ACQUIRE);
}

int machine_write_metrics(struct machine *m, int fd)
{
	const struct vcpu_counts *counts[X86_VCPUS_MAX];
	const struct vdev *drives[VIRTIO_DEVICES_MAX];
	struct metrics_view v = {
		.phases = m->env.phases,
		.vcpus = counts,
		.n_vcpus = m->n_vcpus,
		.device_faults = device_list_faults(&m->devices),
		.drives = drives,
		.n_drives = m->devices.n_virtio,
		.uart_dropped =
			m->devices.serial ? serial_dropped(m->devices.serial) : 0,
	};

	for (unsigned i = 0; i < m->n_vcpus; i++)
		counts[i] = vcpu_counts(m->vcpu[i]);
	for (unsigned i = 0; i < m->devices.n_virtio; i++)
		drives[i] = mmio_vdev(m->devices.virtio[i]);
	return metrics_write(fd, &v);
}
