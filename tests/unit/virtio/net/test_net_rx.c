/* SPDX-License-Identifier: Apache-2.0
 *
 * net: frames to the guest, through transport, loop and a socket that stands in for the
 * tap. No frame is lost that fits into the guest's buffers.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_net.h"
#include "tests/unit/fakes/limit_cpu.h"
#include "vmm/base/log.h"

static struct fake_net net;

static void set_up(void)
{
	limit_cpu_time();
	log_set_level(LOG_OFF);
	fn_init(&net, NULL);
	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
}

static void tear_down(void)
{
	fn_fini(&net);
}

TestSuite(net_rx, .init = set_up, .fini = tear_down);

static uint8_t byte_at(gpa_t at)
{
	return *(uint8_t *)fake_at(&net.drv, at, 1);
}

static struct virtio_net_hdr_v1 header_at(gpa_t at)
{
	struct virtio_net_hdr_v1 h;

	memcpy(&h, fake_at(&net.drv, at, sizeof(h)), sizeof(h));
	return h;
}

static void expect_used(uint32_t expected)
{
	uint32_t id, len;

	cr_assert(fn_take_used(&net, FN_RX, &id, &len));
	cr_expect_eq(len, expected, "%u for %u", len, expected);
}

static void expect_none(void)
{
	uint32_t id, len;

	cr_expect_not(fn_take_used(&net, FN_RX, &id, &len));
}

Test(net_rx, delivers_a_frame_into_one_buffer)
{
	gpa_t at = fn_post_buffer(&net, 1526);

	fn_notify(&net, FN_RX);
	fn_wire_send(&net, 60, 0x5a);
	fn_poll(&net);
	expect_used(72);
	cr_expect_eq(header_at(at).num_buffers, 1);
	cr_expect_eq(byte_at(at + 12), 0x5a);
	cr_expect_eq(byte_at(at + 71), 0x5a);
	cr_expect_eq(byte_at(at + 72), 0xee);
	cr_expect_eq(fake_irqs(net.t), 1);
	cr_expect_eq(fn_stats(&net)->rx_packets_count, 1);
	cr_expect_eq(fn_stats(&net)->rx_bytes_count, 72);
	cr_expect_eq(fn_stats(&net)->rx_count, 1);
	cr_expect_eq(fn_stats(&net)->rx_tap_event_count, 1);
}

Test(net_rx, assumes_nothing_about_framing)
{
	gpa_t at = fake_alloc(&net.drv, 100, 0xee);
	struct fake_span spans[] = { { at, 1, true }, { at + 1, 9, true },
		{ at + 10, 1, true }, { at + 11, 1, true }, { at + 12, 88, true } };

	(void)fn_post(&net, FN_RX, spans, ARRAY_LEN(spans));
	fn_notify(&net, FN_RX);
	fn_wire_send(&net, 88, 7);
	fn_poll(&net);
	expect_used(100);
	cr_expect_eq(header_at(at).num_buffers, 1);
	cr_expect_eq(byte_at(at + 99), 7);
}

Test(net_rx, needs_no_notification_for_buffers_given_before_the_driver_was_ready)
{
	gpa_t at;

	/* as if they had been posted before DRIVER_OK: no notification follows */
	at = fn_post_buffer(&net, 200);
	fn_wire_send(&net, 60, 3);
	fn_poll(&net);
	expect_used(72);
	cr_expect_eq(byte_at(at + 12), 3);
}

Test(net_rx, takes_one_interrupt_for_many_frames)
{
	for (unsigned i = 0; i < 16; i++)
		(void)fn_post_buffer(&net, 1526);
	for (unsigned i = 0; i < 8; i++)
		fn_wire_send(&net, 60, (uint8_t)i);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 8);
	cr_expect_eq(fake_irqs(net.t), 1);
	cr_expect_eq(fn_stats(&net)->rx_tap_event_count, 1);
}

Test(net_rx, leaves_frames_in_the_tap_without_buffers_and_goes_on_when_notified)
{
	fn_wire_send(&net, 60, 1);
	fn_wire_send(&net, 61, 2);
	fn_poll(&net);
	cr_expect_eq(fn_stats(&net)->no_rx_avail_buffer, 1);
	for (unsigned i = 0; i < 10; i++)
		fn_poll(&net); /* readable all the time, and nobody looks */
	cr_expect_eq(fn_stats(&net)->rx_tap_event_count, 1);
	cr_expect_eq(fn_stats(&net)->rx_count, 0);
	(void)fn_post_buffer(&net, 100);
	fn_notify(&net, FN_RX);
	expect_used(72);
	expect_none();
	(void)fn_post_buffer(&net, 100);
	fn_notify(&net, FN_RX);
	expect_used(73);
	cr_expect_eq(fn_stats(&net)->rx_fails, 0);
}

Test(net_rx, asks_for_notifications_only_when_the_ring_is_dry)
{
	gpa_t flags = FAKE_HIGH + 0x20000;

	fn_poll(&net);
	cr_expect_eq(byte_at(flags), VRING_USED_F_NO_NOTIFY);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	cr_expect_eq(byte_at(flags), 0);
	(void)fn_post_buffer(&net, 100);
	(void)fn_post_buffer(&net, 100);
	fn_notify(&net, FN_RX);
	cr_expect_eq(byte_at(flags), VRING_USED_F_NO_NOTIFY);
}

Test(net_rx, drops_a_frame_larger_than_the_buffer_and_keeps_that_for_the_next)
{
	gpa_t at = fn_post_buffer(&net, 100);

	fn_wire_send(&net, 89, 1);
	fn_wire_send(&net, 88, 2);
	fn_poll(&net);
	expect_used(100);
	expect_none();
	cr_expect_eq(byte_at(at + 99), 2);
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
	cr_expect_eq(fn_stats(&net)->rx_packets_count, 1);
	cr_expect_not(fn_faulted(&net));
}

Test(net_rx, drops_what_is_no_frame)
{
	static const uint8_t runt[12];

	(void)fn_post_buffer(&net, 100);
	fn_wire_send_raw(&net, runt, 12);
	fn_wire_send_raw(&net, runt, 1);
	fn_poll(&net);
	expect_none();
	cr_expect_eq(fn_stats(&net)->rx_fails, 2);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	expect_used(72);
}

Test(net_rx, drops_a_frame_larger_than_any)
{
	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	(void)fn_post_buffer(&net, 70000);
	fn_wire_send(&net, 65551, 1);
	fn_poll(&net);
	expect_none();
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
	fn_wire_send(&net, 65550, 1);
	fn_poll(&net);
	expect_used(65562);
}

Test(net_rx, spreads_a_frame_over_as_many_buffers_as_it_needs)
{
	gpa_t at[44];
	uint32_t id, len;

	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	for (unsigned i = 0; i < 44; i++)
		at[i] = fn_post_buffer(&net, 1526);
	fn_wire_send(&net, 65000, 0x33);
	fn_wire_send(&net, 60, 0x44);
	fn_poll(&net);
	cr_expect_eq(header_at(at[0]).num_buffers, 43); /* 65012 / 1526, rounded up */
	for (unsigned i = 0; i < 42; i++)
		expect_used(1526);
	expect_used(65012 - 42 * 1526);
	cr_assert(fn_take_used(&net, FN_RX, &id, &len));
	cr_expect_eq(len, 72);
	cr_expect_eq(header_at(at[43]).num_buffers, 1);
	cr_expect_eq(byte_at(at[1]), 0x33);
	cr_expect_eq(byte_at(at[42] + 65012 - 42 * 1526 - 1), 0x33);
	cr_expect_eq(byte_at(at[42] + 65012 - 42 * 1526), 0xee);
	cr_expect_eq(byte_at(at[43] + 12), 0x44);
	cr_expect_eq(fn_stats(&net)->rx_packets_count, 2);
	cr_expect_eq(fn_stats(&net)->rx_bytes_count, 65012 + 72);
}

Test(net_rx, spreads_even_the_header)
{
	gpa_t at[4];

	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	for (unsigned i = 0; i < 4; i++)
		at[i] = fn_post_buffer(&net, 11);
	fn_wire_send(&net, 32, 9);
	fn_poll(&net);
	/* num_buffers, 4, is the last byte of the first and the first of the second */
	cr_expect_eq(byte_at(at[0] + 10), 4);
	cr_expect_eq(byte_at(at[1]), 0);
	cr_expect_eq(byte_at(at[1] + 1), 9);
	for (unsigned i = 0; i < 4; i++)
		expect_used(11);
}

Test(net_rx, holds_a_frame_until_there_are_enough_buffers)
{
	gpa_t at[3];

	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	at[0] = fn_post_buffer(&net, 100);
	fn_wire_send(&net, 238, 0x66);
	fn_wire_send(&net, 30, 0x77);
	fn_poll(&net);
	expect_none();
	cr_expect_eq(fn_stats(&net)->rx_count, 1);
	at[1] = fn_post_buffer(&net, 100);
	fn_notify(&net, FN_RX);
	expect_none();
	for (unsigned i = 0; i < 5; i++)
		fn_poll(&net);
	cr_expect_eq(fn_stats(&net)->rx_count, 1);
	at[2] = fn_post_buffer(&net, 100);
	fn_notify(&net, FN_RX);
	expect_used(100);
	expect_used(100);
	expect_used(50);
	expect_none();
	cr_expect_eq(header_at(at[0]).num_buffers, 3);
	cr_expect_eq(byte_at(at[0] + 99), 0x66);
	cr_expect_eq(byte_at(at[1] + 0), 0x66);
	cr_expect_eq(byte_at(at[1] + 99), 0x66);
	cr_expect_eq(byte_at(at[2] + 49), 0x66);
	cr_expect_eq(byte_at(at[2] + 50), 0xee);
	cr_expect_eq(fn_stats(&net)->rx_fails, 0);
	(void)fn_post_buffer(&net, 100);
	fn_notify(&net, FN_RX);
	expect_used(42);
}

Test(net_rx, drops_a_frame_that_the_whole_ring_cannot_hold)
{
	fn_bring_up(&net, FN_MERGING, 4);
	for (unsigned i = 0; i < 4; i++)
		(void)fn_post_buffer(&net, 50);
	fn_wire_send(&net, 189, 1);
	fn_wire_send(&net, 188, 2);
	fn_poll(&net);
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
	cr_expect_eq(fn_count_used(&net, FN_RX), 4);
	cr_expect_not(fn_faulted(&net));
}

Test(net_rx, drops_a_frame_that_lies_in_more_spans_than_the_host_reads_into)
{
	static struct fake_span spans[64];

	fn_bring_up(&net, FN_MERGING, 64);
	for (unsigned i = 0; i < 64; i++)
		spans[i] = (struct fake_span){ fake_alloc(&net.drv, 1, 0), 1, true };
	/* one chain of 64 bytes, over and over: 12 of them are 768 spans */
	for (unsigned i = 0; i < 20; i++)
		(void)fn_post(&net, FN_RX, spans, 64);
	fn_wire_send(&net, 769 - FN_HEADER, 1);
	fn_poll(&net);
	expect_none();
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
	/* zeroes: the last chain's are in the header's place */
	fn_wire_send(&net, 768 - FN_HEADER, 0);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 12);
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
}

Test(net_rx, merges_nothing_that_was_not_negotiated)
{
	gpa_t first = fn_post_buffer(&net, 100), second = fn_post_buffer(&net, 100);

	fn_wire_send(&net, 150, 1);
	fn_wire_send(&net, 80, 2);
	fn_poll(&net);
	expect_used(92);
	expect_none();
	cr_expect_eq(byte_at(first + 12), 2);
	cr_expect_eq(byte_at(second), 0xee);
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
}

Test(net_rx, survives_buffers_that_it_cannot_write_to)
{
	gpa_t at = fake_alloc(&net.drv, 200, 0xee);
	struct fake_span both[] = { { at, 100, false }, { at + 100, 100, true } };

	(void)fn_post(&net, FN_RX, both, 1);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
	cr_expect_eq(byte_at(at), 0xee);
	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
	at = fake_alloc(&net.drv, 200, 0xee);
	both[0].at = at;
	both[1].at = at + 100;
	(void)fn_post(&net, FN_RX, both, 2);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	expect_used(72);
	cr_expect_eq(byte_at(at + 99), 0xee);
	cr_expect_eq(byte_at(at + 112), 1);
}

Test(net_rx, takes_a_bad_ring_for_a_guest_fault_and_leaves_the_tap_alone)
{
	(void)fn_post(&net, FN_RX, &(struct fake_span){ 3 << 20, 100, true }, 1);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	cr_expect(fn_faulted(&net));
	for (unsigned i = 0; i < 3; i++)
		fn_poll(&net);
	cr_expect_eq(fn_stats(&net)->rx_tap_event_count, 1);
	cr_expect_eq(fn_stats(&net)->rx_count, 0);
	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
	(void)fn_post_buffer(&net, 100);
	fn_poll(&net);
	expect_used(72); /* it waited for a driver that takes it */
}

/* A frame whose header asks for offloads; whether it came. */
static bool takes(uint64_t features, uint8_t flags, uint8_t gso_type)
{
	uint8_t frame[72] = { flags, gso_type };
	gpa_t at;

	fn_bring_up(&net, FN_BASIC | features, FN_RING_SIZE);
	at = fn_post_buffer(&net, 100);
	fn_wire_send_raw(&net, frame, sizeof(frame));
	fn_poll(&net);
	if (fn_count_used(&net, FN_RX) == 0)
		return false;
	cr_expect_eq(header_at(at).gso_type, gso_type);
	cr_expect_eq(header_at(at).flags,
		features & FAKE_FEATURE(VIRTIO_NET_F_GUEST_CSUM) ? flags : 0);
	return true;
}

Test(net_rx, gives_no_driver_offloads_that_it_did_not_accept)
{
	uint64_t csum = FAKE_FEATURE(VIRTIO_NET_F_GUEST_CSUM),
		 tso4 = csum | FAKE_FEATURE(VIRTIO_NET_F_GUEST_TSO4),
		 tso6 = csum | FAKE_FEATURE(VIRTIO_NET_F_GUEST_TSO6);

	cr_expect(takes(0, VIRTIO_NET_HDR_F_DATA_VALID, 0)); /* which is cleared */
	cr_expect_not(takes(0, VIRTIO_NET_HDR_F_NEEDS_CSUM, 0));
	cr_expect_not(takes(0, 0, VIRTIO_NET_HDR_GSO_TCPV4));
	cr_expect(takes(csum, VIRTIO_NET_HDR_F_DATA_VALID, 0));
	cr_expect(takes(csum, VIRTIO_NET_HDR_F_NEEDS_CSUM, 0));
	cr_expect_not(takes(csum, 1, VIRTIO_NET_HDR_GSO_TCPV4));
	cr_expect(takes(tso4, 1, VIRTIO_NET_HDR_GSO_TCPV4));
	cr_expect_not(takes(tso4, 1, VIRTIO_NET_HDR_GSO_TCPV6));
	cr_expect(takes(tso6, 1, VIRTIO_NET_HDR_GSO_TCPV6));
	cr_expect_not(takes(tso6, 1, VIRTIO_NET_HDR_GSO_TCPV4));
	cr_expect_not(takes(tso4 | tso6, 1, VIRTIO_NET_HDR_GSO_UDP));
}

Test(net_rx, takes_few_chains_of_much_room_in_a_turn)
{
	struct fake_span room[60]; /* a MiB each, of 16 that are a turn */

	for (unsigned i = 0; i < ARRAY_LEN(room); i++)
		room[i] = (struct fake_span){ 0, FAKE_LOW_END, true };
	fn_bring_up(&net, FN_BASIC, 256);
	for (unsigned i = 0; i < 4; i++) {
		(void)fn_post(&net, FN_RX, room, ARRAY_LEN(room));
		fn_wire_send(&net, 60, 0);
	}
	for (unsigned i = 1; i <= 4; i++) {
		fn_poll(&net);
		cr_expect_eq(fn_stats(&net)->rx_packets_count, i);
	}
	cr_expect_eq(fn_count_used(&net, FN_RX), 4);
}

/* guest: a buffer lies over the driver's index, so that the last frame of a turn makes
 * the next buffer available itself, after the device has looked for one. */
Test(net_rx, goes_on_with_a_frame_that_the_turn_of_a_notification_left_over)
{
	enum { RUNTS = 63, TURN = 64 };
	uint8_t frame[150] = { 0 };
	gpa_t idx = FAKE_HIGH + 0x10000 + 2, at;
	struct fake_span spans[] = { { 0, 100, true }, { idx, 2, true } };

	fn_bring_up(&net, FN_MERGING, TURN);
	spans[0].at = fake_alloc(&net.drv, 100, 0xee);
	for (unsigned i = 0; i < RUNTS; i++)
		fn_wire_send_raw(&net, frame, FN_HEADER);
	memset(frame + FN_HEADER, 0x77, sizeof(frame) - FN_HEADER);
	frame[100] = 2; /* over the first byte of the driver's index */
	frame[101] = 0;
	fn_wire_send_raw(&net, frame, sizeof(frame));
	fn_poll(&net); /* no buffers: it waits for a notification */
	(void)fn_post(&net, FN_RX, spans, 2);
	at = fn_post_buffer(&net, 100);
	*(uint8_t *)fake_at(&net.drv, idx, 1) = 1;
	fn_notify(&net, FN_RX);
	cr_expect_eq(fn_stats(&net)->rx_count, TURN);
	expect_none();
	cr_expect_eq(byte_at(idx), 2);
	fn_poll(&net);
	expect_used(102);
	expect_used(48);
	cr_expect_eq(byte_at(at + 47), 0x77);
	cr_expect_eq(fn_stats(&net)->rx_queue_event_count, 2);
}

/* Posts a chain of n spans of one byte each, by an indirect table. */
static void post_spread(unsigned n)
{
	gpa_t at = fake_alloc(&net.drv, n, 0xee);
	gpa_t table = fake_alloc(&net.drv, 16 * (size_t)n, 0);
	uint16_t head;

	for (unsigned i = 0; i < n; i++)
		fake_set_desc(&net.drv, table + 16u * i, at + i, 1,
			VRING_DESC_F_WRITE | (i + 1 < n ? VRING_DESC_F_NEXT : 0),
			(uint16_t)(i + 1));
	head = fn_post(&net, FN_RX, &(struct fake_span){ table, 16 * n, false }, 1);
	fake_set_desc(&net.drv, FAKE_HIGH + 16u * head, table, 16 * n,
		VRING_DESC_F_INDIRECT, 0);
}

/* 1,024 spans are read into at once: 1,023 of the guest's, and one beside them. */
Test(net_rx, reads_into_the_longest_chain_while_there_is_place_for_it)
{
	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	post_spread(256);
	post_spread(256);
	post_spread(255);
	post_spread(256);
	fn_wire_send(&net, 1023 - FN_HEADER, 1);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 4);
	cr_expect_eq(fn_stats(&net)->rx_fails, 0);
	cr_expect_eq(fn_stats(&net)->tap_read_fails, 0);
}

Test(net_rx, takes_no_chain_when_there_is_no_place_for_the_longest)
{
	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	for (unsigned i = 0; i < 3; i++)
		post_spread(256);
	post_spread(1);
	fn_wire_send(&net, 769 - FN_HEADER, 1);
	fn_poll(&net);
	expect_none();
	cr_expect_eq(fn_stats(&net)->rx_fails, 1);
	fn_wire_send(&net, 768 - FN_HEADER, 1);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 3);
}
