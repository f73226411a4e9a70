/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: the socket device (virtio 1.2, 5.10): its life, its turns and its clock. Loop
 * thread, device lock held.
 */
#include <errno.h>
#include <limits.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "virtio/vsock/internal.h"

DEFINE_VDEV(vsock);

static void free_dead(struct vsock *s)
{
	struct vsock_conn *c;

	while ((c = TAILQ_FIRST(&s->dead))) {
		TAILQ_REMOVE(&s->dead, c, all);
		free(c);
	}
}

static void end_all(struct vsock *s, bool with_lines)
{
	struct vsock_conn *c;

	while ((c = TAILQ_FIRST(&s->all)))
		vsock_conn_forget(c); /* which moves it to `left` or `dead` */
	while (with_lines && (c = TAILQ_FIRST(&s->lines)))
		vsock_conn_forget(c);
	s->n_rst = 0;
}

static void forget_all(struct vsock *s, bool with_lines)
{
	end_all(s, with_lines);
	free_dead(s);
}

/* After a restart: ends all connections of the driver before, without freeing them. */
static void forget_old(struct vsock *s)
{
	if (s->restarted)
		end_all(s, false);
	s->restarted = false;
}

static void accept_again(struct vsock *s)
{
	s->accept_us = 0;
	if (loop_set(s->loop, &s->listener, EPOLLIN) == 0)
		return;
	s->stats.activate_fails++;
	vsock_pause_accepting(s);
}

static void sleep_now(struct vsock *s)
{
	if (s->awake)
		s->slept_us = clock_us();
	s->awake = false;
	(void)loop_set(s->loop, &s->listener, 0); /* nothing is added: cannot fail */
}

static void wake(struct vsock *s)
{
	if (s->awake || !s->live)
		return;
	s->awake = true;
	s->timer_us = 0;
	vsock_clock_shift(s, clock_us() - s->slept_us);
	accept_again(s);
}

/* Stops the device after a guest fault, until the driver starts it again. */
static void stop(struct vsock *s)
{
	s->live = false;
	sleep_now(s);
	forget_all(s, true);
}

/* Serves the queues once. 0, 1 when there is more to do at once, or -EPROTO. */
static int turn(struct vsock *s)
{
	int tx = 0, rx = 0;

	forget_old(s);
	if (s->awake) {
		tx = vsock_serve_tx(s);
		rx = tx < 0 ? tx : vsock_serve_rx(s);
		/* the RSTs that were just sent may have held up the other ring */
		if (rx >= 0 && s->tx_work && s->n_rst < VSOCK_RST_MAX)
			tx = 1;
	}
	if (rx < 0) {
		stop(s);
		return rx;
	}
	free_dead(s);
	return tx > 0 || rx > 0;
}

/* Ends every callback: serves the queues, and frees the dead. */
static void run(struct vsock *s)
{
	int r = turn(s);

	if (r < 0)
		vdev_fault(&s->dev);
	else if (r > 0)
		vsock_clock_set(s, clock_us());
}

/* Events enter here, in one form: forget the old driver's connections, act, run. */

static void on_listener(void *self, uint32_t events)
{
	struct vsock *s = self;

	(void)events;
	forget_old(s); /* they leave their places */
	if (s->awake) /* else the event was fetched before the drain */
		vsock_accept(s);
	run(s);
}

static void on_socket(void *self, uint32_t events)
{
	struct vsock_conn *c = self;
	struct vsock *s = c->owner;

	forget_old(
		s); /* if c is one of them, it is over, without a word to the guest */
	if (c->state != VSOCK_LINE)
		vsock_conn_hear(c, events);
	/* Without a driver the line waits: for the next driver, or until the timer that
	 * the reset has set ends it. */
	else if (s->awake || s->dev.queue[VSOCK_RX].ready)
		vsock_read_line(c);
	vsock_conn_refresh(c);
	run(s);
}

/* Ends what has reached its deadline. */
static void expire(struct vsock *s, uint64_t now_us)
{
	struct vsock_conn *c;

	while ((c = vsock_clock_due(s, now_us))) {
		(void)vsock_conn_event(c, VSOCK_EV_DEADLINE);
		vsock_conn_refresh(c);
	}
}

static void on_timer(void *self, uint32_t events)
{
	struct vsock *s = self;
	uint64_t now = clock_us();

	(void)events;
	(void)timer_has_fired(&s->timer); /* if not, a turn for nothing does no harm */
	s->timer_us = 0;
	if (!s->awake) {
		/* if the drain was for a reset, nobody waits for these any more */
		if (!s->dev.queue[VSOCK_RX].ready)
			forget_all(s, true);
		return;
	}
	if (s->accept_us != 0 && s->accept_us <= now)
		accept_again(s);
	if (s->accept_us != 0)
		vsock_clock_set(s, s->accept_us);
	forget_old(s);
	expire(s, now);
	run(s);
}

static int vsock_notify(struct vdev *v, unsigned q)
{
	struct vsock *s = vsock_of(v);
	int r = 0;

	wake(s);
	switch (q) {
	case VSOCK_RX:
		s->stats.rx_queue_event_count++;
		if (s->starved)
			(void)queue_want_notify(&v->queue[VSOCK_RX], false);
		s->starved = false;
		break;
	case VSOCK_TX:
		s->stats.tx_queue_event_count++;
		s->tx_work = true;
		break;
	default:
		r = vsock_serve_event(s);
		break;
	}
	if (r == 0)
		return turn(s);
	stop(s);
	return r;
}

static void vsock_start(struct vdev *v)
{
	struct vsock *s = vsock_of(v);

	/* This may be a vCPU's thread, which must not free a connection for which the
	 * loop has fetched an event. */
	s->restarted = true;
	s->n_rst = 0;
	s->starved = s->tx_work = false;
	/* A driver that begins has no connections to be told of. One that comes from a
	 * snapshot has, and then its event queue was used before. */
	if (v->queue[VSOCK_EVENT].last_avail == 0)
		s->gate = VSOCK_GATE_OPEN;
	s->live = true;
	wake(s);
	vsock_clock_set(s, clock_us());
}

static int vsock_drain(struct vdev *v)
{
	struct vsock *s = vsock_of(v);

	sleep_now(s);
	vsock_clock_set(s, clock_us()); /* to see whether it was for a reset */
	return -1;
}

static void vsock_leave(struct vdev *v)
{
	struct vsock *s = vsock_of(v);

	vsock_keep_sent(s, true);
	s->live = false;
}

void vsock_reset_transport(struct vdev *v)
{
	struct vsock *s = vsock_of(v);
	int r = 0;

	vsock_keep_sent(s, false);
	forget_all(s, false);
	if (!s->live || !v->queue[VSOCK_EVENT].ready)
		return;
	if (s->gate != VSOCK_GATE_TOLD)
		r = vsock_push_event(s);
	if (r < 0) {
		s->stats.ev_queue_event_fails++;
		stop(s);
		vdev_fault(v);
	}
}

static void set_cid(struct vsock *s)
{
	struct virtio_vsock_config c = { .guest_cid = htole64(s->cid) };

	memcpy(s->dev.config, &c, sizeof(c));
	s->dev.config_len = sizeof(c);
}

static bool is_guest_cid(uint64_t cid)
{
	return cid >= GUEST_CID_MIN && cid < UINT32_MAX;
}

static int vsock_snap(struct vdev *v, struct stream *s)
{
	struct vsock *dev = vsock_of(v);
	uint64_t cid = dev->cid;
	uint32_t last_port = dev->last_port;
	uint16_t gate_left = dev->gate_left;
	uint8_t gate = dev->gate;
	int r;

	(void)stream_begin(s, "VSCK", 1); /* one version so far */
	stream_u64(s, &cid);
	stream_u8(s, &gate);
	stream_u16(s, &gate_left);
	stream_u32(s, &last_port);
	stream_end(s);
	r = stream_check(s,
		is_guest_cid(cid) && gate <= VSOCK_GATE_TOLD &&
			last_port >= VSOCK_PORT_FIRST && last_port <= VSOCK_PORT_LAST);
	if (r < 0 || !s->loading)
		return r;
	dev->cid = cid;
	dev->gate = gate;
	dev->gate_left = gate_left;
	dev->last_port = last_port;
	set_cid(dev);
	return 0;
}

static void vsock_destroy(struct vdev *v)
{
	struct vsock *s = vsock_of(v);
	struct vsock_conn *c;

	end_all(s, true);
	while ((c = TAILQ_FIRST(&s->left)))
		vsock_conn_give_up(c);
	free_dead(s);
	if (s->listener.fd >= 0)
		loop_remove(s->loop, &s->listener);
	timer_close(&s->timer);
	unix_file_remove(&s->file); /* while its socket is open */
	close_fd(s->listener.fd);
	free(s);
}

static void *vsock_counted(struct vdev *v)
{
	return &vsock_of(v)->stats;
}

const struct vdev_ops vsock_ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.n_queues = 3,
	.start = vsock_start,
	.notify = vsock_notify,
	.drain = vsock_drain,
	.leave = vsock_leave,
	.snap = vsock_snap,
	.stats = vsock_counted,
	.counters = &vsock_counters,
	.destroy = vsock_destroy,
};

static struct vsock *alloc_vsock(struct loop *loop)
{
	struct vsock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->on_socket = on_socket;
	s->listener = (struct loop_source){ .fd = -1, .fn = on_listener, .self = s };
	s->timer.source.fn = on_timer;
	s->timer.source.self = s;
	s->last_port = VSOCK_PORT_LAST; /* the one before the first */
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->lines);
	TAILQ_INIT(&s->left);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->timed);
	TAILQ_INIT(&s->dead);
	return s;
}

/* The first descriptor of the reserve. It is at most a quarter of all. */
static int first_reserved_fd(void)
{
	struct rlimit l = { 0, 0 };
	rlim_t n;

	(void)getrlimit(RLIMIT_NOFILE, &l); /* with these arguments: cannot fail */
	n = MIN(l.rlim_cur, (rlim_t)INT_MAX);
	return (int)(n - MIN(n / 4, (rlim_t)VSOCK_FDS_RESERVED));
}

int vsock_check(uint32_t guest_cid, const char *uds_path, struct err *e)
{
	size_t n = strlen(uds_path);

	if (!is_guest_cid(guest_cid))
		return err_bad(e, "guest_cid %u is not in %d to %u", guest_cid,
			GUEST_CID_MIN, UINT32_MAX - 1);
	if (n == 0 || n > UNIX_PATH_MAX)
		return err_bad(e, "uds_path '%.120s' is %zu bytes long, not 1 to %d",
			uds_path, n, (int)UNIX_PATH_MAX);
	return 0;
}

int vsock_create(uint32_t guest_cid, const char *uds_path, struct loop *loop,
	struct vdev **out, struct err *e)
{
	AUTO(vsock_free) struct vsock *s = alloc_vsock(loop);
	int r;

	if (!s)
		return err_code(e, -ENOMEM, "vsock");
	r = vsock_check(guest_cid, uds_path, e);
	if (r < 0)
		return r;
	strcpy(s->path, uds_path);
	s->cid = guest_cid;
	s->fd_max = first_reserved_fd();
	set_cid(s);
	s->dev.features = feature_bit(VIRTIO_F_IN_ORDER);
	r = vdev_init(&s->dev, &vsock_ops, "vsock", e);
	if (r == 0)
		r = timer_open(&s->timer, loop, "the vsock", e);
	if (r == 0)
		r = vsock_listen(s, e); /* the last, which leaves a file behind */
	if (r < 0)
		return r;
	*out = &TAKE(s)->dev;
	return 0;
}

const struct vsock_stats *vsock_stats(const struct vdev *v)
{
	return &vsock_of(v)->stats;
}
