/* SPDX-License-Identifier: Apache-2.0
 *
 * handlers_get: what can be asked of husk. Nothing here changes anything.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/config_file.h"
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

int get_vm_config(struct api *a, struct call *c, struct err *e)
{
	(void)e;
	config_print(a, c->out);
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
