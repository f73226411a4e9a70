/* SPDX-License-Identifier: Apache-2.0
 *
 * rtc: the PC's clock (Motorola MC146818) at ports 0x70 and 0x71, to be read only: the
 * host's time in UTC. A kernel without kvm-clock takes its time from here, and older
 * ones wait for ever for the update flag of a clock that is not there to be cleared.
 * There are no alarms and no interrupts. On vCPU threads, with the device lock held.
 */
#ifndef HUSK_LEGACY_RTC_H
#define HUSK_LEGACY_RTC_H

#include <time.h>

#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

enum { RTC_PORTS = 2 }; /* index, data */

struct rtc {
	uint8_t index; /* of the register that the data port shows */
};

/* What register `index` (0 to 127) holds at this time, seconds since 1970 in UTC. */
uint8_t rtc_register(uint8_t index, const struct timespec *now);

const struct bus_ops *rtc_bus_ops(void); /* self is the struct rtc */
MUST_CHECK int rtc_snap(struct rtc *r, struct stream *s);

#endif
