/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/bus.h"

#include <string.h>

void bus_init(struct bus *b, pthread_mutex_t *lock)
{
	*b = (struct bus){ .lock = lock };
}

int bus_add(struct bus *b, uint64_t start, uint64_t len, const struct bus_ops *ops,
	void *self, struct err *e)
{
	uint64_t end;
	unsigned i = 0;

	if (len == 0 || !add_ok(start, len, &end))
		return err_bad(e, "device %s: %#llx bytes at %#llx wrap", ops->name,
			(unsigned long long)len, (unsigned long long)start);
	if (b->n == BUS_SLOTS_MAX)
		return err_bad(e, "device %s: more than %d devices on one bus",
			ops->name, BUS_SLOTS_MAX);
	while (i < b->n && b->slot[i].start < start)
		i++;
	if ((i > 0 && start - b->slot[i - 1].start < b->slot[i - 1].len) ||
		(i < b->n && b->slot[i].start < end))
		return err_bad(e, "device %s at %#llx overlaps another", ops->name,
			(unsigned long long)start);
	memmove(&b->slot[i + 1], &b->slot[i], (b->n - i) * sizeof(b->slot[0]));
	b->slot[i] = (struct bus_slot){ start, len, ops, self };
	b->n++;
	return 0;
}

/* The slot that contains all n bytes at addr, or NULL. A linear search is enough: a
 * microVM has about ten devices, and the registers that are written often are
 * ioeventfds. */
static const struct bus_slot *find_slot(const struct bus *b, uint64_t addr, size_t n)
{
	for (unsigned i = 0; i < b->n; i++) {
		const struct bus_slot *s = &b->slot[i];

		if (addr >= s->start && addr - s->start < s->len)
			return n <= s->len - (addr - s->start) ? s : NULL;
	}
	return NULL;
}

bool bus_read(struct bus *b, uint64_t addr, void *data, size_t n)
{
	const struct bus_slot *s = find_slot(b, addr, n);

	memset(data, 0xff, n);
	if (!s)
		return false;
	pthread_mutex_lock(b->lock);
	s->ops->read(s->self, addr - s->start, data, n);
	pthread_mutex_unlock(b->lock);
	return true;
}

bool bus_write(struct bus *b, uint64_t addr, const void *data, size_t n)
{
	const struct bus_slot *s = find_slot(b, addr, n);

	if (!s)
		return false;
	pthread_mutex_lock(b->lock);
	s->ops->write(s->self, addr - s->start, data, n);
	pthread_mutex_unlock(b->lock);
	return true;
}

int bus_busy(struct bus *b, uint64_t addr)
{
	const struct bus_slot *s = find_slot(b, addr, 1);
	int fd;

	if (!s || !s->ops->busy)
		return -1;
	pthread_mutex_lock(b->lock);
	fd = s->ops->busy(s->self);
	pthread_mutex_unlock(b->lock);
	return fd;
}
