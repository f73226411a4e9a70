/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: the stream of lines: differences, lines that are lost and lines that go out
 * in pieces, and the last line of a process that dies.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_metrics.h"
#include "virtio/blk/blk.h"
#include "vmm/legacy/i8042.h"
#include "vmm/metrics/metrics.h"

static struct err e;
static struct fake_file file;
static struct metrics *m;
static char text[1 << 20];

static struct i8042_counts i8042;
static struct api_counts api;
static struct blk_stats blk[2];
static const struct counter_group *const groups[] = { &blk_counters, NULL };
static const struct metrics_device drives[] = { { &blk_counters, "a", &blk[0] },
	{ &blk_counters, "b", &blk[1] } };
static const struct metrics_view view = { .i8042 = &i8042,
	.api = &api,
	.groups = groups,
	.devices = drives,
	.n_devices = 2 };

static void set_up(void)
{
	file = fake_file("", 0);
	cr_assert_eq(metrics_open(file.path, NULL, &m, &e), 0);
}

static void tear_down(void)
{
	metrics_close(m);
	fake_file_close(&file);
}

TestSuite(metrics_stream, .init = set_up, .fini = tear_down);

/* How many whole lines of JSON there are in text, and nothing else; *last, if there is
 * one, is the last of them. */
static unsigned count_lines(char **last)
{
	unsigned n = 0;

	for (char *at = text; *at != '\0'; n++) {
		char *end = strchr(at, '\n');

		cr_assert_not_null(end, "half a line: %s", at);
		cr_assert_eq(metrics_skip_object(at), end, "%s", at);
		if (last)
			*last = at;
		at = end + 1;
	}
	return n;
}

/* Writes a line and returns it. */
static const char *next_line(void)
{
	char *last = NULL;

	cr_assert_eq(metrics_write(m, &view), 0);
	(void)fake_file_text(&file, text, sizeof(text));
	cr_assert_gt(count_lines(&last), 0);
	return last;
}

Test(metrics_stream, shows_what_counters_gained_since_the_last_line)
{
	i8042.read_count = 5;
	blk[0].read_count = 1;
	cr_expect_eq(metrics_get(next_line(), "i8042.read_count"), 5);
	i8042.read_count = 7;
	blk[0].read_count = 11;
	blk[1].read_count = 100;
	cr_expect_eq(metrics_get(next_line(), "i8042.read_count"), 2);
	cr_expect_eq(metrics_get(next_line(), "i8042.read_count"), 0);
	blk[1].read_count = 101;
	(void)next_line();
	cr_expect_eq(metrics_get(next_line(), "block_b.read_count"), 0);
	cr_expect_eq(count_lines(NULL), 5);
}

Test(metrics_stream, sums_what_devices_gained)
{
	blk[0].read_bytes = 1000;
	(void)next_line();
	blk[0].read_bytes += 10;
	blk[1].read_bytes += 20;
	(void)next_line();
	blk[1].read_bytes += 5;
	cr_assert_eq(metrics_write(m, &view), 0);
	(void)fake_file_text(&file, text, sizeof(text));
	for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1)
		cr_expect_eq(metrics_get(at, "block.read_bytes"),
			metrics_get(at, "block_a.read_bytes") +
				metrics_get(at, "block_b.read_bytes"));
	cr_expect_eq(metrics_get(text, "block.read_bytes"), 1000);
}

Test(metrics_stream, keeps_the_value_of_gauges)
{
	api.latencies_us.pause_vm = 42;
	(void)next_line();
	cr_expect_eq(metrics_get(next_line(), "latencies_us.pause_vm"), 42);
	api.latencies_us.pause_vm = 40;
	cr_expect_eq(metrics_get(next_line(), "latencies_us.pause_vm"), 40);
}

Test(metrics_stream, shows_the_extremes_of_times_since_the_last_line)
{
	const char *line;

	latency_add(&blk[0].read_agg, 100);
	latency_add(&blk[0].read_agg, 1);
	line = next_line();
	cr_expect_eq(metrics_get(line, "block_a.read_agg.min_us"), 1);
	cr_expect_eq(metrics_get(line, "block_a.read_agg.max_us"), 100);
	cr_expect_eq(metrics_get(line, "block_a.read_agg.sum_us"), 101);
	latency_add(&blk[0].read_agg, 50);
	line = next_line();
	cr_expect_eq(metrics_get(line, "block_a.read_agg.min_us"), 50);
	cr_expect_eq(metrics_get(line, "block_a.read_agg.max_us"), 50);
	cr_expect_eq(metrics_get(line, "block_a.read_agg.sum_us"), 50);
	line = next_line();
	cr_expect_eq(metrics_get(line, "block_a.read_agg.min_us"), 0);
	cr_expect_eq(metrics_get(line, "block_a.read_agg.max_us"), 0);
}

Test(metrics_stream, counts_a_device_that_is_new_from_0)
{
	blk[0].write_count = 10;
	(void)next_line();
	blk[0].write_count = 3;
	cr_expect_eq(metrics_get(next_line(), "block_a.write_count"), 3);
}

Test(metrics_stream, gives_totals_without_disturbing_the_lines)
{
	static char now[METRICS_TEXT_MAX];

	i8042.read_count = 5;
	latency_add(&blk[0].read_agg, 9);
	(void)next_line();
	i8042.read_count = 6;
	latency_add(&blk[0].read_agg, 4);
	cr_assert_gt(metrics_render(m, &view, true, now, sizeof(now)), 0);
	cr_expect_eq(metrics_get(now, "i8042.read_count"), 6);
	cr_expect_eq(metrics_get(now, "block_a.read_agg.sum_us"), 13);
	cr_assert_gt(metrics_render(m, &view, false, now, sizeof(now)), 0);
	cr_expect_eq(metrics_get(now, "i8042.read_count"), 1);
	cr_expect_eq(metrics_get(next_line(), "i8042.read_count"), 1);
	i8042.read_count = 7;
	latency_add(&blk[0].read_agg, 8);
	cr_expect_eq(metrics_get(next_line(), "block_a.read_agg.min_us"), 8);
}

Test(metrics_stream, carries_extra_members_after_the_time)
{
	static char props[60000], now[METRICS_TEXT_MAX + sizeof(props)];
	size_t n;

	n = (size_t)sprintf(props, "\"id\":\"vm-1\",\"properties\":{\"a\":\"");
	memset(props + n, 'x', sizeof(props) - n);
	strcpy(props + sizeof(props) - 3, "\"}");
	metrics_close(m);
	cr_assert_eq(metrics_open(file.path, props, &m, &e), 0);
	cr_assert_eq(metrics_room(m), METRICS_TEXT_MAX + strlen(props));
	props[1] = '?'; /* it has a copy */
	(void)next_line();
	cr_expect(strstr(text, ",\"id\":\"vm-1\",\"properties\":{\"a\":\"xx"));
	cr_expect_lt(strstr(text, "\"id\""), strstr(text, "\"api_server\""));
	cr_assert_gt(metrics_render(m, &view, true, now, metrics_room(m)), 0);
	cr_expect(metrics_has(now, "properties.a"));
}

Test(metrics_stream, appends_to_a_file_and_makes_a_missing_one)
{
	struct fake_dir dir = fake_dir();
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/metrics", dir.path);
	for (int i = 0; i < 2; i++) {
		metrics_close(TAKE(m));
		cr_assert_eq(metrics_open(path, NULL, &m, &e), 0);
		cr_assert_eq(metrics_write(m, &view), 0);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	close_fd(fd);
	fake_dir_remove(&dir);
	cr_assert_gt(n, 0);
	cr_assert_eq(count_lines(NULL), 2);
}

Test(metrics_stream, says_why_a_path_cannot_be_opened)
{
	struct metrics *other = m;

	cr_assert_eq(metrics_open("/nonexistent/m", NULL, &other, &e), -ENOENT);
	cr_assert(strstr(e.text, "metrics '/nonexistent/m'"), "%s", e.text);
	cr_assert_eq(metrics_open("/tmp", "\"id\":\"x\"", &other, &e), -EISDIR);
	cr_assert_eq(other, m, "untouched");
	metrics_close(NULL);
}

/* --- lines that do not fit --- */

/* --- what is husk's own --- */

static const char *const own_words[] = { "\"phases\":{", "\"virtio\":{",
	"\"exit_hlt\":", "\"exit_shutdown\":", "\"exit_interrupted\":",
	"\"exit_other\":", "\"dropped_bytes\":" };

Test(metrics_stream, shows_in_lines_only_what_firecracker_has)
{
	const char *line = next_line();

	for (size_t i = 0; i < ARRAY_LEN(own_words); i++)
		cr_expect_null(strstr(line, own_words[i]), "%s", own_words[i]);
	cr_expect(strstr(line, "\"exit_io_in\":") && strstr(line, "\"write_count\":"));
}

Test(metrics_stream, shows_what_is_its_own_when_asked)
{
	const char *line;

	metrics_show_own(m);
	line = next_line();
	for (size_t i = 0; i < ARRAY_LEN(own_words); i++)
		cr_expect(strstr(line, own_words[i]), "%s", own_words[i]);
}

Test(metrics_stream, shows_what_is_its_own_in_totals)
{
	static char all[METRICS_TEXT_MAX];

	cr_assert_gt(metrics_render(m, &view, true, all, sizeof(all)), 0);
	for (size_t i = 0; i < ARRAY_LEN(own_words); i++)
		cr_expect(strstr(all, own_words[i]), "%s", own_words[i]);
}

/* A kind of device that Firecracker does not have, beside one of which a number is own.
 */
Test(metrics_stream, hides_own_numbers_of_devices_and_groups_of_nothing_else)
{
	static const struct counter own[] = { { "mine", 0, COUNTER_SUM, true } };
	static const struct counter some[] = { { "mine", 0, COUNTER_SUM, true },
		{ "theirs", 8, COUNTER_SUM, false } };
	static const struct counter_group all_own = { "own", false, own, 1, 8 };
	static const struct counter_group mixed = { "mixed", false, some, 2, 16 };
	static const struct counter_group *const both[] = { &all_own, &mixed, NULL };
	const struct metrics_view v = { .groups = both };
	static char all[METRICS_TEXT_MAX];

	cr_assert_gt(metrics_render(m, &v, false, all, sizeof(all)), 0);
	cr_assert_not_null(metrics_skip_object(all), "%s", all);
	cr_expect_null(strstr(all, "\"own\""), "%s", all);
	cr_expect(strstr(all, "\"mixed\":{\"theirs\":0}"), "%s", all);
	cr_assert_gt(metrics_render(m, &v, true, all, sizeof(all)), 0);
	cr_assert_not_null(metrics_skip_object(all), "%s", all);
	cr_expect(strstr(all, "\"own\":{\"mine\":0}"), "%s", all);
	cr_expect(strstr(all, "\"mixed\":{\"mine\":0,\"theirs\":0}"), "%s", all);
}

/* A stream to a FIFO of one page, less than a line, and a reader's end of it. */
static int open_small_fifo(void)
{
	struct fake_fifo fifo = fake_fifo();
	int fd;

	metrics_close(TAKE(m));
	cr_assert_eq(metrics_open(fifo.path, NULL, &m, &e), 0);
	fd = open(fifo.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fake_fifo_remove(&fifo);
	cr_assert_eq(fcntl(fd, F_SETPIPE_SZ, 4096), 4096);
	return fd;
}

static size_t drain(int fd, size_t at)
{
	ssize_t n = read(fd, text + at, sizeof(text) - at - 1);

	return at + (n > 0 ? (size_t)n : 0);
}

Test(metrics_stream, goes_on_with_a_line_of_which_a_part_was_written, .timeout = 60)
{
	int fd = open_small_fifo(), r;
	size_t n = 0;
	char *last;

	i8042.read_count = 1;
	cr_assert_eq(metrics_write(m, &view), 0, "a part: the rest comes later");
	cr_assert_eq(metrics_write(m, &view), -EAGAIN);
	i8042.read_count = 3;
	for (int i = 0; i < 100 || text[n - 1] != '\n'; i++) {
		n = drain(fd, n);
		r = metrics_write(m, &view);
		cr_assert(r == 0 || r == -EAGAIN);
	}
	text[n] = '\0';
	cr_assert_gt(count_lines(&last), 10);
	cr_expect_eq(metrics_get(text, "i8042.read_count"), 1);
	cr_expect_eq(metrics_get(strchr(text, '\n') + 1, "i8042.read_count"), 2);
	cr_expect_gt(
		metrics_get(strchr(text, '\n') + 1, "logger.missed_metrics_count"), 0);
	cr_expect_eq(metrics_get(last, "logger.metrics_fails"), 0);
	close_fd(fd);
}

/* Fills what room the FIFO has left. */
static void fill(int fd)
{
	int other;
	char path[32], page[4096] = { 0 };

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(other, 0);
	while (write(other, page, sizeof(page)) > 0)
		;
	close_fd(other);
}

Test(metrics_stream, says_in_the_next_line_what_a_lost_line_would_have_said)
{
	int fd = open_small_fifo();
	char *last;
	size_t n;

	cr_assert_geq(fcntl(fd, F_SETPIPE_SZ, 1 << 20), 1 << 20);
	fill(fd);
	i8042.read_count = 2;
	latency_add(&blk[0].read_agg, 77);
	cr_assert_eq(metrics_write(m, &view), -EAGAIN);
	cr_assert_eq(metrics_write(m, &view), -EAGAIN);
	(void)drain(fd, 0);
	(void)drain(fd, 0);
	i8042.read_count = 5;
	cr_assert_eq(metrics_write(m, &view), 0);
	n = drain(fd, 0);
	text[n] = '\0';
	cr_assert_eq(count_lines(&last), 1, "no half of a lost line");
	cr_expect_eq(metrics_get(last, "i8042.read_count"), 5);
	cr_expect_eq(metrics_get(last, "block_a.read_agg.max_us"), 77);
	cr_expect_eq(metrics_get(last, "logger.missed_metrics_count"), 2);
	cr_expect_eq(metrics_get(last, "logger.metrics_fails"), 0);
	close_fd(fd);
}

Test(metrics_stream, counts_lines_that_a_file_refuses)
{
	static char now[METRICS_TEXT_MAX];

	metrics_close(TAKE(m));
	cr_assert_eq(metrics_open("/dev/full", NULL, &m, &e), 0);
	cr_assert_eq(metrics_write(m, &view), -ENOSPC);
	cr_assert_eq(metrics_write(m, &view), -ENOSPC);
	cr_assert_gt(metrics_render(m, &view, false, now, sizeof(now)), 0);
	cr_expect_eq(metrics_get(now, "logger.missed_metrics_count"), 2);
	cr_expect_eq(metrics_get(now, "logger.metrics_fails"), 2);
}

/* --- the last line --- */

Test(metrics_stream, writes_a_last_line_and_nothing_after_it)
{
	char *last;

	i8042.read_count = 1;
	(void)next_line();
	i8042.read_count = 3;
	metrics_flush_fatal(m, &view);
	metrics_flush_fatal(m, &view);
	cr_assert_eq(metrics_write(m, &view), -EBUSY);
	(void)fake_file_text(&file, text, sizeof(text));
	cr_assert_eq(count_lines(&last), 2);
	cr_expect_eq(metrics_get(last, "i8042.read_count"), 2);
	metrics_flush_fatal(NULL, &view);
}

Test(metrics_stream, finishes_a_line_before_the_last_one)
{
	int fd = open_small_fifo();
	size_t n;

	cr_assert_eq(metrics_write(m, &view), 0);
	n = drain(fd, 0);
	cr_assert_geq(fcntl(fd, F_SETPIPE_SZ, 1 << 20), 1 << 20);
	metrics_flush_fatal(m, &view);
	n = drain(fd, n);
	text[n] = '\0';
	cr_assert_eq(count_lines(NULL), 2);
	close_fd(fd);
}

/* What the handler below flushes: the page that a child cannot touch, made accessible.
 */
static void *page;

static void on_fault(int sig)
{
	(void)sig;
	(void)mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE);
	metrics_flush_fatal(m, &view);
	_exit(42);
}

/* Writes a line in a child whose drive's counters are on a page of this protection, and
 * counts the lines that there are then. */
static unsigned lines_of_a_child(int protection)
{
	struct metrics_device drive = { &blk_counters, "a", NULL };
	struct metrics_view v = { .groups = groups, .devices = &drive, .n_devices = 1 };
	int status;
	pid_t pid;

	page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(page, MAP_FAILED);
	drive.counters = page;
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGSEGV, on_fault);
		(void)mprotect(page, PAGE_BYTES, protection);
		_exit(metrics_write(m, &v));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42, "%#x", status);
	(void)munmap(page, PAGE_BYTES);
	(void)fake_file_text(&file, text, sizeof(text));
	return count_lines(NULL);
}

Test(metrics_stream, writes_a_last_line_when_one_was_being_made)
{
	cr_assert_eq(lines_of_a_child(PROT_NONE), 1);
	cr_assert(metrics_has(text, "block_b"), "the handler's line");
}

Test(metrics_stream, leaves_it_at_the_line_that_was_being_written)
{
	/* the counters' extremes are restarted once the line is out */
	cr_assert_eq(lines_of_a_child(PROT_READ), 1);
	cr_assert_not(metrics_has(text, "block_b"), "not the handler's line");
}
