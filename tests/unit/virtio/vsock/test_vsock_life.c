/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: the life of the device: creation, activation, pauses, snapshots, resets; and
 * many connections.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/unit/fakes/fake_stream.h"
#include "tests/unit/fakes/fake_vsock.h"
#include "vmm/base/unix_socket.h"

TestSuite(vsock_life, .init = fv_init_basic, .fini = fv_fini);
TestSuite(vsock_new, .init = fv_attach, .fini = fv_fini);

/* --- creation and activation --- */

static int create(uint32_t cid, const char *path, struct err *e)
{
	struct vdev *v;
	int r = vsock_create(cid, path, fv_loop, &v, e);

	if (r == 0) {
		cr_assert_eq(access(path, F_OK), 0);
		v->ops->destroy(v);
		cr_assert_eq(access(path, F_OK), -1, "its file is left");
	}
	return r;
}

Test(vsock_new, binds_its_path_at_once_and_keeps_it)
{
	struct stat st;

	cr_assert_eq(stat(fv_path, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
}

Test(vsock_new, refuses_a_path_that_exists)
{
	struct err e;

	cr_assert_eq(create(3, fv_path, &e), -EADDRINUSE);
	cr_assert_not_null(strstr(e.text, fv_path), "%s", e.text);
}

Test(vsock_new, refuses_a_path_without_a_directory)
{
	struct err e;
	char path[96];

	(void)snprintf(path, sizeof(path), "%.60s.d/sock", fv_path);
	cr_assert_eq(create(3, path, &e), -ENOENT);
	cr_assert_not_null(strstr(e.text, path), "%s", e.text);
}

Test(vsock_new, takes_a_path_of_all_the_bytes_of_an_address)
{
	char path[UNIX_PATH_MAX + 2];
	struct err e;

	int n = snprintf(path, sizeof(path), "/tmp/husk-%d-", getpid());

	memset(path + n, 'a', sizeof(path) - (size_t)n);
	path[UNIX_PATH_MAX + 1] = '\0';
	cr_assert_eq(create(3, path, &e), -EINVAL);
	path[UNIX_PATH_MAX] = '\0';
	cr_assert_eq(create(3, path, &e), 0, "%s", e.text);
	cr_assert_eq(create(3, "", &e), -EINVAL);
}

Test(vsock_new, refuses_a_cid_that_is_no_guests)
{
	static const uint32_t bad[] = { 0, 1, 2, UINT32_MAX };
	char path[96];
	struct err e;

	(void)snprintf(path, sizeof(path), "%.60s2", fv_path);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_eq(create(bad[i], path, &e), -EINVAL);
		cr_assert_not_null(strstr(e.text, "guest_cid"));
		cr_assert_eq(access(path, F_OK), -1);
	}
	cr_assert_eq(create(UINT32_MAX - 1, path, &e), 0);
}

Test(vsock_new, shows_the_cid_to_the_driver)
{
	uint64_t cid = 0;

	mmio_bus_ops()->read(fv_t, VIRTIO_MMIO_CONFIG, &cid, sizeof(cid));
	cr_assert_eq(le64toh(cid), FV_CID);
	cr_assert_eq(fake_reg(fv_t, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_VSOCK);
}

Test(vsock_new, accepts_nobody_before_the_driver_is_ready)
{
	int fd = fv_client("CONNECT 52\n");

	cr_assert(fv_is_idle());
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 52);
	close(fd);
}

Test(vsock_new, goes_with_clients_in_its_backlog)
{
	int fd = fv_client("CONNECT 52\n");

	fv_replace();
	cr_assert(fv_is_closed(fd) || errno == ECONNRESET);
	close(fd);
}

Test(vsock_new, works_with_all_features_that_it_offers)
{
	struct fv_conn c = { .guest_port = 1 };
	int l = fv_listen(9), fd;

	fv_bring_up(mmio_vdev(fv_t)->features | FV_BASIC |
		FAKE_FEATURE(VIRTIO_RING_F_EVENT_IDX) |
		FAKE_FEATURE(VIRTIO_RING_F_INDIRECT_DESC));
	fv_give_rx(4, FV_BUF);
	for (unsigned i = 0; i < 100; i++) {
		fd = fv_open_guest(&c, l, 9);
		fv_say(&c, VIRTIO_VSOCK_OP_RST, 0);
		close(fd);
	}
	cr_assert_eq(fv_tx_done(), 200);
	close(l);
}

/* --- pause, snapshot, reset --- */

Test(vsock_life, lies_still_while_paused_and_goes_on)
{
	struct fv_conn c = { 0 };
	struct fv_packet p;
	int fd = fv_open_host(&c, 52), other;

	mmio_pause(fv_t);
	cr_assert_eq(write(fd, "while paused", 12), 12);
	other = fv_client("CONNECT 53\n");
	cr_assert(fv_is_idle());
	cr_assert_not(fv_recv(&p));
	cr_assert_eq(fv_stats()->conns_added, 1);
	mmio_resume(fv_t);
	fv_settle();
	cr_assert(fv_recv(&p));
	cr_assert_eq(p.op, VIRTIO_VSOCK_OP_RW);
	cr_assert_eq(p.len, 12);
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	cr_assert_eq(fv_recv_event(), -1);
	fv_write(&c, "answer", 6);
	cr_assert_eq(read(fd, p.data, 100), 6);
	close(other);
	close(fd);
}

Test(vsock_life, does_not_count_a_pause_towards_a_deadline, .timeout = 20)
{
	struct fv_conn c = { .guest_port = 52 };
	int fd = fv_client("CONNECT 52\n");
	char line[32];

	c.host_port = fv_expect(VIRTIO_VSOCK_OP_REQUEST)->src_port;
	mmio_pause(fv_t);
	for (unsigned i = 0; i < 5; i++)
		cr_assert_eq(loop_poll(fv_loop, i == 0 ? 0 : 600), 0);
	mmio_resume(fv_t);
	fv_expect_nothing();
	fv_say(&c, VIRTIO_VSOCK_OP_RESPONSE, 0);
	cr_assert_gt(read(fd, line, sizeof(line)), 0);
	close(fd);
}

Test(vsock_life, ends_all_connections_for_a_snapshot_and_shuts_the_gate)
{
	struct fv_conn a = { 0 }, b = { .guest_port = 7 };
	int l = fv_listen(9), fd = fv_open_host(&a, 52), fd2 = fv_open_guest(&b, l, 9);
	int waiting = fv_client("CONN");

	fv_give_event();
	fv_give_event();
	fv_settle();
	mmio_pause(fv_t);
	vsock_reset_transport(mmio_vdev(fv_t));
	cr_assert(fv_is_closed(fd));
	cr_assert(fv_is_closed(fd2));
	mmio_resume(fv_t);
	cr_assert_eq(write(waiting, "ECT 54\n", 7), 7);
	fv_expect_nothing(); /* nor an RST: the event says it all */
	fv_say(&a, VIRTIO_VSOCK_OP_RW, 0);
	fv_expect_nothing();
	cr_assert(fv_is_idle());
	cr_assert_eq(fv_recv_event(), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	cr_assert_eq(fv_recv_event(), -1);
	fv_notify(FV_EVENT); /* without a buffer given back */
	fv_expect_nothing();
	fv_give_event();
	fv_notify(FV_EVENT);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 54);
	cr_assert_eq(fv_recv_event(), -1);
	close(fd);
	close(fd2);
	close(waiting);
	close(l);
}

Test(vsock_life, keeps_the_event_until_the_guest_has_a_buffer_for_it)
{
	int fd;

	mmio_pause(fv_t);
	vsock_reset_transport(mmio_vdev(fv_t));
	mmio_resume(fv_t);
	fd = fv_client("CONNECT 52\n");
	fv_expect_nothing();
	fv_give_event();
	fv_notify(FV_EVENT);
	fv_expect_nothing();
	cr_assert_eq(fv_recv_event(), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	fv_give_event();
	fv_notify(FV_EVENT);
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	close(fd);
}

/* Saves, and loads into another device in its place. */
static void clone_device(void)
{
	struct fake_stream f;

	cr_assert_eq(mmio_snap(fv_t, fake_save(&f)), 0);
	fv_replace();
	mmio_pause(fv_t);
	cr_assert_eq(fake_loaded(&f, mmio_snap(fv_t, fake_load(&f))), 0);
}

Test(vsock_life, goes_on_after_a_load_with_gate_and_ports)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fv_give_event();
	fv_settle();
	mmio_pause(fv_t);
	vsock_reset_transport(mmio_vdev(fv_t));
	clone_device();
	close(fd);
	fd = fv_client("CONNECT 52\n");
	mmio_resume(fv_t);
	cr_assert_gt(fake_irqs(fv_t), 0);
	fv_expect_nothing();
	cr_assert_eq(fv_recv_event(), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	fv_give_event();
	fv_notify(FV_EVENT);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->src_port, FV_PORT_FIRST + 1);
	close(fd);
}

Test(vsock_life, refuses_saved_values_that_make_no_sense)
{
	/* of the device's section, behind tag, version and length */
	static const struct {
		size_t at;
		uint8_t value[4];
		size_t n;
	} bad[] = { { 0, { 2, 0, 0, 0 }, 4 }, { 0, { 0xff, 0xff, 0xff, 0xff }, 4 },
		{ 4, { 1, 0, 0, 0 }, 4 }, { 8, { 3 }, 1 }, { 11, { 0, 0, 0, 0 }, 4 },
		{ 11, { 0, 0, 0, 0x80 }, 4 } };

	mmio_pause(fv_t);
	for (unsigned i = 0; i < ARRAY_LEN(bad) + 1; i++) {
		struct stream s, l;
		uint8_t *section;

		fv_replace();
		mmio_pause(fv_t);
		stream_init_save(&s);
		cr_assert_eq(mmio_snap(fv_t, &s), 0);
		section = memmem(s.buf, s.len, "VSCK", 4);
		cr_assert_not_null(section);
		if (i < ARRAY_LEN(bad))
			memcpy(section + 12 + bad[i].at, bad[i].value, bad[i].n);
		cr_assert_eq(stream_finish(&s), 0);
		stream_init_load(&l, s.buf, s.len);
		cr_assert_eq(mmio_snap(fv_t, &l), i < ARRAY_LEN(bad) ? -EBADMSG : 0,
			"case %u", i);
		stream_fini(&s);
	}
}

Test(vsock_life, ends_connections_when_the_driver_resets)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	fake_set_reg(fv_t, VIRTIO_MMIO_STATUS, 0);
	fv_settle();
	cr_assert(fv_is_closed(fd));
	close(fd);
	fd = fv_client("CONNECT 52\n");
	cr_assert(fv_is_idle());
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
	cr_assert_eq(fv_expect(VIRTIO_VSOCK_OP_REQUEST)->dst_port, 52);
	close(fd);
}

Test(vsock_life, forgets_the_connections_of_the_driver_before)
{
	struct fv_conn c = { 0 };
	int fd = fv_open_host(&c, 52);

	cr_assert_eq(write(fd, "for the one before", 18), 18);
	fv_say(&(struct fv_conn){ .guest_port = 1 }, VIRTIO_VSOCK_OP_RW, 0);
	fv_bring_up(FV_BASIC); /* before the loop comes round */
	fv_give_rx(4, FV_BUF);
	fv_notify(FV_RX);
	fv_expect_nothing();
	cr_assert(fv_is_closed(fd) || errno == ECONNRESET);
	close(fd);
	fd = fv_open_host(&c, 52);
	close(fd);
}

/* The guest hears of a client although it has not taken the event of the reset. */
static void begin_anew_after_a_reset_transport(void)
{
	int fd;

	mmio_pause(fv_t);
	vsock_reset_transport(mmio_vdev(fv_t));
	mmio_resume(fv_t);
	fv_bring_up(FV_BASIC);
	fv_give_rx(4, FV_BUF);
	fd = fv_client("CONNECT 52\n");
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	close(fd);
}

Test(vsock_life, opens_the_gate_for_a_driver_that_begins_anew)
{
	fv_give_event();
	begin_anew_after_a_reset_transport();
	cr_assert_eq(fv_recv_event(), -1);
}

Test(vsock_new, has_nobody_to_tell_before_the_driver_is_ready)
{
	begin_anew_after_a_reset_transport();
}

/* --- many --- */

Test(vsock_life, serves_a_thousand_connections_and_no_more_than_1023, .timeout = 60)
{
	static struct fv_conn c[FV_CONNS_MAX + 1];
	static int fd[FV_CONNS_MAX];
	int l = fv_listen(9), extra;

	for (unsigned i = 0; i < FV_CONNS_MAX; i++) {
		c[i] = (struct fv_conn){ .guest_port = i };
		fd[i] = i % 2 ? fv_open_host(&c[i], i) : fv_open_guest(&c[i], l, 9);
	}
	extra = fv_client("CONNECT 52\n");
	fv_expect_nothing();
	cr_assert(fv_is_closed(extra) || errno == ECONNRESET);
	close(extra);
	c[FV_CONNS_MAX] = (struct fv_conn){ .guest_port = 5000, .host_port = 9 };
	fv_say(&c[FV_CONNS_MAX], VIRTIO_VSOCK_OP_REQUEST, 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_RST);
	for (unsigned i = 0; i < FV_CONNS_MAX; i++) {
		char word[16];
		int n = snprintf(word, sizeof(word), "word %u", i);
		struct fv_packet *p;

		fv_write(&c[i], word, (uint32_t)n);
		cr_assert_eq(read(fd[i], word, sizeof(word)), n);
		cr_assert_eq(write(fd[i], word, (size_t)n), n);
		p = fv_expect(VIRTIO_VSOCK_OP_RW);
		cr_assert_eq(p->dst_port, i);
		cr_assert_arr_eq(p->data, word, (size_t)n);
	}
	fv_say(&c[500], VIRTIO_VSOCK_OP_RST, 0); /* one goes, one may come */
	extra = fv_open_host(&c[500], 52);
	cr_assert(fv_is_idle());
	fake_set_reg(fv_t, VIRTIO_MMIO_STATUS, 0);
	fv_settle();
	for (unsigned i = 0; i < FV_CONNS_MAX; i++) {
		cr_assert(fv_is_closed(fd[i]));
		close(fd[i]);
	}
	cr_assert_eq(fv_stats()->conns_added, FV_CONNS_MAX + 1);
	cr_assert_eq(fv_stats()->conns_removed, FV_CONNS_MAX + 1);
	close(extra);
	close(l);
}

Test(vsock_life, waits_for_descriptors_without_spinning)
{
	struct rlimit was, none;
	int fd = fv_connect(), free_fd = dup(fd);

	close(free_fd);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ (rlim_t)free_fd, was.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert_eq(write(fd, "CONNECT 52\n", 11), 11);
	cr_assert(fv_is_idle());
	cr_assert_eq(fv_stats()->muxer_event_fails, 1);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	cr_assert_eq(loop_poll(fv_loop, 500), 0);
	(void)fv_expect(VIRTIO_VSOCK_OP_REQUEST);
	close(fd);
}
