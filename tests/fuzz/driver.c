/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/driver.h"

#include <assert.h>
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/confine.h"
#include "vmm/base/log.h"

enum {
	IDLE_TURNS = 4,
	/* each makes a new device, which costs as much as 20 steps */
	SNAPSHOTS_MAX = 2,
};

struct guest_mem *mem;
struct loop *loop;
struct mmio *t;
uint16_t avail_idx[QUEUES_MAX];
bool loaded_garbage;

static const struct driver_layout *layout;
static uint8_t *bytes; /* a piece of memory: zeroes but in tell_memory */
static unsigned n_snapshots;

static void start(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const struct guest_range ranges[] = { { 0, layout->piece },
		{ 2 * layout->piece, layout->piece } };

	log_set_level(LOG_OFF);
	bytes = calloc(1, layout->piece);
	if (!bytes ||
		guest_mem_create(ranges, layout->has_two ? 2 : 1, GUEST_PAGES_NONE,
			&mem, NULL) < 0 ||
		guest_track_dirty(mem) < 0 || loop_create(&lock, &loop, NULL) < 0)
		abort();
}

void driver_begin(const struct driver_layout *at)
{
	layout = at;
	if (!mem)
		start();
	memset(avail_idx, 0, sizeof(avail_idx));
	loaded_garbage = false;
	n_snapshots = 0;
}

void clear_memory(void)
{
	poke(0, bytes, layout->piece);
	if (layout->has_two)
		poke(2 * layout->piece, bytes, layout->piece);
}

void tell_memory(void)
{
	if (!fuzz_on_end)
		return;
	for (gpa_t at = 0; at <= 2 * layout->piece; at += 2 * layout->piece)
		if (guest_read(mem, at, bytes, layout->piece) == 0)
			fuzz_on_end(bytes, layout->piece);
	memset(bytes, 0, layout->piece);
}

void poke(gpa_t at, const void *p, size_t n)
{
	int r = guest_write(mem, at, p, n);

	(void)r;
}

void poke_bytes(struct input *in, gpa_t at)
{
	uint8_t some[32];
	size_t n = 1u + take_u8(in) % sizeof(some);

	take(in, some, n);
	poke(at, some, n);
}

void set_reg(uint64_t at, uint32_t value)
{
	value = htole32(value);
	mmio_bus_ops()->write(t, at, &value, sizeof(value));
}

void write_register(struct input *in)
{
	uint64_t at = take_u8(in) * 4u;

	set_reg(at, take_u32(in));
}

uint32_t get_status(void)
{
	uint32_t value = 0;

	mmio_bus_ops()->read(t, VIRTIO_MMIO_STATUS, &value, sizeof(value));
	return le32toh(value);
}

bool has_faulted(void)
{
	return get_status() & VIRTIO_CONFIG_S_NEEDS_RESET;
}

void poll_loop(void)
{
	int r = loop_poll(loop, 0);

	assert(r == 0);
	(void)r;
}

void notify(unsigned q)
{
	set_reg(VIRTIO_MMIO_QUEUE_NOTIFY, q);
	poll_loop();
}

void negotiate(uint32_t low_features)
{
	set_reg(VIRTIO_MMIO_STATUS, 0);
	set_reg(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set_reg(VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES, low_features);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set_reg(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	set_reg(VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			VIRTIO_CONFIG_S_FEATURES_OK);
}

void set_queue(unsigned q, bool ready)
{
	gpa_t at = q * layout->stride;
	uint16_t zero = 0;

	set_reg(VIRTIO_MMIO_QUEUE_SEL, q);
	set_reg(VIRTIO_MMIO_QUEUE_NUM, RING_SIZE);
	set_reg(VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)(at + layout->desc));
	set_reg(VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)(at + layout->avail));
	set_reg(VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)(at + layout->used));
	set_reg(VIRTIO_MMIO_QUEUE_READY, ready);
	avail_idx[q] = 0;
	poke(at + layout->avail + 2, &zero, sizeof(zero));
}

void set_driver_ok(void)
{
	set_reg(VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

void set_desc(
	unsigned q, unsigned i, gpa_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { htole64(addr), htole32(len), htole16(flags),
		htole16(next) };

	poke(q * layout->stride + layout->desc + i * sizeof(d), &d, sizeof(d));
}

void poke_desc(struct input *in, unsigned q)
{
	unsigned i = take_u8(in);
	gpa_t addr = take_u32(in);
	uint32_t len;
	uint8_t flags;

	addr <<= take_u8(in) % 33;
	len = take_u32(in);
	flags = take_u8(in);
	set_desc(q, i, addr, len, flags, take_u8(in));
}

void offer(unsigned q, uint16_t head)
{
	gpa_t at = q * layout->stride + layout->avail;
	uint16_t idx;

	head = htole16(head);
	poke(at + 4u + 2u * (avail_idx[q] % RING_SIZE), &head, sizeof(head));
	idx = htole16(++avail_idx[q]);
	poke(at + 2, &idx, sizeof(idx));
}

void run_steps(struct input *in, void (*step)(struct input *in), void (*check)(void))
{
	for (unsigned i = 0; i < STEPS_MAX && in->left > 0; i++) {
		step(in);
		check();
	}
	for (unsigned i = 0; i < IDLE_TURNS; i++)
		poll_loop();
	check();
}

bool may_snapshot(void)
{
	return n_snapshots++ < SNAPSHOTS_MAX;
}

void reload(size_t at, uint8_t xor, void (*attach)(uint8_t how), uint8_t how)
{
	struct stream s, l;
	int r;

	stream_init_save(&s);
	r = mmio_snap(t, &s);
	assert(r == 0);
	mmio_destroy(t);
	t = NULL;
	attach(how);
	mmio_pause(t);
	/* No checksum: the fields are to be reached. */
	l = (struct stream){ .loading = true, .buf = s.buf, .len = s.len };
	s.buf[at % s.len] ^= xor;
	loaded_garbage = loaded_garbage || xor != 0;
	r = mmio_snap(t, &l);
	assert(r == 0 || l.error == r);
	(void)r;
	stream_fini(&s);
}
