/* SPDX-License-Identifier: Apache-2.0
 *
 * net: frames from the guest, good and hostile. The header of every frame that reaches
 * the tap was checked.
 */
#include <criterion/criterion.h>
#include <endian.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_net.h"
#include "vmm/base/log.h"

static struct fake_net net;
static uint8_t got[1 << 17];
static const struct virtio_net_hdr_v1 plain;

static void set_up(void)
{
	log_set_level(LOG_OFF);
	(void)signal(SIGPIPE, SIG_IGN); /* as main does */
	fn_init(&net, NULL);
	fn_bring_up(&net, FN_BASIC | FN_OFFLOADS, FN_RING_SIZE);
}

static void tear_down(void)
{
	fn_fini(&net);
}

TestSuite(net_tx, .init = set_up, .fini = tear_down);

static struct net_stats *stats(void)
{
	return fn_stats(&net);
}

Test(net_tx, sends_a_frame)
{
	uint32_t id, len;

	fn_post_frame(&net, &plain, 60, 0x5a);
	fn_notify(&net, FN_TX);
	cr_assert_eq(fn_wire_take(&net, got, sizeof(got)), 72);
	cr_expect_eq(got[12], 0x5a);
	cr_expect_arr_eq(&got[18], fn_mac, 6);
	cr_expect_eq(got[71], 0x5a);
	cr_assert(fn_take_used(&net, FN_TX, &id, &len));
	cr_expect_eq(len, 0);
	cr_expect_eq(fake_irqs(net.t), 1);
	cr_expect_eq(stats()->tx_packets_count, 1);
	cr_expect_eq(stats()->tx_count, 1);
	cr_expect_eq(stats()->tx_bytes_count, 72);
	cr_expect_eq(stats()->tx_spoofed_mac_count, 0);
	cr_expect_neq(stats()->tap_write_agg.low, 0);
	cr_expect_eq(stats()->tx_queue_event_count, 1);
}

Test(net_tx, sends_the_smallest_and_the_largest_frame)
{
	fn_post_frame(&net, &plain, 14, 1);
	fn_post_frame(&net, &plain, 65550, 2);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 26);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 65562);
	cr_expect_eq(got[65561], 2);
	cr_expect_eq(stats()->tx_malformed_frames, 0);
}

Test(net_tx, assumes_nothing_about_framing)
{
	gpa_t at = fake_alloc(&net.drv, 72, 0);
	struct fake_span spans[] = { { at, 1, false }, { at + 1, 11, false },
		{ at + 12, 13, false }, { at + 25, 2, false }, { at + 27, 45, false } };

	for (unsigned i = 12; i < 72; i++)
		*(uint8_t *)fake_at(&net.drv, at + i, 1) = (uint8_t)i;
	(void)fn_post(&net, FN_TX, spans, ARRAY_LEN(spans));
	fn_notify(&net, FN_TX);
	cr_assert_eq(fn_wire_take(&net, got, sizeof(got)), 72);
	for (unsigned i = 12; i < 72; i++)
		cr_expect_eq(got[i], i);
}

Test(net_tx, sends_a_frame_of_256_spans)
{
	static struct fake_span spans[256];
	gpa_t at = fake_alloc(&net.drv, 256, 0);

	fn_bring_up(&net, FN_BASIC, 256);
	for (unsigned i = 0; i < 256; i++)
		spans[i] = (struct fake_span){ at + i, 1, false };
	(void)fn_post(&net, FN_TX, spans, 256);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 256);
}

Test(net_tx, counts_a_spoofed_address_and_sends_all_the_same)
{
	gpa_t at = fake_alloc(&net.drv, 72, 0);

	(void)fn_post(&net, FN_TX, &(struct fake_span){ at, 72, false }, 1);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 72);
	cr_expect_eq(stats()->tx_spoofed_mac_count, 1);
	cr_expect_eq(stats()->tx_malformed_frames, 0);
}

/* Posts it and expects it back, counted, with nothing on the wire. */
static void expect_malformed(const struct fake_span *spans, unsigned n)
{
	uint64_t before = stats()->tx_malformed_frames;

	(void)fn_post(&net, FN_TX, spans, n);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 0);
	cr_expect_eq(fn_count_used(&net, FN_TX), 1);
	cr_expect_eq(stats()->tx_malformed_frames, before + 1);
	cr_expect_not(fn_faulted(&net));
}

Test(net_tx, returns_chains_that_are_no_frame)
{
	gpa_t at = fake_alloc(&net.drv, 70000, 0);
	struct fake_span writable[] = { { at, 72, false }, { at + 72, 1, true } };

	expect_malformed(&(struct fake_span){ at, 1, false }, 1);
	expect_malformed(&(struct fake_span){ at, 12, false }, 1);
	expect_malformed(&(struct fake_span){ at, 25, false }, 1);
	expect_malformed(&(struct fake_span){ at, 65563, false }, 1);
	expect_malformed(&(struct fake_span){ at, 70000, false }, 1);
	expect_malformed(&(struct fake_span){ at, 72, true }, 1);
	expect_malformed(writable, 2);
	fn_post_frame(&net, &plain, 60, 0);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 72);
	cr_expect_eq(stats()->tx_fails, 0);
	cr_expect_eq(stats()->tx_packets_count, 1);
}

static struct virtio_net_hdr_v1 header(uint8_t flags, uint8_t gso_type,
	uint16_t hdr_len, uint16_t gso_size, uint16_t start, uint16_t offset)
{
	struct virtio_net_hdr_v1 h = { .flags = flags, .gso_type = gso_type };

	h.hdr_len = htole16(hdr_len);
	h.gso_size = htole16(gso_size);
	h.csum_start = htole16(start);
	h.csum_offset = htole16(offset);
	return h;
}

/* Sends a frame of 100 bytes behind h; whether it reached the wire, in got. */
static bool sends(struct virtio_net_hdr_v1 h)
{
	fn_post_frame(&net, &h, 100, 0);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_count_used(&net, FN_TX), 1);
	return fn_wire_take(&net, got, sizeof(got)) == 112;
}

static bool wire_header_is(struct virtio_net_hdr_v1 h)
{
	return memcmp(got, &h, sizeof(h)) == 0;
}

Test(net_tx, passes_offloads_on)
{
	cr_expect(sends(header(1, 0, 0, 0, 34, 16)));
	cr_expect(wire_header_is(header(1, 0, 0, 0, 34, 16)));
	cr_expect(sends(header(1, 1, 54, 40, 34, 16)));
	cr_expect(wire_header_is(header(1, 1, 54, 40, 34, 16)));
	cr_expect(sends(header(1, 4, 74, 20, 54, 16)));
	cr_expect(wire_header_is(header(1, 4, 74, 20, 54, 16)));
	cr_expect(sends(header(1, 0, 0, 0, 82, 16))); /* to the last byte */
	cr_expect(sends(header(1, 1, 100, 1, 0, 98)));
}

Test(net_tx, clears_what_means_nothing)
{
	struct virtio_net_hdr_v1 h = header(0xfe, 0, 0xffff, 0xffff, 0xffff, 0xffff);

	h.num_buffers = htole16(7);
	cr_expect(sends(h));
	cr_expect(wire_header_is(plain));
}

Test(net_tx, refuses_offloads_that_lie)
{
	static const uint8_t unknown[] = { 2, 3, 5, 6, 0x7f, 0x83, 0xff };

	cr_expect_not(sends(header(1, 0, 0, 0, 83, 16)));
	cr_expect_not(sends(header(1, 0, 0, 0, 99, 0)));
	cr_expect_not(sends(header(1, 0, 0, 0, 0xffff, 0xffff)));
	cr_expect_not(sends(header(1, 0, 0, 0, 0xffff, 2)));
	cr_expect_not(sends(header(1, 1, 101, 40, 34, 16)));
	cr_expect_not(sends(header(1, 1, 0xffff, 40, 34, 16)));
	cr_expect_not(sends(header(1, 1, 54, 0, 34, 16)));
	cr_expect_not(sends(header(0, 1, 54, 40, 34, 16)));
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		cr_expect_not(
			sends(header(1, unknown[i], 54, 40, 34, 16)), "%u", unknown[i]);
	cr_expect_not(sends(header(1, 0x81, 54, 40, 34, 16))); /* ECN */
	cr_expect_eq(stats()->tx_malformed_frames, 9 + ARRAY_LEN(unknown));
	cr_expect(sends(plain));
}

Test(net_tx, refuses_offloads_that_were_not_negotiated)
{
	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
	cr_expect_not(sends(header(1, 0, 0, 0, 34, 16)));
	cr_expect(sends(plain));
	fn_bring_up(&net, FN_BASIC | FAKE_FEATURE(VIRTIO_NET_F_CSUM), FN_RING_SIZE);
	cr_expect(sends(header(1, 0, 0, 0, 34, 16)));
	cr_expect_not(sends(header(1, 1, 54, 40, 34, 16)));
	fn_bring_up(&net, FN_BASIC | FN_OFFLOADS | FAKE_FEATURE(VIRTIO_NET_F_HOST_ECN),
		FN_RING_SIZE);
	cr_expect(sends(header(1, 0x81, 54, 40, 34, 16)));
	cr_expect_eq(got[1], 0x81);
}

/* More frames than the wire holds; how many it took at once. */
static unsigned jam(unsigned n)
{
	fn_narrow_wire(&net);
	for (unsigned i = 0; i < n; i++)
		fn_post_frame(&net, &plain, 60, (uint8_t)i);
	fn_notify(&net, FN_TX);
	return (unsigned)stats()->tx_packets_count;
}

Test(net_tx, waits_for_a_tap_that_takes_no_more_and_loses_nothing)
{
	unsigned first = jam(60), n = 0;

	cr_assert_gt(first, 0);
	cr_assert_lt(first, 60);
	cr_expect_eq(fn_count_used(&net, FN_TX), first);
	for (unsigned i = 0; i < 3; i++)
		fn_poll(&net);
	fn_notify(&net, FN_TX);
	cr_expect_eq(stats()->tx_packets_count, first);
	while (n < 60 && fn_wire_take(&net, got, sizeof(got)) == 72) {
		cr_expect_eq(got[71], n, "%u for %u", got[71], n);
		n++;
		fn_poll(&net);
	}
	cr_expect_eq(n, 60);
	cr_expect_eq(stats()->tx_packets_count, 60);
	cr_expect_eq(stats()->tap_write_fails, 0);
	cr_expect_eq(fn_count_used(&net, FN_TX), 60 - first);
}

Test(net_tx, sends_what_it_checked_though_the_guest_changes_it_meanwhile)
{
	unsigned first = jam(20), n = 0;

	cr_assert_lt(first, 20);
	/* the header of the frame that waits, and of all others */
	for (gpa_t at = FAKE_HEAP; at < net.drv.heap; at += 80)
		memset(fake_at(&net.drv, at, 12), 0xff, 12);
	while (fn_wire_take(&net, got, sizeof(got)) == 72) {
		cr_expect(wire_header_is(plain));
		n++;
		fn_poll(&net);
	}
	cr_expect_eq(n, first + 1);
	cr_expect_eq(stats()->tx_malformed_frames, 20 - first - 1);
}

Test(net_tx, drops_frames_that_the_tap_refuses)
{
	cr_assert_eq(shutdown(net.wire, SHUT_RDWR), 0);
	fn_post_frame(&net, &plain, 60, 0);
	fn_post_frame(&net, &plain, 60, 0);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_count_used(&net, FN_TX), 2);
	cr_expect_eq(stats()->tap_write_fails, 2);
	cr_expect_eq(stats()->tx_packets_count, 0);
	cr_expect_not(fn_faulted(&net));
}

Test(net_tx, asks_for_no_notifications_while_it_waits_for_the_tap)
{
	gpa_t flags = FAKE_HIGH + 0x30000 + 0x20000;

	(void)jam(20);
	cr_expect_eq(*(uint8_t *)fake_at(&net.drv, flags, 1), VRING_USED_F_NO_NOTIFY);
	while (fn_wire_take(&net, got, sizeof(got)) > 0)
		fn_poll(&net);
	cr_expect_eq(*(uint8_t *)fake_at(&net.drv, flags, 1), 0);
}

Test(net_tx, counts_a_notification_for_nothing)
{
	fn_notify(&net, FN_TX);
	cr_expect_eq(stats()->no_tx_avail_buffer, 1);
	cr_expect_eq(fake_irqs(net.t), 0);
}

Test(net_tx, leaves_the_loop_to_others_after_a_turn)
{
	gpa_t at = fake_alloc(&net.drv, 16, 0);

	/* malformed, so that no wire is in the way: a ring full of them twice over */
	fn_bring_up(&net, FN_BASIC, 256);
	for (unsigned i = 0; i < 256; i++)
		(void)fn_post(&net, FN_TX, &(struct fake_span){ at, 16, false }, 1);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_count_used(&net, FN_TX), 256);
	cr_expect_eq(stats()->tx_remaining_reqs_count, 1);
	(void)fn_post(&net, FN_TX, &(struct fake_span){ at, 16, false }, 1);
	fn_poll(&net); /* without a notification: it asked to be called again */
	cr_expect_eq(fn_count_used(&net, FN_TX), 1);
}

Test(net_tx, takes_few_chains_of_much_room_in_a_turn)
{
	struct fake_span room[60]; /* a MiB each, of 64 that are a turn */

	for (unsigned i = 0; i < ARRAY_LEN(room); i++)
		room[i] = (struct fake_span){ 0, FAKE_LOW_END, true };
	fn_bring_up(&net, FN_BASIC, 256);
	for (unsigned i = 0; i < 4; i++)
		(void)fn_post(&net, FN_TX, room, ARRAY_LEN(room));
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_count_used(&net, FN_TX), 2);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_TX), 2);
	cr_expect_eq(stats()->tx_malformed_frames, 4);
}

Test(net_tx, takes_a_bad_chain_for_a_guest_fault_after_serving_those_before_it)
{
	fn_post_frame(&net, &plain, 60, 0);
	(void)fn_post(&net, FN_TX, &(struct fake_span){ 3 << 20, 100, false }, 1);
	fn_notify(&net, FN_TX);
	cr_expect(fn_faulted(&net));
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 72);
	cr_expect_eq(fn_count_used(&net, FN_TX), 1);
	fn_wire_send(&net, 60, 0);
	fn_poll(&net);
	cr_expect_eq(stats()->rx_tap_event_count, 0);
}
