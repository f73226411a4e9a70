/* SPDX-License-Identifier: Apache-2.0
 *
 * machine: one microVM: its settings, its states, its devices and vCPUs. The only door
 * that the API and main use. Everything here is called on the loop's thread; vCPU
 * threads reach the machine through the buses alone.
 *
 * Order: create, settings in any order, start, and when env.ended has been called (or a
 * signal came): stop, destroy.
 */
#ifndef HUSK_MACHINE_H
#define HUSK_MACHINE_H

#include <pthread.h>

#include "vmm/base/loop.h"
#include "vmm/machine/config.h"
#include "vmm/metrics/metrics.h"
#include "vmm/process/seccomp.h"

struct machine;

enum machine_state { MACHINE_NOT_STARTED, MACHINE_RUNNING, MACHINE_PAUSED };

struct machine_env {
	struct loop *loop; /* borrowed, as are the next two */
	pthread_mutex_t *lock; /* the device lock, which the loop holds for callbacks */
	struct phases *phases;
	const struct api_counts *api_counts; /* for the metrics, borrowed; or NULL */
	const struct process_counts *process_counts; /* likewise */
	const struct seccomp_filters *filters; /* borrowed, prepared; NULL: none */
	bool opens_no_files; /* once started: nobody will ask it to */
	bool own_metrics; /* lines have husk's own metrics too: metrics_show_own */
	bool boot_timer; /* the guest has the page that reports its init */
	/* Called on the loop's thread when the guest has ended; see
	 * machine_exit_status. */
	void (*ended)(void *self);
	void *self;
};

MUST_CHECK int machine_create(
	const struct machine_env *env, struct machine **out, struct err *e);
/* Stops it first: not with the device lock held. A disk that does not answer within 2 s
 * keeps its device and the guest's memory, for the process to leave behind. */
void machine_destroy(struct machine *m);
DEFINE_AUTO(struct machine *, machine_destroy);

enum machine_state machine_state(const struct machine *m);

/* Settings, before the start. Each replaces what was set before, or on failure returns
 * -errno with text and leaves that as it was. The cfg's strings are taken over (and the
 * cfg zeroed) on success only. Files are opened now. */
MUST_CHECK int machine_set_config(
	struct machine *m, const struct machine_cfg *cfg, struct err *e);
/* The user's own template, which has a name. Of this and a cpu_template that is given,
 * be it None, the last counts: it takes the place of the other. */
MUST_CHECK int machine_set_cpu_config(
	struct machine *m, struct cpu_template *t, struct err *e);
MUST_CHECK int machine_set_boot_source(
	struct machine *m, struct boot_cfg *cfg, struct err *e);
MUST_CHECK int machine_put_drive(
	struct machine *m, struct drive_cfg *cfg, struct err *e);
/* An interface that keeps its host_dev_name keeps its open tap. */
MUST_CHECK int machine_put_net(struct machine *m, struct net_cfg *cfg, struct err *e);
MUST_CHECK int machine_set_serial(
	struct machine *m, struct serial_cfg *cfg, struct err *e);
/* The socket listens from now on. The one before goes when the new one is there, so it
 * stays on failure; but when the path is the same it goes before that, and a failure
 * leaves none. Each removes its own file only: see unix_file_remove. */
MUST_CHECK int machine_set_vsock(
	struct machine *m, struct vsock_cfg *cfg, struct err *e);

/* Builds the microVM and lets its vCPUs go. On failure everything built is gone again,
 * the settings stay, no vCPU has run, and another start is legal. Not with the device
 * lock held, since threads of vCPUs are waited for. */
MUST_CHECK int machine_start(struct machine *m, struct err *e);
/* The same as the API and the config file have it: it is followed by the first line of
 * metrics, and what went wrong with "cannot start the microVM" before it. */
MUST_CHECK int machine_boot(struct machine *m, struct err *e);

/* Takes every vCPU out of the guest, and makes the devices stand still when each says
 * so; lets them go on. Either may be asked for twice. After a start. A pause that takes
 * its time is -EINPROGRESS without text: the loop has to run, and machine_pause has to
 * be called again, until it gives something else. -ETIMEDOUT with text when a vCPU or a
 * disk has not answered within 30 s of the first call: the machine then runs on. Not
 * with the device lock held. */
MUST_CHECK int machine_pause(struct machine *m, struct err *e);
void machine_resume(struct machine *m);

/* Changes of a started machine, running or paused. Not with the device lock held. */

/* Opens the drive's file anew, or another one as its path says, and tells the guest;
 * changes its rate limits. On failure the drive stays as it was, all of it. Requests to
 * the old file end first: while there are some, and no new ones are begun, this is
 * -EINPROGRESS as of machine_pause, and -ETIMEDOUT with text after 30 s. */
MUST_CHECK int machine_patch_drive(
	struct machine *m, struct drive_patch *patch, struct err *e);
/* Changes the rate limits of an interface, both or, on failure, neither. */
MUST_CHECK int machine_patch_net(
	struct machine *m, struct net_patch *patch, struct err *e);
/* Types Ctrl, Alt and Del. -EBUSY with text while the guest has not read what was typed
 * before. */
MUST_CHECK int machine_send_ctrl_alt_del(struct machine *m, struct err *e);

/* The settings as they are now; borrowed until the next change. */
const struct machine_cfg *machine_config(const struct machine *m);
const struct boot_cfg *machine_boot_source(const struct machine *m);
/* The i-th drive and interface in the order of the settings, or NULL after the last. */
const struct drive_cfg *machine_drive(const struct machine *m, unsigned i);
const struct net_cfg *machine_net(const struct machine *m, unsigned i);
/* NULL without a vsock. */
const struct vsock_cfg *machine_vsock(const struct machine *m);

/* Takes the vCPUs out of the guest for good. Not with the device lock held. */
void machine_stop(struct machine *m);

/* After env.ended: 0 when the guest reset itself, 1 for a triple fault or a failure. */
int machine_exit_status(const struct machine *m);

/* The process is about to be stopped by a signal, or goes on: a terminal that feeds the
 * guest's console is as it was found in between. Also before a start. Not with the
 * device lock held. */
void machine_suspend_console(struct machine *m);
void machine_resume_console(struct machine *m);
/* The same terminal, as it was found, from the handler of a fatal signal. */
void machine_restore_terminal(const struct machine *m);

/* Metrics. machine_set_metrics opens the file, once: -EEXIST with text after that.
 * extra as for metrics_open. A line is then written every minute that the machine runs.
 */
MUST_CHECK int machine_set_metrics(
	struct machine *m, const char *path, const char *extra, struct err *e);
/* One line now: 0, also when there is no file, or -errno. */
int machine_write_metrics(struct machine *m);
/* The same with totals since the start, as a string: its length, or 0 when there is no
 * room; machine_metrics_room is enough. */
size_t machine_render_metrics(struct machine *m, char *buf, size_t room);
size_t machine_metrics_room(const struct machine *m);
/* The last line, from the handler of a fatal signal. */
void machine_flush_metrics(struct machine *m);

#endif
