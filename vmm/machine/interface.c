/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_net: the network interfaces of a machine, from their settings to their
 * devices. On the loop's thread.
 */
#include <ctype.h>
#include <string.h>

#include "virtio/net/net.h"
#include "vmm/machine/internal.h"

/* The interface of that id, or the free place after the last, or NULL when all are
 * taken. */
static struct nic *nic_place(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->n_nics; i++)
		if (strcmp(m->nic[i].cfg.iface_id, id) == 0)
			return &m->nic[i];
	return m->n_nics < ARRAY_LEN(m->nic) ? &m->nic[m->n_nics] : NULL;
}

static bool is_same_mac(const char *a, const char *b)
{
	uint8_t mac_a[NET_MAC_BYTES], mac_b[NET_MAC_BYTES];

	return a && b && config_parse_mac(a, mac_a) && config_parse_mac(b, mac_b) &&
		memcmp(mac_a, mac_b, sizeof(mac_a)) == 0;
}

/* As GET shows it. */
static void make_lower(char *mac)
{
	for (; mac && *mac; mac++)
		*mac = (char)tolower((unsigned char)*mac);
}

/* Whether another interface has what cfg asks for. */
static int check_others(const struct machine *m, const struct nic *place,
	const struct net_cfg *cfg, struct err *e)
{
	for (unsigned i = 0; i < m->n_nics; i++) {
		const struct net_cfg *other = &m->nic[i].cfg;

		if (&m->nic[i] == place)
			continue;
		if (strcmp(other->host_dev_name, cfg->host_dev_name) == 0)
			return err_bad(e, "interface '%s': '%s' has tap '%s' already",
				cfg->iface_id, other->iface_id, cfg->host_dev_name);
		if (is_same_mac(other->guest_mac, cfg->guest_mac))
			return err_bad(e,
				"interface '%s': '%s' has guest_mac '%s' already",
				cfg->iface_id, other->iface_id, cfg->guest_mac);
	}
	return 0;
}

int machine_put_net(struct machine *m, struct net_cfg *cfg, struct err *e)
{
	struct tap *tap = NULL;
	struct nic *place;
	bool is_new;
	int r = config_check_net(cfg, e);

	if (r < 0)
		return r;
	place = nic_place(m, cfg->iface_id);
	if (!place)
		return err_bad(e, "interface '%s': there are %u already", cfg->iface_id,
			m->n_nics);
	r = check_others(m, place, cfg, e);
	if (r < 0)
		return r;
	is_new = place == &m->nic[m->n_nics];
	/* nobody can open a tap a second time, not even to replace it by itself */
	if (!is_new && strcmp(place->cfg.host_dev_name, cfg->host_dev_name) == 0)
		tap = TAKE(place->tap);
	if (!tap)
		r = tap_open(cfg->host_dev_name, &tap, e);
	if (r < 0)
		return err_add(e, r, "interface '%s'", cfg->iface_id);
	if (is_new)
		m->n_nics++;
	tap_close(place->tap);
	net_cfg_fini(&place->cfg);
	make_lower(cfg->guest_mac);
	*place = (struct nic){ .cfg = *cfg, .tap = tap };
	*cfg = (struct net_cfg){ 0 };
	return 0;
}

int machine_patch_net(struct machine *m, struct net_patch *patch, struct err *e)
{
	struct nic *nic = nic_place(m, patch->iface_id);

	if (!nic || nic == &m->nic[m->n_nics])
		return err_bad(e, "there is no interface '%.80s'", patch->iface_id);
	pthread_mutex_lock(m->env.lock);
	net_patch_limiters(nic->dev, &patch->rx, &patch->tx);
	nic->cfg.rx = net_rx_limiter(nic->dev);
	nic->cfg.tx = net_tx_limiter(nic->dev);
	pthread_mutex_unlock(m->env.lock);
	return 0;
}

const struct net_cfg *machine_net(const struct machine *m, unsigned i)
{
	return i < m->n_nics ? &m->nic[i].cfg : NULL;
}

/* The tap was handed to the device; it is opened anew when an earlier start failed. */
static int start_net(struct machine *m, struct nic *nic, struct err *e)
{
	const struct net_cfg *cfg = &nic->cfg;
	uint8_t mac[NET_MAC_BYTES];
	struct net_opts opts = {
		.mtu = (uint16_t)cfg->mtu,
		.rx = cfg->rx,
		.tx = cfg->tx,
	};
	int r = 0;

	if (cfg->guest_mac && config_parse_mac(cfg->guest_mac, mac))
		opts.mac = mac;
	if (!nic->tap)
		r = tap_open(cfg->host_dev_name, &nic->tap, e);
	if (r == 0)
		r = net_create(cfg->iface_id, TAKE(nic->tap), &opts, m->env.loop,
			&nic->dev, e);
	if (r == 0)
		r = device_list_add_virtio(&m->devices, nic->dev, e);
	return r < 0 ? err_add(e, r, "interface '%s'", cfg->iface_id) : 0;
}

int machine_start_nets(struct machine *m, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < m->n_nics; i++)
		r = start_net(m, &m->nic[i], e);
	return r;
}

void machine_close_nets(struct machine *m)
{
	while (m->n_nics > 0) {
		struct nic *nic = &m->nic[--m->n_nics];

		tap_close(nic->tap);
		net_cfg_fini(&nic->cfg);
	}
}
