/* SPDX-License-Identifier: Apache-2.0
 *
 * packets: the packets of the socket device (virtio 1.2, 5.10.6) and its events.
 * Every field is the guest's: what does not fit ends the connection that it names,
 * never more. Buffers are used in the order they were given (VIRTIO_F_IN_ORDER).
 * Nothing waits for the guest: what is for it waits with its connection until there are
 * buffers.
 */
#include <errno.h>

#include "virtio/vsock/internal.h"

enum {
	HOST_CID = 2, /* 5.10.4 */
	/* The budget of a turn, for each direction. A packet costs 1, plus 1 for each
	 * so many bytes of payload or of room in its buffer, and more when it makes a
	 * connection on the host. */
	TURN_COST = 512,
	COST_BYTES = 4 << 10,
	COST_CONNECT = 16,
};

/* A packet's header, as the guest wrote it once. */
struct packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len, flags, buf_alloc, fwd_cnt;
	uint16_t type, op;
};

/* --- to the guest --- */

static void push_rst(struct vsock *s, const struct packet *p)
{
	if (p->op == VIRTIO_VSOCK_OP_RST)
		return; /* guest: RST is never answered, or two could go on for ever */
	/* there is room: the turn ends before there is none */
	s->rst[(s->rst_at + s->n_rst++) % VSOCK_RST_MAX] =
		(struct vsock_rst){ p->dst_port, p->src_port, p->type };
}

static int put_header(struct vsock *s, const struct vsock_rst *to, uint16_t op,
	uint32_t flags, uint32_t len, const struct vsock_credit *credit)
{
	struct virtio_vsock_hdr h = {
		.src_cid = htole64(HOST_CID),
		.dst_cid = htole64(s->cid),
		.src_port = htole32(to->local),
		.dst_port = htole32(to->peer),
		.len = htole32(len),
		.type = htole16(to->type),
		.op = htole16(op),
		.flags = htole32(flags),
		.buf_alloc = htole32(credit ? VSOCK_BUF_BYTES : 0),
		.fwd_cnt = htole32(credit ? credit->forwarded : 0),
	};

	return chain_write(&s->chain, &h, sizeof(h));
}

/* 1 or -EPROTO. */
static int send_rst(struct vsock *s)
{
	const struct vsock_rst *to = &s->rst[s->rst_at];
	int r;

	s->rst_at = (s->rst_at + 1) % VSOCK_RST_MAX;
	s->n_rst--;
	r = put_header(s, to, VIRTIO_VSOCK_OP_RST, 0, 0, NULL);
	return r < 0 ? r : 1;
}

/* Puts a packet of the next connection in turn into the chain. Returns 1, with the
 * length of its payload in *len, or 0 when that connection has none after all. */
static int send_next(struct vsock *s, uint32_t *len)
{
	struct vsock_conn *c = TAILQ_FIRST(&s->waiting);
	struct vsock_rst to = { c->link.local, c->link.peer, VIRTIO_VSOCK_TYPE_STREAM };
	uint32_t flags = 0;
	uint16_t op = VIRTIO_VSOCK_OP_RW;
	int r;

	TAILQ_REMOVE(&s->waiting, c, waiting);
	c->is_waiting = false;
	*len = vsock_conn_from_host(c, &s->chain);
	if (*len == 0)
		op = vsock_conn_op(c, &flags);
	if (op == 0) {
		vsock_conn_refresh(c);
		return 0;
	}
	r = put_header(s, &to, op, flags, *len, &c->credit);
	vsock_conn_sent(c, op);
	vsock_conn_refresh(c); /* at the end of the line, if there is more */
	return r < 0 ? r : 1;
}

/* Pops a receive buffer. 1, or 0 when there is none: the guest will notify. */
static int pop_rx(struct vsock *s)
{
	struct queue *q = &s->dev.queue[VSOCK_RX];
	int r = queue_pop(q, &s->chain);

	if (r == 0 && !queue_want_notify(q, true))
		r = queue_pop(q, &s->chain);
	s->starved = r == 0;
	/* guest: no place for a header and a byte */
	if (r > 0 && chain_wr_bytes(&s->chain) <= sizeof(struct virtio_vsock_hdr))
		return -EPROTO;
	return r;
}

static bool has_rx_work(const struct vsock *s)
{
	return s->gate == VSOCK_GATE_OPEN &&
		(s->n_rst > 0 || !TAILQ_EMPTY(&s->waiting));
}

int vsock_serve_rx(struct vsock *s)
{
	struct queue *q = &s->dev.queue[VSOCK_RX];
	uint64_t spent = 0;
	int r = 0;

	while (r >= 0 && has_rx_work(s) && spent < TURN_COST) {
		uint32_t len = 0;

		r = pop_rx(s);
		if (r <= 0)
			break;
		spent += chain_room_cost(&s->chain);
		r = s->n_rst > 0 ? send_rst(s) : send_next(s, &len);
		spent += 1 + len / COST_BYTES;
		if (r < 0)
			break;
		if (r == 0) {
			queue_unpop(q);
			continue;
		}
		queue_push(q, s->chain.head,
			(uint32_t)sizeof(struct virtio_vsock_hdr) + len);
		s->stats.rx_packets_count++;
		s->stats.rx_bytes_count += len;
	}
	/* one interrupt for all, also for those before a fault; a queue may be missing
	 */
	if (spent > 0)
		vdev_interrupt(&s->dev, VSOCK_RX);
	if (r < 0) {
		s->stats.rx_queue_event_fails++;
		return r;
	}
	return has_rx_work(s) && !s->starved;
}

/* --- from the guest --- */

static int read_packet(struct chain *ch, struct packet *p)
{
	struct virtio_vsock_hdr h;
	int r = chain_read(ch, &h, sizeof(h));

	if (r < 0)
		return r; /* guest: not even a header */
	*p = (struct packet){
		.src_cid = le64toh(h.src_cid),
		.dst_cid = le64toh(h.dst_cid),
		.src_port = le32toh(h.src_port),
		.dst_port = le32toh(h.dst_port),
		.len = le32toh(h.len),
		.type = le16toh(h.type),
		.op = le16toh(h.op),
		.flags = le32toh(h.flags),
		.buf_alloc = le32toh(h.buf_alloc),
		.fwd_cnt = le32toh(h.fwd_cnt),
	};
	return 0;
}

/* The guest asks for a connection to a port of the host. */
static void accept_guest(struct vsock *s, const struct packet *p)
{
	struct vsock_credit credit = { .sent = 0 };
	struct vsock_conn *c = NULL;
	int fd = -1;

	/* guest: credit for what was never sent */
	if (vsock_credit_hear(&credit, p->buf_alloc, p->fwd_cnt))
		fd = vsock_connect_host(s, p->dst_port);
	if (fd >= 0)
		c = vsock_conn_create(s, fd, VSOCK_NONE);
	if (!c) {
		push_rst(s, p);
		return;
	}
	c->credit = credit;
	vsock_conn_enter(c, p->dst_port, p->src_port);
	(void)vsock_conn_event(c, VSOCK_EV_REQUEST);
	vsock_conn_refresh(c);
}

/* Which event a packet is for its connection; VSOCK_EVENTS: none. */
static enum vsock_event event_of(const struct packet *p, const struct chain *ch)
{
	static const enum vsock_event shutdowns[] = { VSOCK_EVENTS, VSOCK_EV_SHUT_RCV,
		VSOCK_EV_SHUT_SEND, VSOCK_EV_SHUT_BOTH };

	switch (p->op) {
	case VIRTIO_VSOCK_OP_REQUEST:
		return VSOCK_EV_REQUEST;
	case VIRTIO_VSOCK_OP_RESPONSE:
		return VSOCK_EV_RESPONSE;
	case VIRTIO_VSOCK_OP_RST:
		return VSOCK_EV_RST;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		return shutdowns[p->flags &
			(VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)];
	case VIRTIO_VSOCK_OP_RW:
		/* guest: a length past its buffer, or past what a packet may hold */
		if (p->len > VSOCK_PAYLOAD_MAX || p->len > chain_rd_bytes(ch))
			return VSOCK_EV_BAD;
		return p->len > 0 ? VSOCK_EV_RW : VSOCK_EVENTS;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return VSOCK_EV_CREDIT;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		return VSOCK_EV_CREDIT_REQUEST;
	default:
		return VSOCK_EV_BAD;
	}
}

static void serve_conn(struct vsock *s, struct vsock_conn *c, const struct packet *p)
{
	enum vsock_event event = event_of(p, &s->chain);

	/* guest: that it took more than it was sent; a RST says nothing of credit */
	if (event != VSOCK_EV_RST &&
		!vsock_credit_hear(&c->credit, p->buf_alloc, p->fwd_cnt))
		event = VSOCK_EV_BAD;
	if (event < VSOCK_EVENTS && (vsock_conn_event(c, event) & VSOCK_TAKE))
		vsock_conn_to_host(c, &s->chain, p->len);
	vsock_conn_refresh(c);
}

/* Serves the packet in the chain. Returns what it cost, or -EPROTO. */
static int serve_packet(struct vsock *s)
{
	struct vsock_link *link;
	struct packet p;
	int r = read_packet(&s->chain, &p);

	if (r < 0)
		return r;
	s->stats.tx_packets_count++;
	/* guest: another's packet, or one for another than the host: 5.10.6.4.2 */
	if (p.src_cid != s->cid || p.dst_cid != HOST_CID)
		return 1;
	link = vsock_table_find(&s->table, p.dst_port, p.src_port);
	if (p.type != VIRTIO_VSOCK_TYPE_STREAM) {
		push_rst(s, &p); /* guest: only streams were offered */
	} else if (link) {
		serve_conn(s, container_of(link, struct vsock_conn, link), &p);
	} else if (p.op == VIRTIO_VSOCK_OP_REQUEST) {
		accept_guest(s, &p);
		return COST_CONNECT;
	} else {
		push_rst(s, &p);
	}
	return (int)(1 + MIN(p.len, (uint32_t)VSOCK_PAYLOAD_MAX) / COST_BYTES);
}

int vsock_serve_tx(struct vsock *s)
{
	struct queue *q = &s->dev.queue[VSOCK_TX];
	int spent = 0, r = 0;

	if (!s->tx_work)
		return 0;
	(void)queue_want_notify(q, false); /* the loop ends when pop finds nothing */
	while (r >= 0 && spent < TURN_COST && s->n_rst < VSOCK_RST_MAX) {
		r = queue_pop(q, &s->chain);
		if (r == 0) {
			if (queue_want_notify(q, true)) {
				s->tx_work = false;
				break;
			}
			spent++; /* guest: an index that comes and goes */
		}
		if (r > 0) {
			/* guest: room where none is of use */
			spent += (int)chain_room_cost(&s->chain);
			r = serve_packet(s);
		}
		if (r > 0) {
			queue_push(q, s->chain.head, 0);
			spent += r;
		}
	}
	if (spent > 0)
		vdev_interrupt(&s->dev, VSOCK_TX);
	if (r < 0) {
		s->stats.tx_queue_event_fails++;
		return r;
	}
	if (spent > 0 && s->n_rst == VSOCK_RST_MAX)
		s->stats.killq_resync++;
	return s->tx_work && s->n_rst < VSOCK_RST_MAX;
}

/* Keeps the payload of the packet in the chain. False when the packet has to stay in
 * the ring. */
static bool keep_packet(struct vsock *s, bool ends)
{
	struct vsock_link *link;
	struct packet p;

	if (read_packet(&s->chain, &p) < 0 || p.src_cid != s->cid ||
		p.dst_cid != HOST_CID || p.type != VIRTIO_VSOCK_TYPE_STREAM)
		return true; /* guest: nothing that anyone is owed */
	if (p.op == VIRTIO_VSOCK_OP_REQUEST && !ends)
		return false;
	link = vsock_table_find(&s->table, p.dst_port, p.src_port);
	if (link && event_of(&p, &s->chain) == VSOCK_EV_RW)
		vsock_send_later(
			container_of(link, struct vsock_conn, link), &s->chain, p.len);
	return true;
}

void vsock_keep_sent(struct vsock *s, bool ends)
{
	struct queue *q = &s->dev.queue[VSOCK_TX];
	unsigned n = queue_left(q); /* guest: no more, however fast it adds */

	if (!s->live || s->restarted) /* of the driver before: not its connections */
		return;
	for (; n > 0 && queue_pop(q, &s->chain) > 0; n--) {
		if (!keep_packet(s, ends)) {
			queue_unpop(q);
			return;
		}
		queue_push(q, s->chain.head, 0);
		if (!ends)
			vdev_interrupt(&s->dev, VSOCK_TX);
	}
}

/* --- the event queue --- */

int vsock_push_event(struct vsock *s)
{
	struct queue *q = &s->dev.queue[VSOCK_EVENT];
	struct virtio_vsock_event ev = { .id = htole32(
						 VIRTIO_VSOCK_EVENT_TRANSPORT_RESET) };
	int r = queue_pop(q, &s->chain);

	s->gate = VSOCK_GATE_DUE;
	if (r == 0) {
		(void)queue_await_more(q);
		return 0;
	}
	if (r > 0)
		r = chain_write(&s->chain, &ev, sizeof(ev));
	if (r < 0)
		return r;
	queue_push(q, s->chain.head, sizeof(ev));
	vdev_interrupt(&s->dev, VSOCK_EVENT);
	s->gate_left = queue_await_more(q);
	s->gate = VSOCK_GATE_TOLD;
	return 0;
}

int vsock_serve_event(struct vsock *s)
{
	int r = 0;

	if (s->gate == VSOCK_GATE_DUE)
		r = vsock_push_event(s);
	else if (s->gate == VSOCK_GATE_TOLD &&
		queue_await_more(&s->dev.queue[VSOCK_EVENT]) != s->gate_left)
		s->gate = VSOCK_GATE_OPEN;
	if (r < 0)
		s->stats.ev_queue_event_fails++;
	return r;
}
