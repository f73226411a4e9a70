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
#include "vmm/machine/kinds.h"
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
	bool opens_no_files; /* no file is opened after the start, so none needs to be
				allowed */
	bool own_metrics; /* metrics lines include husk's own: metrics_show_own */
	bool boot_timer; /* the guest has the page that reports its init */
	/* Called on the loop's thread when the guest has ended; see
	 * machine_exit_status. */
	void (*ended)(void *self);
	void *self;
};

MUST_CHECK int machine_create(
	const struct machine_env *env, struct machine **out, struct err *e);
/* Stops the machine first. Call it without the device lock. A device whose disk does
 * not answer within 2 s is leaked, and so is the guest's memory, to which that disk may
 * still write. */
void machine_destroy(struct machine *m);
DEFINE_AUTO(struct machine *, machine_destroy);

enum machine_state machine_state(const struct machine *m);

/* Settings, before the start. Each replaces what was set before. On failure it returns
 * -errno with text, and what was set before stays. On success the strings of cfg are
 * taken over, and cfg is zeroed. Files are opened now. */
MUST_CHECK int machine_set_config(
	struct machine *m, const struct machine_cfg *cfg, struct err *e);
/* The user's own template, which has a name. Setting it replaces a named template of
 * husk's, and the other way round: the most recent wins, also when that is None. */
MUST_CHECK int machine_set_cpu_config(
	struct machine *m, struct cpu_template *t, struct err *e);
MUST_CHECK int machine_set_boot_source(
	struct machine *m, struct boot_cfg *cfg, struct err *e);
MUST_CHECK int machine_set_serial(
	struct machine *m, struct serial_cfg *cfg, struct err *e);
/* Adds a device of that kind, or replaces the one with the same id; of a kind that is
 * no list, the only one. cfg is the kind's struct. enum kind_reuse says what becomes of
 * the old backend. */
MUST_CHECK int machine_put_device(
	struct machine *m, const struct device_kind *k, void *cfg, struct err *e);

/* Builds the microVM and resumes its vCPUs. On failure all that was built is destroyed,
 * the settings stay, no vCPU has run, and another start is legal. Call it without the
 * device lock, because it waits for vCPU threads. */
MUST_CHECK int machine_start(struct machine *m, struct err *e);
/* The same as the API and the config file have it: it is followed by the first line of
 * metrics, and what went wrong with "cannot start the microVM" before it. */
MUST_CHECK int machine_boot(struct machine *m, struct err *e);

/* Pauses a started machine: takes every vCPU out of the guest, then drains the devices.
 * machine_resume lets them go on. Either may be called twice. -EINPROGRESS without
 * text: a disk is busy; let the loop run and call machine_pause again, until it returns
 * something else. -ETIMEDOUT with text: a vCPU or a disk has not answered within 30 s
 * of the first call, and the machine runs on. Call both without the device lock. */
MUST_CHECK int machine_pause(struct machine *m, struct err *e);
void machine_resume(struct machine *m);

/* Changes of a started machine, running or paused. Call them without the device lock.
 */

/* Changes a device of that kind: all of the change or, on failure, nothing. patch is
 * the kind's struct. A change of the backend waits for requests to the old one, and
 * begins no new ones meanwhile: -EINPROGRESS as for machine_pause, and -ETIMEDOUT with
 * text after 30 s. */
MUST_CHECK int machine_patch_device(
	struct machine *m, const struct device_kind *k, void *patch, struct err *e);
/* Types Ctrl, Alt and Del. -EBUSY with text while the guest has not read what was typed
 * before. */
MUST_CHECK int machine_send_ctrl_alt_del(struct machine *m, struct err *e);

/* The settings as they are now; borrowed until the next change. */
const struct machine_cfg *machine_config(const struct machine *m);
const struct boot_cfg *machine_boot_source(const struct machine *m);
/* The settings of the i-th device of that kind, in their order: the kind's struct, or
 * NULL after the last. */
const void *machine_device(
	const struct machine *m, const struct device_kind *k, unsigned i);

/* Stops the vCPUs for good. Call it without the device lock. */
void machine_stop(struct machine *m);

/* After env.ended: 0 when the guest reset itself, 1 for a triple fault or a failure. */
int machine_exit_status(const struct machine *m);

/* Call these before a signal stops the process, and when it continues: in between, a
 * terminal that feeds the guest's console has the settings that husk found. Legal
 * before a start too. Call them without the device lock. */
void machine_suspend_console(struct machine *m);
void machine_resume_console(struct machine *m);
/* Gives that terminal its settings back, from the handler of a fatal signal. */
void machine_restore_terminal(const struct machine *m);

/* Opens the file of the metrics, once: -EEXIST with text after that. extra as for
 * metrics_open. From then on a line is written every minute while the machine runs. */
MUST_CHECK int machine_set_metrics(
	struct machine *m, const char *path, const char *extra, struct err *e);
/* Writes one line now. 0, also when there is no file, or -errno. */
int machine_write_metrics(struct machine *m);
/* Puts the totals since the start into buf, as a string. Returns its length, or 0 when
 * buf is too small; machine_metrics_room bytes are enough. */
size_t machine_render_metrics(struct machine *m, char *buf, size_t room);
size_t machine_metrics_room(const struct machine *m);
/* Writes the last line, from the handler of a fatal signal. */
void machine_flush_metrics(struct machine *m);

#endif
