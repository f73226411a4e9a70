/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock: the socket device (virtio 1.2, 5.10): its life, its turns and its clock. Loop
 * thread, device lock held. What it is made of is in vsock_parts.h.
 */
#include <errno.h>
#include <limits.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>

#include "virtio/vsock/internal.h"
#include "vmm/base/clock.h"

static struct vsock *vsock_of(struct vdev *v)
{
	return container_of(v, struct vsock, dev);
}

void vsock_set_timer(struct vsock *s, uint64_t at_us)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(at_us / 1000000),
			.tv_nsec = (long)(at_us % 1000000) * 1000 },
	};

	if (s->timer_us != 0 && s->timer_us <= at_us)
		return;
	s->timer_us = at_us;
	/* a descriptor of ours and a moment after the boot: cannot fail */
	(void)timerfd_settime(s->timer.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

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
		vsock_conn_forget(c); /* to the left, or the dead */
	while (with_lines && (c = TAILQ_FIRST(&s->lines)))
		vsock_conn_forget(c);
	s->n_rst = 0;
}

static void forget_all(struct vsock *s, bool with_lines)
{
	end_all(s, with_lines);
	free_dead(s);
}

void vsock_forget_old(struct vsock *s)
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
	vsock_shift_deadlines(s, clock_us() - s->slept_us);
	accept_again(s);
}

/* After a guest fault: lies still until the driver starts it again. */
static void stop(struct vsock *s)
{
	s->live = false;
	sleep_now(s);
	forget_all(s, true);
}

/* One turn: 0, 1 when there is more to do at once, or -EPROTO. */
static int turn(struct vsock *s)
{
	int tx = 0, rx = 0;

	vsock_forget_old(s);
	if (s->awake) {
		tx = vsock_serve_tx(s);
		rx = tx < 0 ? tx : vsock_serve_rx(s);
		/* RSTs that the guest has now were perhaps what held up the other ring
		 */
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

void vsock_run(struct vsock *s)
{
	int r = turn(s);

	if (r < 0)
		vdev_fault(&s->dev);
	else if (r > 0)
		vsock_set_timer(s, clock_us());
}

static void on_timer(void *self, uint32_t events)
{
	struct vsock *s = self;
	uint64_t n, now = clock_us();
	ssize_t got = read(s->timer.fd, &n, sizeof(n));

	(void)events;
	(void)got; /* set anew meanwhile: then this was a turn for nothing */
	s->timer_us = 0;
	if (!s->awake) {
		/* drained: by a reset, after which nobody waits for these any more? */
		if (!s->dev.queue[VSOCK_RX].ready)
			forget_all(s, true);
		return;
	}
	if (s->accept_us != 0 && s->accept_us <= now)
		accept_again(s);
	if (s->accept_us != 0)
		vsock_set_timer(s, s->accept_us);
	vsock_expire(s, now);
	vsock_run(s);
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

	/* On a vCPU's thread perhaps, which must not free what the loop has an event
	 * for. */
	s->restarted = true;
	s->n_rst = 0;
	s->starved = s->tx_work = false;
	/* A driver that begins has no connections to be told of; one that was loaded
	 * has used its event queue when it has. */
	if (v->queue[VSOCK_EVENT].last_avail == 0)
		s->gate = VSOCK_GATE_OPEN;
	s->live = true;
	wake(s);
	vsock_set_timer(s, clock_us());
}

static int vsock_drain(struct vdev *v)
{
	struct vsock *s = vsock_of(v);

	sleep_now(s);
	vsock_set_timer(s, clock_us()); /* to see whether it was for a reset */
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
	if (s->timer.fd >= 0)
		loop_remove(s->loop, &s->timer);
	unix_file_remove(&s->file); /* while its socket is open */
	close_fd(s->listener.fd);
	close_fd(s->timer.fd);
	free(s);
}

static void *vsock_counted(struct vdev *v)
{
	return &vsock_of(v)->stats;
}

static const struct vdev_ops vsock_ops = {
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

static void free_vsock(struct vsock *s)
{
	if (s)
		vsock_destroy(&s->dev);
}
DEFINE_AUTO(struct vsock *, free_vsock);

static struct vsock *alloc_vsock(struct loop *loop)
{
	struct vsock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->listener =
		(struct loop_source){ .fd = -1, .fn = vsock_on_listener, .self = s };
	s->timer = (struct loop_source){ .fd = -1, .fn = on_timer, .self = s };
	s->last_port = VSOCK_PORT_LAST; /* the one before the first */
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->lines);
	TAILQ_INIT(&s->left);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->timed);
	TAILQ_INIT(&s->dead);
	return s;
}

/* The first descriptor that connections leave to others. A small limit is shared, not
 * given to the reserve alone. */
static int first_reserved_fd(void)
{
	struct rlimit l = { 0, 0 };
	rlim_t n;

	(void)getrlimit(RLIMIT_NOFILE, &l); /* with these arguments: cannot fail */
	n = MIN(l.rlim_cur, (rlim_t)INT_MAX);
	return (int)(n - MIN(n / 4, (rlim_t)VSOCK_FDS_RESERVED));
}

/* Made now, like a limiter's: when it is needed, the host may be out of descriptors. */
static int open_timer(struct vsock *s, struct err *e)
{
	int r = loop_add_timer(s->loop, &s->timer);

	return r < 0 ? err_code(e, r, "timer of the vsock") : 0;
}

int vsock_create(uint32_t guest_cid, const char *uds_path, struct loop *loop,
	struct vdev **out, struct err *e)
{
	AUTO(free_vsock) struct vsock *s = alloc_vsock(loop);
	size_t n = strlen(uds_path);
	int r;

	if (!s)
		return err_code(e, -ENOMEM, "vsock");
	if (!is_guest_cid(guest_cid))
		return err_bad(e, "guest_cid %u is not in %d to %u", guest_cid,
			GUEST_CID_MIN, UINT32_MAX - 1);
	if (n == 0 || n > UNIX_PATH_MAX)
		return err_bad(e, "uds_path '%.120s' is %zu bytes long, not 1 to %d",
			uds_path, n, (int)UNIX_PATH_MAX);
	memcpy(s->path, uds_path, n);
	s->cid = guest_cid;
	s->fd_max = first_reserved_fd();
	set_cid(s);
	s->dev.features = (uint64_t)1 << VIRTIO_F_IN_ORDER;
	r = vdev_init(&s->dev, &vsock_ops, "vsock", e);
	if (r == 0)
		r = open_timer(s, e);
	if (r == 0)
		r = vsock_listen(s, e); /* the last, which leaves a file behind */
	if (r < 0)
		return r;
	*out = &TAKE(s)->dev;
	return 0;
}

const struct vsock_stats *vsock_stats(const struct vdev *v)
{
	return &container_of(v, struct vsock, dev)->stats;
}
