/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu: a virtual processor: its thread, its loop around KVM_RUN, its exits. The thread
 * of the machine creates it, sets its state through vcpu_fd, and starts its thread.
 * That runs the guest from the first vcpu_resume until vcpu_stop, and serves the
 * guest's accesses to devices through the buses. All functions are for the machine's
 * thread.
 *
 * What is x86 only here: ports, the triple fault and kvm-clock. The state of an x86
 * vCPU is vmm/x86/vcpu_state.h's.
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
	VCPU_END_RESET, /* KVM reports that the guest asks for a reset or power-off */
	VCPU_END_TRIPLE_FAULT, /* x86 */
	VCPU_END_FAILURE, /* KVM cannot go on; text says why */
};

/* Why KVM_RUN returned. The keys in the metrics have the same names. */
enum vcpu_exit {
	EXIT_IO_IN, /* x86, as the next: an access to a port */
	EXIT_IO_OUT,
	EXIT_MMIO_READ,
	EXIT_MMIO_WRITE,
	EXIT_SERVED, /* how many of these are accesses to devices */
	EXIT_HLT = EXIT_SERVED,
	EXIT_SHUTDOWN, /* x86: triple fault */
	EXIT_INTERRUPTED, /* a signal of husk's own */
	EXIT_OTHER,
	EXIT_COUNT,
};

/* Relaxed atomics: the vCPU's thread writes them, the metrics read them. */
struct vcpu_counts {
	uint64_t exits[EXIT_COUNT];
	struct latency served[EXIT_SERVED]; /* how long each access took to serve */
	uint64_t failures; /* ends by VCPU_END_FAILURE */
	uint64_t kvmclock_ctrl_fails; /* x86 */
};

struct vcpu_env {
	struct bus *ports, *mmio; /* borrowed; ports: x86 */
	struct phases *phases; /* borrowed; vCPU 0 marks PHASE_FIRST_RUN */
	const struct seccomp_filters *filters; /* borrowed; NULL: no filter */
	/* Called once, on the vCPU's thread, when the vCPU ends by itself. text is
	 * borrowed. */
	void (*ended)(void *self, enum vcpu_end end, const char *text);
	void *self;
};

/* Creates vCPU `index` in KVM; env is copied. The caller destroys *out. -errno with
 * text. */
MUST_CHECK int vcpu_create(struct kvm *k, unsigned index, const struct vcpu_env *env,
	struct vcpu **out, struct err *e);
/* Calls vcpu_stop first. Accepts NULL. */
void vcpu_destroy(struct vcpu *v);
DEFINE_AUTO(struct vcpu *, vcpu_destroy);

/* KVM's descriptor of the vCPU, borrowed: for setting its state before the start. */
int vcpu_fd(const struct vcpu *v);

/* Starts the thread. It installs its filter, and then waits for vcpu_resume before it
 * runs the guest. -errno with text when the host cannot start a thread. */
MUST_CHECK int vcpu_start(struct vcpu *v, struct err *e);
/* Waits until the thread has its filter. Call it after vcpu_start, for every vCPU
 * before the first vcpu_resume of any: the threads share their memory, so one without a
 * filter would undo the filters of the others. -errno with text when the filter cannot
 * be installed: the thread has then ended, and env.ended is not called. */
MUST_CHECK int vcpu_wait_ready(struct vcpu *v, struct err *e);

/* Asks the vCPU to leave the guest and wait. It first completes the access for which it
 * left the guest, so that its state can be saved. */
void vcpu_pause(struct vcpu *v);
/* Waits until it does, at most until clock_us is until_us. 0, also for a vCPU that has
 * ended, or -ETIMEDOUT. Not with the device lock held, which the vCPU may need. */
MUST_CHECK int vcpu_wait_paused(struct vcpu *v, uint64_t until_us);
/* Lets it run the guest. */
void vcpu_resume(struct vcpu *v);

/* Makes the vCPU leave the guest for good, and waits for the end of its thread. Not
 * with the device lock held. Does nothing for a vCPU that was not started. */
void vcpu_stop(struct vcpu *v);

/* Its counters, borrowed. */
struct vcpu_counts *vcpu_counts(struct vcpu *v);

#endif
