/* SPDX-License-Identifier: Apache-2.0
 *
 * machine: see the header. The settings but for the devices'; start.c is where
 * something is made of them.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "vmm/codec/cmdline.h"
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

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	machine_unbuild(m);
	machine_forget_devices(m); /* a vsock removes its file: contract, 11.3 */
	cpu_template_fini(&m->cpu_config);
	fields_fini(&boot_cfg_fields, &m->boot);
	fields_fini(&serial_cfg_fields, &m->serial);
	close_fd(m->kernel_fd);
	close_fd(m->initrd_fd);
	loop_remove(m->env.loop, &m->end);
	close_fd(m->end.fd);
	timer_close(&m->metrics_timer);
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
	fields_fini(&boot_cfg_fields, &m->boot);
	m->kernel_fd = TAKE_FD(kernel_fd);
	m->initrd_fd = TAKE_FD(initrd_fd);
	m->boot = *cfg;
	*cfg = (struct boot_cfg){ 0 };
	return 0;
}

int machine_set_serial(struct machine *m, struct serial_cfg *cfg, struct err *e)
{
	(void)e; /* the path is opened at the start: contract, 3.14 */
	fields_fini(&serial_cfg_fields, &m->serial);
	m->serial = *cfg;
	m->has_serial = true;
	*cfg = (struct serial_cfg){ 0 };
	return 0;
}
