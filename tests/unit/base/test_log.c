/* SPDX-License-Identifier: Apache-2.0
 *
 * log: the form of a line (contract, 9.1), levels, limits, and that it never waits.
 * Each test is a process of its own, and so has a log of its own.
 */
#include "vmm/base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/fakes/fake_file.h"
#include "vmm/base/clock.h"

#define TIME_RE "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9} "

static struct fake_file file;
static char text[1 << 16];
static struct err e;

static void set_up(void)
{
	file = fake_file("", 0);
	cr_assert_eq(log_open(file.path, &e), 0);
}

static void tear_down(void)
{
	fake_file_close(&file);
}

TestSuite(log, .init = set_up, .fini = tear_down);

static const char *logged(void)
{
	(void)fake_file_text(&file, text, sizeof(text));
	return text;
}

static unsigned lines_logged(void)
{
	unsigned n = 0;

	for (const char *c = logged(); *c != '\0'; c++)
		n += *c == '\n';
	return n;
}

static void expect_match(const char *pattern)
{
	regex_t re;

	cr_assert_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	cr_expect_eq(
		regexec(&re, logged(), 0, NULL, 0), 0, "%s is not %s", text, pattern);
	regfree(&re);
}

Test(log, writes_a_line_in_the_form_of_the_contract)
{
	log_info("answer=%d", 42);
	expect_match(TIME_RE "\\[anonymous-instance:main\\] answer=42\n$");
}

Test(log, shows_id_and_level_when_they_are_set)
{
	log_set_id("vm-7");
	log_set_show_level(true);
	log_warn("x");
	expect_match(TIME_RE "\\[vm-7:main:WARN\\] x\n$");
}

static void *log_from_a_vcpu(void *unused)
{
	(void)unused;
	log_set_thread("fc_vcpu 0");
	log_info("in");
	return NULL;
}

Test(log, shows_the_name_of_the_thread_that_logs)
{
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, log_from_a_vcpu, NULL), 0);
	cr_assert_eq(pthread_join(t, NULL), 0);
	log_info("out");
	expect_match("fc_vcpu 0\\] in\n.*:main\\] out\n$");
}

Test(log, shows_every_level_by_its_own_word)
{
	log_set_show_level(true);
	log_set_level(LOG_TRACE);
	log_error("1");
	log_warn("2");
	log_info("3");
	log_debug("4");
	log_at(LOG_TRACE, "5");
	expect_match(
		"ERROR\\] 1\n.*WARN\\] 2\n.*INFO\\] 3\n.*DEBUG\\] 4\n.*TRACE\\] 5\n$");
}

Test(log, leaves_out_what_is_below_its_level)
{
	log_debug("by default");
	log_set_level(LOG_WARN);
	log_info("no");
	log_warn("yes");
	log_set_level(LOG_OFF);
	log_error("no");
	log_guest("no");
	cr_assert_eq(lines_logged(), 1);
	cr_assert_not_null(strstr(text, "yes"));
}

Test(log, makes_one_line_of_whatever_a_guest_sent)
{
	log_info("%s", "a\nb\r\x1b[2J\t\x7f");
	cr_assert_eq(lines_logged(), 1);
	cr_assert_not_null(strstr(text, "] a?b??[2J??\n"));
}

Test(log, is_utf8_whatever_is_logged)
{
	log_info("%s", "a\xc3\xa4\xe7\xa3\x81z");
	log_info("%.2s", "a\xc3\xa4");
	log_info("%s", "\xff\xc2\x85\xed\xa0\x80.");
	cr_assert_eq(lines_logged(), 3);
	cr_assert_not_null(strstr(text, "] a\xc3\xa4\xe7\xa3\x81z\n"));
	cr_assert_not_null(strstr(text, "] a?\n"));
	cr_assert_not_null(strstr(text, "] ??????.\n"));
}

Test(log, cuts_a_line_that_is_too_long)
{
	char much[5000];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	log_info("%s", much);
	expect_match("\\] x+\\.\\.\\.\n$");
	log_set_id(much);
	log_info("%s", much);
	expect_match("\\[x+\\.\\.\\.\n$");
	cr_assert_eq(lines_logged(), 2);
	cr_assert_eq(strlen(text), 2048);
	cr_assert_eq(log_missed(), 0);
}

Test(log, does_not_cut_a_line_that_just_fits)
{
	char much[1024];
	size_t n;

	log_info("%s", "");
	n = 1024 - strlen(logged());
	memset(much, 'x', sizeof(much));
	log_info("%.*s", (int)n, much);
	cr_assert_eq(strlen(strchr(logged(), '\n') + 1), 1024);
	cr_assert_null(strstr(text, "..."));
	log_info("%.*s", (int)n + 1, much);
	cr_assert_not_null(strstr(logged(), "xxx...\n"));
}

/* --- where a line comes from --- */

Test(log, shows_where_a_line_comes_from)
{
	int line = __LINE__ + 4;
	char pattern[128];

	log_set_show_origin(true);
	log_info("x");
	(void)snprintf(pattern, sizeof(pattern),
		"main:tests/unit/base/test_log.c:%d\\] x\n$", line);
	expect_match(pattern);
	log_set_show_level(true);
	log_guest("y");
	expect_match("main:WARN:tests/unit/base/test_log.c:[0-9]+\\] y\n$");
	log_set_show_origin(false);
	log_info("z");
	expect_match("main:INFO\\] z\n$");
}

/* Logs as a call in that source file would. */
static void log_from(const char *source)
{
	struct log_site site = { source, 1 };

	log_write(LOG_INFO, &site, NULL, "from %s", source);
}

Test(log, leaves_out_modules_without_the_prefix)
{
	log_set_module("vmm/machine");
	log_from("vmm/machine/machine.c");
	log_from("vmm/machine/start.c");
	log_from("vmm/main.c");
	log_from("api/vmm/machine.c");
	log_from("vmm/base/log.c");
	cr_expect_eq(lines_logged(), 2);
	log_set_module("vmm/machine."); /* ".c" is not part of the name */
	log_from("vmm/machine/machine.c");
	cr_expect_eq(lines_logged(), 2);
	log_set_module("tests/");
	log_info("from here");
	cr_expect_eq(lines_logged(), 3);
	log_set_module("");
	log_from("vmm/main.c");
	cr_expect_eq(lines_logged(), 4);
}

Test(log, leaves_out_everything_for_a_prefix_longer_than_any_name)
{
	char much[300];

	memset(much, 'x', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	log_set_module(much);
	log_info("no");
	log_from(much);
	cr_expect_eq(lines_logged(), 1, "names end somewhere");
}

Test(log, does_not_count_as_limited_what_nobody_wants)
{
	log_set_module("virtio");
	for (int i = 0; i < 100; i++)
		log_guest("no");
	cr_expect_eq(log_rate_limited(), 0);
}

Test(log, reads_level_names_in_any_case)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {
		{ "Off", LOG_OFF },
		{ "error", LOG_ERROR },
		{ "WARN", LOG_WARN },
		{ "wArNiNg", LOG_WARN },
		{ "Info", LOG_INFO },
		{ "DEBUG", LOG_DEBUG },
		{ "trace", LOG_TRACE },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		enum log_level level = LOG_TRACE + 1;

		cr_expect_eq(
			log_parse_level(names[i].name, &level, &e), 0, "%s", e.text);
		cr_expect_eq(level, names[i].level, "%s", names[i].name);
	}
}

Test(log, refuses_what_is_no_level_name)
{
	static const char *const bad[] = { "", "Inf", "Infos", " Info", "Info ", "3" };
	enum log_level level = LOG_DEBUG;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(
			log_parse_level(bad[i], &level, &e), -EINVAL, "%s", bad[i]);
		cr_expect(strstr(e.text, "Off, Error, Warn"), "%s", e.text);
	}
	cr_expect_eq(level, LOG_DEBUG);
}

Test(log, does_not_wait_for_a_fifo_that_nobody_reads, .timeout = 300)
{
	struct fake_fifo fifo = fake_fifo();

	cr_assert_eq(log_open(fifo.path, &e), 0);
	fake_fifo_remove(&fifo);
	cr_assert_eq(log_missed(), 0);
	for (int i = 0; i < 1 << 20 && log_missed() < 3; i++)
		log_info("line %d", i);
	cr_assert_eq(log_missed(), 3);
	cr_assert_eq(log_rate_limited(), 0);
}

Test(log, counts_lines_that_a_file_refuses)
{
	cr_assert_eq(log_open("/dev/full", &e), 0);
	log_info("no room");
	cr_assert_eq(log_missed(), 1);
}

Test(log, goes_on_where_a_file_ended)
{
	struct fake_dir dir = fake_dir();
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/log", dir.path);
	cr_assert_eq(log_open(path, &e), 0);
	log_info("first");
	cr_assert_eq(log_open(path, &e), 0);
	log_info("second");
	cr_assert_eq(stat(path, &st), 0);
	fake_dir_remove(&dir);
	cr_assert_eq(st.st_mode & 0133, 0);
	cr_assert_gt(st.st_size, 100);
}

Test(log, keeps_the_old_file_when_a_new_one_cannot_be_opened)
{
	cr_assert_eq(log_open("/nonexistent/log", &e), -ENOENT);
	cr_assert_not_null(strstr(e.text, "'/nonexistent/log'"));
	cr_assert_eq(log_open("/tmp", &e), -EISDIR);
	log_info("x");
	cr_assert_eq(lines_logged(), 1);
}

Test(log, keeps_one_descriptor)
{
	unsigned before = fake_open_fds();

	for (int i = 0; i < 5; i++)
		cr_assert_eq(log_open(file.path, &e), 0);
	cr_assert_eq(fake_open_fds(), before);
}

/* --- limits --- */

/* Logs n lines from one call, whose rate limit the test can see. */
static void log_often(struct log_limit *limit, unsigned n)
{
	static const struct log_site site = { "tests/x.c", 1 };

	for (unsigned i = 0; i < n; i++)
		log_write(LOG_WARN, &site, limit, "guest did it");
}

Test(log, lets_a_burst_of_ten_through)
{
	struct log_limit limit = { 0 };

	log_often(&limit, 10);
	cr_assert_eq(lines_logged(), 10);
	limit.whole_us = UINT64_MAX / 2; /* no time passes */
	log_often(&limit, 1000);
	cr_assert_eq(lines_logged(), 10);
	cr_assert_eq(limit.dropped, 1000);
	cr_assert_eq(log_rate_limited(), 1000);
}

Test(log, lets_one_line_through_each_half_second_after_a_burst)
{
	uint64_t half = 500000, whole = clock_us() + 9 * half;
	struct log_limit limit = { .whole_us = whole };

	log_often(&limit, 1);
	cr_assert_eq(lines_logged(), 1);
	cr_assert_eq(limit.whole_us, whole + half, "the next is half a second later");
	whole = clock_us() + 10 * half - 1000; /* for this test to be slow by */
	limit.whole_us = whole;
	log_often(&limit, 1);
	cr_assert_eq(lines_logged(), 1);
	cr_assert_eq(limit.whole_us, whole);
}

Test(log, owns_up_to_what_it_dropped)
{
	struct log_limit limit = { .dropped = 3, .whole_us = clock_us() };

	log_often(&limit, 1);
	cr_assert_eq(limit.dropped, 0);
	expect_match("dropped 3 lines like the next\n.*guest did it\n$");
	limit.whole_us = UINT64_MAX / 2;
	log_often(&limit, 1);
	cr_assert_eq(lines_logged(), 2);
}

Test(log, grants_a_new_burst_after_a_quiet_time)
{
	struct log_limit limit = { .whole_us = 1 };

	log_often(&limit, 10);
	cr_assert_eq(lines_logged(), 10);
	cr_assert_eq(log_rate_limited(), 0);
}

enum { OFTEN = 20000 };

static void *log_often_in_a_thread(void *limit)
{
	log_often(limit, OFTEN);
	return NULL;
}

Test(log, counts_every_line_of_two_threads_at_one_site)
{
	struct log_limit limit = { 0 };
	uint64_t from = clock_us(), through = 0;
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		cr_assert_eq(
			pthread_create(&t[i], NULL, log_often_in_a_thread, &limit), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_join(t[i], NULL), 0);
	(void)logged();
	for (const char *at = text; (at = strstr(at, "guest did it\n")); at++)
		through++;
	cr_expect_geq(through, 10);
	cr_expect_leq(through, 11 + (clock_us() - from) / 500000);
	cr_expect_eq(through + log_rate_limited(), 2 * OFTEN);
}

Test(log, limits_each_site_by_itself)
{
	for (int i = 0; i < 1000; i++)
		log_guest("one");
	log_guest("other");
	cr_assert_lt(lines_logged(), 500);
	cr_assert_not_null(strstr(text, "] other\n"));
}
