/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: a rate limit of the output: which bytes pass, and that the others are dropped
 * and counted. The buckets refill within hours, so nothing is refilled during a test.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/legacy/serial.h"

enum { DATA, IER, IIR, LCR, MCR, HOUR_MS = 3600 * 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static struct serial *serial;
static int out[2];

static void set_up(void)
{
	struct err e;

	cr_assert_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(loop_create(&lock, &loop, &e), 0);
	cr_assert_eq(serial_create(loop, -1, out[1], &serial, &e), 0, "%s", e.text);
}

static void tear_down(void)
{
	serial_destroy(serial);
	loop_destroy(loop);
	close(out[0]);
	close(out[1]);
}

TestSuite(serial_limit, .init = set_up, .fini = tear_down, .timeout = 30);

static void put(uint64_t at, uint8_t v)
{
	serial_bus_ops()->write(serial, at, &v, 1);
}

static void print(const char *text)
{
	for (; *text != '\0'; text++)
		put(DATA, (uint8_t)*text);
}

static void limit(uint64_t size, uint64_t burst, uint64_t refill_ms)
{
	const struct bucket_cfg cfg = { size, burst, refill_ms };

	serial_set_limit(serial, &cfg);
}

/* The output so far, and how much of it was dropped in all. */
static void expect(const char *text, uint64_t dropped)
{
	char buf[64] = "";

	cr_assert_eq(loop_poll(loop, 0), 0);
	(void)!read(out[0], buf, sizeof(buf) - 1); /* empty: nothing was printed */
	cr_expect_str_eq(buf, text);
	cr_expect_eq(serial_counts(serial)->rate_limiter_dropped_bytes, dropped);
	cr_expect_eq(serial_dropped(serial), 0, "as if the host had not taken them");
}

Test(serial_limit, drops_and_counts_what_exceeds_the_bucket)
{
	limit(5, 0, HOUR_MS);
	print("hello, host");
	expect("hello", 6);
	print("again");
	expect("", 11);
	cr_expect_eq(serial_counts(serial)->write_count, 16);
}

Test(serial_limit, spends_the_burst_before_the_bucket)
{
	limit(2, 3, HOUR_MS);
	print("abcdefg");
	expect("abcde", 2);
}

Test(serial_limit, fills_the_bucket_again)
{
	limit(1, 0, 1);
	print("a");
	while (serial_counts(serial)->write_count -
			serial_counts(serial)->rate_limiter_dropped_bytes <
		2)
		print("b");
	expect("ab", serial_counts(serial)->write_count - 2);
}

Test(serial_limit, limits_nothing_without_a_size_or_a_time)
{
	print("a");
	limit(0, 7, 1);
	print("b");
	limit(1, 0, 0);
	print("cd");
	limit(1, 0, UINT64_MAX);
	print("ef");
	expect("abcdef", 0);
}

Test(serial_limit, counts_no_bytes_that_the_guest_sends_to_itself)
{
	limit(1, 0, HOUR_MS);
	put(MCR, 0x10);
	print("xyz");
	put(MCR, 0);
	print("a");
	expect("a", 0);
}
