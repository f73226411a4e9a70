/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jailer/paths.h"
#include "vmm/base/args.h"
#include "vmm/base/ids.h"

/* clang-format off */
static const struct arg rows[] = {
	{ .name = "--id", .value_name = "id", .help = "the microVM's id: 1 to 64 letters, digits or '-'" },
	{ .name = "--exec-file", .value_name = "path", .help = "the monitor to run in the jail" },
	{ .name = "--uid", .value_name = "n", .help = "the user that it runs as" },
	{ .name = "--gid", .value_name = "n", .help = "the group that it runs as" },
	{ .name = "--chroot-base-dir", .value_name = "path", .help = "where jails are made; default /srv/jailer" },
	{ .name = "--netns", .value_name = "path", .help = "a network namespace to join" },
	{ .name = "--daemonize", .help = "run in the background, in a session of its own" },
	{ .name = "--new-pid-ns", .help = "run in a new PID namespace" },
	{ .name = "--cgroup", .value_name = "file=value", .help = "a cgroup setting, e.g. cpu.shares=10; may be repeated", .repeats = true },
	{ .name = "--cgroup-version", .value_name = "n", .help = "1 (default) or 2" },
	{ .name = "--parent-cgroup", .value_name = "path", .help = "the cgroup above the jail's own; default: the monitor's name" },
	{ .name = "--resource-limit", .value_name = "name=value", .help = "fsize=<bytes> or no-file=<n> (default 2048); may be repeated", .repeats = true },
	{ .name = "--keep-fd", .value_name = "n", .help = "a descriptor that the monitor inherits; may be repeated", .repeats = true },
	{ .name = "--version", .help = "print the version" },
	{ .name = "--help", .help = "print this; words after -- are the monitor's own" },
};
/* clang-format on */

/* The command line, and the table of options with the values that it gives. */
struct line {
	int argc;
	char **argv;
	struct arg args[ARRAY_LEN(rows)];
};

static const char *value(const struct line *l, const char *name)
{
	return args_value(l->args, ARRAY_LEN(l->args), name);
}

static const char *next(const struct line *l, const char *name, int *at)
{
	return args_next(l->argc, l->argv, l->args, ARRAY_LEN(l->args), name, at);
}

static int need(const struct line *l, const char *name, const char **out, struct err *e)
{
	*out = value(l, name);
	return *out ? 0 : err_bad(e, "argument '%s' is required", name);
}

static int read_id(const struct line *l, const char *name, uint32_t *out, struct err *e)
{
	const char *text;
	uint64_t v = 0;
	int r = need(l, name, &text, e);

	if (r == 0)
		r = args_u64(l->args, ARRAY_LEN(l->args), name, 0, &v, e);
	if (r < 0)
		return r;
	/* to chown and setresuid 2^32 - 1 means "no change": the monitor would be root
	 */
	if (v >= UINT32_MAX)
		return err_bad(
			e, "argument '%s': %s is not below %u", name, text, UINT32_MAX);
	*out = (uint32_t)v;
	return 0;
}

static int read_cgroups(const struct line *l, struct options *o, struct err *e)
{
	const char *version = value(l, "--cgroup-version");
	const char *text;
	int at = 1, r = 0;

	if (version && strcmp(version, "1") != 0 && strcmp(version, "2") != 0)
		return err_bad(e, "cgroup version '%s' is neither 1 nor 2", version);
	o->cgroup_version = version && version[0] == '2' ? 2 : 1;
	o->parent_cgroup = value(l, "--parent-cgroup");
	/* an empty path would be the hierarchy's root */
	if (o->parent_cgroup &&
		(o->parent_cgroup[0] == '\0' || !path_is_inner(o->parent_cgroup)))
		return err_bad(e,
			"parent cgroup '%s' is not a relative path without '.' and '..'",
			o->parent_cgroup);
	if (!value(l, "--cgroup"))
		return 0;
	o->properties = calloc((size_t)l->argc, sizeof(*o->properties));
	if (!o->properties)
		return err_sys(e, "cgroup settings");
	while (r == 0 && (text = next(l, "--cgroup", &at)))
		r = cgroup_parse_property(text, &o->properties[o->n_properties++], e);
	return r;
}

static int read_limit(struct options *o, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	size_t n = eq ? (size_t)(eq - text) : 0;
	uint64_t v;

	if (!eq || !args_read_u64(eq + 1, &v))
		return err_bad(e, "resource limit '%s' is not <name>=<number>", text);
	if (n == strlen("fsize") && memcmp(text, "fsize", n) == 0) {
		o->fsize = v;
		o->has_fsize = true;
		return 0;
	}
	if (n == strlen("no-file") && memcmp(text, "no-file", n) == 0) {
		o->no_file = v;
		return 0;
	}
	return err_bad(e, "resource limit '%s' is neither fsize nor no-file", text);
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int read_keep_fd(struct options *o, const char *text, struct err *e)
{
	uint64_t v;

	if (!args_read_u64(text, &v) || v > INT_MAX - 1)
		return err_bad(e, "'%s' is not a descriptor's number", text);
	if (v <= STDERR_FILENO)
		return err_bad(e, "descriptor %s is kept without being asked", text);
	if (o->n_keep_fds == KEEP_FDS_MAX)
		return err_bad(e, "more than %d descriptors to keep", KEEP_FDS_MAX);
	o->keep_fds[o->n_keep_fds++] = (int)v;
	qsort(o->keep_fds, o->n_keep_fds, sizeof(int), compare_ints);
	return 0;
}

/* Reads the options that repeat, but for --cgroup. */
static int read_lists(const struct line *l, struct options *o, struct err *e)
{
	const char *text;
	int at = 1, r = 0;

	o->no_file = NO_FILE_DEFAULT;
	while (r == 0 && (text = next(l, "--resource-limit", &at)))
		r = read_limit(o, text, e);
	at = 1;
	while (r == 0 && (text = next(l, "--keep-fd", &at)))
		r = read_keep_fd(o, text, e);
	return r;
}

int options_parse(int argc, char **argv, struct options *o, struct err *e)
{
	struct line l = { .argc = argc, .argv = argv };
	int rest;
	int r;

	*o = (struct options){ 0 };
	memcpy(l.args, rows, sizeof(rows));
	r = args_parse(argc, argv, l.args, ARRAY_LEN(l.args), &rest, e);
	if (r != ARGS_RUN)
		return r;
	r = need(&l, "--id", &o->id, e);
	if (r == 0)
		r = ids_check_instance(o->id, e);
	if (r == 0)
		r = need(&l, "--exec-file", &o->exec_file, e);
	if (r == 0)
		r = read_id(&l, "--uid", &o->uid, e);
	if (r == 0)
		r = read_id(&l, "--gid", &o->gid, e);
	if (r == 0)
		r = read_cgroups(&l, o, e);
	if (r == 0)
		r = read_lists(&l, o, e);
	if (r < 0)
		return r;
	o->base_dir = value(&l, "--chroot-base-dir");
	if (!o->base_dir)
		o->base_dir = "/srv/jailer";
	o->netns = value(&l, "--netns");
	o->daemonize = value(&l, "--daemonize");
	o->new_pid_ns = value(&l, "--new-pid-ns");
	o->extra = argv + rest;
	return ARGS_RUN;
}

void options_fini(struct options *o)
{
	free(o->properties);
	o->properties = NULL;
	o->n_properties = 0;
}

void options_print_help(void)
{
	args_print_help(rows, ARRAY_LEN(rows));
}
