/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net/kind.h"

#include <string.h>

#include "virtio/limiter/config.h"
#include "virtio/net/internal.h"

_Static_assert(sizeof(struct net_cfg) <= KIND_CFG_MAX, "room for the settings");
_Static_assert(sizeof(struct net_patch) <= KIND_CFG_MAX, "room for a change");

bool mac_parse(const char *text, void *mac)
{
	struct mac parsed = { .is_set = true };

	if (strlen(text) != NET_MAC_BYTES * 3 - 1)
		return false;
	for (unsigned i = 0; i < NET_MAC_BYTES; i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 || (i + 1 < NET_MAC_BYTES && text[2] != ':'))
			return false;
		parsed.byte[i] = (uint8_t)(high << 4 | low);
	}
	*(struct mac *)mac = parsed;
	return true;
}

static void mac_print(FILE *f, const void *mac)
{
	const struct mac *m = mac;

	for (unsigned i = 0; i < NET_MAC_BYTES; i++)
		(void)fprintf(f, "%s%02x", i > 0 ? ":" : "", m->byte[i]);
}

static bool mac_is_none(const void *mac)
{
	return !((const struct mac *)mac)->is_set;
}

/* clang-format off */
static const struct field cfg_rows[] = {
	{ .name = "iface_id", .type = FIELD_STRING, .required = true, FIELD_AT(struct net_cfg, iface_id) },
	{ .name = "host_dev_name", .type = FIELD_STRING, .required = true,
	  FIELD_AT(struct net_cfg, host_dev_name) },
	{ .name = "guest_mac", .type = FIELD_TEXT, .nullable = true, .parse = mac_parse, .print = mac_print,
	  .reason = "six pairs of hexadecimal digits with ':'", .is_null = mac_is_none,
	  FIELD_AT(struct net_cfg, guest_mac) },
	{ .name = "mtu", .type = FIELD_UINT, .nullable = true, .min = NET_MTU_MIN, .max = UINT16_MAX,
	  .is_null = field_is_zero32, FIELD_AT(struct net_cfg, mtu) },
	{ .name = "rx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_fields,
	  .is_null = limiter_is_none, FIELD_AT(struct net_cfg, rx) },
	{ .name = "tx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_fields,
	  .is_null = limiter_is_none, FIELD_AT(struct net_cfg, tx) },
};

static const struct field patch_rows[] = {
	{ .name = "iface_id", .type = FIELD_STRING, .required = true, FIELD_AT(struct net_patch, iface_id) },
	{ .name = "rx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_patch_fields,
	  FIELD_AT(struct net_patch, rx) },
	{ .name = "tx_rate_limiter", .type = FIELD_OBJECT, .nullable = true, .fields = &limiter_patch_fields,
	  FIELD_AT(struct net_patch, tx) },
};
/* clang-format on */

static const struct fields cfg_fields = FIELDS("network interface", cfg_rows);
static const struct fields patch_fields = FIELDS("network interface", patch_rows);

static int check(const void *cfg, struct err *e)
{
	const struct net_cfg *c = cfg;
	int r = tap_check_name(c->host_dev_name, e);

	return r < 0 ? err_add(e, r, "interface '%s': host_dev_name", c->iface_id) : 0;
}

static int check_beside(const void *cfg, const void *other, struct err *e)
{
	const struct net_cfg *c = cfg, *o = other;
	const uint8_t *mac = c->guest_mac.byte;

	if (strcmp(c->host_dev_name, o->host_dev_name) == 0)
		return err_bad(e, "interface '%s': '%s' has tap '%s' already",
			c->iface_id, o->iface_id, c->host_dev_name);
	if (c->guest_mac.is_set && o->guest_mac.is_set &&
		memcmp(mac, o->guest_mac.byte, NET_MAC_BYTES) == 0)
		return err_bad(e,
			"interface '%s': '%s' has guest_mac '%02x:%02x:%02x:%02x:%02x:%02x' already",
			c->iface_id, o->iface_id, mac[0], mac[1], mac[2], mac[3],
			mac[4], mac[5]);
	return 0;
}

static int open_backend(
	const void *cfg, struct loop *loop, void **backend, struct err *e)
{
	const struct net_cfg *c = cfg;
	struct tap *tap = NULL;
	int r = tap_open(c->host_dev_name, &tap, e);

	(void)loop;
	*backend = tap;
	return r;
}

static void close_backend(void *backend)
{
	tap_close(backend);
}

/* Nobody can open a tap a second time, not even to replace it by itself. */
static enum kind_reuse reuse(const void *cfg, const void *before)
{
	const struct net_cfg *c = cfg, *b = before;

	return strcmp(c->host_dev_name, b->host_dev_name) == 0 ? REUSE_KEEP
							       : REUSE_NONE;
}

static int create(const void *cfg, void *backend, struct loop *loop, struct vdev **out,
	struct err *e)
{
	const struct net_cfg *c = cfg;
	const struct net_opts opts = {
		.mac = c->guest_mac.is_set ? c->guest_mac.byte : NULL,
		.mtu = (uint16_t)c->mtu,
		.rx = c->rx,
		.tx = c->tx,
	};

	return net_create(c->iface_id, backend, &opts, loop, out, e);
}

static int apply(struct vdev *v, void *cfg, void *patch, void *backend, struct err *e)
{
	struct net_cfg *c = cfg;
	const struct net_patch *p = patch;

	(void)backend;
	(void)e;
	net_patch_limiters(v, &p->rx, &p->tx);
	c->rx = net_rx_limiter(v);
	c->tx = net_tx_limiter(v);
	return 0;
}

const struct device_kind net_kind = {
	.ops = &net_ops,
	.what = "interface",
	.resource = "network-interfaces",
	.area = "network config",
	.counter = "network",
	.is_list = true,
	.cfg = { .fields = &cfg_fields,
		.bytes = sizeof(struct net_cfg),
		.id_at = offsetof(struct net_cfg, iface_id) },
	.patch = { .fields = &patch_fields,
		.bytes = sizeof(struct net_patch),
		.id_at = offsetof(struct net_patch, iface_id) },
	.check = check,
	.check_beside = check_beside,
	.open = open_backend,
	.close = close_backend,
	.reuse = reuse,
	.create = create,
	.apply = apply,
};
