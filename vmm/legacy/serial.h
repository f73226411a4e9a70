/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: a 16550A UART (National PC16550D data sheet), the guest's console. Every
 * guest has one at COM1, unless its command line says that it has no use for it
 * (kernel_args.h). vCPU threads serve the registers, the loop reads input and writes
 * output; all with the device lock held. Output never waits: what the host does not
 * take is dropped and counted. Input is not read while the guest has no room for it.
 */
#ifndef HUSK_LEGACY_SERIAL_H
#define HUSK_LEGACY_SERIAL_H

#include "virtio/limiter/bucket.h"
#include "vmm/base/loop.h"
#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

struct serial;

enum { SERIAL_PORTS = 8 };

/* in_fd is the guest's input (-1: none; see vmm/legacy/input.h), out_fd takes its
 * output; both are borrowed until serial_destroy. The caller destroys *out. -errno with
 * text. */
MUST_CHECK int serial_create(
	struct loop *loop, int in_fd, int out_fd, struct serial **out, struct err *e);
/* Writes what is still buffered, as much as the host takes at once. Accepts NULL. */
void serial_destroy(struct serial *s);
DEFINE_AUTO(struct serial *, serial_destroy);

/* For a bus: SERIAL_PORTS ports; self is the struct serial. */
const struct bus_ops *serial_bus_ops(void);
/* The eventfd that raises its interrupt, for kvm_add_irqfd. Borrowed. */
int serial_irq_fd(const struct serial *s);

/* Limits the output from now on, beginning with a full bucket. A byte over the limit is
 * dropped and counted, not delayed (contract, section 4). cfg is copied; one that is no
 * limit removes the limit. Before the guest runs, or with the device lock held. */
void serial_set_limit(struct serial *s, const struct bucket_cfg *cfg);

/* Stops reading input, or goes on. Output that the guest has written still goes out. */
void serial_pause(struct serial *s, bool pause);

/* Before a signal stops the process, and after it goes on: see input_suspend. */
void serial_suspend(struct serial *s);
void serial_resume(struct serial *s);
/* When the process dies: see input_restore_fatal. */
void serial_restore_fatal(const struct serial *s);

/* Saves or loads its state, without output that is buffered: see stream.h. Returns the
 * stream's error. */
MUST_CHECK int serial_snap(struct serial *s, struct stream *snap);

/* How many bytes of output the host did not take. Any thread. */
uint64_t serial_dropped(const struct serial *s);

/* Counts since serial_create. The keys in the metrics have the same names (contract,
 * 9.2). */
struct serial_counts {
	uint64_t read_count, write_count; /* bytes that the guest read, and wrote */
	uint64_t missed_read_count, missed_write_count; /* accesses that are too wide */
	uint64_t flush_count; /* writes to out_fd that succeeded */
	uint64_t error_count; /* and that failed for good */
	uint64_t dropped_bytes; /* see serial_dropped */
	uint64_t rate_limiter_dropped_bytes; /* over serial_set_limit's limit */
};

const struct serial_counts *serial_counts(const struct serial *s); /* borrowed */

#endif
