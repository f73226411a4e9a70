/* SPDX-License-Identifier: Apache-2.0
 *
 * net: what the device offers, how it pauses, resets, is saved and loaded, and its
 * limits, with traffic in both directions.
 */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
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
	fn_init(&net, NULL);
}

static void tear_down(void)
{
	fn_fini(&net);
}

TestSuite(net, .init = set_up, .fini = tear_down);

static struct net_stats *stats(void)
{
	return fn_stats(&net);
}

/* --- creation --- */

Test(net, is_a_network_device_of_two_queues)
{
	cr_expect_eq(fake_reg(net.t, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_NET);
	for (unsigned q = 0; q < 3; q++) {
		fake_set_reg(net.t, VIRTIO_MMIO_QUEUE_SEL, q);
		cr_expect_eq(
			fake_reg(net.t, VIRTIO_MMIO_QUEUE_NUM_MAX), q < 2 ? 256 : 0);
	}
}

Test(net, tells_its_address_and_mtu)
{
	uint8_t config[16];

	mmio_bus_ops()->read(net.t, VIRTIO_MMIO_CONFIG, config, 8);
	mmio_bus_ops()->read(net.t, VIRTIO_MMIO_CONFIG + 8, config + 8, 8);
	cr_expect_arr_eq(config, fn_mac, 6);
	cr_expect_eq(config[10] | config[11] << 8, 1400);
	cr_expect_eq(config[12] | config[13] | config[14] | config[15], 0);
	cr_expect(mmio_vdev(net.t)->features & FAKE_FEATURE(VIRTIO_NET_F_MAC));
	cr_expect(mmio_vdev(net.t)->features & FAKE_FEATURE(VIRTIO_NET_F_MTU));
}

static int create(
	const char *id, const struct net_opts *opts, struct vdev **v, struct err *e)
{
	struct tap *tap;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	close_fd(pair[1]);
	cr_assert_eq(tap_from_fd(pair[0], &tap, NULL), 0);
	return net_create(id, tap, opts, net.loop, v, e);
}

Test(net, offers_address_and_mtu_only_when_they_are_set)
{
	struct net_opts none = { .mtu = 0 };
	struct vdev *v;

	cr_assert_eq(create("eth1", &none, &v, NULL), 0);
	cr_expect_not(v->features & FAKE_FEATURE(VIRTIO_NET_F_MAC));
	cr_expect_not(v->features & FAKE_FEATURE(VIRTIO_NET_F_MTU));
	cr_expect(v->features & FAKE_FEATURE(VIRTIO_NET_F_MRG_RXBUF));
	v->ops->destroy(v);
}

Test(net, refuses_a_name_that_is_too_long)
{
	struct net_opts none = { .mtu = 0 };
	char id[VDEV_ID_MAX + 2];
	struct vdev *v = NULL;
	struct err e;

	memset(id, 'n', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	cr_expect_eq(create(id, &none, &v, &e), -EINVAL);
	cr_expect_null(v);
	cr_expect(strstr(e.text, "1024 bytes"), "%s", e.text);
}

/* --- pause and reset --- */

Test(net, touches_nothing_while_paused_and_then_goes_on)
{
	gpa_t at;

	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	at = fn_post_buffer(&net, 100);
	(void)fn_post_buffer(&net, 100);
	fn_notify(&net, FN_RX);
	mmio_pause(net.t);
	fn_wire_send(&net, 60, 1);
	fn_post_frame(&net, &plain, 60, 2);
	fn_notify(&net, FN_TX);
	fn_poll(&net);
	cr_expect_eq(*(uint8_t *)fake_at(&net.drv, at, 1), 0xee);
	cr_expect_eq(fn_count_used(&net, FN_RX) + fn_count_used(&net, FN_TX), 0);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 0);
	mmio_resume(net.t);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 1);
	cr_expect_eq(fn_count_used(&net, FN_TX), 1);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 72);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 1);
}

Test(net, takes_nothing_from_the_rings_with_it_into_a_pause)
{
	struct vdev *v = mmio_vdev(net.t);

	fn_narrow_wire(&net);
	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	for (unsigned i = 0; i < 40; i++)
		fn_post_frame(&net, &plain, 60, 2);
	for (unsigned i = 0; i < 20; i++)
		(void)fn_post_buffer(&net, 100);
	fn_wire_send(&net, 60, 1);
	fn_notify(&net, FN_TX); /* more than the wire takes: one waits */
	fn_poll(&net);
	cr_expect_gt(v->queue[FN_RX].last_avail, v->queue[FN_RX].next_used);
	cr_expect_gt(v->queue[FN_TX].last_avail, v->queue[FN_TX].next_used);
	mmio_pause(net.t);
	cr_expect_eq(v->queue[FN_RX].last_avail, v->queue[FN_RX].next_used);
	cr_expect_eq(v->queue[FN_TX].last_avail, v->queue[FN_TX].next_used);
	mmio_pause(net.t); /* twice is fine */
	mmio_resume(net.t);
	while (fn_wire_take(&net, got, sizeof(got)) > 0)
		fn_poll(&net);
	cr_expect_eq(stats()->tx_packets_count, 40);
}

Test(net, drops_a_frame_that_only_partly_found_buffers_before_the_pause)
{
	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	(void)fn_post_buffer(&net, 100);
	fn_wire_send(&net, 150, 1);
	fn_poll(&net);
	mmio_pause(net.t);
	cr_expect_eq(stats()->rx_fails, 1);
	mmio_resume(net.t);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 1);
}

Test(net, forgets_all_with_a_reset)
{
	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	(void)fn_post_buffer(&net, 100);
	fn_wire_send(&net, 150, 1);
	fn_poll(&net); /* holds a frame and a buffer */
	fake_set_reg(net.t, VIRTIO_MMIO_STATUS, 0);
	fn_wire_send(&net, 60, 2);
	fn_poll(&net);
	cr_expect_eq(stats()->rx_tap_event_count, 1);
	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
	(void)fn_post_buffer(&net, 100);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 1);
}

/* --- saved state --- */

static void save(struct stream *s)
{
	mmio_pause(net.t);
	stream_init_save(s);
	cr_assert_eq(mmio_snap(net.t, s), 0);
	cr_assert_eq(stream_finish(s), 0);
}

static int load(const struct stream *s)
{
	struct stream l;
	int r;

	mmio_pause(net.t);
	stream_init_load(&l, s->buf, s->len);
	r = mmio_snap(net.t, &l);
	return r == 0 ? stream_finish(&l) : r;
}

Test(net, goes_on_where_it_was_saved)
{
	struct stream s;

	fn_bring_up(&net, FN_MERGING, FN_RING_SIZE);
	for (unsigned i = 0; i < 4; i++)
		(void)fn_post_buffer(&net, 100);
	fn_wire_send(&net, 60, 1);
	fn_poll(&net);
	cr_assert_eq(fn_count_used(&net, FN_RX), 1);
	save(&s);
	fn_replace(&net, NULL);
	cr_assert_eq(load(&s), 0);
	stream_fini(&s);
	/* loaded, started, and still */
	fn_wire_send(&net, 60, 2);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 0);
	mmio_resume(net.t);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 1);
	fn_post_frame(&net, &plain, 60, 2);
	fn_notify(&net, FN_TX);
	cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 72);
}

Test(net, keeps_the_address_that_the_driver_knows)
{
	static const uint8_t other[] = { 2, 3, 4, 5, 6, 7 };
	struct vdev *v = mmio_vdev(net.t);
	struct stream s;
	size_t at = 0;

	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
	save(&s);
	while (at + 6 < s.len && memcmp(s.buf + at, fn_mac, 6) != 0)
		at++;
	memcpy(s.buf + at, other, 6);
	/* no checksum: the field is to be reached */
	cr_assert_eq(v->ops->snap(v,
			     &(struct stream){ .loading = true,
				     .buf = s.buf + at - 13,
				     .len = s.len - at + 13 }),
		0);
	cr_expect_arr_eq(v->config, other, 6);
	stream_fini(&s);
}

Test(net, refuses_the_state_of_a_device_with_other_settings)
{
	struct net_opts none = { .mtu = 0 };
	struct vdev *v, *mine = mmio_vdev(net.t);
	struct stream s;

	cr_assert_eq(create("eth1", &none, &v, NULL), 0);
	stream_init_save(&s);
	cr_assert_eq(mine->ops->snap(mine, &s), 0);
	cr_expect_eq(v->ops->snap(v,
			     &(struct stream){
				     .loading = true, .buf = s.buf, .len = s.len }),
		-EBADMSG);
	cr_expect_eq(v->config[0], 0);
	stream_fini(&s);
	v->ops->destroy(v);
}

Test(net, refuses_cut_state)
{
	struct vdev *v = mmio_vdev(net.t);
	struct stream s;

	stream_init_save(&s);
	cr_assert_eq(v->ops->snap(v, &s), 0);
	for (size_t n = 0; n < s.len; n++)
		cr_expect_lt(v->ops->snap(v,
				     &(struct stream){
					     .loading = true, .buf = s.buf, .len = n }),
			0, "%zu", n);
	stream_fini(&s);
}

/* --- limits --- */

/* Two frames at once, then one every 100 ms. */
static const struct limiter_cfg two_frames = { .ops = { 2, 0, 200 } };

/* Lets time go until *count is at least n; false when that takes too long. */
static bool wait_for(const uint64_t *count, uint64_t n)
{
	for (unsigned i = 0; i < 40 && *count < n; i++)
		cr_assert_eq(loop_poll(net.loop, 100), 0);
	return *count >= n;
}

static void limit(const struct limiter_cfg *rx, const struct limiter_cfg *tx)
{
	struct net_opts opts = { .mtu = 0 };

	if (rx)
		opts.rx = *rx;
	if (tx)
		opts.tx = *tx;
	fn_replace(&net, &opts);
	fn_bring_up(&net, FN_BASIC, FN_RING_SIZE);
	for (unsigned i = 0; i < 8; i++)
		(void)fn_post_buffer(&net, 100);
}

Test(net, holds_frames_to_the_guest_to_their_limit)
{
	limit(&two_frames, NULL);
	for (unsigned i = 0; i < 4; i++)
		fn_wire_send(&net, 60, (uint8_t)i);
	fn_poll(&net);
	cr_expect_eq(fn_count_used(&net, FN_RX), 2);
	cr_expect_eq(stats()->rx_count, 3); /* the third was read, and waits */
	cr_expect_eq(stats()->rx_rate_limiter_throttled, 1);
	fn_poll(&net);
	cr_expect_eq(stats()->rx_count, 3);
	cr_expect(wait_for(&stats()->rx_packets_count, 4));
	cr_expect_eq(stats()->rx_event_rate_limiter_count, 2);
	cr_expect_eq(fn_count_used(&net, FN_RX), 2);
}

Test(net, holds_frames_from_the_guest_to_their_limit)
{
	limit(NULL, &two_frames);
	for (unsigned i = 0; i < 4; i++)
		fn_post_frame(&net, &plain, 60, (uint8_t)i);
	fn_notify(&net, FN_TX);
	cr_expect_eq(stats()->tx_packets_count, 2);
	cr_expect_eq(stats()->tx_rate_limiter_throttled, 1);
	fn_notify(&net, FN_TX); /* changes nothing */
	cr_expect_eq(stats()->tx_rate_limiter_throttled, 1);
	cr_expect(wait_for(&stats()->tx_packets_count, 4));
	cr_expect_eq(stats()->tx_rate_limiter_event_count, 2);
	for (unsigned i = 0; i < 4; i++) {
		cr_expect_eq(fn_wire_take(&net, got, sizeof(got)), 72);
		cr_expect_eq(got[71], i);
	}
}

Test(net, charges_a_frame_with_its_header)
{
	/* 71 bytes are not enough for 72 a second time, and a debt of 1 follows */
	struct limiter_cfg bytes = { .bandwidth = { 144, 0, 60000 } };

	limit(NULL, &bytes);
	for (unsigned i = 0; i < 3; i++)
		fn_post_frame(&net, &plain, 60, 0);
	fn_notify(&net, FN_TX);
	cr_expect_eq(stats()->tx_packets_count, 2);
	limit(&bytes, NULL);
	for (unsigned i = 0; i < 3; i++)
		fn_wire_send(&net, 60, 0);
	fn_poll(&net);
	cr_expect_eq(stats()->rx_packets_count, 2);
}

Test(net, completes_a_frame_that_waits_for_its_limit_before_a_pause)
{
	limit(&two_frames, NULL);
	for (unsigned i = 0; i < 4; i++)
		fn_wire_send(&net, 60, (uint8_t)i);
	fn_poll(&net);
	mmio_pause(net.t);
	cr_expect_eq(stats()->rx_packets_count, 3);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(loop_poll(net.loop, 150), 0);
	cr_expect_eq(stats()->rx_packets_count, 3); /* nothing comes in a pause */
	mmio_resume(net.t);
	cr_expect(wait_for(&stats()->rx_packets_count, 4));
}

Test(net, goes_on_at_once_when_a_limit_is_lifted)
{
	struct limiter_cfg slow = { .ops = { 1, 0, 3600000 } };
	struct limiter_patch lift = { .has_ops = true };

	limit(&slow, &slow);
	for (unsigned i = 0; i < 3; i++) {
		fn_wire_send(&net, 60, 0);
		fn_post_frame(&net, &plain, 60, 0);
	}
	fn_notify(&net, FN_TX);
	fn_poll(&net);
	cr_expect_eq(stats()->rx_packets_count, 1);
	cr_expect_eq(stats()->tx_packets_count, 1);
	cr_expect_eq(net_rx_limiter(mmio_vdev(net.t)).ops.size, 1);
	net_patch_limiters(mmio_vdev(net.t), &lift, NULL);
	cr_expect(wait_for(&stats()->rx_packets_count, 3));
	cr_expect_eq(stats()->tx_packets_count, 1);
	cr_expect_eq(net_rx_limiter(mmio_vdev(net.t)).ops.size, 0);
	cr_expect_eq(net_tx_limiter(mmio_vdev(net.t)).ops.size, 1);
	net_patch_limiters(mmio_vdev(net.t), NULL, &lift);
	cr_expect(wait_for(&stats()->tx_packets_count, 3));
}

Test(net, limits_a_device_that_had_no_limits)
{
	struct limiter_patch slow = { .has_ops = true,
		.to = { .ops = { 1, 0, 3600000 } } };

	limit(NULL, NULL);
	net_patch_limiters(mmio_vdev(net.t), &slow, NULL);
	for (unsigned i = 0; i < 3; i++)
		fn_wire_send(&net, 60, 0);
	fn_poll(&net);
	cr_expect_eq(stats()->rx_packets_count, 1);
}

Test(net, saves_what_is_left_of_its_limits)
{
	struct limiter_cfg slow = { .ops = { 2, 0, 3600000 } };
	struct stream s;

	limit(&slow, NULL);
	fn_wire_send(&net, 60, 0);
	fn_poll(&net);
	save(&s);
	fn_replace(&net, NULL);
	cr_assert_eq(load(&s), 0);
	stream_fini(&s);
	mmio_resume(net.t);
	for (unsigned i = 0; i < 3; i++)
		fn_wire_send(&net, 60, 0);
	fn_poll(&net);
	fn_poll(&net);
	cr_expect_eq(stats()->rx_packets_count, 1); /* of two, one is spent */
	cr_expect_eq(net_rx_limiter(mmio_vdev(net.t)).ops.size, 2);
}

/* --- a real tap, where the host lets the test make one --- */

Test(net, takes_frames_from_the_host_whole_or_not_at_all)
{
	struct tap *tap;
	uint32_t id, len;
	char name[16];
	struct err e;
	gpa_t at;
	int r;

	(void)snprintf(name, sizeof(name), "huskn%d", (int)getpid());
	r = tap_open(name, &tap, &e);
	if (r == -EPERM || r == -EACCES || r == -ENOENT || r == -ENODEV)
		cr_skip_test("no TAP can be made here: %s", e.text);
	cr_assert_eq(r, 0, "%s", e.text);
	fn_use_tap(&net, tap);
	fn_bring_up(&net, FN_BASIC | FN_OFFLOADS, FN_RING_SIZE);
	(void)fn_post_buffer(&net, 60);
	fn_host_send(name, 100);
	cr_assert(wait_for(&stats()->rx_fails, 1));
	cr_expect_eq(fn_count_used(&net, FN_RX), 0);
	fn_bring_up(&net, FN_MERGING | FN_OFFLOADS, FN_RING_SIZE);
	at = fn_post_buffer(&net, 60);
	(void)fn_post_buffer(&net, 2000);
	fn_host_send(name, 100);
	cr_assert(wait_for(&stats()->rx_packets_count, 1));
	cr_assert(fn_take_used(&net, FN_RX, &id, &len));
	cr_expect_eq(len, 60);
	cr_assert(fn_take_used(&net, FN_RX, &id, &len));
	cr_expect_eq(len, stats()->rx_bytes_count - 60);
	cr_expect_eq(*(uint8_t *)fake_at(&net.drv, at + 10, 1), 2, "buffers");
	fn_post_frame(&net, &plain, 60, 0);
	fn_notify(&net, FN_TX);
	cr_expect_eq(stats()->tx_packets_count, 1);
}
