/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/legacy/boot_timer.h"

#include "vmm/base/clock.h"
#include "vmm/base/log.h"

enum { BOOT_TIMER_DONE = 123 };

static void boot_timer_write(void *self, uint64_t at, const void *data, size_t n)
{
	struct boot_timer *t = self;
	unsigned long long us;

	if (at != 0 || n < 1 || *(const uint8_t *)data != BOOT_TIMER_DONE)
		return;
	if (t->phases->at_us[PHASE_GUEST_INIT] !=
		0) /* guest: one line, however often */
		return;
	phase_mark(t->phases, PHASE_GUEST_INIT);
	us = t->phases->at_us[PHASE_GUEST_INIT] - t->started_us;
	log_info("Guest-boot-time = %6llu us %llu ms, %6llu CPU us", us, us / 1000,
		(unsigned long long)(clock_cpu_us() - t->started_cpu_us));
}

static void boot_timer_read(void *self, uint64_t at, void *data, size_t n)
{
	/* write-only: a read gives all ones, as where no device answers */
	(void)self;
	(void)at;
	(void)data;
	(void)n;
}

const struct bus_ops *boot_timer_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "boot timer",
		.read = boot_timer_read,
		.write = boot_timer_write,
	};

	return &ops;
}
