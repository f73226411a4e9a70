/* SPDX-License-Identifier: Apache-2.0
 *
 * driver: what the targets of virtio devices share: guest memory, an event loop, a
 * transport, and a driver whose registers and rings are filled by the input. There is
 * one device at a time. Memory and loop are made once and serve all inputs.
 */
#ifndef HUSK_FUZZ_DRIVER_H
#define HUSK_FUZZ_DRIVER_H

#include "tests/fuzz/input.h"
#include "virtio/mmio.h"

enum {
	STEPS_MAX = 200, /* of an input */
	RING_SIZE = 16,
	QUEUES_MAX = 3,
};

/* Where a target has its memory and its rings. */
struct driver_layout {
	gpa_t piece; /* bytes of guest memory at 0 */
	bool has_two; /* and as many at twice that, after a hole */
	gpa_t stride; /* from the rings of one queue to those of the next */
	gpa_t desc, avail, used; /* of queue 0 */
};

extern struct guest_mem *mem;
extern struct loop *loop;
extern struct mmio *t; /* the device, or NULL */
extern uint16_t avail_idx[QUEUES_MAX];
extern bool loaded_garbage; /* a snapshot that was tampered with */

/* For every input, before anything else: the first call makes memory and loop. */
void driver_begin(const struct driver_layout *layout);

/* Does the steps of an input and serves the loop until it is idle; checks after each
 * step and at the end. */
void run_steps(struct input *in, void (*step)(struct input *in), void (*check)(void));

/* Zeroes all guest memory. */
void clear_memory(void);
/* Hands all guest memory to fuzz_on_end, if there is one. */
void tell_memory(void);

/* Writes guest memory. What is outside of it is left out: a guest cannot write there.
 */
void poke(gpa_t at, const void *p, size_t n);
/* Writes 1 to 32 bytes, whose number and values are the input's. */
void poke_bytes(struct input *in, gpa_t at);

void set_reg(uint64_t at, uint32_t value);
/* A register of which both number and value are the input's. */
void write_register(struct input *in);
uint32_t get_status(void);
bool has_faulted(void);
void poll_loop(void);
void notify(unsigned q);

/* A driver's steps as far as FEATURES_OK; the high 32 feature bits are VERSION_1. */
void negotiate(uint32_t low_features);
/* Describes empty rings to queue q. */
void set_queue(unsigned q, bool ready);
/* The last step. */
void set_driver_ok(void);

/* Descriptor i of queue q; i may be past the ring. */
void set_desc(unsigned q, unsigned i, gpa_t addr, uint32_t len, uint16_t flags,
	uint16_t next);
/* One whose numbers are all the input's. */
void poke_desc(struct input *in, unsigned q);
/* Makes a head available; nothing about it is checked. */
void offer(unsigned q, uint16_t head);

/* Whether an input may have another snapshot. */
bool may_snapshot(void);
/* Saves the device, which is paused, and loads that into another, which attach makes,
 * and which is paused then. One byte of the snapshot is changed by xor. */
void reload(size_t at, uint8_t xor, void (*attach)(uint8_t how), uint8_t how);

#endif
