/* SPDX-License-Identifier: Apache-2.0
 *
 * states: what one connection does next (virtio 1.2, 5.10.6), as a table without
 * side effects, and the credit arithmetic of both directions. Pure: no descriptor, no
 * guest memory, no clock; any thread.
 */
#ifndef HUSK_VIRTIO_VSOCK_STATES_H
#define HUSK_VIRTIO_VSOCK_STATES_H

#include "vmm/base/base.h"

enum vsock_state {
	VSOCK_NONE, /* no state */
	VSOCK_LINE, /* a host client whose CONNECT line is not complete */
	VSOCK_ASKING, /* REQUEST is to be put into a buffer of the guest */
	VSOCK_ASKED, /* the guest has it, and has not answered */
	VSOCK_ANSWERING, /* the guest asked, the host agreed: RESPONSE is to be sent */
	VSOCK_OPEN,
	VSOCK_GUEST_SENT, /* the guest will not send any more */
	VSOCK_GUEST_DEAF, /* the guest will not receive any more */
	VSOCK_HOST_SENT, /* the host will not send any more, and still receives */
	VSOCK_HOST_DEAF, /* the host receives no more; what it sent goes to the guest */
	VSOCK_HOST_CLOSED, /* nothing more comes from the host, and the guest is told */
	/* The guest's side is over from here on. What it sent before may still wait for
	 * a slow host. */
	VSOCK_DYING, /* RST is to be sent */
	VSOCK_LEFT, /* the guest knows nothing of it any more */
	VSOCK_DEAD, /* neither side knows of it: it is about to be freed */
	VSOCK_STATES,
};

enum vsock_event {
	VSOCK_EV_LINE, /* the CONNECT line is complete */
	VSOCK_EV_SENT, /* the packet that the state is about is with the guest */
	/* Packets of the guest; RW with payload only. */
	VSOCK_EV_REQUEST,
	VSOCK_EV_RESPONSE,
	VSOCK_EV_RST,
	VSOCK_EV_SHUT_RCV, /* SHUTDOWN by its flags */
	VSOCK_EV_SHUT_SEND,
	VSOCK_EV_SHUT_BOTH,
	VSOCK_EV_RW,
	VSOCK_EV_CREDIT,
	VSOCK_EV_CREDIT_REQUEST,
	VSOCK_EV_BAD, /* one that breaks the rules; of a host client: its line */
	VSOCK_EV_HOST_EOF, /* all that the host will ever send has been read */
	VSOCK_EV_HOST_GONE, /* likewise, and its end is closed */
	VSOCK_EV_HOST_DEAF, /* it takes nothing any more */
	VSOCK_EV_HOST_ERROR,
	VSOCK_EV_DRAINED, /* the host has taken all that the guest sent */
	VSOCK_EV_DEADLINE,
	VSOCK_EVENTS,
};

/* What is to be done on the way to the next state, in this order. */
enum vsock_action {
	VSOCK_ARM = 1 << 0, /* the deadline starts (anew) */
	VSOCK_DISARM = 1 << 1,
	VSOCK_SAY_OK = 1 << 2, /* tell the host client its port */
	VSOCK_SAY_SENT = 1 << 3, /* tell the guest that the host sends no more */
	VSOCK_SAY_DEAF = 1 << 4, /* and that it receives no more */
	VSOCK_SAY_CREDIT = 1 << 5,
	VSOCK_TAKE = 1 << 6, /* the payload goes to the host, if that takes any */
	VSOCK_SHUT_RD = 1 << 7, /* of the host's socket */
	VSOCK_SHUT_WR = 1 << 8,
	VSOCK_DROP = 1 << 9, /* drop what waits for the host */
	VSOCK_DRAIN =
		1 << 10, /* VSOCK_EV_DRAINED as soon as all is taken, or at once */
	/* The host's side ends as soon as the host has what waits for it; then, or if
	 * it has ended, VSOCK_EV_DRAINED. */
	VSOCK_FINISH = 1 << 11,
	VSOCK_CLOSE = 1 << 12, /* the host's side ends now */
};

struct vsock_step {
	uint16_t state, actions;
};

/* For every state and event; VSOCK_NONE has VSOCK_EV_REQUEST alone, which begins a
 * connection of the guest's. */
struct vsock_step vsock_next(enum vsock_state state, enum vsock_event event);

/* Whether the host's bytes are wanted for the guest in this state. */
bool vsock_reads_host(enum vsock_state state);

/* Both directions' counters of bytes (5.10.6.3). All are modulo 2^32 on the wire. */
struct vsock_credit {
	uint64_t sent; /* to the guest */
	uint32_t peer_alloc, peer_fwd; /* what the guest last said of that direction */
	uint32_t received; /* from the guest */
	uint32_t forwarded; /* of those, taken by the host */
	uint32_t told; /* forwarded as the guest last heard it */
};

enum {
	VSOCK_BUF_BYTES = 64 << 10, /* how far the guest may send ahead of the host */
	VSOCK_CREDIT_LOW = 4 << 10,
	VSOCK_PAYLOAD_MAX = 64 << 10, /* of a packet */
};

/* Takes a packet's buf_alloc and fwd_cnt. False when the guest cannot have taken
 * fwd_cnt bytes. One that another packet has overtaken is ignored, and true. */
MUST_CHECK bool vsock_credit_hear(
	struct vsock_credit *c, uint32_t buf_alloc, uint32_t fwd_cnt);
/* Bytes that the guest has room for. */
uint32_t vsock_credit_room(const struct vsock_credit *c);
/* Notes that n bytes were sent, at most that room. */
void vsock_credit_send(struct vsock_credit *c, uint32_t n);

/* Notes n bytes from the guest. False when the buffer has no room for them. */
MUST_CHECK bool vsock_credit_receive(struct vsock_credit *c, uint32_t n);
/* Notes that the host has taken n of those bytes. */
void vsock_credit_forward(struct vsock_credit *c, uint32_t n);
/* Whether the guest sees little room and does not know of more. */
bool vsock_credit_is_low(const struct vsock_credit *c);
/* Whether the guest does not yet know of all that the host took. */
bool vsock_credit_is_stale(const struct vsock_credit *c);
/* Notes that a packet with the current fwd_cnt went to the guest. */
void vsock_credit_tell(struct vsock_credit *c);

#endif
