/* SPDX-License-Identifier: Apache-2.0
 *
 * handlers_put: what can be set and done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/bodies.h"
#include "api/handlers.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

static int start(struct api *a, struct err *e)
{
	if (machine_state(a->machine) != MACHINE_NOT_STARTED)
		return err_bad(e,
			"InstanceStart is not supported after starting the "
			"microVM.");
	return machine_boot(a->machine, e);
}

int put_actions(struct api *a, struct call *c, struct err *e)
{
	const struct action_body *body = c->cfg;
	int r;

	if (body->action == ACTION_START)
		return start(a, e);
	if (machine_state(a->machine) == MACHINE_NOT_STARTED)
		return err_bad(e,
			"The requested operation is not supported before "
			"starting the microVM.");
	if (body->action == ACTION_CTRL_ALT_DEL)
		return machine_send_ctrl_alt_del(a->machine, e);
	r = machine_write_metrics(a->machine);
	return r < 0 ? err_code(e, r, "cannot write the metrics") : 0;
}

int put_boot_source(struct api *a, struct call *c, struct err *e)
{
	return machine_set_boot_source(a->machine, c->cfg, e);
}

int put_cpu_config(struct api *a, struct call *c, struct err *e)
{
	return machine_set_cpu_config(a->machine, c->cfg, e);
}

int put_device(struct api *a, struct call *c, struct err *e)
{
	return machine_put_device(a->machine, c->kind, c->cfg, e);
}

int patch_device(struct api *a, struct call *c, struct err *e)
{
	return machine_patch_device(a->machine, c->kind, c->cfg, e);
}

/* Whether all members are null, which counts as absent in a PATCH. */
static bool is_empty(const struct json *body)
{
	const struct json *member;
	unsigned i = 0;

	while ((member = json_element(body, i)) && json_is_null(member))
		i++;
	return !member;
}

int put_machine_config(struct api *a, struct call *c, struct err *e)
{
	return machine_set_config(a->machine, c->cfg, e);
}

/* The present settings, with the body's members changed. */
int patch_machine_config(struct api *a, struct call *c, struct err *e)
{
	if (is_empty(c->body))
		return err_bad(e, "Empty PATCH request.");
	return machine_set_config(a->machine, c->cfg, e);
}

int put_serial(struct api *a, struct call *c, struct err *e)
{
	return machine_set_serial(a->machine, c->cfg, e);
}

int put_logger(struct api *a, struct call *c, struct err *e)
{
	const struct logger_body *body = c->cfg;
	enum log_level level =
		LOG_INFO; /* a level that is not given is reset: contract, 3.8 */
	int r = 0;

	(void)a;
	if (body->level)
		r = log_parse_level(body->level, &level, e);
	if (r == 0 && body->log_path)
		r = log_open(body->log_path, e);
	if (r < 0)
		return r;
	log_set_level(level);
	if (body->has_show_level)
		log_set_show_level(body->show_level);
	if (body->has_show_log_origin)
		log_set_show_origin(body->show_log_origin);
	if (body->module)
		log_set_module(body->module);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(json_name(*(const struct json *const *)a),
		json_name(*(const struct json *const *)b));
}

static void write_sorted(FILE *out, const struct json **p, unsigned n)
{
	qsort(p, n, sizeof(const struct json *), by_name);
	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			(void)putc(',', out);
		json_write_string(out, json_name(p[i]));
		(void)putc(':', out);
		json_write_string(out, json_string(p[i]));
	}
}

/* Writes the properties, sorted by name, as members of an object. */
static int write_properties(FILE *out, const struct json *properties, struct err *e)
{
	const struct json **sorted, *p;
	unsigned n = 0;

	if (!json_is_object(properties))
		return err_bad(e, "member 'properties' is not an object");
	for (p = json_element(properties, 0); p; p = json_next(p), n++)
		if (!json_string(p))
			return err_bad(
				e, "property '%.80s' is not a string", json_name(p));
	sorted = calloc(n + 1, sizeof(const struct json *));
	if (!sorted)
		return err_code(e, -ENOMEM, "%u properties", n);
	n = 0;
	for (p = json_element(properties, 0); p; p = json_next(p))
		sorted[n++] = p;
	write_sorted(out, sorted, n);
	free(sorted);
	return 0;
}

/* Writes the members that each line of metrics carries beside its counters. */
static int write_extra(
	FILE *out, const struct api *a, const struct metrics_body *body, struct err *e)
{
	int r = 0;

	if (body->emit_id)
		(void)fprintf(out, "\"id\":\"%s\"", a->id);
	if (body->emit_id && body->properties)
		(void)putc(',', out);
	if (!body->properties)
		return 0;
	(void)fputs("\"properties\":{", out);
	r = write_properties(out, body->properties, e);
	(void)putc('}', out);
	return r;
}

int put_metrics(struct api *a, struct call *c, struct err *e)
{
	const struct metrics_body *body = c->cfg;
	char *extra = NULL;
	size_t n;
	FILE *out = open_memstream(&extra, &n);
	int r;

	if (!out)
		return err_code(e, -ENOMEM, "metrics");
	r = write_extra(out, a, body, e);
	if (fclose(out) != 0 && r == 0)
		r = err_code(e, -ENOMEM, "metrics");
	if (r == 0)
		r = machine_set_metrics(
			a->machine, body->metrics_path, n > 0 ? extra : NULL, e);
	free(extra);
	return r;
}

int patch_vm(struct api *a, struct call *c, struct err *e)
{
	const struct vm_body *body = c->cfg;
	bool pause = body->state == VM_PAUSED;
	enum machine_state before = machine_state(a->machine);
	uint64_t took;
	int r = 0;

	if (pause)
		r = machine_pause(a->machine, e);
	else
		machine_resume(a->machine);
	took = clock_us() - a->since_us;
	if (machine_state(a->machine) == before)
		return r; /* nothing changed, or it failed: there is no time to note */
	if (pause)
		a->counts->latencies_us.pause_vm =
			a->counts->latencies_us.vmm_pause_vm = took;
	else
		a->counts->latencies_us.resume_vm =
			a->counts->latencies_us.vmm_resume_vm = took;
	return r;
}
