/* SPDX-License-Identifier: Apache-2.0
 *
 * vcpu: the run loop. A signal takes a vCPU out of the guest. Its handler sets
 * immediate_exit, so that a signal which comes between the look at the orders and
 * KVM_RUN is not lost: KVM_RUN then returns at once.
 */
#include "vmm/cpu/vcpu.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vmm/base/clock.h"
#include "vmm/base/log.h"

enum vcpu_order { ORDER_RUN, ORDER_HOLD, ORDER_PAUSE, ORDER_STOP };

struct vcpu {
	int fd;
	unsigned index;
	struct kvm_run *run; /* shared with KVM */
	size_t run_bytes;
	struct vcpu_env env;
	struct vcpu_counts counts;
	char name[16];
	pthread_t thread;
	bool started;
	/* What its thread has to do. Written with the lock held, read without. */
	enum vcpu_order order;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* order, or is_paused */
	/* The address of its guest's last write, if the device there may be busy. */
	uint64_t waits_at;
	bool is_waiting;
	/* Under the lock: */
	bool is_paused; /* it obeys ORDER_HOLD or ORDER_PAUSE, or has ended */
	bool has_ended;
	/* Why it has no filter. Written before has_ended, read after it. */
	int start_error; /* 0 or -errno */
	struct err start_text;
};

/* The run area of the vCPU that this thread runs, for the signal handler. */
static _Thread_local struct kvm_run *this_run;

#define VCPU_SIGNAL SIGRTMIN

enum {
	/* Enough for a log line. The default, 8 MiB, would get a huge page, which takes
	 * time to zero during the start. */
	VCPU_STACK_BYTES = 128 * 1024,
	DEVICE_WAIT_MS = 10, /* how long the orders are not looked at */
};

static void leave_guest(int sig)
{
	(void)sig;
	if (this_run)
		this_run->immediate_exit = 1;
}

/* Cannot fail in glibc, because nothing is allocated. */
static void init_lock(struct vcpu *v)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&v->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&v->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

int vcpu_create(struct kvm *k, unsigned index, const struct vcpu_env *env,
	struct vcpu **out, struct err *e)
{
	AUTO(vcpu_destroy) struct vcpu *v = calloc(1, sizeof(*v));
	void *run;

	if (!v)
		return err_code(e, -ENOMEM, "vCPU %u", index);
	v->index = index;
	v->env = *env;
	init_lock(v);
	v->run_bytes = k->run_bytes;
	(void)snprintf(v->name, sizeof(v->name), "fc_vcpu %u", index % 1000);
	v->fd = kvm_create_vcpu(k, index, e);
	if (v->fd < 0)
		return v->fd;
	run = mmap(NULL, v->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return err_sys(e, "cannot map the run area of vCPU %u", index);
	v->run = run;
	*out = TAKE(v);
	return 0;
}

void vcpu_destroy(struct vcpu *v)
{
	if (!v)
		return;
	vcpu_stop(v);
	if (v->run)
		(void)munmap(v->run, v->run_bytes);
	close_fd(v->fd);
	free(v);
}

int vcpu_fd(const struct vcpu *v)
{
	return v->fd;
}

struct vcpu_counts *vcpu_counts(struct vcpu *v)
{
	return &v->counts;
}

static void count(struct vcpu *v, enum vcpu_exit x)
{
	uint64_t n = __atomic_load_n(&v->counts.exits[x], __ATOMIC_RELAXED);

	__atomic_store_n(&v->counts.exits[x], n + 1, __ATOMIC_RELAXED);
}

/* Counts an access that was served since from (clock_us). */
static void count_served(struct vcpu *v, enum vcpu_exit x, uint64_t from)
{
	count(v, x);
	latency_add(&v->counts.served[x], clock_us() - from);
}

/* x86: serves an access to a port. A string instruction makes several accesses. */
static void serve_port(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	uint64_t from = clock_us();
	uint8_t *data = (uint8_t *)v->run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			(void)bus_read(v->env.ports, run->io.port, data, run->io.size);
		else
			(void)bus_write(v->env.ports, run->io.port, data, run->io.size);
	}
	count_served(v, run->io.direction == KVM_EXIT_IO_IN ? EXIT_IO_IN : EXIT_IO_OUT,
		from);
}

static void serve_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t from = clock_us();

	if (run->mmio.is_write) {
		v->is_waiting = bus_write(v->env.mmio, run->mmio.phys_addr,
			run->mmio.data, run->mmio.len);
		v->waits_at = run->mmio.phys_addr;
	} else
		(void)bus_read(v->env.mmio, run->mmio.phys_addr, run->mmio.data,
			run->mmio.len);
	count_served(v, run->mmio.is_write ? EXIT_MMIO_WRITE : EXIT_MMIO_READ, from);
}

static void end(struct vcpu *v, enum vcpu_end how, const char *why)
{
	char text[160];

	(void)snprintf(text, sizeof(text), "vCPU %u: %s", v->index, why);
	if (how == VCPU_END_FAILURE)
		__atomic_store_n(
			&v->counts.failures, v->counts.failures + 1, __ATOMIC_RELAXED);
	v->env.ended(v->env.self, how, text);
}

/* Serves the exit for which KVM_RUN returned. False when the vCPU has ended. */
static bool serve_exit(struct vcpu *v)
{
	char text[128];

	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		serve_port(v);
		return true;
	case KVM_EXIT_MMIO:
		serve_mmio(v);
		return true;
	case KVM_EXIT_HLT: /* only where KVM has no interrupt controller of its own */
		count(v, EXIT_HLT);
		return true;
	case KVM_EXIT_INTR:
		count(v, EXIT_INTERRUPTED);
		return true;
	case KVM_EXIT_SHUTDOWN:
		count(v, EXIT_SHUTDOWN);
		end(v, VCPU_END_TRIPLE_FAULT, "triple fault");
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		count(v, EXIT_OTHER);
		end(v, VCPU_END_RESET, "system event");
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		(void)snprintf(text, sizeof(text),
			"the processor refuses to enter: %#llx",
			(unsigned long long)
				v->run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		(void)snprintf(text, sizeof(text), "KVM internal error %u",
			v->run->internal.suberror);
		break;
	default:
		(void)snprintf(
			text, sizeof(text), "unknown exit %u", v->run->exit_reason);
		break;
	}
	count(v, EXIT_OTHER);
	end(v, VCPU_END_FAILURE, text);
	return false;
}

/* Unblocks VCPU_SIGNAL, which husk's launcher may have blocked. */
static void unblock_signal(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, VCPU_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* arguments are right */
}

/* Completes the access for which KVM_RUN returned: KVM does so when it is entered again
 * (KVM's api.rst, 5). This may cause a further exit, since an instruction can read a
 * register and then write it. False when the vCPU has ended by that. */
static bool finish_exit(struct vcpu *v)
{
	bool go_on = true;

	v->run->immediate_exit = 1;
	while (go_on &&
		ioctl(v->fd, KVM_RUN, 0) == 0) { /* else EINTR: it is complete */
		go_on = serve_exit(v);
		v->run->immediate_exit = 1;
	}
	v->run->immediate_exit = 0;
	return go_on;
}

/* x86: tells the guest's watchdog, through kvm-clock, that time will jump. EINVAL: the
 * guest does not use that clock. */
static void tell_of_pause(struct vcpu *v)
{
	if (ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0) < 0 && errno != EINVAL)
		__atomic_fetch_add(&v->counts.kvmclock_ctrl_fails, 1, __ATOMIC_RELAXED);
}

static void set_paused(struct vcpu *v)
{
	v->is_paused = true;
	(void)pthread_cond_broadcast(&v->changed);
}

/* Obeys the order: waits while it is ORDER_HOLD or ORDER_PAUSE. Whether to run the
 * guest then. */
static bool obey(struct vcpu *v)
{
	bool run;

	switch (__atomic_load_n(&v->order, __ATOMIC_ACQUIRE)) {
	case ORDER_RUN:
		return true;
	case ORDER_STOP:
		return false;
	case ORDER_PAUSE:
		if (!finish_exit(v))
			return false;
		tell_of_pause(v);
		break;
	case ORDER_HOLD:
		break;
	}
	pthread_mutex_lock(&v->lock);
	while (v->order == ORDER_PAUSE || v->order == ORDER_HOLD) {
		set_paused(v); /* each order clears it */
		(void)pthread_cond_wait(&v->changed, &v->lock);
	}
	run = v->order == ORDER_RUN;
	pthread_mutex_unlock(&v->lock);
	return run;
}

/* Waits a little for the device to which the guest wrote last. True when it is ready.
 * Does not hold the device lock meanwhile, so the loop and other vCPUs go on. The wait
 * is short because VCPU_SIGNAL may come before poll is called and is then not noticed.
 */
static bool is_device_ready(struct vcpu *v)
{
	struct pollfd p = { .events = POLLIN };

	if (!v->is_waiting)
		return true;
	p.fd = bus_busy(v->env.mmio, v->waits_at);
	v->is_waiting = p.fd >= 0;
	if (v->is_waiting)
		(void)poll(&p, 1, DEVICE_WAIT_MS);
	return !v->is_waiting;
}

static bool install_filter(struct vcpu *v)
{
	v->start_error =
		seccomp_filter_install(v->env.filters, SECCOMP_VCPU, &v->start_text);
	return v->start_error == 0;
}

static void *run_vcpu(void *arg)
{
	struct vcpu *v = arg;
	char text[64];
	bool go_on;

	log_set_thread(v->name);
	(void)pthread_setname_np(pthread_self(), v->name); /* for tools only */
	this_run = v->run;
	unblock_signal();
	go_on = install_filter(v) && obey(v);
	if (go_on && v->index == 0)
		phase_mark(v->env.phases, PHASE_FIRST_RUN);
	while (go_on && obey(v)) {
		if (!is_device_ready(v))
			continue;
		if (ioctl(v->fd, KVM_RUN, 0) == 0) {
			go_on = serve_exit(v);
			continue;
		}
		if (errno == EINTR || errno == EAGAIN) {
			v->run->immediate_exit = 0;
			count(v, EXIT_INTERRUPTED);
			continue;
		}
		(void)snprintf(
			text, sizeof(text), "KVM_RUN: %s", strerrorname_np(errno));
		end(v, VCPU_END_FAILURE, text);
		go_on = false;
	}
	this_run = NULL;
	pthread_mutex_lock(&v->lock);
	v->has_ended = true;
	set_paused(v);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

int vcpu_start(struct vcpu *v, struct err *e)
{
	struct sigaction sa = { .sa_handler = leave_guest };
	pthread_attr_t attr;
	int r;

	if (sigaction(VCPU_SIGNAL, &sa, NULL) < 0)
		return err_sys(e, "vCPU %u", v->index);
	v->order = ORDER_HOLD;
	(void)pthread_attr_init(&attr); /* cannot fail in glibc */
	(void)pthread_attr_setstacksize(&attr, VCPU_STACK_BYTES);
	r = pthread_create(&v->thread, &attr, run_vcpu, v);
	(void)pthread_attr_destroy(&attr);
	if (r != 0)
		return err_code(e, -r, "cannot start the thread of vCPU %u", v->index);
	v->started = true;
	return 0;
}

/* pthread_kill fails if the thread has ended already, which is fine. */
static void give_order(struct vcpu *v, enum vcpu_order order)
{
	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->order, order, __ATOMIC_RELEASE);
	v->is_paused = v->has_ended;
	(void)pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
	if (order != ORDER_RUN)
		(void)pthread_kill(v->thread, VCPU_SIGNAL);
}

int vcpu_wait_ready(struct vcpu *v, struct err *e)
{
	int r;

	pthread_mutex_lock(&v->lock);
	while (!v->is_paused)
		(void)pthread_cond_wait(&v->changed, &v->lock);
	r = v->start_error;
	pthread_mutex_unlock(&v->lock);
	if (r == 0)
		return 0;
	*e = v->start_text;
	return err_add(e, r, "vCPU %u", v->index);
}

void vcpu_pause(struct vcpu *v)
{
	give_order(v, ORDER_PAUSE);
}

int vcpu_wait_paused(struct vcpu *v, uint64_t until_us)
{
	const struct timespec until = {
		.tv_sec = (time_t)(until_us / 1000000),
		.tv_nsec = (long)(until_us % 1000000) * 1000,
	};
	int r = 0;

	pthread_mutex_lock(&v->lock);
	while (!v->is_paused && r == 0)
		r = pthread_cond_timedwait(&v->changed, &v->lock, &until);
	pthread_mutex_unlock(&v->lock);
	return -r;
}

void vcpu_resume(struct vcpu *v)
{
	give_order(v, ORDER_RUN);
}

void vcpu_stop(struct vcpu *v)
{
	if (!v->started)
		return;
	give_order(v, ORDER_STOP);
	(void)pthread_join(v->thread, NULL);
	v->started = false;
}
