/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vsock/kind.h"

#include <string.h>

#include "virtio/vsock/internal.h"
#include "virtio/vsock/vsock.h"

_Static_assert(sizeof(struct vsock_cfg) <= KIND_CFG_MAX, "room for the settings");

static bool is_never_shown(const void *member)
{
	(void)member;
	return true;
}

/* clang-format off */
static const struct field cfg_rows[] = {
	{ .name = "guest_cid", .type = FIELD_UINT, .required = true, .min = GUEST_CID_MIN,
	  .max = UINT32_MAX - 1, FIELD_AT(struct vsock_cfg, guest_cid) },
	{ .name = "uds_path", .type = FIELD_STRING, .required = true, FIELD_AT(struct vsock_cfg, uds_path) },
	{ .name = "vsock_id", .type = FIELD_STRING, .nullable = true, .is_null = is_never_shown, .omit_null = true,
	  FIELD_AT(struct vsock_cfg, vsock_id), FIELD_GIVEN(struct vsock_cfg, has_vsock_id) },
};
/* clang-format on */

static const struct fields cfg_fields = FIELDS("vsock", cfg_rows);

static int check(const void *cfg, struct err *e)
{
	const struct vsock_cfg *c = cfg;

	return vsock_check(c->guest_cid, c->uds_path, e);
}

static int open_backend(
	const void *cfg, struct loop *loop, void **backend, struct err *e)
{
	const struct vsock_cfg *c = cfg;
	struct vdev *dev = NULL;
	int r = vsock_create(c->guest_cid, c->uds_path, loop, &dev, e);

	*backend = dev;
	return r;
}

/* It removes the file of its socket: contract, 11.3. */
static void close_backend(void *backend)
{
	struct vdev *dev = backend;

	if (dev)
		dev->ops->destroy(dev);
}

static enum kind_reuse reuse(const void *cfg, const void *before)
{
	const struct vsock_cfg *c = cfg, *b = before;

	return strcmp(c->uds_path, b->uds_path) == 0 ? REUSE_CLOSE_FIRST : REUSE_NONE;
}

static int create(const void *cfg, void *backend, struct loop *loop, struct vdev **out,
	struct err *e)
{
	(void)cfg;
	(void)loop;
	(void)e;
	*out = backend;
	return 0;
}

const struct device_kind vsock_kind = {
	.ops = &vsock_ops,
	.what = "vsock",
	.resource = "vsock",
	.area = "vsock config",
	.counter = "vsock",
	.cfg = { .fields = &cfg_fields,
		.bytes = sizeof(struct vsock_cfg),
		.deprecated = 1 + offsetof(struct vsock_cfg, has_vsock_id) },
	.check = check,
	.open = open_backend,
	.close = close_backend,
	.reuse = reuse,
	.create = create,
};
