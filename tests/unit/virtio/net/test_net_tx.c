/* SPDX-License-Identifier: Apache-2.0
 *
 * net: frames from the guest, and what a hostile one makes of them. Whatever reaches
 * the wire has a header that was checked.
 */
#include <criterion/criterion.h>
#include <endian.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/fakes/fake_nic.h"
#include "vmm/base/log.h"

static struct fake_nic nic;
static uint8_t got[1 << 17];
static const struct virtio_net_hdr_v1 plain;

static void set_up(void)
{
	log_set_level(LOG_OFF);
	(void)signal(SIGPIPE, SIG_IGN); /* as main does */
	nic_init(&nic, NULL);
	nic_bring_up(&nic, NIC_BASIC | NIC_OFFLOADS, NIC_RING_SIZE);
}

static void tear_down(void)
{
	nic_fini(&nic);
}

TestSuite(net_tx, .init = set_up, .fini = tear_down);

static struct net_stats *stats(void)
{
	return nic_stats(&nic);
}

Test(net_tx, sends_a_frame)
{
	uint32_t id, len;

	nic_post_frame(&nic, &plain, 60, 0x5a);
	nic_kick(&nic, NIC_TX);
	cr_assert_eq(nic_wire_take(&nic, got, sizeof(got)), 72);
	cr_expect_eq(got[12], 0x5a);
	cr_expect_arr_eq(&got[18], nic_mac, 6);
	cr_expect_eq(got[71], 0x5a);
	cr_assert(nic_take_used(&nic, NIC_TX, &id, &len));
	cr_expect_eq(len, 0);
	cr_expect_eq(fake_irqs(nic.t), 1);
	cr_expect_eq(stats()->tx_packets_count, 1);
	cr_expect_eq(stats()->tx_count, 1);
	cr_expect_eq(stats()->tx_bytes_count, 72);
	cr_expect_eq(stats()->tx_spoofed_mac_count, 0);
	cr_expect_neq(stats()->tap_write_agg.low, 0);
	cr_expect_eq(stats()->tx_queue_event_count, 1);
}

Test(net_tx, sends_the_smallest_and_the_largest_frame)
{
	nic_post_frame(&nic, &plain, 14, 1);
	nic_post_frame(&nic, &plain, 65550, 2);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_wire_take(&nic, got, sizeof(got)), 26);
	cr_expect_eq(nic_wire_take(&nic, got, sizeof(got)), 65562);
	cr_expect_eq(got[65561], 2);
	cr_expect_eq(stats()->tx_malformed_frames, 0);
}

Test(net_tx, assumes_nothing_about_framing)
{
	gpa_t at = fake_alloc(&nic.drv, 72, 0);
	struct fake_span spans[] = { { at, 1, false }, { at + 1, 11, false },
		{ at + 12, 13, false }, { at + 25, 2, false }, { at + 27, 45, false } };

	for (unsigned i = 12; i < 72; i++)
		*(uint8_t *)fake_at(&nic.drv, at + i, 1) = (uint8_t)i;
	(void)nic_post(&nic, NIC_TX, spans, ARRAY_LEN(spans));
	nic_kick(&nic, NIC_TX);
	cr_assert_eq(nic_wire_take(&nic, got, sizeof(got)), 72);
	for (unsigned i = 12; i < 72; i++)
		cr_expect_eq(got[i], i);
}

Test(net_tx, sends_a_frame_of_256_spans)
{
	static struct fake_span spans[256];
	gpa_t at = fake_alloc(&nic.drv, 256, 0);

	nic_bring_up(&nic, NIC_BASIC, 256);
	for (unsigned i = 0; i < 256; i++)
		spans[i] = (struct fake_span){ at + i, 1, false };
	(void)nic_post(&nic, NIC_TX, spans, 256);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_wire_take(&nic, got, sizeof(got)), 256);
}

Test(net_tx, counts_a_spoofed_address_and_sends_all_the_same)
{
	gpa_t at = fake_alloc(&nic.drv, 72, 0);

	(void)nic_post(&nic, NIC_TX, &(struct fake_span){ at, 72, false }, 1);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_wire_take(&nic, got, sizeof(got)), 72);
	cr_expect_eq(stats()->tx_spoofed_mac_count, 1);
	cr_expect_eq(stats()->tx_malformed_frames, 0);
}

/* Posts it and expects it back, counted, with nothing on the wire. */
static void expect_malformed(const struct fake_span *spans, unsigned n)
{
	uint64_t before = stats()->tx_malformed_frames;

	(void)nic_post(&nic, NIC_TX, spans, n);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_wire_take(&nic, got, sizeof(got)), 0);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 1);
	cr_expect_eq(stats()->tx_malformed_frames, before + 1);
	cr_expect_not(nic_faulted(&nic));
}

Test(net_tx, returns_chains_that_are_no_frame)
{
	gpa_t at = fake_alloc(&nic.drv, 70000, 0);
	struct fake_span writable[] = { { at, 72, false }, { at + 72, 1, true } };

	expect_malformed(&(struct fake_span){ at, 1, false }, 1);
	expect_malformed(&(struct fake_span){ at, 12, false }, 1);
	expect_malformed(&(struct fake_span){ at, 25, false }, 1);
	expect_malformed(&(struct fake_span){ at, 65563, false }, 1);
	expect_malformed(&(struct fake_span){ at, 70000, false }, 1);
	expect_malformed(&(struct fake_span){ at, 72, true }, 1);
	expect_malformed(writable, 2);
	nic_post_frame(&nic, &plain, 60, 0);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_wire_take(&nic, got, sizeof(got)), 72);
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
	nic_post_frame(&nic, &h, 100, 0);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 1);
	return nic_wire_take(&nic, got, sizeof(got)) == 112;
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
	nic_bring_up(&nic, NIC_BASIC, NIC_RING_SIZE);
	cr_expect_not(sends(header(1, 0, 0, 0, 34, 16)));
	cr_expect(sends(plain));
	nic_bring_up(&nic, NIC_BASIC | NIC_FEATURE(VIRTIO_NET_F_CSUM), NIC_RING_SIZE);
	cr_expect(sends(header(1, 0, 0, 0, 34, 16)));
	cr_expect_not(sends(header(1, 1, 54, 40, 34, 16)));
	nic_bring_up(&nic,
		NIC_BASIC | NIC_OFFLOADS | NIC_FEATURE(VIRTIO_NET_F_HOST_ECN),
		NIC_RING_SIZE);
	cr_expect(sends(header(1, 0x81, 54, 40, 34, 16)));
	cr_expect_eq(got[1], 0x81);
}

/* More frames than the wire holds; how many it took at once. */
static unsigned jam(unsigned n)
{
	nic_narrow_wire(&nic);
	for (unsigned i = 0; i < n; i++)
		nic_post_frame(&nic, &plain, 60, (uint8_t)i);
	nic_kick(&nic, NIC_TX);
	return (unsigned)stats()->tx_packets_count;
}

Test(net_tx, waits_for_a_tap_that_takes_no_more_and_loses_nothing)
{
	unsigned first = jam(60), n = 0;

	cr_assert_gt(first, 0);
	cr_assert_lt(first, 60);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), first);
	for (unsigned i = 0; i < 3; i++)
		nic_poll(&nic);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(stats()->tx_packets_count, first);
	while (n < 60 && nic_wire_take(&nic, got, sizeof(got)) == 72) {
		cr_expect_eq(got[71], n, "%u for %u", got[71], n);
		n++;
		nic_poll(&nic);
	}
	cr_expect_eq(n, 60);
	cr_expect_eq(stats()->tx_packets_count, 60);
	cr_expect_eq(stats()->tap_write_fails, 0);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 60 - first);
}

Test(net_tx, sends_what_it_checked_though_the_guest_changes_it_meanwhile)
{
	unsigned first = jam(20), n = 0;

	cr_assert_lt(first, 20);
	/* the header of the frame that waits, and of all others */
	for (gpa_t at = FAKE_HEAP; at < nic.drv.heap; at += 80)
		memset(fake_at(&nic.drv, at, 12), 0xff, 12);
	while (nic_wire_take(&nic, got, sizeof(got)) == 72) {
		cr_expect(wire_header_is(plain));
		n++;
		nic_poll(&nic);
	}
	cr_expect_eq(n, first + 1);
	cr_expect_eq(stats()->tx_malformed_frames, 20 - first - 1);
}

Test(net_tx, drops_frames_that_the_tap_refuses)
{
	cr_assert_eq(shutdown(nic.wire, SHUT_RDWR), 0);
	nic_post_frame(&nic, &plain, 60, 0);
	nic_post_frame(&nic, &plain, 60, 0);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 2);
	cr_expect_eq(stats()->tap_write_fails, 2);
	cr_expect_eq(stats()->tx_packets_count, 0);
	cr_expect_not(nic_faulted(&nic));
}

Test(net_tx, asks_for_no_kicks_while_it_waits_for_the_tap)
{
	gpa_t flags = FAKE_HIGH + 0x30000 + 0x20000;

	(void)jam(20);
	cr_expect_eq(*(uint8_t *)fake_at(&nic.drv, flags, 1), VRING_USED_F_NO_NOTIFY);
	while (nic_wire_take(&nic, got, sizeof(got)) > 0)
		nic_poll(&nic);
	cr_expect_eq(*(uint8_t *)fake_at(&nic.drv, flags, 1), 0);
}

Test(net_tx, counts_a_kick_for_nothing)
{
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(stats()->no_tx_avail_buffer, 1);
	cr_expect_eq(fake_irqs(nic.t), 0);
}

Test(net_tx, leaves_the_loop_to_others_after_a_turn)
{
	gpa_t at = fake_alloc(&nic.drv, 16, 0);

	/* malformed, so that no wire is in the way: a ring full of them twice over */
	nic_bring_up(&nic, NIC_BASIC, 256);
	for (unsigned i = 0; i < 256; i++)
		(void)nic_post(&nic, NIC_TX, &(struct fake_span){ at, 16, false }, 1);
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 256);
	cr_expect_eq(stats()->tx_remaining_reqs_count, 1);
	(void)nic_post(&nic, NIC_TX, &(struct fake_span){ at, 16, false }, 1);
	nic_poll(&nic); /* without a kick: it asked to be called again */
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 1);
}

Test(net_tx, takes_few_chains_of_much_room_in_a_turn)
{
	struct fake_span room[60]; /* a MiB each, of 64 that are a turn */

	for (unsigned i = 0; i < ARRAY_LEN(room); i++)
		room[i] = (struct fake_span){ 0, FAKE_LOW_END, true };
	nic_bring_up(&nic, NIC_BASIC, 256);
	for (unsigned i = 0; i < 4; i++)
		(void)nic_post(&nic, NIC_TX, room, ARRAY_LEN(room));
	nic_kick(&nic, NIC_TX);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 2);
	nic_poll(&nic);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 2);
	cr_expect_eq(stats()->tx_malformed_frames, 4);
}

Test(net_tx, takes_a_bad_chain_for_a_guest_fault_after_serving_those_before_it)
{
	nic_post_frame(&nic, &plain, 60, 0);
	(void)nic_post(&nic, NIC_TX, &(struct fake_span){ 3 << 20, 100, false }, 1);
	nic_kick(&nic, NIC_TX);
	cr_expect(nic_faulted(&nic));
	cr_expect_eq(nic_wire_take(&nic, got, sizeof(got)), 72);
	cr_expect_eq(nic_count_used(&nic, NIC_TX), 1);
	nic_wire_send(&nic, 60, 0);
	nic_poll(&nic);
	cr_expect_eq(stats()->rx_tap_event_count, 0);
}
