/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: a 16550A UART at COM1 (National PC16550D data sheet), which every guest has
 * but those that say they have no use for it (kernel_args.h). Registers are served on
 * vCPU threads, input and output on the loop; all with the device lock held. Output
 * never waits: what the host does not take is dropped and counted, and input is not
 * read while the guest leaves it unread.
 */
#ifndef HUSK_SERIAL_H
#define HUSK_SERIAL_H

#include "vmm/base/loop.h"
#include "vmm/core/bus.h"
#include "vmm/core/snap.h"

struct serial;

enum { SERIAL_PORTS = 8 };

/* in_fd (or -1) feeds the guest, out_fd takes its output; both borrowed. An in_fd that
 * is a terminal is put into raw mode until serial_destroy. */
MUST_CHECK int serial_create(
	struct loop *loop, int in_fd, int out_fd, struct serial **out, struct err *e);
/* Writes what is still buffered, as far as the host takes it at once. */
void serial_destroy(struct serial *s);
DEFINE_AUTO(struct serial *, serial_destroy);

const struct bus_ops *serial_bus_ops(void); /* SERIAL_PORTS ports */
int serial_irq_fd(const struct serial *s); /* an eventfd for kvm_add_irqfd; borrowed */

/* Takes no input while paused; what the guest wrote still goes out. */
void serial_pause(struct serial *s, bool pause);

MUST_CHECK int serial_snap(struct serial *s, struct snap *snap);

/* Bytes that the guest wrote and the host did not take. */
uint64_t serial_dropped(const struct serial *s);

/* Since serial_create, in the names of the metrics (contract, 9.2). */
struct serial_counts {
	uint64_t read_count, write_count; /* bytes that the guest took, and sent */
	uint64_t missed_read_count, missed_write_count; /* accesses that are too wide */
	uint64_t flush_count; /* writes of output that the host took */
	uint64_t error_count; /* and that it refused for good */
	uint64_t dropped_bytes; /* serial_dropped */
	uint64_t rate_limiter_dropped_bytes;
};

const struct serial_counts *serial_counts(const struct serial *s); /* borrowed */

#endif
