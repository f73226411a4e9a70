/* SPDX-License-Identifier: Apache-2.0
 *
 * rtc: the date that a guest reads, and that reading it never waits.
 */
#include "vmm/legacy/rtc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fakes/fake_stream.h"

static struct rtc dev;

static void expect_date(time_t at, const char *date)
{
	const struct timespec now = { .tv_sec = at };
	char text[64];

	(void)snprintf(text, sizeof(text), "%02x%02x-%02x-%02x %02x:%02x:%02x %u",
		rtc_register(0x32, &now), rtc_register(9, &now), rtc_register(8, &now),
		rtc_register(7, &now), rtc_register(4, &now), rtc_register(2, &now),
		rtc_register(0, &now), rtc_register(6, &now));
	cr_assert_str_eq(text, date);
}

/* Sunday is weekday 1. The expected dates are from date(1). */
Test(rtc, tells_the_date_in_bcd)
{
	expect_date(0, "1970-01-01 00:00:00 5");
	expect_date(951782399, "2000-02-28 23:59:59 2");
	expect_date(951782400, "2000-02-29 00:00:00 3");
	expect_date(951868800, "2000-03-01 00:00:00 4");
	expect_date(1704067199, "2023-12-31 23:59:59 1");
	expect_date(1709210096, "2024-02-29 12:34:56 5");
	expect_date(4107542399, "2100-02-28 23:59:59 1");
	expect_date(4107542400, "2100-03-01 00:00:00 2");
	expect_date(253402300799, "9999-12-31 23:59:59 6");
}

Test(rtc, tells_every_day_of_400_years_as_libc_does)
{
	for (time_t day = 0; day < 146097; day++) {
		const struct timespec now = { .tv_sec = day * 86400 + 3661 };
		struct tm tm;
		char want[64], got[64];

		cr_assert(gmtime_r(&now.tv_sec, &tm));
		(void)snprintf(want, sizeof(want), "%04d%02d%02d%d", tm.tm_year + 1900,
			tm.tm_mon + 1, tm.tm_mday, tm.tm_wday + 1);
		(void)snprintf(got, sizeof(got), "%02x%02x%02x%02x%u",
			rtc_register(0x32, &now), rtc_register(9, &now),
			rtc_register(8, &now), rtc_register(7, &now),
			rtc_register(6, &now));
		cr_assert_str_eq(got, want);
	}
}

Test(rtc, a_host_before_1970_is_at_1970)
{
	expect_date(-1, "1970-01-01 00:00:00 5");
}

Test(rtc, is_about_to_change_for_the_last_244_us_of_a_second_only)
{
	cr_assert_eq(rtc_register(0x0a, &(struct timespec){ 5, 0 }), 0x26);
	cr_assert_eq(rtc_register(0x0a, &(struct timespec){ 5, 999755999 }), 0x26);
	cr_assert_eq(rtc_register(0x0a, &(struct timespec){ 5, 999756000 }), 0xa6);
}

Test(rtc, is_valid_counts_24_hours_and_has_no_interrupts)
{
	const struct timespec now = { .tv_sec = 1 };

	cr_assert_eq(rtc_register(0x0b, &now), 0x02);
	cr_assert_eq(rtc_register(0x0c, &now), 0);
	cr_assert_eq(rtc_register(0x0d, &now), 0x80);
	cr_assert_eq(rtc_register(0x0f, &now), 0, "no memory");
}

static void put(uint64_t at, uint8_t v)
{
	rtc_bus_ops()->write(&dev, at, &v, 1);
}

static uint8_t get(uint64_t at)
{
	uint8_t v = 0xff;

	rtc_bus_ops()->read(&dev, at, &v, 1);
	return v;
}

static int number(uint8_t index)
{
	put(0, index);
	return get(1) / 16 * 10 + get(1) % 16;
}

Test(rtc, shows_the_hosts_time_in_utc_by_its_two_ports)
{
	struct timespec before, after;
	time_t got;

	cr_assert_eq(setenv("TZ", "Asia/Kathmandu", 1), 0);
	do {
		struct tm tm = { 0 };

		(void)clock_gettime(CLOCK_REALTIME, &before);
		tm.tm_sec = number(0);
		tm.tm_min = number(2);
		tm.tm_hour = number(4);
		tm.tm_mday = number(7);
		tm.tm_mon = number(8) - 1;
		tm.tm_year = number(0x32) * 100 + number(9) - 1900;
		got = timegm(&tm);
		(void)clock_gettime(CLOCK_REALTIME, &after);
	} while (before.tv_sec != after.tv_sec); /* else it changed while being read */
	cr_assert_eq(got, before.tv_sec);
}

Test(rtc, the_nmi_bit_of_the_index_does_not_count)
{
	put(0, 0x80 | 0x0d);
	cr_assert_eq(get(1), 0x80);
	cr_assert_eq(get(0), 0xff, "the index cannot be read");
}

Test(rtc, writes_change_nothing_and_wide_accesses_are_ignored)
{
	uint8_t wide[2] = { 0x0b, 0x55 };

	put(0, 0x0d);
	put(1, 0);
	cr_assert_eq(get(1), 0x80);
	rtc_bus_ops()->write(&dev, 0, wide, 2);
	cr_assert_eq(get(1), 0x80, "the index is as it was");
	rtc_bus_ops()->read(&dev, 1, wide, 2);
	cr_assert(wide[0] == 0x0b && wide[1] == 0x55);
}

static int load(struct rtc *from)
{
	struct fake_stream f;

	(void)!rtc_snap(from, fake_save(&f));
	return fake_loaded(&f, rtc_snap(&dev, fake_load(&f)));
}

Test(rtc, goes_on_where_it_was_saved)
{
	struct rtc old = { .index = 0x0d }, bad = { .index = 0x80 };

	cr_assert_eq(load(&old), 0);
	cr_assert_eq(get(1), 0x80);
	cr_assert_eq(load(&bad), -EBADMSG);
}
