/* SPDX-License-Identifier: Apache-2.0
 *
 * handlers_get: what can be asked of husk. Nothing here changes anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "vmm/base/absent.h"
#include "vmm/base/name.h"
#include "vmm/base/version.h"

int get_instance(struct api *a, struct call *c, struct err *e)
{
	static const char *const states[] = {
		[MACHINE_NOT_STARTED] = "Not started",
		[MACHINE_RUNNING] = "Running",
		[MACHINE_PAUSED] = "Paused",
	};

	(void)e;
	/* an id has no character to escape */
	(void)fprintf(c->out,
		"{\"id\":\"%s\",\"state\":\"%s\",\"vmm_version\":\"" HUSK_VERSION
		"\",\"app_name\":\"%s\"}",
		a->id, states[machine_state(a->machine)], name_of_product());
	return 0;
}

int get_version(struct api *a, struct call *c, struct err *e)
{
	(void)a;
	(void)e;
	(void)fputs("{\"firecracker_version\":\"" HUSK_VERSION "\"}", c->out);
	return 0;
}

static void print_machine(const struct api *a, FILE *out)
{
	json_write(out, &machine_cfg_fields, machine_config(a->machine));
}

int get_machine_config(struct api *a, struct call *c, struct err *e)
{
	(void)e;
	print_machine(a, c->out);
	return 0;
}

static void print_boot(const struct api *a, FILE *out)
{
	struct boot_cfg shown = *machine_boot_source(a->machine);
	char no_path[] = "";

	if (!shown.kernel_image_path)
		shown.kernel_image_path = no_path;
	json_write(out, &boot_cfg_fields, &shown);
}

/* The settings of all devices of a kind: in a list or, when there can be one only, by
 * themselves. */
static void print_devices(const struct api *a, const struct device_kind *k, FILE *out)
{
	const void *cfg = machine_device(a->machine, k, 0);

	if (!k->is_list && !cfg) {
		(void)fputs("null", out);
		return;
	}
	(void)fputs(k->is_list ? "[" : "", out);
	for (unsigned i = 0; cfg; cfg = machine_device(a->machine, k, ++i)) {
		(void)fputs(i > 0 ? "," : "", out);
		json_write(out, k->cfg.fields, cfg);
	}
	(void)fputs(k->is_list ? "]" : "", out);
}

/* As Firecracker orders them; a kind of device that it does not have comes last. */
static const char *const printed[] = { "balloon", "drives", "boot-source", "cpu-config",
	"logger", "machine-config", "metrics", "mmds-config", "network-interfaces",
	"vsock", "entropy", "pmem", "memory-hotplug" };

static bool is_printed(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(printed); i++)
		if (strcmp(printed[i], name) == 0)
			return true;
	return false;
}

/* The section's value: husk's own, a kind's, or nothing. */
static void print_value(const struct api *a, const char *name, FILE *out)
{
	if (strcmp(name, "machine-config") == 0) {
		print_machine(a, out);
		return;
	}
	if (strcmp(name, "boot-source") == 0) {
		print_boot(a, out);
		return;
	}
	for (unsigned k = 0; device_kinds[k]; k++) {
		if (strcmp(device_kinds[k]->resource, name) == 0) {
			print_devices(a, device_kinds[k], out);
			return;
		}
	}
	for (size_t i = 0; i < n_absents; i++) {
		if (absents[i].is_list && strcmp(absents[i].section, name) == 0) {
			(void)fputs("[]", out);
			return;
		}
	}
	(void)fputs("null", out);
}

/* A config file that would make the machine of now again (contract, 3.18). */
int get_vm_config(struct api *a, struct call *c, struct err *e)
{
	FILE *out = c->out;

	(void)e;
	for (size_t i = 0; i < ARRAY_LEN(printed); i++) {
		(void)fprintf(out, "%c\"%s\":", i > 0 ? ',' : '{', printed[i]);
		print_value(a, printed[i], out);
	}
	for (unsigned k = 0; device_kinds[k]; k++) {
		if (is_printed(device_kinds[k]->resource))
			continue;
		(void)fprintf(out, ",\"%s\":", device_kinds[k]->resource);
		print_devices(a, device_kinds[k], out);
	}
	(void)putc('}', out);
	return 0;
}

int get_metrics(struct api *a, struct call *c, struct err *e)
{
	size_t room = machine_metrics_room(a->machine);
	char *text = malloc(room);

	if (!text || machine_render_metrics(a->machine, text, room) == 0) {
		free(text);
		return err_code(e, -ENOMEM, "no room for the metrics");
	}
	(void)fputs(text, c->out);
	free(text);
	return 0;
}
