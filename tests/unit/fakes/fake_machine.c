/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_machine.h"

#include <criterion/criterion.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/socket.h>

#include "virtio/blk/kind.h"
#include "virtio/net/kind.h"
#include "vmm/machine/internal.h"

static void on_end(void *self, const char *how)
{
	(void)self;
	(void)how;
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
	struct device_list *d = &m->devices;
	struct err e;

	cr_assert_eq(guest_mem_create(&range, 1, GUEST_PAGES_NONE, &m->mem, &e), 0);
	cr_assert_eq(device_list_init(d, m->env.lock, &m->kvm, m->mem, m->env.loop,
			     on_end, NULL, &e),
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
