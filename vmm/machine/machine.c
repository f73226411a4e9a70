/* SPDX-License-Identifier: Apache-2.0
 *
 * machine: see the header. Settings are checked and their files opened here; what they
 * are made into is machine_start.c's.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "virtio/vsock/vsock.h"
#include "vmm/boot/cmdline.h"
#include "vmm/machine/internal.h"

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

void machine_end(struct machine *m, int status, const char *why)
{
	if (status != 0)
		__atomic_store_n(&m->exit_status, status, __ATOMIC_RELEASE);
	if (__atomic_exchange_n(&m->has_ended, true, __ATOMIC_ACQ_REL))
		return;
	m->end_level = status == 0 ? LOG_INFO : LOG_ERROR;
	(void)snprintf(m->end_text, sizeof(m->end_text), "%s", why);
	(void)eventfd_write(m->end.fd, 1); /* cannot be full */
}

void machine_log_kick(void)
{
	log_info("Artificially kick devices.");
}

int machine_create(const struct machine_env *env, struct machine **out, struct err *e)
{
	AUTO(machine_destroy) struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_code(e, -ENOMEM, "machine");
	m->env = *env;
	m->cfg = MACHINE_CFG_DEFAULT;
	m->kernel_fd = m->initrd_fd = m->serial_fd = m->metrics_timer.fd = -1;
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

/* A device that no transport has yet. It removes the file of its socket. */
static void drop_vsock(struct machine *m)
{
	if (m->vsock_dev)
		m->vsock_dev->ops->destroy(TAKE(m->vsock_dev));
	vsock_cfg_fini(&m->vsock);
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	machine_unbuild(m);
	for (unsigned i = 0; i < m->n_drives; i++) {
		disk_close(m->drive[i].disk);
		drive_cfg_fini(&m->drive[i].cfg);
	}
	machine_close_nets(m);
	cpu_template_fini(&m->cpu_config);
	boot_cfg_fini(&m->boot);
	serial_cfg_fini(&m->serial);
	drop_vsock(m); /* which removes its file: contract, 11.3 */
	close_fd(m->kernel_fd);
	close_fd(m->initrd_fd);
	loop_remove(m->env.loop, &m->end);
	close_fd(m->end.fd);
	loop_remove(m->env.loop, &m->metrics_timer);
	close_fd(m->metrics_timer.fd);
	metrics_close(m->metrics);
	free(m);
}

enum machine_state machine_state(const struct machine *m)
{
	return m->state;
}

const struct machine_cfg *machine_config(const struct machine *m)
{
	return &m->cfg;
}

const struct boot_cfg *machine_boot_source(const struct machine *m)
{
	return &m->boot;
}

const struct drive_cfg *machine_drive(const struct machine *m, unsigned i)
{
	return i < m->n_drives ? &m->drive[i].cfg : NULL;
}

int machine_set_config(struct machine *m, const struct machine_cfg *cfg, struct err *e)
{
	uint32_t cpu_template = m->cfg.cpu_template;
	int r = config_check_machine(cfg, e);

	if (r < 0)
		return r;
	if (cfg->cpu_template_given) {
		cpu_template = cfg->cpu_template;
		cpu_template_fini(&m->cpu_config);
	}
	m->cfg = *cfg;
	m->cfg.cpu_template = cpu_template;
	m->cfg.cpu_template_given = false;
	return 0;
}

int machine_set_cpu_config(struct machine *m, struct cpu_template *t, struct err *e)
{
	(void)e; /* what the host does not have is found at the start: contract, 3.5 */
	cpu_template_fini(&m->cpu_config);
	m->cpu_config = *t;
	m->cfg.cpu_template = CPU_TEMPLATE_NONE;
	*t = (struct cpu_template){ 0 };
	return 0;
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

struct drive *machine_find_drive(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->n_drives; i++)
		if (strcmp(m->drive[i].cfg.drive_id, id) == 0)
			return &m->drive[i];
	return NULL;
}

/* Where a drive of that id goes: the place after the last for a new one, NULL when all
 * are taken. */
static struct drive *drive_place(struct machine *m, const char *id)
{
	struct drive *d = machine_find_drive(m, id);

	if (d)
		return d;
	return m->n_drives < ARRAY_LEN(m->drive) ? &m->drive[m->n_drives] : NULL;
}

int drive_open_disk(const struct drive_cfg *cfg, const char *path, struct loop *loop,
	struct disk **out, struct err *e)
{
	AUTO(disk_close) struct disk *disk = NULL;
	int r = disk_open(path, cfg->is_read_only, &disk, e);

	if (r == 0 && cfg->io_engine == IO_ASYNC)
		r = disk_go_async(disk, loop, e);
	if (r == 0)
		*out = TAKE(disk);
	return r;
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
	r = drive_open_disk(cfg, cfg->path_on_host, m->env.loop, &disk, e);
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

const struct vsock_cfg *machine_vsock(const struct machine *m)
{
	return m->vsock.uds_path ? &m->vsock : NULL;
}

int machine_set_vsock(struct machine *m, struct vsock_cfg *cfg, struct err *e)
{
	bool same = m->vsock.uds_path && cfg->uds_path &&
		strcmp(m->vsock.uds_path, cfg->uds_path) == 0;
	struct vdev *dev;
	int r = config_check_vsock(cfg, e);

	if (r < 0)
		return r;
	if (same) /* makes room for the new one's file */
		drop_vsock(m);
	r = vsock_create(cfg->guest_cid, cfg->uds_path, m->env.loop, &dev, e);
	if (r < 0)
		return r;
	drop_vsock(m);
	m->vsock = *cfg;
	m->vsock_dev = dev;
	*cfg = (struct vsock_cfg){ 0 };
	return 0;
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
