/* SPDX-License-Identifier: Apache-2.0
 *
 * bus: which device answers an access, what happens where there is none, and which
 * ranges are refused.
 */
#include "vmm/core/bus.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bus bus;
static struct err e;

/* The last access that a device saw. */
static struct {
	void *self;
	uint64_t at;
	size_t n;
	uint8_t bytes[8];
	unsigned reads, writes;
	bool lock_was_held;
} seen;

static void toy_read(void *self, uint64_t at, void *data, size_t n)
{
	seen.self = self;
	seen.at = at;
	seen.n = n;
	seen.reads++;
	seen.lock_was_held = pthread_mutex_trylock(&lock) == EBUSY;
	memset(data, 0x5a, n);
}

static void toy_write(void *self, uint64_t at, const void *data, size_t n)
{
	seen.self = self;
	seen.at = at;
	seen.n = n;
	seen.writes++;
	seen.lock_was_held = pthread_mutex_trylock(&lock) == EBUSY;
	memcpy(seen.bytes, data, n);
}

static int toy_busy(void *self)
{
	seen.self = self;
	seen.lock_was_held = pthread_mutex_trylock(&lock) == EBUSY;
	return 77;
}

static const struct bus_ops toy = {
	.name = "toy", .read = toy_read, .write = toy_write
};
static const struct bus_ops slow = {
	.name = "slow", .read = toy_read, .write = toy_write, .busy = toy_busy
};
static int a, b, c; /* devices, as far as the bus cares */

static void set_up(void)
{
	bus_init(&bus, &lock);
	memset(&seen, 0, sizeof(seen));
}

TestSuite(bus, .init = set_up);

static int add(uint64_t start, uint64_t len, void *self)
{
	return bus_add(&bus, start, len, &toy, self, &e);
}

static bool read_at(uint64_t addr, size_t n)
{
	uint8_t data[8];

	return bus_read(&bus, addr, data, n);
}

Test(bus, gives_an_access_to_the_device_at_the_address)
{
	uint32_t v = 0;

	cr_assert_eq(add(0x2000, 0x1000, &b), 0);
	cr_assert_eq(add(0x1000, 0x1000, &a), 0);
	cr_assert(bus_read(&bus, 0x2004, &v, 4));
	cr_assert_eq(v, 0x5a5a5a5a);
	cr_assert_eq(seen.self, &b);
	cr_assert_eq(seen.at, 4);
	cr_assert_eq(seen.n, 4);
	v = 0x01020304;
	cr_assert(bus_write(&bus, 0x1ffc, &v, 4));
	cr_assert_eq(seen.self, &a);
	cr_assert_eq(seen.at, 0xffc);
	cr_assert_eq(memcmp(seen.bytes, &v, 4), 0);
}

Test(bus, holds_the_lock_around_an_access)
{
	cr_assert_eq(add(0, 8, &a), 0);
	cr_assert(read_at(0, 1));
	cr_assert(seen.lock_was_held);
	cr_assert_eq(pthread_mutex_trylock(&lock), 0, "released after a read");
	pthread_mutex_unlock(&lock);
	seen.lock_was_held = false;
	cr_assert(bus_write(&bus, 0, "", 1));
	cr_assert(seen.lock_was_held);
	cr_assert_eq(pthread_mutex_trylock(&lock), 0, "released after a write");
}

Test(bus, reads_all_ones_where_no_device_answers)
{
	uint64_t v = 0;

	cr_assert_eq(add(0x1000, 0x1000, &a), 0);
	cr_assert_not(bus_read(&bus, 0x2000, &v, 8));
	cr_assert_eq(v, UINT64_MAX);
	v = 0;
	cr_assert_not(bus_read(&bus, 0xfff, &v, 1));
	cr_assert_eq(v, 0xff, "and no more bytes than asked");
	cr_assert_eq(seen.reads, 0);
}

Test(bus, loses_a_write_where_no_device_answers)
{
	cr_assert_eq(add(0x1000, 0x1000, &a), 0);
	cr_assert_not(bus_write(&bus, 0xffc, "abcd", 4));
	cr_assert_not(bus_write(&bus, 0x2000, "abcd", 4));
	cr_assert_eq(seen.writes, 0);
}

Test(bus, gives_no_access_that_reaches_over_a_devices_end)
{
	cr_assert_eq(add(0x1000, 6, &a), 0);
	cr_assert_eq(add(0x1006, 6, &b), 0);
	cr_assert(read_at(0x1002, 4));
	cr_assert_not(read_at(0x1003, 4));
	cr_assert_not(read_at(0x1005, 2));
	cr_assert_not(bus_write(&bus, 0x1004, "abcd", 4));
	cr_assert_not(read_at(0xfff, 2), "nor over its start");
	cr_assert_eq(seen.reads, 1);
	cr_assert_eq(seen.writes, 0);
}

Test(bus, gives_no_access_that_wraps)
{
	cr_assert_eq(add(0, 16, &a), 0);
	cr_assert_eq(add(UINT64_MAX - 16, 16, &b), 0);
	cr_assert_not(read_at(UINT64_MAX, 8));
	cr_assert_not(read_at(UINT64_MAX - 3, 8));
	cr_assert_eq(seen.reads, 0);
}

Test(bus, refuses_a_device_that_overlaps_another)
{
	static const struct {
		uint64_t start, len;
	} bad[] = {
		{ 0x1000, 0x1000 },
		{ 0x1000, 1 },
		{ 0x1fff, 1 },
		{ 0xfff, 2 },
		{ 0x1800, 0x10 },
		{ 0x0, 0x10000 },
		{ 0x1fff, 0x1000 },
		{ 0x2fff, 2 },
		{ 0x1fff, 0x1002 },
	};

	cr_assert_eq(add(0x1000, 0x1000, &a), 0);
	cr_assert_eq(add(0x3000, 0x1000, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(add(bad[i].start, bad[i].len, &c), -EINVAL, "%zu", i);
		cr_expect(strstr(e.text, "toy") && strstr(e.text, "overlaps"), "%s",
			e.text);
	}
	cr_assert_eq(bus.n, 2);
	cr_assert_eq(add(0x2000, 0x1000, &c), 0, "what lies between fits");
}

Test(bus, refuses_a_device_that_wraps_or_is_empty)
{
	cr_assert_eq(add(UINT64_MAX, 2, &a), -EINVAL);
	cr_assert_eq(add(1, UINT64_MAX, &a), -EINVAL);
	cr_assert_eq(add(0x1000, 0, &a), -EINVAL);
	cr_assert_not_null(strstr(e.text, "toy"));
	cr_assert_eq(bus.n, 0);
}

Test(bus, refuses_one_device_too_many)
{
	for (uint64_t i = 0; i < BUS_SLOTS_MAX; i++)
		cr_assert_eq(add((BUS_SLOTS_MAX - i) * 16, 16, &a), 0);
	cr_assert_eq(add(0x10000, 16, &b), -EINVAL);
	cr_assert_not_null(strstr(e.text, "more than 32"));
	for (uint64_t i = 1; i <= BUS_SLOTS_MAX; i++)
		cr_assert(read_at(i * 16, 1));
}

Test(bus, asks_the_device_whether_it_is_busy_with_the_lock_held)
{
	cr_assert_eq(add(0x1000, 0x100, &a), 0);
	cr_assert_eq(bus_add(&bus, 0x2000, 0x100, &slow, &b, &e), 0);
	cr_assert_eq(bus_busy(&bus, 0x2050), 77);
	cr_assert_eq(seen.self, &b);
	cr_assert(seen.lock_was_held);
	cr_assert_lt(bus_busy(&bus, 0x1050), 0, "it is never busy");
	cr_assert_lt(bus_busy(&bus, 0x3000), 0, "nobody is there");
}
