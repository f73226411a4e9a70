/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/config.h"

#include <stdlib.h>
#include <string.h>

#include "virtio/net/net.h"
#include "virtio/vsock/vsock.h"
#include "vmm/base/ids.h"
#include "vmm/base/unix_socket.h"

void boot_cfg_fini(struct boot_cfg *c)
{
	free(c->kernel_image_path);
	free(c->initrd_path);
	free(c->boot_args);
	*c = (struct boot_cfg){ 0 };
}

void drive_cfg_fini(struct drive_cfg *c)
{
	free(c->drive_id);
	free(c->path_on_host);
	free(c->partuuid);
	*c = (struct drive_cfg){ 0 };
}

void drive_patch_fini(struct drive_patch *p)
{
	free(p->drive_id);
	free(p->path_on_host);
	*p = (struct drive_patch){ 0 };
}

void net_cfg_fini(struct net_cfg *c)
{
	free(c->iface_id);
	free(c->host_dev_name);
	free(c->guest_mac);
	*c = (struct net_cfg){ 0 };
}

void net_patch_fini(struct net_patch *p)
{
	free(p->iface_id);
	*p = (struct net_patch){ 0 };
}

void serial_cfg_fini(struct serial_cfg *c)
{
	free(c->serial_out_path);
	*c = (struct serial_cfg){ 0 };
}

void vsock_cfg_fini(struct vsock_cfg *c)
{
	free(c->uds_path);
	*c = (struct vsock_cfg){ 0 };
}

int config_check_machine(const struct machine_cfg *c, struct err *e)
{
	uint64_t bytes;

	if (c->vcpu_count < 1 || c->vcpu_count > VCPUS_MAX)
		return err_bad(
			e, "vcpu_count %u is not in 1 to %d", c->vcpu_count, VCPUS_MAX);
	if (c->smt && c->vcpu_count != 1 && c->vcpu_count % 2 != 0)
		return err_bad(e, "vcpu_count %u is odd: with smt it is 1 or even",
			c->vcpu_count);
	if (c->mem_size_mib == 0 || !mul_ok(c->mem_size_mib, MIB, &bytes) ||
		bytes > UINT64_MAX / 2)
		return err_bad(e, "mem_size_mib %llu is not a possible size",
			(unsigned long long)c->mem_size_mib);
	if (c->huge_pages != GUEST_PAGES_NONE && c->mem_size_mib % 2 != 0)
		return err_bad(e,
			"mem_size_mib %llu is odd: with huge_pages it is a multiple of 2",
			(unsigned long long)c->mem_size_mib);
	return 0;
}

int config_check_drive(const struct drive_cfg *c, struct err *e)
{
	int r = ids_check_device("drive_id", c->drive_id, e);

	if (r < 0)
		return r;
	if (!c->path_on_host)
		return err_bad(e, "drive '%s': path_on_host is missing", c->drive_id);
	return 0;
}

bool config_parse_mac(const char *text, uint8_t mac[6])
{
	uint8_t parsed[6];

	if (strlen(text) != 6 * 3 - 1)
		return false;
	for (unsigned i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 || (i < 5 && text[2] != ':'))
			return false;
		parsed[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(mac, parsed, sizeof(parsed));
	return true;
}

int config_check_net(const struct net_cfg *c, struct err *e)
{
	uint8_t mac[6];
	int r = ids_check_device("iface_id", c->iface_id, e);

	if (r < 0)
		return r;
	if (!c->host_dev_name)
		return err_bad(
			e, "interface '%s': host_dev_name is missing", c->iface_id);
	r = tap_check_name(c->host_dev_name, e);
	if (r < 0)
		return err_add(e, r, "interface '%s': host_dev_name", c->iface_id);
	if (c->guest_mac && !config_parse_mac(c->guest_mac, mac))
		return err_bad(e,
			"interface '%s': guest_mac '%.40s' is not six pairs of hexadecimal digits with ':'",
			c->iface_id, c->guest_mac);
	if (c->mtu != 0 && (c->mtu < NET_MTU_MIN || c->mtu > UINT16_MAX))
		return err_bad(e, "interface '%s': mtu %u is not in %d to %d",
			c->iface_id, c->mtu, NET_MTU_MIN, UINT16_MAX);
	return 0;
}

int config_check_vsock(const struct vsock_cfg *c, struct err *e)
{
	size_t n;

	if (c->guest_cid < GUEST_CID_MIN || c->guest_cid == UINT32_MAX)
		return err_bad(e, "guest_cid %u is not in %d to %u", c->guest_cid,
			GUEST_CID_MIN, UINT32_MAX - 1);
	if (!c->uds_path)
		return err_bad(e, "uds_path is missing");
	n = strlen(c->uds_path);
	if (n == 0 || n > UNIX_PATH_MAX)
		return err_bad(e, "uds_path '%.120s' is %zu bytes long, not 1 to %d",
			c->uds_path, n, (int)UNIX_PATH_MAX);
	return 0;
}
