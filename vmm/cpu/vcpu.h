/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu: one virtual processor: its thread, its run loop, its exits. Created, configured
 * and started by the machine's thread; from the first vcpu_resume on, its own thread
 * runs the guest until vcpu_stop, and serves port and MMIO accesses through the buses.
 */
#ifndef HUSK_CPU_VCPU_H
#define HUSK_CPU_VCPU_H

#include "vmm/base/latency.h"
#include "vmm/base/phases.h"
#include "vmm/core/bus.h"
#include "vmm/core/kvm.h"
#include "vmm/process/seccomp.h"

struct vcpu;

/* Why a vCPU will not run again. */
enum vcpu_end {
	VCPU_END_RESET, /* KVM says that the guest asked for a reset or power-off */
	VCPU_END_TRIPLE_FAULT,
	VCPU_END_FAILURE, /* KVM cannot go on; text says why */
};

/* Why KVM_RUN came back. Names are the metrics' keys. */
enum vcpu_exit {
	EXIT_IO_IN,
	EXIT_IO_OUT,
	EXIT_MMIO_READ,
	EXIT_MMIO_WRITE,
	EXIT_SERVED, /* those before are accesses that husk serves */
	EXIT_HLT = EXIT_SERVED,
	EXIT_SHUTDOWN,
	EXIT_INTERRUPTED, /* a signal of husk's own */
	EXIT_OTHER,
	EXIT_COUNT,
};

/* Relaxed atomics: one writer, and a reader that wants no exact moment. */
struct vcpu_counts {
	uint64_t exits[EXIT_COUNT];
	struct latency served[EXIT_SERVED]; /* from exit to answer */
	uint64_t failures;
	uint64_t kvmclock_ctrl_fails;
};

struct vcpu_env {
	struct bus *ports, *mmio; /* borrowed */
	struct phases *phases; /* the first vCPU marks PHASE_FIRST_RUN */
	const struct seccomp_filters *filters; /* borrowed; NULL: none */
	/* Called on the vCPU's thread, once, when it ends by itself; text is borrowed.
	 */
	void (*ended)(void *self, enum vcpu_end end, const char *text);
	void *self;
};

/* Creates vCPU `index`; env is copied. -errno with text. */
MUST_CHECK int vcpu_create(struct kvm *k, unsigned index, const struct vcpu_env *env,
	struct vcpu **out, struct err *e);
/* The vCPU must not be running. */
void vcpu_destroy(struct vcpu *v);
DEFINE_AUTO(struct vcpu *, vcpu_destroy);

/* The KVM descriptor, borrowed: its state is set through it before the start. */
int vcpu_fd(const struct vcpu *v);

/* Starts the thread, which installs its filter and then waits for vcpu_resume before it
 * runs the guest. -errno with text when the host gives no thread. */
MUST_CHECK int vcpu_start(struct vcpu *v, struct err *e);
/* Waits until the thread has its filter: only then may any vCPU be resumed, because the
 * threads share their memory. -errno with text when the filter cannot be installed: the
 * thread has then ended, without a call of env.ended. After vcpu_start and before the
 * first vcpu_pause or vcpu_resume, on the machine's thread. */
MUST_CHECK int vcpu_wait_ready(struct vcpu *v, struct err *e);

/* Asks the vCPU to leave the guest and wait; vcpu_wait_paused waits until it does, up
 * to until_us of clock_us: 0, or -ETIMEDOUT. What it was asked for is served before,
 * whole, so that its state can be saved. A vCPU that has ended counts as paused. The
 * machine's thread, not with the device lock held. */
void vcpu_pause(struct vcpu *v);
MUST_CHECK int vcpu_wait_paused(struct vcpu *v, uint64_t until_us);
/* Lets it go on. */
void vcpu_resume(struct vcpu *v);

/* Makes the vCPU leave the guest for good and waits for its thread. Not from that
 * thread, nor with the device lock held. A vCPU that never started is fine. */
void vcpu_stop(struct vcpu *v);

struct vcpu_counts *vcpu_counts(struct vcpu *v); /* borrowed */

#endif
