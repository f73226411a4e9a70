/* SPDX-License-Identifier: Apache-2.0
 *
 * handlers_get: what can be asked of husk. Nothing here changes anything.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/bodies.h"
#include "api/handlers.h"
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

int get_machine_config(struct api *a, struct call *c, struct err *e)
{
	(void)e;
	json_write(c->out, &machine_cfg_fields, machine_config(a->machine));
	return 0;
}

/* A config file that would make this machine again (contract, 3.18). */
int get_vm_config(struct api *a, struct call *c, struct err *e)
{
	const struct boot_cfg *boot = machine_boot_source(a->machine);
	struct boot_cfg shown = *boot;
	char no_path[] = "";
	const struct drive_cfg *d;
	const struct net_cfg *n;
	const struct vsock_cfg *vsock = machine_vsock(a->machine);

	(void)e;
	if (!shown.kernel_image_path)
		shown.kernel_image_path = no_path;
	(void)fputs("{\"balloon\":null,\"drives\":[", c->out);
	for (unsigned i = 0; (d = machine_drive(a->machine, i)); i++) {
		if (i > 0)
			(void)putc(',', c->out);
		json_write(c->out, &drive_cfg_fields, d);
	}
	(void)fputs("],\"boot-source\":", c->out);
	json_write(c->out, &boot_cfg_fields, &shown);
	(void)fputs(",\"cpu-config\":null,\"logger\":null,\"machine-config\":", c->out);
	json_write(c->out, &machine_cfg_fields, machine_config(a->machine));
	(void)fputs(",\"metrics\":null,\"mmds-config\":null,"
		    "\"network-interfaces\":[",
		c->out);
	for (unsigned i = 0; (n = machine_net(a->machine, i)); i++) {
		if (i > 0)
			(void)putc(',', c->out);
		json_write(c->out, &net_cfg_fields, n);
	}
	(void)fputs("],\"vsock\":", c->out);
	if (vsock)
		json_write(
			c->out, &vsock_fields, &(struct vsock_body){ .cfg = *vsock });
	else
		(void)fputs("null", c->out);
	(void)fputs(",\"entropy\":null,\"pmem\":[],\"memory-hotplug\":null}", c->out);
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
