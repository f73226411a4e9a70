/* SPDX-License-Identifier: Apache-2.0
 *
 * queue: where a ring may lie, the used ring, notifications in both directions, dirty
 * pages, and the snapshot.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_ring.h>

#include "tests/unit/fakes/fake_driver.h"

static struct fake_driver drv;
static struct queue q;
static struct chain chain;

static void set_up(void)
{
	fake_init(&drv, 8);
	q = fake_queue(&drv);
}

static void tear_down(void)
{
	fake_fini(&drv);
}

TestSuite(queue_ring, .init = set_up, .fini = tear_down);

static int start(bool event_idx)
{
	return queue_start(&q, drv.mem, event_idx, true);
}

/* Takes one chain and gives it back. */
static void serve_one(void)
{
	fake_post(&drv, &(struct fake_span){ FAKE_HEAP, 16, false }, 1);
	cr_assert_eq(queue_pop(&q, &chain), 1);
	queue_push(&q, chain.head, 0);
}

Test(queue_ring, refuses_sizes_that_are_no_power_of_two_up_to_256)
{
	static const uint16_t bad[] = { 0, 3, 12, 255, 257, 512, 0x8000, 0xffff };
	static const uint16_t good[] = { 1, 2, 128, 256 };

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		q.size = bad[i];
		cr_assert_eq(start(true), -EPROTO, "size %u", bad[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		q.size = good[i];
		cr_assert_eq(start(true), 0, "size %u", good[i]);
	}
}

Test(queue_ring, refuses_a_ring_that_is_not_aligned)
{
	q.desc_gpa += 8;
	cr_assert_eq(start(true), -EPROTO);
	q = fake_queue(&drv);
	q.avail_gpa += 1;
	cr_assert_eq(start(true), -EPROTO);
	q = fake_queue(&drv);
	q.used_gpa += 2;
	cr_assert_eq(start(true), -EPROTO);
}

Test(queue_ring, lets_a_ring_reach_to_the_last_byte_with_its_events_and_no_further)
{
	q.desc_gpa = FAKE_LOW_END - 16 * 8;
	cr_assert_eq(start(true), 0);
	q.desc_gpa += 16;
	cr_assert_eq(start(true), -EPROTO);
	q = fake_queue(&drv);
	q.avail_gpa = FAKE_LOW_END - (6 + 2 * 8);
	cr_assert_eq(start(true), 0);
	q.avail_gpa += 2;
	cr_assert_eq(start(true), -EPROTO);
	q = fake_queue(&drv);
	q.size = 1;
	q.used_gpa = FAKE_LOW_END - 16; /* 14 are needed */
	cr_assert_eq(start(true), 0);
	q.used_gpa += 4;
	cr_assert_eq(start(true), -EPROTO);
}

Test(queue_ring, refuses_a_ring_that_wraps_or_lies_nowhere)
{
	static const gpa_t bad[] = { UINT64_MAX - 15, FAKE_LOW_END, 1ull << 63 };

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		q = fake_queue(&drv);
		q.desc_gpa = bad[i];
		cr_assert_eq(start(true), -EPROTO);
		q = fake_queue(&drv);
		q.avail_gpa = bad[i];
		cr_assert_eq(start(true), -EPROTO);
		q = fake_queue(&drv);
		q.used_gpa = bad[i];
		cr_assert_eq(start(true), -EPROTO);
	}
}

Test(queue_ring, reports_used_chains_in_order)
{
	uint32_t id, len;

	cr_assert_eq(start(true), 0);
	queue_push(&q, 5, 17);
	queue_push(&q, 2, UINT32_MAX);
	cr_assert(fake_take_used(&drv, &id, &len));
	cr_assert_eq(id, 5);
	cr_assert_eq(len, 17);
	cr_assert(fake_take_used(&drv, &id, &len));
	cr_assert_eq(id, 2);
	cr_assert_eq(len, UINT32_MAX);
	cr_assert_not(fake_take_used(&drv, &id, &len));
}

Test(queue_ring, goes_on_when_its_indices_wrap)
{
	uint32_t id, len;

	cr_assert_eq(start(true), 0);
	for (unsigned i = 0; i < 0x10000 + 100; i++) {
		serve_one();
		cr_assert(fake_take_used(&drv, &id, &len));
		cr_assert_eq(id, i % 8);
	}
	cr_assert_eq(q.last_avail, 100);
	cr_assert_eq(fake_used_idx(&drv), 100);
}

Test(queue_ring, reports_many_chains_as_one_also_over_the_ring_s_end)
{
	static const struct queue_used used[] = { { 7, 70 }, { 0, 0 }, { 3, 30 } };
	uint32_t id, len;

	cr_assert_eq(start(false), 0);
	for (unsigned i = 0; i < 6; i++) {
		serve_one();
		cr_assert(fake_take_used(&drv, &id, &len));
	}
	queue_push_all(&q, used, ARRAY_LEN(used));
	cr_assert_eq(fake_used_idx(&drv), 9);
	for (unsigned i = 0; i < ARRAY_LEN(used); i++) {
		cr_assert(fake_take_used(&drv, &id, &len));
		cr_expect_eq(id, used[i].head);
		cr_expect_eq(len, used[i].written);
	}
	cr_expect_not(fake_take_used(&drv, &id, &len));
	queue_push_all(&q, used, 0);
	cr_expect_eq(fake_used_idx(&drv), 9);
}

Test(queue_ring, heeds_the_no_interrupt_flag)
{
	cr_assert_eq(start(false), 0);
	serve_one();
	cr_assert(queue_wants_interrupt(&q));
	fake_set_avail_flags(&drv, VRING_AVAIL_F_NO_INTERRUPT);
	serve_one();
	cr_assert_not(queue_wants_interrupt(&q));
}

Test(queue_ring, does_not_interrupt_for_nothing)
{
	cr_assert_eq(start(false), 0);
	cr_assert_not(queue_wants_interrupt(&q));
	serve_one();
	cr_assert(queue_wants_interrupt(&q));
	cr_assert_not(queue_wants_interrupt(&q));
}

Test(queue_ring, interrupts_when_the_used_event_is_passed)
{
	cr_assert_eq(start(true), 0);
	fake_set_avail_flags(&drv, VRING_AVAIL_F_NO_INTERRUPT); /* means nothing here */
	fake_set_used_event(&drv, 2);
	serve_one();
	serve_one();
	cr_assert_not(queue_wants_interrupt(&q));
	serve_one();
	cr_assert(queue_wants_interrupt(&q));
	serve_one();
	cr_assert_not(queue_wants_interrupt(&q));
}

Test(queue_ring, asks_for_notifications_by_flag)
{
	cr_assert_eq(start(false), 0);
	cr_assert(queue_want_notify(&q, false));
	cr_assert_eq(fake_used_flags(&drv), VRING_USED_F_NO_NOTIFY);
	cr_assert(queue_want_notify(&q, true));
	cr_assert_eq(fake_used_flags(&drv), 0);
}

Test(queue_ring, asks_for_notifications_by_event)
{
	cr_assert_eq(start(true), 0);
	for (unsigned i = 0; i < 3; i++)
		serve_one();
	cr_assert(queue_want_notify(&q, false));
	cr_assert_eq(fake_avail_event(&drv), 0);
	cr_assert(queue_want_notify(&q, true));
	cr_assert_eq(fake_avail_event(&drv), 3);
	cr_assert_eq(fake_used_flags(&drv), 0);
}

Test(queue_ring, tells_what_came_before_notifications_were_asked_for)
{
	cr_assert_eq(start(true), 0);
	fake_post(&drv, &(struct fake_span){ FAKE_HEAP, 16, false }, 1);
	cr_assert_not(queue_want_notify(&q, true));
}

Test(queue_ring, marks_what_it_writes_as_dirty)
{
	struct fake_span spans[] = {
		{ 0x20000, 16, false },
		{ 0x30ff0, 32, true }, /* over the edge of a page */
	};

	cr_assert_eq(guest_track_dirty(drv.mem), 0);
	cr_assert_eq(start(true), 0);
	fake_post(&drv, spans, 2);
	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_not(guest_is_dirty(drv.mem, 0x20000));
	cr_assert(guest_is_dirty(drv.mem, 0x30000));
	cr_assert(guest_is_dirty(drv.mem, 0x31000));
	cr_assert_not(guest_is_dirty(drv.mem, 0x32000));
	cr_assert_not(guest_is_dirty(drv.mem, FAKE_DESC));
	cr_assert_not(guest_is_dirty(drv.mem, FAKE_AVAIL));
}

Test(queue_ring, marks_the_used_ring_dirty_when_tracking_begins_after_the_start)
{
	cr_assert_eq(start(true), 0);
	cr_assert_eq(guest_track_dirty(drv.mem), 0);
	cr_assert_not(guest_is_dirty(drv.mem, FAKE_USED));
	queue_push(&q, 0, 0);
	cr_assert(guest_is_dirty(drv.mem, FAKE_USED));
}

Test(queue_ring, asks_for_a_notification_past_what_waits)
{
	const struct fake_span span = { FAKE_HEAP, 16, false };

	cr_assert_eq(queue_await_more(&q), 0); /* not started */
	for (unsigned with = 0; with < 2; with++) {
		fake_reboot(&drv);
		q = fake_queue(&drv);
		cr_assert_eq(start(with), 0);
		for (unsigned i = 0; i < 3; i++)
			fake_post(&drv, &span, 1);
		(void)queue_want_notify(&q, false);
		cr_assert_eq(queue_pop(&q, &chain), 1);
		cr_assert_eq(queue_await_more(&q), 2);
		cr_assert_eq(fake_avail_event(&drv), with ? 3 : 0);
		cr_assert_eq(fake_used_flags(&drv), 0);
		cr_assert_eq(q.last_avail, 1);
		fake_post(&drv, &span, 1);
		cr_assert_eq(queue_await_more(&q), 3);
	}
}

Test(queue_ring, skips_what_was_used_in_place)
{
	const struct fake_span spans[] = { { FAKE_HEAP, 3, false },
		{ FAKE_HEAP + 100, 5, false }, { FAKE_HEAP + 200, 4, true } };
	struct spans left;

	cr_assert_eq(start(false), 0);
	fake_post(&drv, spans, ARRAY_LEN(spans));
	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain_skip(&chain, 9), -EPROTO);
	cr_assert_eq(chain_skip(&chain, 0), 0);
	cr_assert_eq(chain_rd_bytes(&chain), 8);
	cr_assert_eq(chain_skip(&chain, 4), 0);
	cr_assert_eq(chain_rd_bytes(&chain), 4);
	left = chain_rd(&chain);
	cr_assert_eq(left.n, 1);
	cr_assert_eq(left.iov[0].iov_base, fake_at(&drv, FAKE_HEAP + 101, 1));
	cr_assert_eq(left.iov[0].iov_len, 4);
	cr_assert_eq(chain_skip(&chain, 4), 0);
	cr_assert_eq(chain_rd_bytes(&chain), 0);
	cr_assert_eq(chain_wr_bytes(&chain), 4);
	cr_assert_eq(chain_skip(&chain, 1), -EPROTO);
}

Test(queue_ring, survives_a_snapshot)
{
	struct queue loaded = { .size = 0 };
	struct stream s;
	struct stream l;

	cr_assert_eq(start(true), 0);
	for (unsigned i = 0; i < 5; i++)
		serve_one();
	stream_init_save(&s);
	queue_snap(&q, &s);
	cr_assert_eq(stream_finish(&s), 0);
	stream_init_load(&l, s.buf, s.len);
	queue_snap(&loaded, &l);
	cr_assert_eq(stream_finish(&l), 0);
	cr_assert_null(loaded.desc);
	cr_assert_eq(queue_start(&loaded, drv.mem, true, true), 0);
	cr_assert_eq(loaded.used_gpa, FAKE_USED);
	cr_assert_eq(loaded.size, 8);
	cr_assert(loaded.ready);
	q = loaded;
	serve_one();
	cr_assert_eq(q.last_avail, 6);
	cr_assert_eq(fake_used_idx(&drv), 6);
	stream_fini(&s);
}

Test(queue_ring, forgets_everything_when_reset)
{
	cr_assert_eq(start(true), 0);
	serve_one();
	queue_reset(&q);
	cr_assert_eq(q.last_avail, 0);
	cr_assert_eq(q.next_used, 0);
	cr_assert_not(q.ready);
	cr_assert_eq(queue_pop(&q, &chain), 0);
}
