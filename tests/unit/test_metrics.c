/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: phases, and that a line is one JSON object of integers. The boot timer,
 * which marks a phase, too.
 */
#include "vmm/metrics.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_file.h"
#include "virtio/devices.h"
#include "vmm/base/log.h"
#include "vmm/boot_timer.h"

static struct err e;
static char text[1 << 16];

/* Marks a phase as if the clock said us. */
static void mark_at(struct phases *p, enum phase phase, uint64_t us)
{
	p->at_us[phase] = us;
}

Test(metrics, tells_a_phase_since_the_start_of_the_process)
{
	struct phases p = { 0 };

	mark_at(&p, PHASE_PROCESS_START, 1000);
	mark_at(&p, PHASE_FIRST_RUN, 1234);
	cr_assert_eq(phase_us(&p, PHASE_FIRST_RUN), 234);
	cr_assert_eq(phase_us(&p, PHASE_GUEST_INIT), 0, "not reached");
}

Test(metrics, takes_a_start_that_a_launcher_put_into_the_future)
{
	struct phases p = { 0 };

	mark_at(&p, PHASE_PROCESS_START, UINT64_MAX);
	phase_mark(&p, PHASE_MAIN);
	cr_assert_eq(phase_us(&p, PHASE_MAIN), 0);
}

Test(metrics, keeps_the_first_moment_of_a_phase)
{
	struct phases p = { 0 };

	phase_mark(&p, PHASE_MAIN);
	cr_assert_neq(p.at_us[PHASE_MAIN], 0);
	mark_at(&p, PHASE_MAIN, 5);
	phase_mark(&p, PHASE_MAIN);
	cr_assert_eq(p.at_us[PHASE_MAIN], 5);
}

Test(metrics, names_every_phase_once)
{
	for (enum phase a = 0; a < PHASE_COUNT; a++) {
		cr_assert_not_null(phase_name(a));
		for (enum phase b = 0; b < a; b++)
			cr_expect_str_neq(phase_name(a), phase_name(b));
	}
}

/* Reads one JSON object of objects and unsigned integers without space, from *at on. */
static bool is_object(const char **at)
{
	if (*(*at)++ != '{')
		return false;
	do {
		if (*(*at)++ != '"')
			return false;
		while (islower((unsigned char)**at) || **at == '_')
			++*at;
		if (*(*at)++ != '"' || *(*at)++ != ':')
			return false;
		if (**at == '{') {
			if (!is_object(at))
				return false;
		} else if (!isdigit((unsigned char)**at)) {
			return false;
		}
		while (isdigit((unsigned char)**at))
			++*at;
	} while (*(*at)++ == ',');
	return (*at)[-1] == '}';
}

static void expect_line(const char *line)
{
	const char *at = line;

	cr_expect(is_object(&at), "%s", line);
	cr_expect_str_eq(at, "\n");
}

static const char *written(const struct metrics_view *v)
{
	struct fake_file f = fake_file("", 0);

	cr_assert_eq(metrics_write(f.fd, v), 0);
	(void)fake_file_text(&f, text, sizeof(text));
	fake_file_close(&f);
	return text;
}

Test(metrics, writes_one_object_of_integers_on_one_line)
{
	struct phases p = { 0 };
	struct metrics_view v = { .phases = &p };

	expect_line(written(&v));
	cr_expect_eq(strncmp(text, "{\"utc_timestamp_ms\":", 20), 0, "%s", text);
}

/* A drive over a memory file; destroyed by the caller. */
static struct vdev *drive(const char *id, struct fake_file *f)
{
	struct disk *disk;
	struct vdev *v;

	cr_assert_eq(disk_open(f->path, false, &disk, NULL), 0);
	cr_assert_eq(blk_create(id, disk, false, &v, NULL), 0);
	return v;
}

Test(metrics, has_a_group_for_each_drive_and_one_for_all)
{
	struct fake_file f = fake_file("", 0);
	struct vdev *a = drive("a", &f), *b = drive("b", &f);
	const struct vdev *drives[] = { a, b };
	struct phases p = { 0 };
	struct metrics_view v = { .phases = &p, .drives = drives, .n_drives = 2 };

	expect_line(written(&v));
	cr_expect(strstr(text, "\"block_a\":{\"no_avail_buffer\":0,"), "%s", text);
	cr_expect(strstr(text, "\"block_b\":{\"no_avail_buffer\":0,"), "%s", text);
	cr_expect(strstr(text, "\"block\":{\"no_avail_buffer\":0,"), "%s", text);
	a->ops->destroy(a);
	b->ops->destroy(b);
	fake_file_close(&f);
}

Test(metrics, has_room_for_the_largest_numbers)
{
	struct phases p;
	struct vcpu_counts counts;
	const struct vcpu_counts *vcpus[1] = { &counts };
	struct metrics_view v = {
		.phases = &p, .vcpus = vcpus, .n_vcpus = 1, .device_faults = UINT64_MAX
	};

	memset(&p, 0xff, sizeof(p));
	memset(&counts, 0xff, sizeof(counts));
	p.at_us[PHASE_PROCESS_START] = 0;
	expect_line(written(&v));
	cr_expect(strstr(text, "\"guest_init_us\":18446744073709551615"), "%s", text);
	cr_expect(strstr(text, "\"guest_faults\":18446744073709551615"), "%s", text);
}

Test(metrics, sums_over_vcpus)
{
	struct phases p = { 0 };
	struct vcpu_counts a = { 0 }, b = { 0 };
	const struct vcpu_counts *vcpus[] = { &a, &b };
	struct metrics_view v = {
		.phases = &p, .vcpus = vcpus, .n_vcpus = 2, .device_faults = 7
	};

	a.exits[EXIT_IO_OUT] = 3;
	b.exits[EXIT_IO_OUT] = 4;
	b.exits[EXIT_OTHER] = 1;
	a.failures = 2;
	(void)written(&v);
	cr_expect(strstr(text, "\"exit_io_out\":7,"), "%s", text);
	cr_expect(strstr(text, "\"exit_other\":1,"), "%s", text);
	cr_expect(strstr(text, "\"exit_hlt\":0,"), "%s", text);
	cr_expect(strstr(text, "\"failures\":2}"), "%s", text);
	cr_expect(strstr(text, "\"virtio\":{\"guest_faults\":7}"), "%s", text);
}

Test(metrics, loses_a_line_rather_than_wait_for_a_reader, .timeout = 300)
{
	struct fake_fifo fifo = fake_fifo();
	struct phases p = { 0 };
	struct metrics_view v = { .phases = &p };
	int fd = metrics_open(fifo.path, &e), r = 0;

	fake_fifo_remove(&fifo);
	cr_assert_geq(fd, 0);
	for (int i = 0; i < 1 << 20 && r == 0; i++)
		r = metrics_write(fd, &v);
	cr_assert_eq(r, -EAGAIN);
	close_fd(fd);
}

Test(metrics, says_when_a_line_cannot_be_written)
{
	struct phases p = { 0 };
	struct metrics_view v = { .phases = &p };

	cr_assert_eq(metrics_write(-1, &v), -EBADF);
	errno = EPERM; /* of an earlier call: not the reason for anything here */
	(void)written(&v);
}

Test(metrics, appends_to_a_file_and_makes_a_missing_one)
{
	char dir[] = "/tmp/husk-test-XX"
		     "XX"
		     "XX",
	     path[64];
	struct phases p = { 0 };
	struct metrics_view v = { .phases = &p };
	unsigned lines = 0;
	ssize_t n;
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/metrics", dir);
	for (int i = 0; i < 2; i++) {
		fd = metrics_open(path, &e);
		cr_assert_eq(metrics_write(fd, &v), 0);
		close_fd(fd);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text));
	close_fd(fd);
	(void)unlink(path);
	(void)rmdir(dir);
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	cr_assert_eq(lines, 2);
}

Test(metrics, says_why_a_path_cannot_be_opened)
{
	cr_assert_eq(metrics_open("/nonexistent/m", &e), -ENOENT);
	cr_assert(strstr(e.text, "metrics '/nonexistent/m'"), "%s", e.text);
	cr_assert_eq(metrics_open("/tmp", &e), -EISDIR);
}

/* What the log says after the guest wrote these bytes at `at` of the boot timer. */
static const char *boot_timer_says(
	struct phases *p, uint64_t at, const void *bytes, size_t n)
{
	struct boot_timer timer = { .phases = p, .started_us = clock_us() };
	struct fake_file f = fake_file("", 0);

	cr_assert_eq(log_open(f.path, &e), 0);
	boot_timer_bus_ops()->write(&timer, at, bytes, n);
	(void)fake_file_text(&f, text, sizeof(text));
	fake_file_close(&f);
	return text;
}

Test(boot_timer, marks_the_guests_init_and_logs_it)
{
	struct phases p = { 0 };

	cr_assert(strstr(boot_timer_says(&p, 0, "\x7b\0\0\0", 4), "Guest-boot-time ="));
	cr_assert(strstr(text, " CPU us\n"), "%s", text);
	cr_assert_neq(p.at_us[PHASE_GUEST_INIT], 0);
}

Test(boot_timer, ignores_every_other_write)
{
	struct phases p = { 0 };

	for (int v = 0; v < 256; v++) {
		uint8_t byte = (uint8_t)v;

		if (v != 123)
			cr_expect_str_eq(boot_timer_says(&p, 0, &byte, 1), "", "%d", v);
	}
	cr_assert_str_eq(boot_timer_says(&p, 1, "\x7b", 1), "");
	cr_assert_str_eq(boot_timer_says(&p, 4095, "\x7b", 1), "");
	cr_assert_eq(p.at_us[PHASE_GUEST_INIT], 0);
}

Test(boot_timer, logs_once_however_often_the_guest_writes)
{
	struct phases p = { 0 };
	struct boot_timer timer = { .phases = &p };
	struct fake_file f = fake_file("", 0);
	unsigned lines = 0;

	cr_assert_eq(log_open(f.path, &e), 0);
	for (int i = 0; i < 1000; i++)
		boot_timer_bus_ops()->write(&timer, 0, "\x7b", 1);
	(void)fake_file_text(&f, text, sizeof(text));
	for (const char *c = text; *c != '\0'; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 1);
	fake_file_close(&f);
}

Test(boot_timer, reads_as_nothing)
{
	struct phases p = { 0 };
	struct boot_timer timer = { .phases = &p };
	uint32_t v = 0xffffffff;

	boot_timer_bus_ops()->read(&timer, 0, &v, 4);
	cr_assert_eq(v, 0xffffffff);
}
