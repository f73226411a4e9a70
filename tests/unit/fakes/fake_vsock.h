/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_vsock: both ends of a socket device: a guest's driver with three rings that can
 * send any packet, and Unix sockets in a directory of their own. One at a time.
 * Failures of its own end the test.
 */
#ifndef HUSK_FAKE_VSOCK_H
#define HUSK_FAKE_VSOCK_H

#include <linux/virtio_vsock.h>

#include "tests/unit/fakes/fake_driver.h"
#include "virtio/vsock/vsock.h"
#include "vmm/base/unix_socket.h"

enum {
	FV_CID = 3,
	FV_RING = 64, /* entries of each ring */
	FV_BUF = 4096, /* payload of a receive buffer, unless given otherwise */
	FV_ALLOC = 256 << 10, /* what the guest says its buffer holds */
	FV_CONNS_MAX = 1023,
	FV_PORT_FIRST = 1 << 30, /* of the host's side */
	FV_NOISE = 1 << 20, /* bytes of it */
	FV_RX = 0,
	FV_TX = 1,
	FV_EVENT = 2,
	FV_BOTH = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND,
};

/* A packet, in the host's byte order. */
struct fv_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
	uint8_t data[64 << 10];
};

extern struct loop *fv_loop;
extern struct mmio *fv_t;
extern struct fake_driver fv_drv;
extern char fv_path[UNIX_PATH_MAX + 1]; /* of the listening socket */
extern uint8_t fv_noise[FV_NOISE];

#define FV_BASIC FAKE_FEATURE(VIRTIO_F_VERSION_1)

/* A device without a driver. */
void fv_attach(void);
/* A device and a driver that has given half of its ring as receive buffers; by the
 * features: only FV_BASIC, or EVENT_IDX too. */
void fv_init_basic(void);
void fv_init_event_idx(void);
void fv_fini(void);
/* The driver starts (again), with new rings. */
void fv_bring_up(uint64_t features);
/* Another device in the place of the first, as after a load. */
void fv_replace(void);

const struct vsock_stats *fv_stats(void);
bool fv_faulted(void);

/* Serves the loop until nothing more is likely to come. */
void fv_settle(void);
/* Whether the loop has nothing to do: no callback for a while. */
bool fv_is_idle(void);
void fv_notify(unsigned q);

/* Makes n receive buffers of len bytes of payload available, in two descriptors each,
 * without a notification. */
void fv_give_rx(unsigned n, uint32_t len);
void fv_give_event(void);
/* Packets that the guest takes are given back as buffers while this is on. */
extern bool fv_recycle;

/* The next packet for the guest; false when there is none. */
bool fv_recv(struct fv_packet *p);
/* The next event: its id, or -1. */
int fv_recv_event(void);
/* Settles and takes the next packet, which must have this op. */
struct fv_packet *fv_expect(uint16_t op);
/* Settles; there must be no packet. */
void fv_expect_nothing(void);

/* Sends a packet with len bytes of data; the chain says so too. */
void fv_send(const struct fv_packet *p);
/* The packet that is sent next stays in the ring, without a notification: no more than
 * one. */
extern bool fv_post_only;
/* Posts any bytes as a chain. */
void fv_send_raw(const void *p, uint32_t n);
/* Chains of the guest that came back since the last time. */
unsigned fv_tx_done(void);

/* The guest's end of a connection, with its credit. */
struct fv_conn {
	uint32_t host_port, guest_port;
	uint32_t buf_alloc, fwd_cnt; /* the guest's word */
	uint32_t sent, host_alloc, host_fwd; /* what it knows of the host */
};

/* A packet of a connection, without data. */
struct fv_packet fv_packet(const struct fv_conn *c, uint16_t op);
/* Sends one. */
void fv_say(struct fv_conn *c, uint16_t op, uint32_t flags);
void fv_write(struct fv_conn *c, const void *data, uint32_t len);
/* Bytes that the guest may send. */
uint32_t fv_room(const struct fv_conn *c);
/* Notes what a packet says of credit. */
void fv_hear(struct fv_conn *c, const struct fv_packet *p);

/* A client of the listening socket, not blocking. */
int fv_connect(void);
/* One that has said this line. */
int fv_client(const char *line);
/* A listening socket at the path with _port behind it. */
int fv_listen(uint32_t port);
/* Whether fd is at its end, without a byte before. */
bool fv_is_closed(int fd);
/* A host client connected to guest_port, its OK read. */
int fv_open_host(struct fv_conn *c, uint32_t guest_port);
/* A guest's connection to host_port, at which listen_fd listens. */
int fv_open_guest(struct fv_conn *c, int listen_fd, uint32_t host_port);

/* Writes all of text; reads exactly text. */
void fv_put(int fd, const char *text);
void fv_expect_text(int fd, const char *text);
/* The next packet carries text, and the guest's reader takes it. */
void fv_expect_data(struct fv_conn *c, const char *text);
/* Writes noise until the host's socket takes nothing more and the device's buffer is
 * full. How much that is. */
uint32_t fv_clog(struct fv_conn *c);
/* The host reads n bytes of noise, serving the loop. */
void fv_read_all(int fd, uint32_t n);

#endif
