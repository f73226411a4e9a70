/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock states and table: every event in every state, compared with a picture of the
 * whole table and with rules for all of it; and credit, compared with a model that
 * counts in 64 bits and does not wrap.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/vsock/states.h"
#include "virtio/vsock/table.h"

static const enum vsock_state states[] = { VSOCK_LINE, VSOCK_ASKING, VSOCK_ASKED,
	VSOCK_ANSWERING, VSOCK_OPEN, VSOCK_GUEST_SENT, VSOCK_GUEST_DEAF,
	VSOCK_HOST_SENT, VSOCK_HOST_DEAF, VSOCK_HOST_CLOSED, VSOCK_DYING, VSOCK_LEFT,
	VSOCK_DEAD };

/* One letter a state, in the order of enum vsock_state: where an event leads. Rows as
 * in states[], columns as in enum vsock_event. */
static const char letters[] = "?LqQaOsdSFHylx";
/* clang-format off */
static const char *picture[] = {
	/*            LINE SENT REQ RESP RST RCV SEND BOTH RW CRED CREQ BAD EOF GONE DEAF ERR DRAIN TIME */
	/* LINE */        "q" "L" "y" "y" "l" "y" "y" "y" "y" "y" "y" "x" "x" "L" "y" "x" "L" "y",
	/* ASKING */      "q" "Q" "y" "y" "l" "y" "y" "y" "y" "y" "y" "y" "q" "q" "y" "x" "q" "x",
	/* ASKED */       "Q" "Q" "y" "O" "l" "y" "y" "y" "y" "y" "y" "y" "Q" "Q" "y" "y" "Q" "y",
	/* ANSWERING */   "a" "O" "y" "y" "l" "y" "y" "y" "y" "y" "y" "y" "a" "a" "y" "y" "a" "y",
	/* OPEN */        "O" "O" "y" "y" "l" "d" "s" "y" "O" "O" "O" "y" "S" "H" "F" "y" "O" "y",
	/* GUEST_SENT */  "s" "s" "y" "y" "l" "y" "s" "y" "y" "s" "s" "y" "H" "H" "s" "y" "s" "y",
	/* GUEST_DEAF */  "d" "d" "y" "y" "l" "d" "y" "y" "d" "d" "d" "y" "d" "H" "y" "y" "d" "y",
	/* HOST_SENT */   "S" "S" "y" "y" "l" "S" "y" "y" "S" "S" "S" "y" "S" "H" "y" "y" "S" "y",
	/* HOST_DEAF */   "F" "F" "y" "y" "l" "y" "s" "y" "F" "F" "F" "y" "H" "H" "F" "y" "F" "y",
	/* HOST_CLOSED */ "H" "H" "y" "y" "l" "H" "y" "y" "y" "H" "H" "y" "H" "H" "y" "y" "H" "y",
	/* DYING */       "y" "l" "y" "y" "l" "y" "y" "y" "y" "y" "y" "y" "y" "y" "y" "y" "y" "y",
	/* LEFT */        "l" "l" "l" "l" "l" "l" "l" "l" "l" "l" "l" "l" "l" "l" "x" "x" "x" "l",
	/* DEAD */        "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x" "x",
};
/* clang-format on */

Test(vsock_conn, goes_where_the_picture_says)
{
	for (unsigned i = 0; i < ARRAY_LEN(states); i++) {
		char row[VSOCK_EVENTS + 1] = { 0 };

		for (unsigned ev = 0; ev < VSOCK_EVENTS; ev++)
			row[ev] = letters[vsock_next(states[i], ev).state];
		cr_expect_str_eq(row, picture[i], "state %u", states[i]);
	}
}

/* For every state and event: where it leads and with what actions. */
#define FOR_ALL(st, ev)                                                         \
	for (unsigned st = VSOCK_LINE, to, act; st < VSOCK_STATES; st++)        \
		for (unsigned ev = 0; ev < VSOCK_EVENTS &&                      \
			(to = vsock_next(st, ev).state,                         \
			act = vsock_next(st, ev).actions, to + act < 1u << 16); \
			ev++)

/* What the guest sent before its end is the host's, unless the host is gone: the end of
 * a stream is never dropped by what the guest, the driver or the clock does. */
Test(vsock_conn, gives_the_host_all_before_its_side_ends)
{
	FOR_ALL(st, ev)
	{
		bool host = ev == VSOCK_EV_HOST_ERROR || ev == VSOCK_EV_HOST_DEAF;
		bool ends = to >= VSOCK_DYING && st < VSOCK_DYING;
		/* before it is open there is nothing that it could be given */
		bool opening = st == VSOCK_LINE || st == VSOCK_ASKING;

		cr_expect(
			!ends || (act & (VSOCK_FINISH | VSOCK_CLOSE)), "%u %u", st, ev);
		cr_expect(!(ends && !host && !opening) || !(act & VSOCK_CLOSE), "%u %u",
			st, ev);
		cr_expect(!(ends && host) || (act & VSOCK_CLOSE), "%u %u", st, ev);
		if (act & (VSOCK_FINISH | VSOCK_CLOSE))
			cr_expect_geq(to, VSOCK_DYING, "%u %u", st, ev);
		if (to == VSOCK_DEAD && st != VSOCK_DEAD)
			cr_expect(act & VSOCK_CLOSE, "%u %u", st, ev);
		if (act & VSOCK_DROP)
			cr_expect_eq(ev, VSOCK_EV_HOST_DEAF, "%u %u", st, ev);
	}
}

Test(vsock_conn, waits_for_a_slow_host_after_the_guests_end)
{
	cr_expect_eq(vsock_next(VSOCK_DYING, VSOCK_EV_DEADLINE).state, VSOCK_DYING);
	cr_expect_eq(vsock_next(VSOCK_LEFT, VSOCK_EV_DEADLINE).state, VSOCK_LEFT);
	for (unsigned ev = 0; ev < VSOCK_EVENTS; ev++) {
		bool over = ev == VSOCK_EV_DRAINED || ev == VSOCK_EV_HOST_DEAF ||
			ev == VSOCK_EV_HOST_ERROR;

		cr_expect_eq(!!(vsock_next(VSOCK_DYING, ev).actions & VSOCK_CLOSE),
			over, "%u", ev);
		cr_expect_eq(
			vsock_next(VSOCK_LEFT, ev).state == VSOCK_DEAD, over, "%u", ev);
	}
}

Test(vsock_conn, begins_with_what_the_guest_asks_for)
{
	struct vsock_step step = vsock_next(VSOCK_NONE, VSOCK_EV_REQUEST);

	cr_expect_eq(step.state, VSOCK_ANSWERING);
	cr_expect_eq(step.actions, VSOCK_ARM);
}

Test(vsock_conn, takes_payload_only_where_the_guest_may_send)
{
	FOR_ALL(st, ev)
	{
		bool may = st == VSOCK_OPEN || st == VSOCK_GUEST_DEAF ||
			st == VSOCK_HOST_SENT || st == VSOCK_HOST_DEAF;

		cr_expect_eq(!!(act & VSOCK_TAKE), ev == VSOCK_EV_RW && may, "%u %u",
			st, ev);
	}
}

/* A guest may take any time to answer a host that has sent all, and a host may take any
 * time to read the last bytes of a guest. */
Test(vsock_conn, has_a_deadline_where_it_waits_for_the_guest)
{
	FOR_ALL(st, ev)
	{
		bool enters = to != st &&
			((st == VSOCK_LINE && to == VSOCK_ASKING) ||
				to == VSOCK_HOST_CLOSED);
		bool leaves = (st < VSOCK_DYING && to >= VSOCK_DYING) ||
			((st == VSOCK_ASKED || st == VSOCK_ANSWERING) &&
				to == VSOCK_OPEN);

		cr_expect_eq(!!(act & VSOCK_ARM), enters, "%u %u", st, ev);
		cr_expect(!leaves || (act & VSOCK_DISARM), "%u %u", st, ev);
		cr_expect(leaves || to >= VSOCK_DYING || !(act & VSOCK_DISARM), "%u %u",
			st, ev);
	}
}

Test(vsock_conn, tells_the_guest_each_end_of_the_host_as_it_comes)
{
	FOR_ALL(st, ev)
	{
		cr_expect_eq(!!(act & VSOCK_SAY_SENT),
			to != st && (to == VSOCK_HOST_SENT || to == VSOCK_HOST_CLOSED),
			"%u %u", st, ev);
		cr_expect_eq(!!(act & VSOCK_SAY_DEAF),
			to != st && (to == VSOCK_HOST_DEAF || to == VSOCK_HOST_CLOSED),
			"%u %u", st, ev);
	}
}

Test(vsock_conn, says_ok_once_and_passes_the_guests_ends_on)
{
	FOR_ALL(st, ev)
	{
		cr_expect_eq(
			!!(act & VSOCK_SAY_OK), st == VSOCK_ASKED && to == VSOCK_OPEN);
		cr_expect_eq(!!(act & VSOCK_SHUT_RD),
			st == VSOCK_OPEN && to == VSOCK_GUEST_DEAF);
		cr_expect_eq(!!(act & VSOCK_SHUT_WR),
			ev == VSOCK_EV_DRAINED &&
				(st == VSOCK_GUEST_SENT || st == VSOCK_HOST_CLOSED));
	}
}

Test(vsock_conn, passes_the_guests_end_on_after_the_last_byte)
{
	FOR_ALL(st, ev)
	cr_expect_eq(!!(act & VSOCK_DRAIN), st == VSOCK_OPEN && to == VSOCK_GUEST_SENT);
}

Test(vsock_conn, never_comes_back_from_the_end)
{
	FOR_ALL(st, ev)
	{
		cr_expect_neq(to, VSOCK_NONE);
		if (st >= VSOCK_DYING)
			cr_expect_geq(to, st);
		else if (st > VSOCK_LINE)
			cr_expect_gt(to, VSOCK_LINE);
		/* a guest's RST is the end of its side */
		if (ev == VSOCK_EV_RST && st < VSOCK_DEAD)
			cr_expect_eq(to, VSOCK_LEFT);
	}
}

Test(vsock_conn, reads_the_host_while_the_guest_listens)
{
	for (unsigned st = VSOCK_NONE; st < VSOCK_STATES; st++)
		cr_expect_eq(vsock_reads_host(st),
			st == VSOCK_OPEN || st == VSOCK_GUEST_SENT ||
				st == VSOCK_HOST_DEAF);
}

/* Towards the guest: every pair of what was sent and taken near zero and near the
 * counter's wrap, and what the guest may say then. */
Test(vsock_credit, is_exact_around_the_wrap)
{
	static const uint64_t bases[] = { 0, UINT32_MAX - 3, (uint64_t)1 << 32,
		((uint64_t)5 << 32) - 4 };

	for (unsigned b = 0; b < ARRAY_LEN(bases); b++)
		for (uint64_t taken = 0; taken < 8; taken++)
			for (uint64_t ahead = 0; ahead < 8; ahead++)
				for (int said = -8; said < 24; said++) {
					uint64_t sent = bases[b] + taken + ahead;
					int64_t total = (int64_t)bases[b] + said;
					struct vsock_credit c = { .sent = sent,
						.peer_fwd =
							(uint32_t)(bases[b] + taken),
						.peer_alloc = 10 };
					bool possible =
						total >= 0 && (uint64_t)total <= sent;
					uint64_t fwd = bases[b] + taken;

					cr_assert_eq(vsock_credit_room(&c), 10 - ahead);
					cr_assert_eq(vsock_credit_hear(
							     &c, 12, (uint32_t)total),
						possible);
					if (possible && (uint64_t)total >= fwd)
						cr_assert_eq(vsock_credit_room(&c),
							12 - (sent - (uint64_t)total));
					else
						cr_assert_eq(vsock_credit_room(&c),
							10 - ahead);
				}
}

Test(vsock_credit, follows_a_model_that_does_not_wrap)
{
	struct vsock_credit c = { .sent = 0 };
	uint64_t sent = 0, taken = 0, alloc = 0;

	srand(7);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t room = alloc > sent - taken ? alloc - (sent - taken) : 0;
		uint32_t n = (uint32_t)rand() * 2u + (uint32_t)(rand() & 1);

		cr_assert_eq(vsock_credit_room(&c), room);
		if (i % 2) {
			n = room > 0 ? (uint32_t)(n % (room + 1)) : 0;
			vsock_credit_send(&c, n);
			sent += n;
		} else {
			taken += sent > taken ? n % (sent - taken + 1) : 0;
			alloc = (uint64_t)rand() & INT32_MAX;
			cr_assert(vsock_credit_hear(
				&c, (uint32_t)alloc, (uint32_t)taken));
		}
	}
	cr_assert_gt(sent, (uint64_t)1 << 33); /* it did wrap */
}

Test(vsock_credit, refuses_what_was_never_sent)
{
	struct vsock_credit c = { .sent = 0 };

	cr_assert_not(vsock_credit_hear(&c, 100, 1));
	cr_assert_not(vsock_credit_hear(&c, 100, UINT32_MAX));
	cr_assert_not(vsock_credit_hear(&c, 100, (uint32_t)1 << 31));
	cr_assert(vsock_credit_hear(&c, 100, 0));
	vsock_credit_send(&c, 60);
	cr_assert_not(vsock_credit_hear(&c, 100, 61));
	cr_assert(vsock_credit_hear(&c, 100, 60));
	cr_assert_eq(vsock_credit_room(&c), 100);
}

Test(vsock_credit, ignores_a_packet_that_was_overtaken)
{
	struct vsock_credit c = { .sent = 0 };

	cr_assert(vsock_credit_hear(&c, 100, 0));
	vsock_credit_send(&c, 60);
	cr_assert(vsock_credit_hear(&c, 80, 50));
	cr_assert(vsock_credit_hear(&c, 100, 20));
	cr_assert_eq(vsock_credit_room(&c), 70);
}

Test(vsock_credit, takes_a_buffer_that_shrank_for_full)
{
	struct vsock_credit c = { .sent = 0 };

	cr_assert(vsock_credit_hear(&c, 100, 0));
	vsock_credit_send(&c, 60);
	cr_assert(vsock_credit_hear(&c, 10, 0));
	cr_assert_eq(vsock_credit_room(&c), 0);
	cr_assert(vsock_credit_hear(&c, UINT32_MAX, 0));
	cr_assert_eq(vsock_credit_room(&c), INT32_MAX - 60u);
}

/* From the guest: the model has the bytes in the buffer, and those that were passed on
 * without the guest knowing it. */
Test(vsock_credit, bounds_the_guest_by_the_buffer)
{
	struct vsock_credit c = { .received = UINT32_MAX - 100000,
		.forwarded = UINT32_MAX - 100000,
		.told = UINT32_MAX - 100000 };
	uint32_t held = 0, untold = 0;

	cr_assert_not(vsock_credit_receive(&c, VSOCK_BUF_BYTES + 1));
	cr_assert(vsock_credit_receive(&c, VSOCK_BUF_BYTES));
	cr_assert_not(vsock_credit_receive(&c, 1));
	vsock_credit_forward(&c, VSOCK_BUF_BYTES);
	vsock_credit_tell(&c);
	srand(8);
	for (unsigned i = 0; i < 100000; i++) {
		uint32_t n = (uint32_t)rand() % (VSOCK_BUF_BYTES + 10);
		bool fits = n <= VSOCK_BUF_BYTES - held;

		cr_assert_eq(vsock_credit_receive(&c, n), fits);
		held += fits ? n : 0;
		n = (uint32_t)rand() % (held + 1);
		vsock_credit_forward(&c, n);
		held -= n;
		untold += n;
		cr_assert_eq(vsock_credit_is_stale(&c), untold > 0);
		cr_assert_eq(vsock_credit_is_low(&c),
			untold > 0 &&
				held + untold > VSOCK_BUF_BYTES - VSOCK_CREDIT_LOW);
		if (vsock_credit_is_low(&c)) {
			vsock_credit_tell(&c);
			untold = 0;
		}
	}
	cr_assert_lt(c.received, UINT32_MAX / 2); /* it did wrap */
}

Test(vsock_table, finds_by_both_ports)
{
	static struct vsock_table t;
	static struct vsock_link l[2048];

	for (uint32_t i = 0; i < ARRAY_LEN(l); i++) {
		l[i] = (struct vsock_link){ .local = i / 32, .peer = i % 32 };
		vsock_table_add(&t, &l[i]);
	}
	for (uint32_t i = 0; i < ARRAY_LEN(l); i++)
		cr_assert_eq(vsock_table_find(&t, i / 32, i % 32), &l[i]);
	cr_assert_null(vsock_table_find(&t, 0, 32));
	for (uint32_t i = 0; i < ARRAY_LEN(l); i += 2) {
		vsock_table_remove(&t, &l[i]);
		vsock_table_remove(&t, &l[i]);
	}
	for (uint32_t i = 0; i < ARRAY_LEN(l); i++)
		cr_assert_eq(
			vsock_table_find(&t, i / 32, i % 32), i % 2 ? &l[i] : NULL);
}

Test(vsock_table, spreads_ports_of_either_side)
{
	static struct vsock_table t[2];
	static struct vsock_link l[2][1024];

	for (uint32_t i = 0; i < 1024; i++) {
		l[0][i] = (struct vsock_link){ .local = 52, .peer = i };
		l[1][i] = (struct vsock_link){ .local = VSOCK_PORT_FIRST + i,
			.peer = 52 };
		for (unsigned k = 0; k < 2; k++)
			vsock_table_add(&t[k], &l[k][i]);
	}
	for (unsigned k = 0; k < 2; k++)
		for (unsigned b = 0; b < VSOCK_BUCKETS; b++) {
			unsigned n = 0;

			for (const struct vsock_link *p = t[k].bucket[b]; p;
				p = p->next)
				n++;
			cr_assert_leq(n, 16); /* 4 if it were perfect */
		}
}

Test(vsock_table, gives_ports_in_turn_and_skips_those_in_use)
{
	struct vsock_table t = { { NULL } };
	struct vsock_link l[] = { { NULL, VSOCK_PORT_FIRST + 1, 7 },
		{ NULL, VSOCK_PORT_FIRST + 2, 8 }, { NULL, VSOCK_PORT_FIRST, 9 } };

	vsock_table_add(&t, &l[0]);
	vsock_table_add(&t, &l[1]);
	cr_assert_eq(VSOCK_PORT_FIRST, 1073741824u);
	cr_assert_eq(vsock_table_free_port(&t, VSOCK_PORT_LAST), VSOCK_PORT_FIRST);
	cr_assert_eq(vsock_table_free_port(&t, VSOCK_PORT_FIRST), VSOCK_PORT_FIRST + 3);
	cr_assert_eq(vsock_table_free_port(&t, VSOCK_PORT_LAST - 1), VSOCK_PORT_LAST);
	vsock_table_add(&t, &l[2]);
	cr_assert_eq(vsock_table_free_port(&t, VSOCK_PORT_LAST), VSOCK_PORT_FIRST + 3);
}
