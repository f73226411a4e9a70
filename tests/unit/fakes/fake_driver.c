/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fakes/fake_driver.h"

#include <assert.h>
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>

void fake_init(struct fake_driver *d, uint16_t size)
{
	static const struct guest_range ranges[] = {
		{ 0, FAKE_LOW_END },
		{ FAKE_HIGH, FAKE_HIGH_END - FAKE_HIGH },
	};
	int r;

	*d = (struct fake_driver){ .size = size, .heap = FAKE_HEAP };
	r = guest_mem_create(
		ranges, ARRAY_LEN(ranges), GUEST_PAGES_NONE, &d->mem, NULL);
	assert(r == 0);
	(void)r;
}

void fake_fini(struct fake_driver *d)
{
	guest_mem_destroy(d->mem);
	d->mem = NULL;
}

void fake_reboot(struct fake_driver *d)
{
	memset(fake_at(d, FAKE_HIGH, FAKE_HIGH_END - FAKE_HIGH), 0,
		FAKE_HIGH_END - FAKE_HIGH);
	d->heap = FAKE_HEAP;
	d->next_desc = d->avail_idx = d->used_idx = 0;
}

void *fake_at(struct fake_driver *d, gpa_t at, size_t n)
{
	for (unsigned i = 0; i < guest_mem_ranges(d->mem); i++) {
		void *host;
		struct guest_range r = guest_mem_range(d->mem, i, &host);

		if (at >= r.start && at - r.start < r.len &&
			n <= r.len - (at - r.start))
			return (uint8_t *)host + (at - r.start);
	}
	assert(!"a test outside of its memory");
	return NULL;
}

gpa_t fake_alloc(struct fake_driver *d, size_t n, uint8_t fill)
{
	gpa_t at = d->heap;

	memset(fake_at(d, at, n), fill, n);
	d->heap = round_up(at + n, 16);
	return at;
}

struct queue fake_queue(const struct fake_driver *d)
{
	return (struct queue){
		.size = d->size,
		.ready = true,
		.desc_gpa = FAKE_DESC,
		.avail_gpa = FAKE_AVAIL,
		.used_gpa = FAKE_USED,
	};
}

void fake_set_desc(struct fake_driver *d, gpa_t at, gpa_t addr, uint32_t len,
	uint16_t flags, uint16_t next)
{
	struct vring_desc desc = {
		.addr = htole64(addr),
		.len = htole32(len),
		.flags = htole16(flags),
		.next = htole16(next),
	};

	memcpy(fake_at(d, at, sizeof(desc)), &desc, sizeof(desc));
}

/* Unit i of a ring: flags, idx, entries. */
static uint16_t *unit(struct fake_driver *d, gpa_t ring, unsigned i)
{
	return fake_at(d, ring + sizeof(uint16_t) * i, sizeof(uint16_t));
}

static void set_unit(struct fake_driver *d, gpa_t ring, unsigned i, uint16_t value)
{
	__atomic_store_n(unit(d, ring, i), htole16(value), __ATOMIC_RELEASE);
}

static uint16_t get_unit(struct fake_driver *d, gpa_t ring, unsigned i)
{
	return le16toh(__atomic_load_n(unit(d, ring, i), __ATOMIC_ACQUIRE));
}

void fake_offer(struct fake_driver *d, uint16_t head)
{
	set_unit(d, FAKE_AVAIL, 2u + d->avail_idx % d->size, head);
	set_unit(d, FAKE_AVAIL, 1, ++d->avail_idx);
}

/* Writes spans as descriptors first, first + 1, ... modulo n_table. */
static void set_chain(struct fake_driver *d, gpa_t table, unsigned first,
	unsigned n_table, const struct fake_span *spans, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = spans[i].wr ? VRING_DESC_F_WRITE : 0;
		uint16_t next = (uint16_t)((first + i + 1) % n_table);

		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		fake_set_desc(d, table + 16u * ((first + i) % n_table), spans[i].at,
			spans[i].len, flags, next);
	}
}

uint16_t fake_post(struct fake_driver *d, const struct fake_span *spans, unsigned n)
{
	uint16_t head = d->next_desc;

	set_chain(d, FAKE_DESC, head, d->size, spans, n);
	d->next_desc = (uint16_t)((head + n) % d->size);
	fake_offer(d, head);
	return head;
}

uint16_t fake_post_indirect(
	struct fake_driver *d, const struct fake_span *spans, unsigned n, gpa_t *table)
{
	size_t len = n * sizeof(struct vring_desc);
	gpa_t at = fake_alloc(d, len, 0);
	uint16_t head = d->next_desc;

	set_chain(d, at, 0, n, spans, n);
	fake_set_desc(
		d, FAKE_DESC + 16u * head, at, (uint32_t)len, VRING_DESC_F_INDIRECT, 0);
	d->next_desc = (uint16_t)((head + 1) % d->size);
	fake_offer(d, head);
	if (table)
		*table = at;
	return head;
}

bool fake_take_used(struct fake_driver *d, uint32_t *id, uint32_t *len)
{
	struct vring_used_elem elem;
	unsigned slot = d->used_idx % d->size;

	if (get_unit(d, FAKE_USED, 1) == d->used_idx)
		return false;
	memcpy(&elem, fake_at(d, FAKE_USED + 4 + slot * sizeof(elem), sizeof(elem)),
		sizeof(elem));
	d->used_idx++;
	*id = le32toh(elem.id);
	*len = le32toh(elem.len);
	return true;
}

void fake_set_avail_flags(struct fake_driver *d, uint16_t value)
{
	set_unit(d, FAKE_AVAIL, 0, value);
}

void fake_set_avail_idx(struct fake_driver *d, uint16_t value)
{
	set_unit(d, FAKE_AVAIL, 1, value);
}

void fake_set_used_event(struct fake_driver *d, uint16_t value)
{
	set_unit(d, FAKE_AVAIL, 2u + d->size, value);
}

uint16_t fake_used_flags(struct fake_driver *d)
{
	return get_unit(d, FAKE_USED, 0);
}

uint16_t fake_used_idx(struct fake_driver *d)
{
	return get_unit(d, FAKE_USED, 1);
}

uint16_t fake_avail_event(struct fake_driver *d)
{
	return get_unit(d, FAKE_USED, 2u + 4u * d->size);
}

uint32_t fake_reg(struct mmio *t, uint64_t at)
{
	uint32_t value = 0;

	mmio_bus_ops()->read(t, at, &value, sizeof(value));
	return le32toh(value);
}

void fake_set_reg(struct mmio *t, uint64_t at, uint32_t value)
{
	uint32_t le = htole32(value);

	mmio_bus_ops()->write(t, at, &le, sizeof(le));
}

bool fake_negotiate(struct mmio *t, uint64_t features)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;

	fake_set_reg(t, VIRTIO_MMIO_STATUS, 0);
	fake_set_reg(t, VIRTIO_MMIO_STATUS, status);
	status |= VIRTIO_CONFIG_S_DRIVER;
	fake_set_reg(t, VIRTIO_MMIO_STATUS, status);
	for (unsigned i = 0; i < 2; i++) {
		fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		fake_set_reg(t, VIRTIO_MMIO_DRIVER_FEATURES,
			(uint32_t)(features >> (32 * i)));
	}
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	fake_set_reg(t, VIRTIO_MMIO_STATUS, status);
	return fake_reg(t, VIRTIO_MMIO_STATUS) == status;
}

void fake_set_queue(struct mmio *t, unsigned q, const struct fake_driver *d)
{
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_SEL, q);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_NUM, d->size);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_DESC_LOW, FAKE_DESC);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, FAKE_AVAIL);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_USED_LOW, FAKE_USED);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	fake_set_reg(t, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fake_bring_up(struct mmio *t, const struct fake_driver *d, uint64_t features)
{
	bool agreed = fake_negotiate(t, features);

	assert(agreed);
	(void)agreed;
	fake_set_queue(t, 0, d);
	fake_set_reg(t, VIRTIO_MMIO_STATUS,
		fake_reg(t, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

uint64_t fake_irqs(struct mmio *t)
{
	uint64_t n = 0;
	ssize_t got = read(mmio_irq_fd(t), &n, sizeof(n));

	return got == sizeof(n) ? n : 0;
}
