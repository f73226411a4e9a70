/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_config: the input is read as JSON, as each body of the API, and as a config file
 * for a machine that never starts. Beyond the sanitizers the target checks that a
 * refusal has a text of one line and changes no output, and that no descriptor leaks.
 */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "api/bodies.h"
#include "api/config_file.h"
#include "api/cpu_config.h"
#include "tests/fuzz/confine.h"
#include "virtio/blk/kind.h"
#include "vmm/base/phases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(const struct err *e)
{
	assert(e->text[0] != '\0');
	for (const char *c = e->text; *c != '\0'; c++)
		assert(!iscntrl((unsigned char)*c));
}

static void read_machine(const struct json *v)
{
	struct machine_cfg c = MACHINE_CFG_DEFAULT, before = c;
	struct err e;

	if (json_read(v, &machine_cfg_fields, &c, &e) < 0) {
		check_text(&e);
		assert(memcmp(&c, &before, sizeof(c)) == 0);
	} else if (config_check_machine(&c, &e) < 0) {
		check_text(&e);
	}
}

static void read_boot(const struct json *v)
{
	struct boot_cfg c = { 0 };
	struct err e;

	if (json_read(v, &boot_cfg_fields, &c, &e) < 0) {
		check_text(&e);
		assert(!c.kernel_image_path && !c.initrd_path && !c.boot_args);
	} else {
		assert(c.kernel_image_path);
	}
	fields_fini(&boot_cfg_fields, &c);
}

static void read_drive(const struct json *v)
{
	struct drive_cfg c = { 0 };
	struct err e;

	if (json_read(v, blk_kind.cfg.fields, &c, &e) < 0) {
		check_text(&e);
		assert(!c.drive_id && !c.path_on_host && !c.partuuid);
	} else if (kind_check(&blk_kind, &c, &e) < 0) {
		check_text(&e);
	}
	fields_fini(blk_kind.cfg.fields, &c);
}

static void read_serial(const struct json *v)
{
	struct serial_cfg c = { 0 };
	struct err e;

	if (json_read(v, &serial_cfg_fields, &c, &e) < 0) {
		check_text(&e);
		assert(!c.serial_out_path);
	}
	fields_fini(&serial_cfg_fields, &c);
}

/* Checks the limits of a template that was accepted. */
static void read_cpu(const struct json *v)
{
	struct cpu_template t = { 0 };
	struct err e;

	if (cpu_config_read(v, &t, &e) < 0) {
		check_text(&e);
		assert(!t.name && !t.cpuid && !t.msr && !t.cap);
	}
	assert(t.n_cpuid <= CPUID_CHANGES_MAX && t.n_msrs <= MSR_CHANGES_MAX);
	assert(t.n_caps <= KVM_CAP_CHANGES_MAX);
	for (unsigned i = 1; i < t.n_msrs; i++)
		assert(t.msr[i].addr != t.msr[0].addr);
	for (unsigned i = 0; i < t.n_msrs; i++)
		assert((t.msr[i].clear & t.msr[i].set) == 0);
	cpu_template_fini(&t);
}

/* Reads each body from this value, and from its elements if it is a list or a config.
 */
static void read_bodies(const struct json *v)
{
	static const char *const names[] = { "machine-config", "boot-source", "drives",
		"serial", "cpu-config" };
	const struct json *inner;

	read_machine(v);
	read_boot(v);
	read_drive(v);
	read_serial(v);
	read_cpu(v);
	for (unsigned i = 0; json_is_array(v) && i < 8 && (inner = json_element(v, i));
		i++)
		read_drive(inner);
	for (size_t i = 0; json_is_object(v) && i < ARRAY_LEN(names); i++)
		if ((inner = json_find(v, names[i])) != NULL)
			read_bodies(inner);
}

static void on_ended(void *self)
{
	(void)self;
}

static void apply(const char *text, size_t n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct phases phases;
	struct machine_env env = {
		.lock = &lock, .phases = &phases, .ended = on_ended
	};
	struct api_counts counts = { 0 };
	struct api a = { .counts = &counts, .id = "fuzz" };
	struct err e;

	if (loop_create(&lock, &env.loop, &e) < 0 ||
		machine_create(&env, &a.machine, &e) < 0)
		abort();
	for (int i = 0; i < 2; i++) /* the second replaces what the first set */
		if (config_apply(&a, text, n, &e) < 0)
			check_text(&e);
	machine_destroy(a.machine);
	loop_destroy(env.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = confine_json((const char *)data, n);
	struct json *v = NULL;
	struct err e;

	confine_enter();
	if (json_parse(text, n, &v, &e) < 0)
		check_text(&e);
	else
		read_bodies(v);
	json_free(v);
	apply(text, n);
	confine_leave();
	free(text);
	return 0;
}
