/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: when each phase of a start was reached, and how often vCPUs left the guest,
 * as one line of JSON (contract, 9.2). Phases are marked by the thread that reaches
 * them; exit counters belong to one vCPU each and are read while it runs.
 */
#ifndef HUSK_METRICS_H
#define HUSK_METRICS_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

struct vdev;

enum phase {
	PHASE_PROCESS_START, /* the launcher's --start-time-us, else main */
	PHASE_MAIN, /* first line of main */
	PHASE_ARGUMENTS_READ,
	PHASE_API_READY,
	PHASE_CONFIGURED,
	PHASE_MEMORY_READY,
	PHASE_KERNEL_LOADED, /* with initrd, tables and command line */
	PHASE_VCPU_READY,
	PHASE_FIRST_RUN, /* just before the first KVM_RUN */
	PHASE_GUEST_INIT, /* the guest wrote the boot timer */
	PHASE_COUNT,
};

/* Why KVM_RUN came back. Names are the metrics' keys. */
enum vcpu_exit {
	EXIT_IO_IN,
	EXIT_IO_OUT,
	EXIT_MMIO_READ,
	EXIT_MMIO_WRITE,
	EXIT_HLT,
	EXIT_SHUTDOWN,
	EXIT_INTERRUPTED, /* a signal of husk's own */
	EXIT_OTHER,
	EXIT_COUNT,
};

/* Relaxed atomics: one writer, and a reader that wants no exact moment. */
struct vcpu_counts {
	uint64_t exits[EXIT_COUNT];
	uint64_t failures;
	uint64_t kvmclock_ctrl_fails;
};

/* CLOCK_MONOTONIC microseconds of each phase, 0 when not reached: relaxed atomics. */
struct phases {
	uint64_t at_us[PHASE_COUNT];
};

/* Notes the moment, once: later calls for the same phase change nothing. */
void phase_mark(struct phases *p, enum phase phase);

/* Microseconds from process start to the phase, or 0 when not reached. */
uint64_t phase_us(const struct phases *p, enum phase phase);

const char *phase_name(enum phase phase);

/* What one line of metrics is made from. */
struct metrics_view {
	const struct phases *phases;
	const struct vcpu_counts *const *vcpus;
	unsigned n_vcpus;
	uint64_t device_faults; /* guest faults of all devices */
	const struct vdev *const *drives; /* block devices */
	unsigned n_drives;
	uint64_t uart_dropped; /* bytes of console output that the host did not take */
};

/* Opens a file or FIFO for metrics, never blocking; its fd, or -errno with text. */
MUST_CHECK int metrics_open(const char *path, struct err *e);

/* Writes one line, in one write, of totals since the start, on the loop's thread. 0 or
 * -errno: a full FIFO loses the line. */
MUST_CHECK int metrics_write(int fd, const struct metrics_view *v);

#endif
