/* SPDX-License-Identifier: Apache-2.0
 *
 * blk: requests as a driver posts them, through transport and loop, over a file in /tmp
 * whose sectors begin with their own number. Wrong requests too: each is answered with
 * an error status or is a guest fault, and the disk stays as it was.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/unit/fakes/fake_blk.h"

enum { SECTORS = 64 };

static gpa_t status_at;

/* Sector i begins with i, and is filled with its low byte. */
static void fill_disk(void)
{
	int fd = open(fb_path, O_WRONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	for (uint64_t i = 0; i < SECTORS; i++) {
		uint8_t sector[DISK_SECTOR];

		memset(sector, (int)i, sizeof(sector));
		memcpy(sector, &i, sizeof(i));
		cr_assert_eq(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	close(fd);
}

static void set_up(void)
{
	fb_init_bare(64);
	fill_disk();
	fb_attach_file(false, true);
	fake_bring_up(fb_t, &fb_drv, FB_BASIC | FB_WRITABLE | FB_FLUSH);
	status_at = fake_alloc(&fb_drv, 1, FB_STATUS_UNSET);
}

TestSuite(blk, .init = set_up, .fini = fb_fini);

static gpa_t header(uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = htole32(type),
		.sector = htole64(sector) };
	gpa_t at = fake_alloc(&fb_drv, sizeof(h), 0);

	memcpy(fake_at(&fb_drv, at, sizeof(h)), &h, sizeof(h));
	return at;
}

static bool faulted(void)
{
	return fake_reg(fb_t, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static uint8_t status(void)
{
	return *(uint8_t *)fake_at(&fb_drv, status_at, 1);
}

/* Posts header, data (when len > 0) and status, and returns the status; *used is the
 * used length. */
static uint8_t request(uint32_t type, uint64_t sector, gpa_t data, uint32_t len,
	bool wr, uint32_t *used)
{
	struct fake_span spans[3] = { { header(type, sector), 16, false } };
	uint32_t id, ignored;
	unsigned n = 1;

	if (len > 0)
		spans[n++] = (struct fake_span){ data, len, wr };
	spans[n++] = (struct fake_span){ status_at, 1, true };
	*(uint8_t *)fake_at(&fb_drv, status_at, 1) = FB_STATUS_UNSET;
	fake_post(&fb_drv, spans, n);
	fb_notify();
	cr_assert_not(faulted());
	cr_assert(fake_take_used(&fb_drv, &id, used ? used : &ignored));
	return status();
}

/* First 8 bytes of a sector in the file. */
static uint64_t on_disk(uint64_t sector)
{
	int fd = open(fb_path, O_RDONLY | O_CLOEXEC);
	uint64_t value = 0;

	cr_assert_eq(pread(fd, &value, sizeof(value), (off_t)sector * DISK_SECTOR),
		sizeof(value));
	close(fd);
	return value;
}

/* A range of a discard or write-zeroes. */
static gpa_t ranges(const struct virtio_blk_discard_write_zeroes *r, unsigned n)
{
	gpa_t at = fake_alloc(&fb_drv, n * sizeof(*r), 0);

	memcpy(fake_at(&fb_drv, at, n * sizeof(*r)), r, n * sizeof(*r));
	return at;
}

static uint8_t one_range(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes r = { htole64(sector), htole32(n),
		htole32(flags) };

	return request(type, 0, ranges(&r, 1), sizeof(r), false, NULL);
}

Test(blk, reads)
{
	gpa_t data = fake_alloc(&fb_drv, 1024, 0);
	uint64_t *first = fake_at(&fb_drv, data, 1024);
	uint32_t used;

	cr_assert_eq(request(VIRTIO_BLK_T_IN, 7, data, 1024, true, &used), 0);
	cr_assert_eq(used, 1025);
	cr_assert_eq(first[0], 7);
	cr_assert_eq(first[64], 8);
	cr_assert_eq(fb_stats()->read_count, 1);
	cr_assert_eq(fb_stats()->read_bytes, 1024);
	cr_assert_eq(fake_irqs(fb_t), 1);
}

Test(blk, writes)
{
	gpa_t data = fake_alloc(&fb_drv, 512, 0x5a);
	uint32_t used;

	cr_assert_eq(request(VIRTIO_BLK_T_OUT, 63, data, 512, false, &used), 0);
	cr_assert_eq(used, 1);
	cr_assert_eq(on_disk(63), 0x5a5a5a5a5a5a5a5a);
	cr_assert_eq(on_disk(62), 62);
	cr_assert_eq(fb_stats()->write_bytes, 512);
}

Test(blk, flushes_when_that_was_negotiated)
{
	cr_assert_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, 0, false, NULL), 0);
	cr_assert_eq(fb_stats()->flush_count, 1);
	fake_reboot(&fb_drv);
	status_at = fake_alloc(&fb_drv, 1, FB_STATUS_UNSET);
	fake_bring_up(fb_t, &fb_drv, FB_BASIC);
	cr_assert_eq(
		request(VIRTIO_BLK_T_FLUSH, 0, 0, 0, false, NULL), VIRTIO_BLK_S_UNSUPP);
}

Test(blk, tells_its_serial)
{
	gpa_t data = fake_alloc(&fb_drv, 32, 0xaa);
	char expected[DISK_SERIAL_BYTES];
	struct disk *disk;
	uint32_t used;

	cr_assert_eq(disk_open(fb_path, true, &disk, NULL), 0);
	disk_serial(disk, expected);
	disk_close(disk);
	cr_assert_eq(request(VIRTIO_BLK_T_GET_ID, 0, data, 32, true, &used), 0);
	cr_assert_eq(used, 21);
	cr_assert_arr_eq(fake_at(&fb_drv, data, 20), expected, 20);
	cr_assert_eq(*(uint8_t *)fake_at(&fb_drv, data + 20, 1), 0xaa);
	cr_assert_eq(request(VIRTIO_BLK_T_GET_ID, 0, data, 19, true, NULL),
		VIRTIO_BLK_S_IOERR);
}

Test(blk, discards_ranges)
{
	struct virtio_blk_discard_write_zeroes r[] = {
		{ htole64(0), htole32(8), 0 },
		{ htole64(16), htole32(8), 0 },
	};

	cr_assert_eq(
		request(VIRTIO_BLK_T_DISCARD, 0, ranges(r, 2), sizeof(r), false, NULL),
		0);
	cr_assert_eq(on_disk(8), 8);
	cr_assert_eq(on_disk(24), 24);
}

Test(blk, zeroes_ranges)
{
	cr_assert_eq(one_range(VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, 0), 0);
	cr_assert_eq(on_disk(7), 7);
	cr_assert_eq(on_disk(8), 0);
	cr_assert_eq(on_disk(15), 0);
	cr_assert_eq(on_disk(16), 16);
	cr_assert_eq(one_range(VIRTIO_BLK_T_WRITE_ZEROES, 16, 1, 1), 0);
	cr_assert_eq(on_disk(16), 0);
	cr_assert_eq(on_disk(17), 17);
	cr_assert_eq(one_range(VIRTIO_BLK_T_WRITE_ZEROES, 20, 0, 0), 0);
	cr_assert_eq(on_disk(20), 20);
}

Test(blk, assumes_nothing_about_framing)
{
	gpa_t h = header(VIRTIO_BLK_T_IN, 3),
	      data = fake_alloc(&fb_drv, 513, FB_STATUS_UNSET);
	struct fake_span spans[] = {
		{ h, 1, false }, { h + 1, 14, false }, { h + 15, 1, false },
		{ data, 500, true },
		{ data + 500, 13, true }, /* the rest, and the status */
	};
	uint32_t id, used;

	fake_post_indirect(&fb_drv, spans, ARRAY_LEN(spans), NULL);
	fb_notify();
	cr_assert(fake_take_used(&fb_drv, &id, &used));
	cr_assert_eq(used, 513);
	cr_assert_eq(*(uint64_t *)fake_at(&fb_drv, data, 8), 3);
	cr_assert_eq(*(uint8_t *)fake_at(&fb_drv, data + 511, 1), 3);
	cr_assert_eq(*(uint8_t *)fake_at(&fb_drv, data + 512, 1), 0);
}

Test(blk, takes_header_and_data_from_one_span)
{
	gpa_t all = header(VIRTIO_BLK_T_OUT, 5);
	gpa_t data = fake_alloc(&fb_drv, 512, 0x77);
	struct fake_span spans[] = { { all, 528, false }, { status_at, 1, true } };

	cr_assert_eq(data, all + 16);
	fake_post(&fb_drv, spans, 2);
	fb_notify();
	cr_assert_eq(status(), 0);
	cr_assert_eq(on_disk(5), 0x7777777777777777);
}

Test(blk, moves_254_segments_in_one_request)
{
	static struct fake_span spans[256];
	uint32_t id, used;

	cr_assert_eq(truncate(fb_path, 256 * 512), 0);
	fb_attach_file(false, true);
	fake_bring_up(fb_t, &fb_drv, FB_BASIC);
	spans[0] = (struct fake_span){ header(VIRTIO_BLK_T_IN, 0), 16, false };
	for (unsigned i = 1; i < 255; i++)
		spans[i] =
			(struct fake_span){ fake_alloc(&fb_drv, 512, 0xff), 512, true };
	spans[255] = (struct fake_span){ status_at, 1, true };
	fake_post_indirect(&fb_drv, spans, 256, NULL);
	fb_notify();
	cr_assert_eq(status(), 0);
	cr_assert(fake_take_used(&fb_drv, &id, &used));
	cr_assert_eq(used, 254 * 512 + 1);
	cr_assert_eq(*(uint64_t *)fake_at(&fb_drv, spans[64].at, 8), 63);
}

Test(blk, refuses_to_reach_past_the_disk)
{
	gpa_t data = fake_alloc(&fb_drv, 1024, 0);

	cr_assert_eq(request(VIRTIO_BLK_T_IN, 64, data, 512, true, NULL), 1);
	cr_assert_eq(request(VIRTIO_BLK_T_IN, 63, data, 1024, true, NULL), 1);
	cr_assert_eq(request(VIRTIO_BLK_T_OUT, 64, data, 512, false, NULL), 1);
	cr_assert_eq(request(VIRTIO_BLK_T_IN, UINT64_MAX, data, 512, true, NULL), 1);
	cr_assert_eq(
		request(VIRTIO_BLK_T_IN, UINT64_MAX / 512, data, 512, true, NULL), 1);
	cr_assert_eq(request(VIRTIO_BLK_T_OUT, 1ull << 55, data, 512, false, NULL), 1);
	cr_assert_eq(fb_stats()->invalid_reqs_count, 6);
	cr_assert_eq(fb_stats()->read_count + fb_stats()->write_count, 0);
}

Test(blk, refuses_data_that_is_no_whole_sector)
{
	gpa_t data = fake_alloc(&fb_drv, 1024, 0);

	cr_assert_eq(request(VIRTIO_BLK_T_IN, 0, data, 511, true, NULL), 1);
	cr_assert_eq(request(VIRTIO_BLK_T_OUT, 0, data, 513, false, NULL), 1);
	cr_assert_eq(request(VIRTIO_BLK_T_IN, 0, 0, 0, true, NULL), 1);
	cr_assert_eq(on_disk(1), 1);
}

Test(blk, refuses_data_in_the_wrong_direction)
{
	gpa_t data = fake_alloc(&fb_drv, 512, 0x99);

	cr_assert_eq(request(VIRTIO_BLK_T_OUT, 2, data, 512, true, NULL), 1);
	cr_assert_eq(request(VIRTIO_BLK_T_IN, 2, data, 512, false, NULL), 1);
	cr_assert_eq(on_disk(2), 2);
	cr_assert_eq(*(uint8_t *)fake_at(&fb_drv, data, 1), 0x99);
}

Test(blk, refuses_data_in_both_directions)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	gpa_t data = fake_alloc(&fb_drv, 1024, 0x99);

	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		struct fake_span spans[] = {
			{ header(types[i], 2), 16, false },
			{ data, 512, false },
			{ data + 512, 512, true },
			{ status_at, 1, true },
		};

		fake_post(&fb_drv, spans, 4);
		fb_notify();
		cr_assert_eq(status(), VIRTIO_BLK_S_IOERR);
		cr_assert_eq(on_disk(2), 2);
		cr_assert_eq(*(uint8_t *)fake_at(&fb_drv, data + 512, 1), 0x99);
	}
}

Test(blk, does_not_know_other_types)
{
	static const uint32_t types[] = { 2, 3, 7, 9, 10, 12, 14, 15, 0x80000000,
		UINT32_MAX };
	uint32_t used;

	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		cr_assert_eq(
			request(types[i], 0, 0, 0, false, &used), VIRTIO_BLK_S_UNSUPP);
		cr_assert_eq(used, 1);
	}
}

Test(blk, refuses_bad_ranges)
{
	uint32_t discard = VIRTIO_BLK_T_DISCARD, zeroes = VIRTIO_BLK_T_WRITE_ZEROES;
	struct virtio_blk_discard_write_zeroes many[17] = { 0 };
	gpa_t at = ranges(many, 17);

	cr_assert_eq(one_range(zeroes, 64, 1, 0), 1);
	cr_assert_eq(one_range(zeroes, 63, 2, 0), 1);
	cr_assert_eq(one_range(zeroes, UINT64_MAX, 1, 0), 1);
	cr_assert_eq(one_range(discard, 1ull << 55, 8, 0), 1);
	cr_assert_eq(one_range(discard, 0, UINT32_MAX, 0), 1);
	cr_assert_eq(one_range(discard, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	cr_assert_eq(one_range(zeroes, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	cr_assert_eq(request(discard, 0, 0, 0, false, NULL), 1);
	cr_assert_eq(request(discard, 0, at, 15, false, NULL), 1);
	cr_assert_eq(request(discard, 0, at, 17 * 16, false, NULL), 1);
	cr_assert_eq(request(discard, 0, at, 16 * 16, false, NULL), 0);
	cr_assert_eq(request(zeroes, 0, at, 2 * 16, false, NULL), 1);
	for (uint64_t i = 0; i < SECTORS; i++)
		cr_assert_eq(on_disk(i), i);
}

Test(blk, does_not_write_to_a_read_only_disk)
{
	gpa_t data = fake_alloc(&fb_drv, 512, 0x11);

	fb_attach_file(true, false);
	fake_bring_up(fb_t, &fb_drv, FB_BASIC | FAKE_FEATURE(VIRTIO_BLK_F_RO));
	cr_assert_eq(request(VIRTIO_BLK_T_OUT, 0, data, 512, false, NULL), 1);
	cr_assert_eq(one_range(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	cr_assert_eq(
		one_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	cr_assert_eq(fb_stats()->invalid_reqs_count, 3);
	cr_assert_eq(fb_stats()->execute_fails, 0); /* not even tried */
	cr_assert_eq(request(VIRTIO_BLK_T_IN, 5, data, 512, true, NULL), 0);
	cr_assert_eq(on_disk(0), 0);
}

Test(blk, fails_requests_that_the_disk_fails)
{
	gpa_t data = fake_alloc(&fb_drv, 512, 0);
	uint32_t used;

	cr_assert_eq(truncate(fb_path, 512), 0);
	cr_assert_eq(request(VIRTIO_BLK_T_IN, 1, data, 512, true, &used), 1);
	cr_assert_eq(used, 1);
	cr_assert_eq(fb_stats()->execute_fails, 1);
	cr_assert_eq(request(VIRTIO_BLK_T_IN, 0, data, 512, true, NULL), 0);
}

Test(blk, takes_a_chain_without_a_status_byte_for_a_fault)
{
	struct fake_span span = { header(VIRTIO_BLK_T_IN, 0), 16, false };

	fake_post(&fb_drv, &span, 1);
	fb_notify();
	cr_assert(faulted());
	cr_assert_eq(fake_used_idx(&fb_drv), 0);
}

Test(blk, takes_a_short_header_for_a_fault)
{
	struct fake_span spans[] = { { header(VIRTIO_BLK_T_IN, 0), 15, false },
		{ status_at, 1, true } };

	fake_post(&fb_drv, spans, 2);
	fb_notify();
	cr_assert(faulted());
	cr_assert_eq(status(), FB_STATUS_UNSET);
}

Test(blk, answers_what_came_before_a_fault)
{
	struct fake_span good[] = { { header(VIRTIO_BLK_T_FLUSH, 0), 16, false },
		{ status_at, 1, true } };
	uint32_t id, used;

	fake_post(&fb_drv, good, 2);
	fake_offer(&fb_drv, 64);
	fb_notify();
	cr_assert(faulted());
	cr_assert_eq(status(), 0);
	cr_assert(fake_take_used(&fb_drv, &id, &used));
	cr_assert_eq(fake_reg(fb_t, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
}

Test(blk, answers_a_batch_with_one_interrupt)
{
	struct fake_span spans[] = { { header(VIRTIO_BLK_T_IN, 0), 16, false },
		{ fake_alloc(&fb_drv, 512, 0), 512, true }, { status_at, 1, true } };

	for (unsigned i = 0; i < 20; i++)
		fake_post(&fb_drv, spans, 3);
	fb_notify();
	cr_assert_eq(fake_used_idx(&fb_drv), 20);
	cr_assert_eq(fake_irqs(fb_t), 1);
	cr_assert_eq(fb_stats()->queue_event_count, 1);
}

Test(blk, counts_notifications_for_nothing)
{
	fb_notify();
	cr_assert_eq(fb_stats()->queue_event_count, 1);
	cr_assert_eq(fb_stats()->no_avail_buffer, 1);
	cr_assert_eq(fake_irqs(fb_t), 0);
}
