/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/blk/kind.h"

#include "virtio/blk/internal.h"
#include "virtio/limiter/config.h"
#include "vmm/base/log.h"

_Static_assert(sizeof(struct drive_cfg) <= KIND_CFG_MAX, "room for the settings");
_Static_assert(sizeof(struct drive_patch) <= KIND_CFG_MAX, "room for a change");

static const char *const cache_names[] = {
	[CACHE_UNSAFE] = "Unsafe",
	[CACHE_WRITEBACK] = "Writeback",
	NULL,
};
static const char *const engine_names[] = {
	[IO_SYNC] = "Sync",
	[IO_ASYNC] = "Async",
	NULL,
};

/* clang-format off */
static const struct field cfg_rows[] = {
	{ .name = "drive_id", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct drive_cfg, drive_id) },
	{ .name = "path_on_host", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct drive_cfg, path_on_host) },
	{ .name = "is_root_device", .type = FIELD_BOOL, .required = true,
	  FIELD_AT(struct drive_cfg, is_root_device) },
	{ .name = "is_read_only", .type = FIELD_BOOL, .nullable = true,
	  FIELD_AT(struct drive_cfg, is_read_only) },
	{ .name = "partuuid", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct drive_cfg, partuuid) },
	{ .name = "cache_type", .type = FIELD_ENUM, .names = cache_names,
	  FIELD_AT(struct drive_cfg, cache_type) },
	{ .name = "io_engine", .type = FIELD_ENUM, .names = engine_names, .nullable = true,
	  FIELD_AT(struct drive_cfg, io_engine) },
	{ .name = "rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_fields,
	  .is_null = limiter_is_none, FIELD_AT(struct drive_cfg, rate_limiter) },
	{ .name = "socket", .type = FIELD_ABSENT, .nullable = true,
	  .reason = "is for vhost-user, which husk does not have" },
};

static const struct field patch_rows[] = {
	{ .name = "drive_id", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct drive_patch, drive_id) },
	{ .name = "path_on_host", .type = FIELD_STRING, .nullable = true,
	  FIELD_AT(struct drive_patch, path_on_host) },
	{ .name = "rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_patch_fields,
	  FIELD_AT(struct drive_patch, rate_limiter), FIELD_GIVEN(struct drive_patch, has_rate_limiter) },
};
/* clang-format on */

static const struct fields cfg_fields = FIELDS("drive", cfg_rows);
static const struct fields patch_fields = FIELDS("drive", patch_rows);

static int check(const void *cfg, struct err *e)
{
	const struct drive_cfg *c = cfg;

	return c->path_on_host
		? 0
		: err_bad(e, "drive '%s': path_on_host is missing", c->drive_id);
}

static int check_beside(const void *cfg, const void *other, struct err *e)
{
	const struct drive_cfg *c = cfg, *o = other;

	if (c->is_root_device && o->is_root_device)
		return err_bad(e, "drive '%s': '%s' is the root device already",
			c->drive_id, o->drive_id);
	return 0;
}

/* The root drive is /dev/vda. */
static bool is_first(const void *cfg)
{
	const struct drive_cfg *c = cfg;

	return c->is_root_device;
}

static int add_args(const void *cfg, struct cmdline *line, struct err *e)
{
	const struct drive_cfg *c = cfg;
	int r;

	if (!c->is_root_device)
		return 0;
	r = c->partuuid ? cmdline_add(line, e, "root=PARTUUID=%s", c->partuuid)
			: cmdline_add(line, e, "root=/dev/vda");
	return r < 0 ? r : cmdline_add(line, e, c->is_read_only ? "ro" : "rw");
}

static int open_disk(const struct drive_cfg *c, const char *path, struct loop *loop,
	struct disk **out, struct err *e)
{
	AUTO(disk_close) struct disk *disk = NULL;
	int r = disk_open(path, c->is_read_only, &disk, e);

	if (r == 0 && c->io_engine == IO_ASYNC)
		r = disk_go_async(disk, loop, e);
	if (r == 0)
		*out = TAKE(disk);
	return r;
}

static int open_backend(
	const void *cfg, struct loop *loop, void **backend, struct err *e)
{
	const struct drive_cfg *c = cfg;
	struct disk *disk = NULL;
	int r = open_disk(c, c->path_on_host, loop, &disk, e);

	if (r < 0)
		return r;
	*backend = disk;
	return 0;
}

static void log_oddities(const void *cfg, const void *backend)
{
	const struct drive_cfg *c = cfg;

	if (disk_hidden_tail(backend) > 0)
		log_warn(
			"drive '%s': the last %u bytes are not a sector and stay hidden",
			c->drive_id, disk_hidden_tail(backend));
}

static void close_backend(void *backend)
{
	disk_close(backend);
}

static int create(const void *cfg, void *backend, struct loop *loop, struct vdev **out,
	struct err *e)
{
	const struct drive_cfg *c = cfg;

	return blk_create(c->drive_id, backend, c->cache_type == CACHE_WRITEBACK, loop,
		&c->rate_limiter, out, e);
}

static int check_patch(const void *patch, struct err *e)
{
	const struct drive_patch *p = patch;

	return p->path_on_host || p->has_rate_limiter
		? 0
		: err_bad(e, "nothing to change is given");
}

static bool needs_backend(const void *patch)
{
	const struct drive_patch *p = patch;

	return p->path_on_host;
}

static int reopen(const void *cfg, const void *patch, struct loop *loop, void **backend,
	struct err *e)
{
	const struct drive_patch *p = patch;
	struct disk *disk = NULL;
	int r = open_disk(cfg, p->path_on_host, loop, &disk, e);

	*backend = disk;
	return r;
}

static int apply(struct vdev *v, void *cfg, void *patch, void *backend, struct err *e)
{
	struct drive_cfg *c = cfg;
	struct drive_patch *p = patch;
	int r = backend ? blk_set_disk(v, backend) : 0;

	if (r < 0)
		return err_code(e, r, "'%s'", p->path_on_host);
	if (backend) {
		char *old = c->path_on_host;

		c->path_on_host = p->path_on_host;
		p->path_on_host = old;
	}
	if (p->has_rate_limiter) {
		blk_patch_limiter(v, &p->rate_limiter);
		c->rate_limiter = blk_limiter(v);
	}
	return 0;
}

static void count_patch(struct vdev *v, bool failed)
{
	struct blk_stats *stats = blk_stats(v);

	stats->update_count += !failed;
	stats->update_fails += failed;
}

const struct device_kind blk_kind = {
	.ops = &blk_ops,
	.what = "drive",
	.resource = "drives",
	.area = "drive config",
	.counter = "drive",
	.is_list = true,
	.is_required = true,
	.cfg = { .fields = &cfg_fields,
		.bytes = sizeof(struct drive_cfg),
		.id_at = offsetof(struct drive_cfg, drive_id) },
	.patch = { .fields = &patch_fields,
		.bytes = sizeof(struct drive_patch),
		.id_at = offsetof(struct drive_patch, drive_id) },
	.check = check,
	.check_beside = check_beside,
	.is_first = is_first,
	.add_args = add_args,
	.open = open_backend,
	.log_oddities = log_oddities,
	.close = close_backend,
	.create = create,
	.check_patch = check_patch,
	.apply = apply,
	.count_patch = count_patch,
	.needs_backend = needs_backend,
	.hold = blk_hold,
	.release = blk_release,
	.reopen = reopen,
};
