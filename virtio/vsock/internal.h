/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket device as its files see it: clock.c (the timer and deadlines), send.c
 * (what the guest sends), connection.c (the life of a connection), host.c (how
 * connections come about on the host), packets.c (the queues) and vsock.c (where events
 * enter). Each calls those before it only. Loop thread, device lock held.
 */
#ifndef HUSK_VIRTIO_VSOCK_INTERNAL_H
#define HUSK_VIRTIO_VSOCK_INTERNAL_H

#include <endian.h>
#include <linux/virtio_vsock.h>
#include <sys/queue.h>

#include "virtio/vsock/states.h"
#include "virtio/vsock/table.h"
#include "virtio/vsock/vsock.h"
#include "vmm/base/timer.h"
#include "vmm/base/unix_socket.h"

enum {
	VSOCK_CONNS_MAX = 1023,
	VSOCK_LINE_MAX = 32, /* with its newline */
	VSOCK_RST_MAX = 256,
	VSOCK_TIMEOUT_US = 2000 * 1000, /* of a connect, and of a shutdown */
	/* SO_SNDBUF of a connection's socket. The kernel doubles it, and lets the last
	 * packet exceed it. When the guest's side is over, what is in the ring needs
	 * room beside that. */
	VSOCK_SNDBUF = 64 << 10,
	VSOCK_SNDBUF_LAST = 128 << 10,
	VSOCK_FDS_RESERVED = 64, /* descriptors for the API and its files */
	VSOCK_SPANS_MAX =
		16, /* of one system call; a longer list makes a shorter packet */
	VSOCK_ACCEPT_RETRY_US =
		100 * 1000, /* when husk has no descriptor or memory for a client */
};

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT };

/* Kept small: there may be a thousand, most of them idle. */
struct vsock_conn {
	struct vsock_link link; /* in the table, from ASKING or ANSWERING on */
	struct loop_source socket; /* fd -1: the host's side is gone */
	struct vsock *owner;
	TAILQ_ENTRY(vsock_conn) all; /* or among the lines, the left, or the dead */
	TAILQ_ENTRY(vsock_conn) waiting; /* for a buffer of the guest, in turn */
	TAILQ_ENTRY(vsock_conn) timed; /* by deadline */
	uint64_t due_us; /* of the deadline; 0: not timed */
	struct vsock_credit credit;
	uint8_t *buf; /* what the host has not taken: a ring, or NULL when empty */
	uint32_t buf_at, buf_len;
	char line[VSOCK_LINE_MAX];
	uint8_t line_len;
	uint8_t state; /* enum vsock_state */
	uint16_t watched; /* what the loop watches for */
	bool is_waiting;
	bool readable; /* the host has something; it was not read to its end */
	bool stalled; /* said so twice, and is not watched for it */
	bool hung_up; /* the host's end is closed, read to its end or not */
	bool asked_credit; /* since the guest last had room */
	bool say_credit, say_credit_request;
	uint8_t say_shutdown; /* flags of the SHUTDOWN to be sent; 0: none */
};
_Static_assert(sizeof(struct vsock_conn) <= 256, "idle connections are small");

TAILQ_HEAD(vsock_conns, vsock_conn);

/* An RST that answers a packet for which there is no connection. */
struct vsock_rst {
	uint32_t local, peer;
	uint16_t type;
};

/* The TRANSPORT_RESET event: nothing goes to the guest until it has seen that. */
enum vsock_gate {
	VSOCK_GATE_OPEN,
	VSOCK_GATE_DUE, /* the guest had no buffer for it */
	VSOCK_GATE_TOLD, /* until it gives a buffer back */
};

struct vsock {
	struct vdev dev;
	struct loop *loop;
	struct vsock_stats stats;
	char path[UNIX_PATH_MAX + 1]; /* the uds_path */
	struct unix_file file; /* the file that husk made there */
	uint64_t cid;
	struct loop_source listener;
	struct timer timer;
	loop_fn *on_socket; /* the callback of each connection's socket, in vsock.c */
	uint64_t timer_us; /* when it fires; 0: not set */
	uint64_t accept_us; /* when to accept again; 0: as clients come */

	bool live; /* started by the driver, and no guest fault since */
	bool awake; /* live, and not drained */
	bool starved; /* there is no receive buffer: the guest will notify */
	bool restarted; /* the connections of the driver before are still there */
	bool tx_work; /* the transmit queue may have packets */
	uint8_t gate; /* enum vsock_gate */
	uint16_t gate_left; /* event buffers beside the one that was used */
	uint64_t slept_us; /* when it was drained */
	uint32_t last_port; /* given to a host client */

	struct vsock_table table;
	unsigned n_conns;
	int fd_max; /* the first descriptor of the reserve */
	unsigned n_high; /* connections that have one of the reserve */
	struct vsock_conns all, waiting, timed;
	struct vsock_conns lines; /* those in VSOCK_LINE, by age */
	struct vsock_conns left; /* those in VSOCK_LEFT, by age */
	struct vsock_conns dead; /* freed at the end of a turn, when no caller has a
				    pointer to them */

	unsigned rst_at, n_rst;
	struct vsock_rst rst[VSOCK_RST_MAX];
	struct chain chain;
};

/* --- clock.c --- */

/* Makes the timer fire at at_us, unless it fires before that. */
void vsock_clock_set(struct vsock *s, uint64_t at_us);
/* Starts a connection's deadline anew, or takes it back. */
void vsock_clock_arm(struct vsock_conn *c);
void vsock_clock_disarm(struct vsock_conn *c);
/* Puts all deadlines off: for the time that the device was drained. */
void vsock_clock_shift(struct vsock *s, uint64_t by_us);
/* The next connection whose deadline has passed; or NULL, with the timer set. */
struct vsock_conn *vsock_clock_due(struct vsock *s, uint64_t now_us);

/* --- send.c --- */

/* Bounds the kernel's memory for what the host has not taken: SO_SNDBUF in bytes. */
void vsock_send_limit(struct vsock_conn *c, int bytes);
/* Sends the first len bytes of ch to the host, and keeps what does not go now. The
 * guest had credit for them. 0 or -errno: then they are lost. */
MUST_CHECK int vsock_send(struct vsock_conn *c, struct chain *ch, uint32_t len);
/* Keeps them without sending: for a vCPU's thread, which may not make system calls but
 * for memory. Drops bytes that the connection's state or credit does not allow. */
void vsock_send_later(struct vsock_conn *c, struct chain *ch, uint32_t len);
/* Sends what was kept: 0 when all is taken, 1 when some is left, or -errno. */
MUST_CHECK int vsock_send_kept(struct vsock_conn *c);
/* Gives what was kept to the kernel when the guest's side is over, whole if the kernel
 * takes that much, so that the host can read it when husk has closed its end. */
void vsock_send_last(struct vsock_conn *c);
/* Drops what was kept, as if the host had taken it. */
void vsock_send_drop(struct vsock_conn *c);
/* Has the guest told of its credit, if it sees little of it. */
void vsock_send_credit(struct vsock_conn *c);

/* --- connection.c --- */

/* Whether there may be one more connection, with fd as its socket: places and
 * descriptors are few, but a connection that has little to lose may give up its own. */
bool vsock_has_place(const struct vsock *s, int fd);
/* Makes a connection over a socket, which it takes over also on failure. It is in that
 * state and not in the table. Where a place is needed, another connection gives up its
 * own. NULL when there is none, or no memory. */
struct vsock_conn *vsock_conn_create(struct vsock *s, int fd, enum vsock_state state);
/* Puts it into the table under its ports. */
void vsock_conn_enter(struct vsock_conn *c, uint32_t local, uint32_t peer);
/* Takes one step of the table, with its actions but VSOCK_TAKE. Returns the actions. */
unsigned vsock_conn_event(struct vsock_conn *c, enum vsock_event event);
/* To be called after anything changed: sets its place among the waiting, and what the
 * loop watches. */
void vsock_conn_refresh(struct vsock_conn *c);
/* Closes it silently: the guest ended it, or never saw it. The host gets what it has
 * not taken yet. */
void vsock_conn_forget(struct vsock_conn *c);
/* The same, and the host gets nothing more: its place and descriptor are free at once.
 */
void vsock_conn_give_up(struct vsock_conn *c);
/* What the loop saw at an open connection's socket. */
void vsock_conn_hear(struct vsock_conn *c, uint32_t events);
/* Reads from the host into ch, after the place of a header. Returns the bytes read, or
 * 0 when there is nothing to read now, or ever. */
uint32_t vsock_conn_from_host(struct vsock_conn *c, struct chain *ch);
/* Sends the first len bytes of ch to the host; what it does not take now is kept. */
void vsock_conn_to_host(struct vsock_conn *c, struct chain *ch, uint32_t len);
/* The packet to send to the guest when there is no payload; 0: none. *flags for
 * SHUTDOWN. An RST for a connection is one of these; for packets without a connection,
 * packets.c has a queue of its own. */
uint16_t vsock_conn_op(const struct vsock_conn *c, uint32_t *flags);
/* Notes that the guest has that packet, or RW, and with it the current credit. */
void vsock_conn_sent(struct vsock_conn *c, uint16_t op);

/* --- host.c --- */

/* Listens at s->path, without a watch. -errno with text. */
MUST_CHECK int vsock_listen(struct vsock *s, struct err *e);
/* Accepts clients, as many as one turn may. */
void vsock_accept(struct vsock *s);
/* Accepts nobody for VSOCK_ACCEPT_RETRY_US. */
void vsock_pause_accepting(struct vsock *s);
/* Reads on in a CONNECT line; its end makes a connection. */
void vsock_read_line(struct vsock_conn *c);
/* A socket connected to the host's port, or -errno. */
MUST_CHECK int vsock_connect_host(const struct vsock *s, uint32_t port);

/* --- packets.c: 0 or -EPROTO, the first two 1 when their turn is used up --- */

/* Sends to the guest until nothing waits or no buffer is left. */
MUST_CHECK int vsock_serve_rx(struct vsock *s);
/* Takes packets until there is none, or as many RSTs wait for the guest as may. */
MUST_CHECK int vsock_serve_tx(struct vsock *s);
/* Serves a notification of the event queue. */
MUST_CHECK int vsock_serve_event(struct vsock *s);
/* Tells the guest that its connections are gone (5.10.6.7), and shuts the gate. */
MUST_CHECK int vsock_push_event(struct vsock *s);
/* Before all connections end: keeps what the guest has put into its ring for them, up
 * to what it had credit for. ends: the driver is gone, or about to be, and so are its
 * other packets; else those stay from the first one on that asks for a connection. */
void vsock_keep_sent(struct vsock *s, bool ends);

extern const struct vdev_ops vsock_ops;

#endif
