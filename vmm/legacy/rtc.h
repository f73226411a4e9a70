/* SPDX-License-Identifier: Apache-2.0
 *
 * rtc: the PC's clock (x86; Motorola MC146818) at ports 0x70 and 0x71. It shows the
 * host's time in UTC, cannot be set, and has neither alarms nor interrupts. Kernels
 * without kvm-clock read the time here; older ones would wait for ever for the update
 * flag of a missing clock. On vCPU threads, with the device lock held.
 */
#ifndef HUSK_LEGACY_RTC_H
#define HUSK_LEGACY_RTC_H

#include <time.h>

#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

enum { RTC_PORTS = 2 }; /* index, data */

struct rtc {
	uint8_t index; /* the register that the data port shows */
};

/* The value of register `index` (0 to 127) at the time now, which is clock_utc's. */
uint8_t rtc_register(uint8_t index, const struct timespec *now);

/* For a bus: RTC_PORTS ports; self is the struct rtc. */
const struct bus_ops *rtc_bus_ops(void);
/* Saves or loads its state: see stream.h. Returns the stream's error. */
MUST_CHECK int rtc_snap(struct rtc *r, struct stream *s);

#endif
