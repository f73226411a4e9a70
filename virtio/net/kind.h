/* SPDX-License-Identifier: Apache-2.0
 *
 * kind: interfaces: what the API calls a network device and its tap (contract, 3.12).
 */
#ifndef HUSK_VIRTIO_NET_KIND_H
#define HUSK_VIRTIO_NET_KIND_H

#include "virtio/kind.h"
#include "virtio/limiter/limiter.h"
#include "virtio/net/net.h"

struct mac {
	bool is_set;
	uint8_t byte[NET_MAC_BYTES];
};

struct net_cfg {
	char *iface_id;
	char *host_dev_name; /* see tap_open */
	struct mac guest_mac; /* not set: the guest chooses */
	uint32_t mtu; /* 0: not offered */
	struct limiter_cfg rx, tx; /* to and from the guest */
};

/* A change of an interface; what is not given stays. */
struct net_patch {
	char *iface_id;
	struct limiter_patch rx, tx;
};

/* Reads six pairs of hexadecimal digits with ':' between them: true with the struct mac
 * filled. */
bool mac_parse(const char *text, void *mac);

/* The backend is a struct tap. An interface that keeps its host_dev_name keeps its open
 * tap. */
extern const struct device_kind net_kind;

#endif
