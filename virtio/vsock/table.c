/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vsock/table.h"

/* Both ports are hashed: either alone may be the same for all. */
static unsigned bucket_of(uint32_t local, uint32_t peer)
{
	uint32_t h = (local ^ (peer << 16 | peer >> 16)) * 0x9e3779b1u;

	return h >> 24;
}

struct vsock_link *vsock_table_find(
	const struct vsock_table *t, uint32_t local, uint32_t peer)
{
	struct vsock_link *l = t->bucket[bucket_of(local, peer)];

	while (l && (l->local != local || l->peer != peer))
		l = l->next;
	return l;
}

void vsock_table_add(struct vsock_table *t, struct vsock_link *link)
{
	struct vsock_link **at = &t->bucket[bucket_of(link->local, link->peer)];

	link->next = *at;
	*at = link;
}

void vsock_table_remove(struct vsock_table *t, struct vsock_link *link)
{
	struct vsock_link **at = &t->bucket[bucket_of(link->local, link->peer)];

	while (*at && *at != link)
		at = &(*at)->next;
	if (*at)
		*at = link->next;
}

static bool has_local(const struct vsock_table *t, uint32_t local)
{
	for (unsigned i = 0; i < VSOCK_BUCKETS; i++)
		for (const struct vsock_link *l = t->bucket[i]; l; l = l->next)
			if (l->local == local)
				return true;
	return false;
}

uint32_t vsock_table_free_port(const struct vsock_table *t, uint32_t last)
{
	uint32_t port = last;

	do
		port = port < VSOCK_PORT_FIRST || port >= VSOCK_PORT_LAST
			? VSOCK_PORT_FIRST
			: port + 1;
	while (has_local(t, port));
	return port;
}
