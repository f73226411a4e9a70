/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: a 16550A UART at COM1 (National PC16550D data sheet), which every guest has
 * but those that say they have no use for it (kernel_args.h). Registers are served on
 * vCPU threads, input and output on the loop; all with the device lock held. Output
 * never waits: what the host does not take is dropped and counted, and input is not
 * read while the guest leaves it unread.
 */
#ifndef HUSK_LEGACY_SERIAL_H
#define HUSK_LEGACY_SERIAL_H

#include "virtio/limiter/bucket.h"
#include "vmm/base/loop.h"
#include "vmm/codec/stream.h"
#include "vmm/core/bus.h"

struct serial;

enum { SERIAL_PORTS = 8 };

/* in_fd (or -1) feeds the guest, out_fd takes its output; both borrowed. What becomes
 * of an in_fd that is a terminal is in vmm/legacy/input.h. */
MUST_CHECK int serial_create(
	struct loop *loop, int in_fd, int out_fd, struct serial **out, struct err *e);
/* Writes what is still buffered, as far as the host takes it at once. */
void serial_destroy(struct serial *s);
DEFINE_AUTO(struct serial *, serial_destroy);

const struct bus_ops *serial_bus_ops(void); /* SERIAL_PORTS ports */
int serial_irq_fd(const struct serial *s); /* an eventfd for kvm_add_irqfd; borrowed */

/* Limits output from now on, from a full bucket: bytes that find it empty are dropped
 * and counted, never delayed (contract, section 4). A cfg that is no limit takes the
 * one before away. cfg: copied. Before the guest runs, or with the device lock held. */
void serial_set_limit(struct serial *s, const struct bucket_cfg *cfg);

/* Takes no input while paused; what the guest wrote still goes out. */
void serial_pause(struct serial *s, bool pause);

/* The process is about to be stopped, or goes on; a terminal that feeds the guest is as
 * it was found in between. */
void serial_suspend(struct serial *s);
void serial_resume(struct serial *s);
/* The terminal as it was found, when the process dies: see input_restore_fatal. */
void serial_restore_fatal(const struct serial *s);

MUST_CHECK int serial_snap(struct serial *s, struct stream *snap);

/* Bytes that the guest wrote and the host did not take. */
uint64_t serial_dropped(const struct serial *s);

/* Since serial_create, in the names of the metrics (contract, 9.2). */
struct serial_counts {
	uint64_t read_count, write_count; /* bytes that the guest took, and sent */
	uint64_t missed_read_count, missed_write_count; /* accesses that are too wide */
	uint64_t flush_count; /* writes of output that the host took */
	uint64_t error_count; /* and that it refused for good */
	uint64_t dropped_bytes; /* serial_dropped */
	uint64_t rate_limiter_dropped_bytes; /* by serial_set_limit */
};

const struct serial_counts *serial_counts(const struct serial *s); /* borrowed */

#endif
