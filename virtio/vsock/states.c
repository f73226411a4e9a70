/* SPDX-License-Identifier: Apache-2.0
 *
 * states: the table is read as: in this state, on this event, go there and do that.
 * What a state's row does not name is what `otherwise` says of the event.
 */
#include "virtio/vsock/states.h"

#define GO(to, actions)                \
	{                              \
		VSOCK_##to, (actions), \
	}
/* KILL closes the connection and sends RST. FORGET closes it silently: the guest ended
 * it, or never saw it. HOST_LOST sends RST too; the host is gone, so what the guest
 * sent is dropped. CLIENT_LOST ends a host's client before the guest knows of it. */
#define KILL GO(DYING, VSOCK_FINISH | VSOCK_DISARM)
#define FORGET GO(LEFT, VSOCK_FINISH | VSOCK_DISARM)
#define HOST_LOST GO(DYING, VSOCK_CLOSE | VSOCK_DISARM)
#define CLIENT_LOST GO(DEAD, VSOCK_CLOSE | VSOCK_DISARM)
/* Neither side of the host sends or receives any more. */
#define HOST_DONE GO(HOST_CLOSED, VSOCK_SAY_SENT | VSOCK_SAY_DEAF | VSOCK_ARM)

static const struct vsock_step otherwise[VSOCK_EVENTS] = {
	[VSOCK_EV_REQUEST] = KILL,
	[VSOCK_EV_RESPONSE] = KILL,
	[VSOCK_EV_RST] = FORGET,
	[VSOCK_EV_SHUT_RCV] = KILL,
	[VSOCK_EV_SHUT_SEND] = KILL,
	[VSOCK_EV_SHUT_BOTH] = KILL,
	[VSOCK_EV_RW] = KILL,
	[VSOCK_EV_CREDIT] = KILL,
	[VSOCK_EV_CREDIT_REQUEST] = KILL,
	[VSOCK_EV_BAD] = KILL,
	[VSOCK_EV_HOST_DEAF] = HOST_LOST,
	[VSOCK_EV_HOST_ERROR] = HOST_LOST,
	[VSOCK_EV_DEADLINE] = KILL,
};

/* An entry that is all zero means `otherwise`. A SHUTDOWN of both directions is
 * answered by RST, and so is the second half of one: KILL. */
static const struct vsock_step steps[VSOCK_STATES][VSOCK_EVENTS] = {
	[VSOCK_NONE] = {
		[VSOCK_EV_REQUEST] = GO(ANSWERING, VSOCK_ARM),
	},
	[VSOCK_LINE] = {
		[VSOCK_EV_LINE] = GO(ASKING, VSOCK_ARM),
		[VSOCK_EV_BAD] = CLIENT_LOST,
		[VSOCK_EV_HOST_EOF] = CLIENT_LOST,
		[VSOCK_EV_HOST_ERROR] = CLIENT_LOST,
	},
	[VSOCK_ASKING] = {
		[VSOCK_EV_SENT] = GO(ASKED, 0),
		[VSOCK_EV_HOST_ERROR] = CLIENT_LOST,
		[VSOCK_EV_DEADLINE] = CLIENT_LOST,
	},
	[VSOCK_ASKED] = {
		[VSOCK_EV_RESPONSE] = GO(OPEN, VSOCK_DISARM | VSOCK_SAY_OK),
	},
	[VSOCK_ANSWERING] = {
		[VSOCK_EV_SENT] = GO(OPEN, VSOCK_DISARM),
	},
	[VSOCK_OPEN] = {
		[VSOCK_EV_SHUT_RCV] = GO(GUEST_DEAF, VSOCK_SHUT_RD),
		[VSOCK_EV_SHUT_SEND] = GO(GUEST_SENT, VSOCK_DRAIN),
		[VSOCK_EV_RW] = GO(OPEN, VSOCK_TAKE),
		[VSOCK_EV_CREDIT] = GO(OPEN, 0),
		[VSOCK_EV_CREDIT_REQUEST] = GO(OPEN, VSOCK_SAY_CREDIT),
		[VSOCK_EV_HOST_EOF] = GO(HOST_SENT, VSOCK_SAY_SENT),
		[VSOCK_EV_HOST_GONE] = HOST_DONE,
		[VSOCK_EV_HOST_DEAF] = GO(HOST_DEAF, VSOCK_SAY_DEAF | VSOCK_DROP),
	},
	[VSOCK_GUEST_SENT] = {
		[VSOCK_EV_SHUT_SEND] = GO(GUEST_SENT, 0),
		[VSOCK_EV_CREDIT] = GO(GUEST_SENT, 0),
		[VSOCK_EV_CREDIT_REQUEST] = GO(GUEST_SENT, VSOCK_SAY_CREDIT),
		[VSOCK_EV_HOST_EOF] = HOST_DONE,
		[VSOCK_EV_HOST_GONE] = HOST_DONE,
		[VSOCK_EV_HOST_DEAF] = GO(GUEST_SENT, VSOCK_DROP),
		[VSOCK_EV_DRAINED] = GO(GUEST_SENT, VSOCK_SHUT_WR),
	},
	[VSOCK_GUEST_DEAF] = {
		[VSOCK_EV_SHUT_RCV] = GO(GUEST_DEAF, 0),
		[VSOCK_EV_RW] = GO(GUEST_DEAF, VSOCK_TAKE),
		[VSOCK_EV_CREDIT] = GO(GUEST_DEAF, 0),
		[VSOCK_EV_CREDIT_REQUEST] = GO(GUEST_DEAF, VSOCK_SAY_CREDIT),
		[VSOCK_EV_HOST_GONE] = HOST_DONE,
	},
	/* The guest may take any time to answer what the host sent. */
	[VSOCK_HOST_SENT] = {
		[VSOCK_EV_SHUT_RCV] = GO(HOST_SENT, 0),
		[VSOCK_EV_RW] = GO(HOST_SENT, VSOCK_TAKE),
		[VSOCK_EV_CREDIT] = GO(HOST_SENT, 0),
		[VSOCK_EV_CREDIT_REQUEST] = GO(HOST_SENT, VSOCK_SAY_CREDIT),
		[VSOCK_EV_HOST_GONE] = HOST_DONE,
	},
	/* The guest may not know that yet: what it sends is counted and dropped. */
	[VSOCK_HOST_DEAF] = {
		[VSOCK_EV_SHUT_SEND] = GO(GUEST_SENT, 0),
		[VSOCK_EV_RW] = GO(HOST_DEAF, VSOCK_TAKE),
		[VSOCK_EV_CREDIT] = GO(HOST_DEAF, 0),
		[VSOCK_EV_CREDIT_REQUEST] = GO(HOST_DEAF, VSOCK_SAY_CREDIT),
		[VSOCK_EV_HOST_EOF] = HOST_DONE,
		[VSOCK_EV_HOST_GONE] = HOST_DONE,
		[VSOCK_EV_HOST_DEAF] = GO(HOST_DEAF, 0),
	},
	[VSOCK_HOST_CLOSED] = {
		[VSOCK_EV_SHUT_RCV] = GO(HOST_CLOSED, 0),
		[VSOCK_EV_CREDIT] = GO(HOST_CLOSED, 0),
		[VSOCK_EV_CREDIT_REQUEST] = GO(HOST_CLOSED, VSOCK_SAY_CREDIT),
		[VSOCK_EV_DRAINED] = GO(HOST_CLOSED, VSOCK_SHUT_WR),
	},
	[VSOCK_DYING] = {
		[VSOCK_EV_SENT] = FORGET,
		[VSOCK_EV_RST] = FORGET,
		[VSOCK_EV_HOST_DEAF] = GO(DYING, VSOCK_CLOSE),
		[VSOCK_EV_HOST_ERROR] = GO(DYING, VSOCK_CLOSE),
		[VSOCK_EV_DRAINED] = GO(DYING, VSOCK_CLOSE),
	},
	[VSOCK_LEFT] = {
		[VSOCK_EV_HOST_DEAF] = CLIENT_LOST,
		[VSOCK_EV_HOST_ERROR] = CLIENT_LOST,
		[VSOCK_EV_DRAINED] = CLIENT_LOST,
	},
};

struct vsock_step vsock_next(enum vsock_state state, enum vsock_event event)
{
	struct vsock_step step = steps[state][event];

	/* once the guest's side is over, most events change nothing */
	if (step.state == VSOCK_NONE && state < VSOCK_DYING)
		step = otherwise[event];
	if (step.state == VSOCK_NONE)
		step.state = (uint16_t)state;
	return step;
}

bool vsock_reads_host(enum vsock_state state)
{
	return state == VSOCK_OPEN || state == VSOCK_GUEST_SENT ||
		state == VSOCK_HOST_DEAF;
}

static uint32_t in_flight(const struct vsock_credit *c)
{
	return (uint32_t)c->sent - c->peer_fwd;
}

bool vsock_credit_hear(struct vsock_credit *c, uint32_t buf_alloc, uint32_t fwd_cnt)
{
	uint32_t left = (uint32_t)c->sent - fwd_cnt;

	/* guest: more taken than was sent, or less than nothing. No more than INT32_MAX
	 * is ever in flight, so that both show in a difference modulo 2^32. */
	if (left > INT32_MAX || left > c->sent)
		return false;
	/* Linux fills in headers before it puts them in order: one may be overtaken */
	if (left <= in_flight(c)) {
		c->peer_fwd = fwd_cnt;
		c->peer_alloc = MIN(buf_alloc, (uint32_t)INT32_MAX);
	}
	return true;
}

uint32_t vsock_credit_room(const struct vsock_credit *c)
{
	/* guest: a buffer that shrank below what is in it is full */
	return c->peer_alloc > in_flight(c) ? c->peer_alloc - in_flight(c) : 0;
}

void vsock_credit_send(struct vsock_credit *c, uint32_t n)
{
	c->sent += n;
}

bool vsock_credit_receive(struct vsock_credit *c, uint32_t n)
{
	if (n > VSOCK_BUF_BYTES - (c->received - c->forwarded))
		return false;
	c->received += n;
	return true;
}

void vsock_credit_forward(struct vsock_credit *c, uint32_t n)
{
	c->forwarded += n;
}

bool vsock_credit_is_low(const struct vsock_credit *c)
{
	return vsock_credit_is_stale(c) &&
		c->received - c->told > VSOCK_BUF_BYTES - VSOCK_CREDIT_LOW;
}

bool vsock_credit_is_stale(const struct vsock_credit *c)
{
	return c->forwarded != c->told;
}

void vsock_credit_tell(struct vsock_credit *c)
{
	c->told = c->forwarded;
}
