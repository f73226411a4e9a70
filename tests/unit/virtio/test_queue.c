/* SPDX-License-Identifier: Apache-2.0
 *
 * queue: what a correct driver gets, and everything that a guest can do wrong with a
 * ring. test_queue_ring.c has places of rings and notifications.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/fakes/fake_driver.h"

enum { NEXT = VRING_DESC_F_NEXT, WR = VRING_DESC_F_WRITE, IND = VRING_DESC_F_INDIRECT };

static struct fake_driver drv;
static struct queue q;
static struct chain chain;

static void set_up(void)
{
	fake_init(&drv, 8);
	q = fake_queue(&drv);
	cr_assert_eq(queue_start(&q, drv.mem, true, true), 0);
}

static void tear_down(void)
{
	fake_fini(&drv);
}

TestSuite(queue, .init = set_up, .fini = tear_down);

/* Posts the one descriptor given, as it is, and pops it. */
static int pop_desc(gpa_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	fake_set_desc(&drv, FAKE_DESC, addr, len, flags, next);
	fake_offer(&drv, 0);
	return queue_pop(&q, &chain);
}

Test(queue, is_empty_at_first)
{
	cr_assert_eq(queue_pop(&q, &chain), 0);
}

Test(queue, gives_nothing_before_it_is_started)
{
	struct queue raw = fake_queue(&drv);

	fake_post(&drv, &(struct fake_span){ FAKE_HEAP, 16, false }, 1);
	cr_assert_eq(queue_pop(&raw, &chain), 0);
	cr_assert(queue_want_notify(&raw, true));
	cr_assert_not(queue_wants_interrupt(&raw));
}

Test(queue, pops_a_direct_chain)
{
	struct fake_span spans[] = {
		{ fake_alloc(&drv, 16, 1), 16, false },
		{ fake_alloc(&drv, 4096, 2), 4096, true },
		{ fake_alloc(&drv, 1, 3), 1, true },
	};
	uint16_t head = fake_post(&drv, spans, 3);

	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain.head, head);
	cr_assert_eq(chain_rd_bytes(&chain), 16);
	cr_assert_eq(chain_wr_bytes(&chain), 4097);
	cr_assert_eq(chain_rd(&chain).iov->iov_base, fake_at(&drv, spans[0].at, 16));
	cr_assert_eq(chain_rd(&chain).n, 1);
	cr_assert_eq(chain_wr(&chain).iov->iov_base, fake_at(&drv, spans[1].at, 1));
	cr_assert_eq(chain_wr(&chain).n, 2);
	cr_assert_eq(queue_pop(&q, &chain), 0);
}

Test(queue, pops_an_indirect_chain)
{
	struct fake_span spans[] = {
		{ fake_alloc(&drv, 16, 1), 16, false },
		{ fake_alloc(&drv, 512, 2), 512, true },
	};
	uint16_t head = fake_post_indirect(&drv, spans, 2, NULL);

	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain.head, head);
	cr_assert_eq(chain.n_rd, 1);
	cr_assert_eq(chain.n_wr, 1);
	cr_assert_eq(chain_wr_bytes(&chain), 512);
}

Test(queue, takes_an_indirect_table_at_the_end_of_a_direct_chain)
{
	gpa_t table = fake_alloc(&drv, 16, 0);

	fake_set_desc(&drv, table, FAKE_HEAP, 32, WR, 0);
	fake_set_desc(&drv, FAKE_DESC + 16 * 5, table, 16, IND, 0);
	cr_assert_eq(pop_desc(FAKE_HEAP, 16, NEXT, 5), 1);
	cr_assert_eq(chain.n_rd, 1);
	cr_assert_eq(chain_wr_bytes(&chain), 32);
}

Test(queue, ignores_the_write_flag_of_an_indirect_descriptor)
{
	gpa_t table = fake_alloc(&drv, 16, 0);

	fake_set_desc(&drv, table, FAKE_HEAP, 32, 0, 0);
	cr_assert_eq(pop_desc(table, 16, IND | WR, 0), 1);
	cr_assert_eq(chain_rd_bytes(&chain), 32);
}

Test(queue, takes_a_table_that_is_longer_than_the_chain_in_it)
{
	gpa_t table = fake_alloc(&drv, 1000 * 16, 0xff);

	fake_set_desc(&drv, table, FAKE_HEAP, 32, NEXT, 999);
	fake_set_desc(&drv, table + 16 * 999, FAKE_HEAP, 8, 0, 0);
	cr_assert_eq(pop_desc(table, 1000 * 16, IND, 0), 1);
	cr_assert_eq(chain.n_rd, 2);
}

Test(queue, takes_256_indirect_descriptors_and_refuses_257)
{
	static struct fake_span spans[257];

	for (unsigned i = 0; i < 257; i++)
		spans[i] = (struct fake_span){ FAKE_HEAP, 1, false };
	fake_post_indirect(&drv, spans, 256, NULL);
	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain.n_rd, 256);
	fake_post_indirect(&drv, spans, 257, NULL);
	cr_assert_eq(queue_pop(&q, &chain), -EPROTO);
}

Test(queue, refuses_a_chain_that_loops)
{
	fake_set_desc(&drv, FAKE_DESC + 16 * 1, FAKE_HEAP, 16, NEXT, 0);
	cr_assert_eq(pop_desc(FAKE_HEAP, 16, NEXT, 1), -EPROTO);
	cr_assert_eq(pop_desc(FAKE_HEAP, 16, NEXT, 0), -EPROTO);
}

Test(queue, refuses_an_indirect_table_that_loops)
{
	gpa_t table = fake_alloc(&drv, 16, 0);

	fake_set_desc(&drv, table, FAKE_HEAP, 16, NEXT, 0);
	cr_assert_eq(pop_desc(table, 16, IND, 0), -EPROTO);
}

/* The descriptor just past the table is valid but for its place. */
Test(queue, refuses_a_head_past_the_ring)
{
	fake_set_desc(&drv, FAKE_DESC + 16 * 8, FAKE_HEAP, 16, 0, 0);
	fake_offer(&drv, 8);
	cr_assert_eq(queue_pop(&q, &chain), -EPROTO);
}

Test(queue, refuses_a_next_past_the_ring)
{
	fake_set_desc(&drv, FAKE_DESC + 16 * 8, FAKE_HEAP, 16, 0, 0);
	fake_set_desc(&drv, FAKE_DESC + 16 * 0xffff, FAKE_HEAP, 16, 0, 0);
	cr_assert_eq(pop_desc(FAKE_HEAP, 16, NEXT, 8), -EPROTO);
	cr_assert_eq(pop_desc(FAKE_HEAP, 16, NEXT, 0xffff), -EPROTO);
}

Test(queue, refuses_a_next_past_the_indirect_table)
{
	gpa_t table = fake_alloc(&drv, 32, 0);

	fake_set_desc(&drv, table, FAKE_HEAP, 16, NEXT, 2);
	fake_set_desc(&drv, table + 16 * 2, FAKE_HEAP, 16, 0, 0);
	cr_assert_eq(pop_desc(table, 32, IND, 0), -EPROTO);
}

Test(queue, refuses_an_available_index_too_far_ahead)
{
	fake_set_desc(&drv, FAKE_DESC, FAKE_HEAP, 16, 0, 0);
	fake_set_avail_idx(&drv, 9);
	cr_assert_eq(queue_pop(&q, &chain), -EPROTO);
	fake_set_avail_idx(&drv, 0xffff); /* which is also one behind */
	cr_assert_eq(queue_pop(&q, &chain), -EPROTO);
}

Test(queue, refuses_a_readable_descriptor_after_a_writable_one)
{
	fake_set_desc(&drv, FAKE_DESC + 16 * 1, FAKE_HEAP, 16, 0, 0);
	cr_assert_eq(pop_desc(FAKE_HEAP, 16, NEXT | WR, 1), -EPROTO);
}

Test(queue, refuses_a_zero_length)
{
	cr_assert_eq(pop_desc(FAKE_HEAP, 0, 0, 0), -EPROTO);
	cr_assert_eq(pop_desc(FAKE_HEAP, 0, WR, 0), -EPROTO);
}

Test(queue, refuses_spans_outside_guest_memory)
{
	cr_assert_eq(pop_desc(FAKE_LOW_END, 1, 0, 0), -EPROTO);
	cr_assert_eq(pop_desc(FAKE_LOW_END - 1, 2, 0, 0), -EPROTO);
	cr_assert_eq(pop_desc(FAKE_HIGH - 1, 2, WR, 0), -EPROTO);
	cr_assert_eq(pop_desc(FAKE_HIGH_END - 8, 16, WR, 0), -EPROTO);
	cr_assert_eq(pop_desc(UINT64_MAX - 7, 16, 0, 0), -EPROTO);
	cr_assert_eq(pop_desc(0, UINT32_MAX, 0, 0), -EPROTO);
}

Test(queue, takes_spans_up_to_the_last_byte)
{
	cr_assert_eq(pop_desc(0, FAKE_LOW_END, 0, 0), 1);
	cr_assert_eq(pop_desc(FAKE_HIGH_END - 1, 1, WR, 0), 1);
}

Test(queue, refuses_a_table_in_a_table)
{
	gpa_t table = fake_alloc(&drv, 16, 0), inner = fake_alloc(&drv, 16, 0);

	fake_set_desc(&drv, inner, FAKE_HEAP, 16, 0, 0);
	fake_set_desc(&drv, table, inner, 16, IND, 0);
	cr_assert_eq(pop_desc(table, 16, IND, 0), -EPROTO);
}

Test(queue, refuses_an_indirect_descriptor_that_goes_on)
{
	gpa_t table = fake_alloc(&drv, 16, 0);

	fake_set_desc(&drv, table, FAKE_HEAP, 16, 0, 0);
	fake_set_desc(&drv, FAKE_DESC + 16 * 1, FAKE_HEAP, 16, 0, 0);
	cr_assert_eq(pop_desc(table, 16, IND | NEXT, 1), -EPROTO);
}

Test(queue, refuses_bad_lengths_and_places_of_an_indirect_table)
{
	gpa_t table = fake_alloc(&drv, 64, 0);

	fake_set_desc(&drv, table, FAKE_HEAP, 16, 0, 0);
	cr_assert_eq(pop_desc(table, 0, IND, 0), -EPROTO);
	cr_assert_eq(pop_desc(table, 8, IND, 0), -EPROTO);
	cr_assert_eq(pop_desc(table, 17, IND, 0), -EPROTO);
	cr_assert_eq(pop_desc(FAKE_LOW_END - 16, 32, IND, 0), -EPROTO);
	cr_assert_eq(pop_desc(UINT64_MAX - 15, 16, IND, 0), -EPROTO);
	cr_assert_eq(pop_desc(table, UINT32_MAX - 15, IND, 0), -EPROTO);
}

Test(queue, refuses_an_indirect_table_that_was_not_negotiated)
{
	gpa_t table = fake_alloc(&drv, 16, 0);

	fake_set_desc(&drv, table, FAKE_HEAP, 16, 0, 0);
	cr_assert_eq(queue_start(&q, drv.mem, true, false), 0);
	cr_assert_eq(pop_desc(table, 16, IND, 0), -EPROTO);
}

Test(queue, refuses_more_than_4_gib_in_one_chain)
{
	struct guest_range big = { 0, 3 * GIB };
	uint8_t *low;
	void *host;

	fake_fini(&drv);
	cr_assert_eq(guest_mem_create(&big, 1, GUEST_PAGES_NONE, &drv.mem, NULL), 0);
	(void)guest_mem_range(drv.mem, 0, &host);
	low = host;
	q = fake_queue(&drv);
	cr_assert_eq(queue_start(&q, drv.mem, true, true), 0);
	fake_set_desc(&drv, FAKE_DESC + 16 * 1, 0, (uint32_t)(1 * GIB), 0, 0);
	cr_assert_eq(pop_desc(0, (uint32_t)(3 * GIB), NEXT, 1), 1);
	fake_set_desc(&drv, FAKE_DESC + 16 * 1, 0, (uint32_t)(1 * GIB) + 1, 0, 0);
	cr_assert_eq(pop_desc(0, (uint32_t)(3 * GIB), NEXT, 1), -EPROTO);
	fake_set_desc(&drv, FAKE_DESC + 16 * 1, 0, (uint32_t)(1 * GIB), WR, 0);
	cr_assert_eq(pop_desc(0, (uint32_t)(3 * GIB), WR | NEXT, 1), 1);
	fake_set_desc(&drv, FAKE_DESC + 16 * 1, 0, (uint32_t)(1 * GIB) + 1, WR, 0);
	cr_assert_eq(pop_desc(0, (uint32_t)(3 * GIB), WR | NEXT, 1), -EPROTO);
	cr_assert_eq(low[0], 0);
}

Test(queue, does_not_move_on_after_a_fault)
{
	fake_offer(&drv, 100);
	cr_assert_eq(queue_pop(&q, &chain), -EPROTO);
	cr_assert_eq(q.last_avail, 0);
	cr_assert_eq(queue_pop(&q, &chain), -EPROTO);
}

Test(queue, gives_a_chain_again_after_unpop)
{
	uint16_t head = fake_post(&drv, &(struct fake_span){ FAKE_HEAP, 9, false }, 1);

	cr_assert_eq(queue_pop(&q, &chain), 1);
	queue_unpop(&q);
	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain.head, head);
	cr_assert_eq(queue_pop(&q, &chain), 0);
}

static bool stop_flipping;

static void *flip_descriptor(void *unused)
{
	(void)unused;
	for (unsigned i = 0; !__atomic_load_n(&stop_flipping, __ATOMIC_RELAXED); i++) {
		uint64_t *addr = fake_at(&drv, FAKE_DESC, sizeof(*addr));

		__atomic_store_n(
			addr, i % 2 ? UINT64_MAX - 4096 : FAKE_HEAP, __ATOMIC_RELAXED);
	}
	return NULL;
}

Test(queue, uses_the_descriptor_that_it_checked)
{
	pthread_t guest;

	fake_set_desc(&drv, FAKE_DESC, FAKE_HEAP, 16, 0, 0);
	cr_assert_eq(pthread_create(&guest, NULL, flip_descriptor, NULL), 0);
	for (unsigned i = 0; i < 200000; i++) {
		int r;

		fake_offer(&drv, 0);
		r = queue_pop(&q, &chain);
		if (r == 1)
			cr_assert_eq(chain_rd(&chain).iov->iov_base,
				fake_at(&drv, FAKE_HEAP, 16));
		else
			q.last_avail++; /* step over what was refused */
	}
	__atomic_store_n(&stop_flipping, true, __ATOMIC_RELAXED);
	pthread_join(guest, NULL);
}

Test(queue, reads_over_spans_and_no_further)
{
	struct fake_span spans[] = {
		{ fake_alloc(&drv, 3, 1), 3, false },
		{ fake_alloc(&drv, 4, 2), 4, false },
		{ fake_alloc(&drv, 9, 3), 9, false },
	};
	uint8_t got[16], expected[] = { 1, 1, 1, 2, 2, 2, 2, 3, 3 };

	fake_post(&drv, spans, 3);
	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain_read(&chain, got, 9), 0);
	cr_assert_arr_eq(got, expected, 9);
	cr_assert_eq(chain_rd_bytes(&chain), 7);
	cr_assert_eq(chain_rd(&chain).iov->iov_len, 7);
	cr_assert_eq(chain_rd(&chain).n, 1);
	cr_assert_eq(chain_read(&chain, got, 8), -EPROTO);
	cr_assert_eq(chain_read(&chain, got, 7), 0);
	cr_assert_eq(chain_read(&chain, got, 1), -EPROTO);
	cr_assert_eq(chain_rd(&chain).n, 0);
}

Test(queue, writes_over_spans_and_no_further)
{
	struct fake_span spans[] = {
		{ fake_alloc(&drv, 4, 0), 4, false },
		{ fake_alloc(&drv, 2, 0), 2, true },
		{ fake_alloc(&drv, 2, 0), 2, true },
	};

	fake_post(&drv, spans, 3);
	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain_write(&chain, "abcde", 5), -EPROTO);
	cr_assert_eq(chain_write(&chain, "abc", 3), 0);
	cr_assert_eq(chain_wr_bytes(&chain), 1);
	cr_assert_arr_eq(fake_at(&drv, spans[1].at, 2), "ab", 2);
	cr_assert_arr_eq(fake_at(&drv, spans[2].at, 2), "c\0", 2);
	cr_assert_arr_eq(fake_at(&drv, spans[0].at, 4), "\0\0\0\0", 4);
}

Test(queue, splits_the_tail_off_the_last_span)
{
	struct fake_span spans[] = {
		{ fake_alloc(&drv, 8, 0), 8, true },
		{ fake_alloc(&drv, 2, 0), 2, true },
	};
	struct iovec tail;

	fake_post(&drv, spans, 2);
	cr_assert_eq(queue_pop(&q, &chain), 1);
	cr_assert_eq(chain_split_tail(&chain, 3, &tail), -EPROTO);
	cr_assert_eq(chain_split_tail(&chain, 1, &tail), 0);
	cr_assert_eq(tail.iov_base, fake_at(&drv, spans[1].at + 1, 1));
	cr_assert_eq(chain_split_tail(&chain, 1, &tail), 0);
	cr_assert_eq(tail.iov_base, fake_at(&drv, spans[1].at, 1));
	cr_assert_eq(chain_wr_bytes(&chain), 8);
	cr_assert_eq(chain_write(&chain, "12345678", 8), 0);
	cr_assert_eq(chain_split_tail(&chain, 1, &tail), -EPROTO);
}
