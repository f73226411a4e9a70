/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps a guest in its bounds is there before it runs: no vCPU runs the guest
 * before every thread has its filter, a filter that cannot be installed fails the
 * start, and KVM is told what the guest is not to have before a vCPU is made. The
 * filters are played by the seccomp_filter_install of this file.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/await.h"
#include "tests/unit/fakes/fake_kvm.h"
#include "tests/unit/fakes/fake_machine.h"

enum { VCPUS = 4, NONE = -1, MAIN = VCPUS, WAIT_MS = 20000 };

static struct {
	int slow, failing; /* whose filter: a vCPU's index, MAIN or NONE */
	unsigned installed[VCPUS + 1]; /* atomic, as all below: how often, whose */
	unsigned main_waits; /* main has begun to wait for a thread */
	unsigned runs; /* of KVM_RUN */
	unsigned early_runs; /* before every thread had its filter */
} seen;

/* What KVM_ENABLE_CAP was asked for. */
static struct {
	bool is_refused; /* an old kernel */
	unsigned counters_disabled, features_enforced; /* how often */
	unsigned vcpus_then; /* of counters_disabled */
	bool has_counters; /* in the first vCPU's CPUID */
} caps;

static pthread_t main_thread;

/* --- in place of the C library's and husk's --- */

int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *);

	if (!real)
		real = (int (*)(pthread_cond_t *, pthread_mutex_t *))(uintptr_t)dlvsym(
			RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2");
	if (pthread_equal(pthread_self(), main_thread))
		add(&seen.main_waits);
	return real(c, m);
}

/* Whether this is the slow thread and nothing has happened yet that it waits for: main
 * waits for it, as is right, or a guest runs, as is wrong. */
static bool is_to_wait(int who)
{
	return who == seen.slow && load(&seen.main_waits) == 0 && load(&seen.runs) == 0;
}

static int find_thread(void)
{
	char name[16];
	int i;

	if (pthread_equal(pthread_self(), main_thread))
		return MAIN;
	cr_assert_eq(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	cr_assert_eq(sscanf(name, "fc_vcpu %d", &i), 1, "%s", name);
	return i;
}

int seccomp_filter_install(const struct seccomp_filters *set,
	enum seccomp_filter_category which, struct err *e)
{
	int who = find_thread();

	(void)set;
	cr_assert_eq(which, who == MAIN ? SECCOMP_VMM : SECCOMP_VCPU);
	for (int i = 0; is_to_wait(who); i++) {
		cr_assert_lt(i, WAIT_MS, "main does not wait for this thread");
		nap();
	}
	if (who == seen.failing)
		return err_code(e, -ENOMEM, "no filter");
	add(&seen.installed[who]);
	return 0;
}

static int run_guest(void)
{
	bool early = false;

	for (int i = 0; i <= VCPUS; i++)
		early |= load(&seen.installed[i]) != 1;
	if (early)
		add(&seen.early_runs);
	add(&seen.runs);
	errno = EIO;
	return -1;
}

static int enable_cap(const struct kvm_enable_cap *cap)
{
	if (cap->cap == KVM_CAP_PMU_CAPABILITY) {
		cr_expect_eq(cap->args[0], KVM_PMU_CAP_DISABLE);
		caps.counters_disabled++;
		caps.vcpus_then = fake_kvm.n_vcpus;
	} else {
		cr_expect_eq(cap->cap, KVM_CAP_ENFORCE_PV_FEATURE_CPUID);
		cr_expect_eq(cap->args[0], 1);
		caps.features_enforced++;
	}
	errno = EINVAL;
	return caps.is_refused ? -1 : 0;
}

static bool answer(int vcpu, unsigned long request, void *arg, int *r)
{
	(void)vcpu;
	switch (request) {
	case KVM_ENABLE_CAP:
		*r = enable_cap(arg);
		return true;
	case KVM_SET_CPUID2:
		caps.has_counters = cpuid_find(arg, 0xa, 0) != NULL;
		return false;
	case KVM_RUN:
		*r = run_guest();
		return true;
	default:
		return false;
	}
}

FAKE_KVM

/* --- the machine --- */

static struct machine *machine;
static struct err e;

static void set_up(void)
{
	static const struct seccomp_filters filters;
	struct machine_cfg cfg = MACHINE_CFG_DEFAULT;

	main_thread = pthread_self();
	seen.slow = seen.failing = NONE;
	fake_kvm.answer = answer;
	fake_kvm.host.head.nent = 1;
	fake_kvm.host.entry[0] = (struct kvm_cpuid_entry2){ .function = 0xa, .eax = 2 };
	machine = fake_machine_create(&(struct machine_env){ .filters = &filters });
	fake_machine_set_kernel(machine, "", 0);
	cfg.vcpu_count = VCPUS;
	cr_assert_eq(machine_set_config(machine, &cfg, &e), 0, "%s", e.text);
}

static void tear_down(void)
{
	fake_machine_destroy(machine);
}

TestSuite(start_order, .init = set_up, .fini = tear_down, .timeout = 60);

static unsigned count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	cr_assert_not_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Starts and stops: every vCPU has run, and none too early. */
static void expect_good_start(void)
{
	unsigned n = count_threads();

	cr_assert_eq(machine_start(machine, &e), 0, "%s", e.text);
	cr_expect_eq(machine_state(machine), MACHINE_RUNNING);
	while (count_threads() > n) /* until each vCPU has run, or ended without */
		(void)sched_yield();
	cr_expect_eq(load(&seen.runs), VCPUS);
	machine_stop(machine);
	cr_expect_eq(load(&seen.early_runs), 0);
	for (int i = 0; i <= VCPUS; i++)
		cr_expect_eq(load(&seen.installed[i]), 1, "thread %d", i);
}

Test(start_order, no_vcpu_runs_before_each_of_them_has_its_filter)
{
	for (int slow = 0; slow < VCPUS; slow++) {
		memset(&seen, 0, sizeof(seen));
		seen.slow = slow;
		seen.failing = NONE;
		expect_good_start();
		cr_expect_gt(load(&seen.main_waits), 0);
		tear_down();
		set_up();
	}
}

/* The start fails by this thread's filter, and leaves nothing behind. */
static void expect_failed_start(int who, const char *text)
{
	unsigned n = count_threads();

	memset(&seen, 0, sizeof(seen));
	seen.slow = NONE;
	seen.failing = who;
	cr_assert_eq(machine_start(machine, &e), -ENOMEM);
	cr_expect_str_eq(e.text, text);
	cr_expect_eq(machine_state(machine), MACHINE_NOT_STARTED);
	cr_expect_eq(load(&seen.runs), 0, "a guest ran");
	cr_expect_eq(load(&seen.installed[MAIN]), 0, "no other start is possible");
	cr_expect_eq(phase_us(&fake_machine.phases, PHASE_FIRST_RUN), 0);
	cr_expect_eq(count_threads(), n);
}

Test(start_order, one_vcpu_without_a_filter_fails_the_start)
{
	expect_failed_start(0, "vCPU 0: no filter: Cannot allocate memory");
	expect_failed_start(2, "vCPU 2: no filter: Cannot allocate memory");
	expect_failed_start(3, "vCPU 3: no filter: Cannot allocate memory");
}

Test(start_order, main_without_a_filter_fails_the_start)
{
	expect_failed_start(MAIN, "no filter: Cannot allocate memory");
}

Test(start_order, after_a_filter_that_failed_another_start_is_legal)
{
	expect_failed_start(1, "vCPU 1: no filter: Cannot allocate memory");
	memset(&seen, 0, sizeof(seen));
	seen.slow = 0;
	seen.failing = NONE;
	expect_good_start();
}

/* --- what KVM is told --- */

Test(start_order, counters_are_disabled_before_a_vcpu_is_made)
{
	expect_good_start();
	cr_expect_eq(caps.counters_disabled, 1);
	cr_expect_eq(caps.vcpus_then, 0);
	cr_expect_not(caps.has_counters);
}

Test(start_order, a_vcpu_has_those_features_of_kvm_only_that_cpuid_announces)
{
	expect_good_start();
	cr_expect_eq(caps.features_enforced, VCPUS);
}

Test(start_order, a_kernel_that_cannot_be_told_will_do)
{
	caps.is_refused = true;
	expect_good_start();
	cr_expect_eq(caps.counters_disabled, 1);
}

Test(start_order, counters_that_a_template_announces_are_left)
{
	struct cpu_template t = { .name = "cpu-config", .n_cpuid = 1 };
	struct cpuid_change *change = calloc(1, sizeof(*change));

	*change = (struct cpuid_change){ .leaf = 0xa, .eax = { .set = 2 } };
	t.cpuid = change;
	cr_assert_eq(machine_set_cpu_config(machine, &t, &e), 0, "%s", e.text);
	expect_good_start();
	cr_expect_eq(caps.counters_disabled, 0);
	cr_expect(caps.has_counters);
}
