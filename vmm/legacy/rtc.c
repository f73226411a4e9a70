/* SPDX-License-Identifier: Apache-2.0
 *
 * rtc: see the header. It cannot use libc's gmtime, which reads the file of the time
 * zone: the system call filters forbid that.
 */
#include "vmm/legacy/rtc.h"

#include "vmm/base/clock.h"

enum {
	PORT_INDEX = 0,
	PORT_DATA = 1,
	INDEX_MASK = 0x7f, /* bit 7 masks NMI */

	REG_SECONDS = 0x00,
	REG_MINUTES = 0x02,
	REG_HOURS = 0x04,
	REG_WEEKDAY = 0x06, /* Sunday is 1 */
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_D = 0x0d,
	REG_CENTURY = 0x32,

	A_UPDATE = 0x80, /* the registers are about to change */
	A_32768_HZ = 0x26,
	B_24_HOURS = 0x02, /* and numbers in BCD */
	D_VALID = 0x80,
	UPDATE_NS =
		244000, /* how long before a new second the data sheet sets A_UPDATE */

	DAY_S = 24 * 60 * 60,
	DAYS_400_YEARS = 146097,
	DAYS_TO_1970 = 719468, /* from 1 March 0 */
};

struct date {
	uint64_t year;
	unsigned month, day;
};

/* The date of a day, counted from 1 January 1970. Years begin in March inside, so that
 * the leap day is the last of its year. */
static struct date date_of(uint64_t days)
{
	uint64_t n = days + DAYS_TO_1970, era = n / DAYS_400_YEARS;
	unsigned in_era = (unsigned)(n % DAYS_400_YEARS);
	unsigned year =
		(in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
	unsigned march = (5 * in_year + 2) / 153; /* months since March */
	unsigned month = march < 10 ? march + 3 : march - 9;

	return (struct date){
		.year = era * 400 + year + (month <= 2),
		.month = month,
		.day = in_year - (153 * march + 2) / 5 + 1,
	};
}

static uint8_t bcd(uint64_t v)
{
	return (uint8_t)(v / 10 % 10 << 4 | v % 10);
}

uint8_t rtc_register(uint8_t index, const struct timespec *now)
{
	uint64_t s = now->tv_sec > 0 ? (uint64_t)now->tv_sec : 0, days = s / DAY_S;

	switch (index) {
	case REG_SECONDS:
		return bcd(s % 60);
	case REG_MINUTES:
		return bcd(s / 60 % 60);
	case REG_HOURS:
		return bcd(s / 3600 % 24);
	case REG_WEEKDAY: /* 1970 began on a Thursday */
		return (uint8_t)((days + 4) % 7 + 1);
	case REG_DAY:
		return bcd(date_of(days).day);
	case REG_MONTH:
		return bcd(date_of(days).month);
	case REG_YEAR:
		return bcd(date_of(days).year % 100);
	case REG_CENTURY:
		return bcd(date_of(days).year / 100);
	case REG_A:
		return A_32768_HZ |
			(now->tv_nsec >= (long)NS_PER_S - UPDATE_NS ? A_UPDATE : 0);
	case REG_B:
		return B_24_HOURS;
	case REG_D:
		return D_VALID;
	default:
		return 0; /* alarms, interrupts, memory */
	}
}

static void rtc_write(void *self, uint64_t at, const void *data, size_t n)
{
	struct rtc *r = self;

	if (at == PORT_INDEX && n == 1)
		r->index = *(const uint8_t *)data & INDEX_MASK;
}

static void rtc_read(void *self, uint64_t at, void *data, size_t n)
{
	const struct rtc *r = self;
	struct timespec now;

	if (at != PORT_DATA || n != 1) /* the index cannot be read */
		return;
	now = clock_utc();
	*(uint8_t *)data = rtc_register(r->index, &now);
}

const struct bus_ops *rtc_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "rtc",
		.read = rtc_read,
		.write = rtc_write,
	};

	return &ops;
}

int rtc_snap(struct rtc *r, struct stream *s)
{
	(void)stream_begin(s, "rtc ", 1);
	stream_u8(s, &r->index);
	stream_end(s);
	return stream_check(s, r->index <= INDEX_MASK);
}
