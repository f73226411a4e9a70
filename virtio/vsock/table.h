/* SPDX-License-Identifier: Apache-2.0
 *
 * table: connections by their two ports, and the ports that husk gives out. An
 * open hash whose links live in what is linked; the number of those is the caller's to
 * bound. With the device lock held.
 */
#ifndef HUSK_VIRTIO_VSOCK_TABLE_H
#define HUSK_VIRTIO_VSOCK_TABLE_H

#include "vmm/base/base.h"

enum { VSOCK_BUCKETS = 256 };

/* Ports of the host's side that husk chooses: [FIRST, LAST]. */
#define VSOCK_PORT_FIRST ((uint32_t)1 << 30)
#define VSOCK_PORT_LAST (((uint32_t)1 << 31) - 1)

struct vsock_link {
	struct vsock_link *next;
	uint32_t local, peer; /* ports: the host's, the guest's */
};

/* All zero: empty. */
struct vsock_table {
	struct vsock_link *bucket[VSOCK_BUCKETS];
};

/* The link with these ports, or NULL. */
struct vsock_link *vsock_table_find(
	const struct vsock_table *t, uint32_t local, uint32_t peer);
/* Adds a link whose ports are set and not in the table. */
void vsock_table_add(struct vsock_table *t, struct vsock_link *link);
/* Removes a link; one that is not there is fine. */
void vsock_table_remove(struct vsock_table *t, struct vsock_link *link);

/* Finds the next port after `last`, in a circle, that is no link's local port. There
 * are far more ports than links. */
uint32_t vsock_table_free_port(const struct vsock_table *t, uint32_t last);

#endif
