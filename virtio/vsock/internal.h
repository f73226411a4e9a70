/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock_parts: what the socket device is made of, shared by vsock.c (its life),
 * vsock_queue.c (packets), vsock_io.c (connections and their host sockets),
 * vsock_send.c (what the guest sends) and vsock_host.c (how connections come about on
 * the host). Not for other files. Loop
 * thread, device lock held.
 */
#ifndef HUSK_VIRTIO_VSOCK_INTERNAL_H
#define HUSK_VIRTIO_VSOCK_INTERNAL_H

#include <endian.h>
#include <linux/virtio_vsock.h>
#include <sys/queue.h>

#include "virtio/vsock/states.h"
#include "virtio/vsock/table.h"
#include "virtio/vsock/vsock.h"
#include "vmm/base/loop.h"
#include "vmm/base/unix_socket.h"

enum {
	VSOCK_CONNS_MAX = 1023,
	VSOCK_LINE_MAX = 32, /* with its newline */
	VSOCK_RST_MAX = 256,
	VSOCK_TIMEOUT_US = 2000 * 1000, /* of a connect, and of a shutdown */
	/* SO_SNDBUF of a host's socket, of which the kernel makes twice as much memory,
	 * and lets the last packet exceed that by its size. When the guest's side is
	 * over, there must be room beside all that for what is in the ring. */
	VSOCK_SNDBUF = 64 << 10,
	VSOCK_SNDBUF_LAST = 128 << 10,
	VSOCK_FDS_RESERVED = 64, /* descriptors for the API and its files */
	VSOCK_SPANS_MAX = 16, /* of one system call: a longer list: a shorter packet */
	VSOCK_ACCEPT_RETRY_US = 100 * 1000, /* when husk is out of something */
};

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT };

/* Small, because there are a thousand, mostly idle. */
struct vsock_conn {
	struct vsock_link link; /* in the table, from ASKING or ANSWERING on */
	struct loop_source host; /* fd -1: the host's side is gone */
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

/* RST for what is no connection. */
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
	struct unix_file file; /* that it made there */
	uint64_t cid;
	struct loop_source listener, timer;
	uint64_t timer_us; /* when it fires; 0: not set */
	uint64_t accept_us; /* when to accept again; 0: as clients come */

	bool live; /* started by the driver, which did no wrong */
	bool awake; /* live, and not drained */
	bool starved; /* the guest is to say when it has receive buffers */
	bool restarted; /* connections of the driver before are to be forgotten */
	bool tx_work; /* the transmit queue was not found empty */
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
	struct vsock_conns dead; /* freed when no caller can know them any more */

	unsigned rst_at, n_rst;
	struct vsock_rst rst[VSOCK_RST_MAX];
	struct chain chain;
};

/* --- vsock_io.c --- */

/* Whether there may be one more connection, with fd as the host's socket: places and
 * descriptors are few, but a connection that has little to lose may give its own up. */
bool vsock_has_place(const struct vsock *s, int fd);
/* A new connection over a host socket, taken over also on failure; it is in state and
 * not in the table. Where a place is needed, another gives it up. NULL when there is
 * none or no memory. */
struct vsock_conn *vsock_conn_create(struct vsock *s, int fd, enum vsock_state state);
/* Puts it into the table under its ports. */
void vsock_conn_enter(struct vsock_conn *c, uint32_t local, uint32_t peer);
/* One step of the table, with its actions but VSOCK_TAKE. Returns the actions. */
unsigned vsock_conn_event(struct vsock_conn *c, enum vsock_event event);
/* After anything changed: its place among the waiting, what the loop watches. */
void vsock_conn_refresh(struct vsock_conn *c);
/* Ends it without a word to the guest. The host gets what it has not taken yet. */
void vsock_conn_forget(struct vsock_conn *c);
/* The same, and the host gets nothing more: its place and descriptor are free. */
void vsock_conn_give_up(struct vsock_conn *c);
/* Reads from the host into ch, after the place of a header: the bytes read, or 0 when
 * there is nothing to read now, or not any more. */
uint32_t vsock_conn_fill(struct vsock_conn *c, struct chain *ch);
/* The packet to send to the guest when there is no payload; 0: none. *flags for
 * SHUTDOWN. */
uint16_t vsock_conn_op(const struct vsock_conn *c, uint32_t *flags);
/* That packet, or RW, is with the guest, and the current credit with it. */
void vsock_conn_sent(struct vsock_conn *c, uint16_t op);
/* Deadlines that have passed. */
void vsock_expire(struct vsock *s, uint64_t now_us);
/* Deadlines wait as long as the device was drained. */
void vsock_shift_deadlines(struct vsock *s, uint64_t by_us);

/* --- vsock_send.c --- */

/* The first len bytes of a list of spans, as many as fit in out; returns how many
 * spans, and in *bytes what they hold. skip: bytes at the front that are left out. */
unsigned vsock_cut_spans(const struct iovec *in, unsigned n_in, size_t skip, size_t len,
	struct iovec out[VSOCK_SPANS_MAX], size_t *bytes);
/* Bounds the kernel's memory for what the host has not taken: SO_SNDBUF in bytes. */
void vsock_conn_limit(struct vsock_conn *c, int bytes);
/* Sends len bytes of the guest's, at the front of ch, to the host, and keeps what does
 * not go now. */
void vsock_conn_take(struct vsock_conn *c, struct chain *ch, uint32_t len);
/* Only keeps them, without a system call but for memory: for a vCPU's thread, which may
 * not send. Bytes that the connection's state or credit does not allow are dropped. */
void vsock_conn_keep(struct vsock_conn *c, struct chain *ch, uint32_t len);
/* Sends what was kept, as far as it goes. */
void vsock_conn_flush(struct vsock_conn *c);
/* The guest's side is over: gives what was kept to the kernel, whole if it takes that
 * much, so that the host can read it when husk has closed its end or is gone. */
void vsock_conn_finish(struct vsock_conn *c);
/* Drops what was kept, as if the host had it. */
void vsock_conn_drop_buf(struct vsock_conn *c);

/* --- vsock_host.c --- */

/* Listens at s->path, without a watch. -errno with text. */
MUST_CHECK int vsock_listen(struct vsock *s, struct err *e);
/* Accepts what came; a callback of the loop. */
void vsock_on_listener(void *self, uint32_t events);
/* Accepts nobody for VSOCK_ACCEPT_RETRY_US. */
void vsock_pause_accepting(struct vsock *s);
/* Reads on in a CONNECT line; its end makes a connection. */
void vsock_read_line(struct vsock_conn *c);
/* A socket connected to the host's port, or -errno. */
MUST_CHECK int vsock_connect_host(const struct vsock *s, uint32_t port);

/* --- vsock_queue.c: 0 or -EPROTO, the first two 1 when their turn is used up --- */

/* Sends to the guest until nothing waits or no buffer is left. */
MUST_CHECK int vsock_serve_rx(struct vsock *s);
/* Takes packets until there is none, or as many RSTs wait for the guest as may. */
MUST_CHECK int vsock_serve_tx(struct vsock *s);
/* The event queue was notified. */
MUST_CHECK int vsock_serve_event(struct vsock *s);
/* Tells the guest that its connections are gone (5.10.6.7), and shuts the gate. */
MUST_CHECK int vsock_push_event(struct vsock *s);
/* Before all connections end: keeps what the guest has put into its ring for them, up
 * to what it had credit for. ends: the driver is gone, or about to be, and so are its
 * other packets; else those stay from the first on that asks for a connection. */
void vsock_keep_sent(struct vsock *s, bool ends);

/* --- vsock.c --- */

/* The timer fires at at_us, if not before. */
void vsock_set_timer(struct vsock *s, uint64_t at_us);
/* After a restart, before anything is done for the driver that is there now: ends all
 * connections of the one before, without freeing them. */
void vsock_forget_old(struct vsock *s);
/* At the end of each callback: sends what there is, frees the dead. */
void vsock_run(struct vsock *s);

extern const struct vdev_ops vsock_ops;

#endif
