/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_machine.h"

#include <criterion/criterion.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_end.h"
#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_kernel.h"
#include "virtio/blk/kind.h"
#include "virtio/net/kind.h"
#include "vmm/base/log.h"
#include "vmm/machine/internal.h"

struct fake_machine fake_machine = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_ended(void *self)
{
	struct fake_machine *f = self;

	f->n_ended++;
}

struct machine *fake_machine_create(const struct machine_env *own)
{
	struct machine_env env = own ? *own : (struct machine_env){ 0 };
	struct machine *m;
	struct err e;

	log_set_level(LOG_OFF);
	cr_assert_eq(loop_create(&fake_machine.lock, &fake_machine.loop, &e), 0, "%s",
		e.text);
	env.loop = fake_machine.loop;
	env.lock = &fake_machine.lock;
	env.phases = &fake_machine.phases;
	env.ended = on_ended;
	env.self = &fake_machine;
	cr_assert_eq(machine_create(&env, &m, &e), 0, "%s", e.text);
	return m;
}

void fake_machine_destroy(struct machine *m)
{
	machine_destroy(m);
	loop_destroy(TAKE(fake_machine.loop));
}

void fake_machine_set_kernel(struct machine *m, const void *code, size_t n)
{
	static struct fake_image img;
	const struct fake_segment page = { MIB, 4096, 4096, 4096 };
	struct boot_cfg boot = { 0 };
	struct fake_file kernel;
	struct err e;

	(void)fake_elf(&img, &page, 1);
	memcpy(img.bytes + page.off, code, n);
	kernel = fake_file(img.bytes, img.len);
	boot.kernel_image_path = strdup(kernel.path);
	cr_assert_eq(machine_set_boot_source(m, &boot, &e), 0, "%s", e.text);
	fake_file_close(&kernel);
}

void fake_machine_add_drive(
	struct machine *m, const char *id, const char *path, bool read_only)
{
	struct drive_cfg cfg = { .drive_id = strdup(id),
		.path_on_host = strdup(path),
		.is_read_only = read_only };
	struct err e;

	cr_assert_eq(machine_put_device(m, &blk_kind, &cfg, &e), 0, "%s", e.text);
}

int fake_machine_patch_drive(struct machine *m, const char *id, const char *path,
	const struct limiter_patch *limits, struct err *e)
{
	struct drive_patch p = { .drive_id = strdup(id),
		.path_on_host = path ? strdup(path) : NULL,
		.has_rate_limiter = limits };
	int r;

	if (limits)
		p.rate_limiter = *limits;
	r = machine_patch_device(m, &blk_kind, &p, e);
	fields_fini(blk_kind.patch.fields, &p);
	return r;
}

void fake_machine_add_interface(struct machine *m, const char *id)
{
	struct device *d = &m->set[m->n_set++];
	struct net_cfg *cfg = (struct net_cfg *)(void *)d->cfg;
	struct tap *tap;
	int ends[2];
	struct err e;

	cr_assert_eq(
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
		0);
	close_fd(ends[1]);
	cr_assert_eq(tap_from_fd(ends[0], &tap, &e), 0);
	cfg->iface_id = strdup(id);
	cfg->host_dev_name = strdup("socket");
	d->kind = &net_kind;
	d->backend = tap;
}

const char *fake_machine_drive_path(const struct machine *m)
{
	const struct drive_cfg *cfg = machine_device(m, &blk_kind, 0);

	return cfg->path_on_host;
}

static void add_device(struct machine *m, struct vdev *dev)
{
	struct device_list *d = &m->devices;
	struct err e;

	cr_assert_eq(
		mmio_create(dev, m->mem, m->env.loop, &d->virtio[d->n_virtio++], &e),
		0);
}

static void build_device(struct machine *m, struct device *d)
{
	struct err e;

	cr_assert_eq(
		d->kind->create(d->cfg, TAKE(d->backend), m->env.loop, &d->dev, &e), 0);
	add_device(m, d->dev);
}

static void build_devices(struct machine *m)
{
	const struct guest_range range = { 0, 1 << 20 };
	static struct fake_end end;
	struct device_list *d = &m->devices;
	struct err e;

	cr_assert_eq(guest_mem_create(&range, 1, GUEST_PAGES_NONE, &m->mem, &e), 0);
	cr_assert_eq(device_list_init(d, m->env.lock, &m->kvm, m->mem, m->env.loop,
			     fake_end, &end, &e),
		0);
	for (unsigned k = 0; device_kinds[k]; k++)
		for (unsigned i = 0; i < m->n_set; i++)
			if (m->set[i].kind == device_kinds[k])
				build_device(m, &m->set[i]);
}

void fake_machine_enter(struct machine *m, enum machine_state state)
{
	if (state != MACHINE_NOT_STARTED && !m->mem)
		build_devices(m);
	m->state = state;
}

void fake_machine_read_config(
	struct machine *m, unsigned i, uint64_t at, void *data, size_t n)
{
	pthread_mutex_lock(m->env.lock);
	mmio_bus_ops()->read(m->devices.virtio[i], VIRTIO_MMIO_CONFIG + at, data, n);
	pthread_mutex_unlock(m->env.lock);
}

void fake_machine_drive(struct machine *m, unsigned i)
{
	static const struct {
		uint64_t at;
		uint32_t value;
	} writes[] = {
		{ VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE },
		{ VIRTIO_MMIO_STATUS,
			VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER },
		{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1 },
		{ VIRTIO_MMIO_DRIVER_FEATURES, 1 }, /* VIRTIO_F_VERSION_1 */
		{ VIRTIO_MMIO_STATUS,
			VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				VIRTIO_CONFIG_S_FEATURES_OK },
		{ VIRTIO_MMIO_QUEUE_NUM, 16 },
		{ VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000 },
		{ VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x2000 },
		{ VIRTIO_MMIO_QUEUE_USED_LOW, 0x3000 },
		{ VIRTIO_MMIO_QUEUE_READY, 1 },
		{ VIRTIO_MMIO_STATUS,
			VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				VIRTIO_CONFIG_S_FEATURES_OK |
				VIRTIO_CONFIG_S_DRIVER_OK },
	};

	pthread_mutex_lock(m->env.lock);
	for (size_t w = 0; w < ARRAY_LEN(writes); w++)
		mmio_bus_ops()->write(m->devices.virtio[i], writes[w].at,
			&writes[w].value, sizeof(writes[w].value));
	pthread_mutex_unlock(m->env.lock);
}
