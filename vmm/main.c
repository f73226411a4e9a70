/* SPDX-License-Identifier: Apache-2.0
 *
 * main: reads the options, sets up the log, the API and the machine, runs the loop, and
 * returns the exit status (contract, section 1).
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api/config_file.h"
#include "api/server.h"
#include "vmm/base/absent.h"
#include "vmm/base/args.h"
#include "vmm/base/clock.h"
#include "vmm/base/ids.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/base/name.h"
#include "vmm/base/phases.h"
#include "vmm/base/unix_socket.h"
#include "vmm/base/version.h"
#include "vmm/process/sd_notify.h"
#include "vmm/process/seccomp.h"
#include "vmm/process/signals.h"

enum {
	STATUS_OK = 0,
	STATUS_FAILURE = 1,
	STATUS_BAD_LEVEL = 152,
	STATUS_BAD_ARGUMENTS = 153,
};

#define API_SOCK_DEFAULT "/run/firecracker.socket"
#define NOT_YET "not in this version of husk"

/* clang-format off */
static struct arg args[] = {
	{ .name = "--api-sock", .value_name = "path", .help = "socket of the API, made anew (default " API_SOCK_DEFAULT ")" },
	{ .name = "--api-fd", .value_name = "fd", .help = "descriptor of a socket that listens already, instead of --api-sock" },
	{ .name = "--no-api", .help = "no API socket; needs --config-file" },
	{ .name = "--config-file", .value_name = "path", .help = "JSON settings of a microVM that starts at once" },
	{ .name = "--id", .value_name = "id", .help = "instance id: 1 to 64 letters, digits or '-'" },
	{ .name = "--log-path", .value_name = "path", .help = "file or FIFO for the log instead of stdout" },
	{ .name = "--level", .value_name = "level", .help = "Off, Error, Warn, Info (default), Debug or Trace" },
	{ .name = "--module", .value_name = "prefix", .help = "log only what comes from these sources, such as vmm/ or virtio/blk" },
	{ .name = "--show-level", .help = "the level in each log line" },
	{ .name = "--show-log-origin", .help = "file and line in each log line" },
	{ .name = "--metrics-path", .value_name = "path", .help = "file or FIFO for metrics, a JSON line each" },
	{ .name = "--own-metrics", .help = "husk's own groups and members in those lines too, such as phases" },
	{ .name = "--boot-timer", .help = "a page at 0xc0000000 by which the guest's init reports" },
	{ .name = "--start-time-us", .value_name = "us", .help = "CLOCK_MONOTONIC when the launcher started husk" },
	{ .name = "--start-time-cpu-us", .value_name = "us", .help = "CPU time of this process when it was exec'ed" },
	{ .name = "--parent-cpu-time-us", .value_name = "us", .help = "CPU time that the launcher spent" },
	{ .name = "--http-api-max-payload-size", .value_name = "bytes", .help = "longest body of a request (default 51200)" },
	{ .name = "--no-seccomp", .help = "no system call filters" },
	{ .name = "--seccomp-filter", .value_name = "path", .help = "filters made by husk-seccomp, instead of husk's own" },
	{ .name = "--version", .help = "print the version" },
	{ .name = "--help", .help = "print this" },
	{ .name = "--metadata", .value_name = "path", .help = NOT_YET },
	{ .name = "--mmds-size-limit", .value_name = "bytes", .help = "largest MMDS document; has no effect yet" },
	{ .name = "--snapshot-version", .help = NOT_YET },
	{ .name = "--describe-snapshot", .value_name = "path", .help = NOT_YET },
	{ .name = "--enable-pci", .help = "refused: husk has no PCI" },
};
/* clang-format on */

struct husk {
	pthread_mutex_t lock; /* the device lock */
	struct loop *loop;
	struct machine *machine;
	struct api api;
	struct server *server; /* the API's, or NULL */
	struct unix_file socket; /* the API's, if husk made it */
	struct phases phases;
	struct api_counts api_counts;
	struct process_counts process_counts;
	struct signals signals;
	const struct seccomp_filters *filters; /* of all threads, or NULL */
	struct seccomp_filters custom_filters; /* from --seccomp-filter */
	const char *doing; /* the beginning of the log's line about an error */
	int stop_signal; /* the signal that asked husk to end, or 0 */
};

static const char *arg(const char *name)
{
	return args_value(args, ARRAY_LEN(args), name);
}

static int arg_u64(const char *name, uint64_t fallback, uint64_t *out, struct err *e)
{
	return args_u64(args, ARRAY_LEN(args), name, fallback, out, e);
}

/* Writes an error to stderr, as the last line there, whether there is a log or not. */
static int fail(int status, const struct err *e)
{
	(void)fprintf(stderr, "%s: %s\n", name_of_program(), e->text);
	return status;
}

static void on_guest_ended(void *self)
{
	struct husk *h = self;

	loop_stop(h->loop);
}

static void on_stop(void *self, int sig)
{
	struct husk *h = self;

	h->stop_signal = sig;
	loop_stop(h->loop);
}

static void on_suspend(void *self)
{
	struct husk *h = self;

	machine_suspend_console(h->machine);
}

static void on_resume(void *self)
{
	struct husk *h = self;

	machine_resume_console(h->machine);
}

static void on_dying(void *self)
{
	struct husk *h = self;

	if (!h->machine)
		return;
	machine_restore_terminal(h->machine);
	machine_flush_metrics(h->machine);
}

static int set_up_log(struct err *e)
{
	enum log_level level;

	if (arg("--level")) {
		if (log_parse_level(arg("--level"), &level, e) < 0)
			return STATUS_BAD_LEVEL;
		log_set_level(level);
	}
	if (arg("--id")) {
		if (ids_check_instance(arg("--id"), e) < 0)
			return STATUS_FAILURE;
		log_set_id(arg("--id"));
	}
	log_set_show_level(arg("--show-level") != NULL);
	log_set_show_origin(arg("--show-log-origin") != NULL);
	if (arg("--module"))
		log_set_module(arg("--module"));
	if (!arg("--log-path"))
		log_open_stdout();
	else if (log_open(arg("--log-path"), e) < 0)
		return STATUS_FAILURE;
	log_info("Running Firecracker v" HUSK_VERSION " (husk)");
	return STATUS_OK;
}

static void log_phases(const struct phases *p)
{
	for (enum phase i = PHASE_MAIN; i < PHASE_COUNT; i++)
		log_debug("phase %s = %llu us", phase_name(i),
			(unsigned long long)phase_us(p, i));
}

/* Notes for the metrics how long the start took until the API was ready (contract, 9.2:
 * api_server). */
static int count_start_up(struct husk *h, struct err *e)
{
	uint64_t cpu_start, parent_cpu, cpu = clock_cpu_us();
	int r = arg_u64("--start-time-cpu-us", 0, &cpu_start, e);

	if (r == 0)
		r = arg_u64("--parent-cpu-time-us", 0, &parent_cpu, e);
	if (r < 0)
		return r;
	h->api_counts.api_server.process_startup_time_us =
		phase_us(&h->phases, PHASE_API_READY);
	h->api_counts.api_server.process_startup_time_cpu_us =
		(cpu > cpu_start ? cpu - cpu_start : 0) + parent_cpu;
	return 0;
}

static int open_socket(struct husk *h, int *fd, struct err *e)
{
	const char *path = arg("--api-sock") ? arg("--api-sock") : API_SOCK_DEFAULT;
	uint64_t number;
	int r;

	if (arg("--api-fd")) {
		r = arg_u64("--api-fd", 0, &number, e);
		if (r == 0 && (number <= STDERR_FILENO || number > INT32_MAX))
			r = err_bad(e, "--api-fd %s is not an inherited descriptor",
				arg("--api-fd"));
		*fd = (int)number;
		return r;
	}
	*fd = unix_listen(path, &h->socket, e);
	if (*fd < 0)
		return *fd;
	log_info("Listening on API socket (\"%s\").", path);
	return 0;
}

static int serve_api(struct husk *h, struct err *e)
{
	uint64_t max_body;
	int fd, r = arg_u64("--http-api-max-payload-size", 51200, &max_body, e);

	if (r == 0)
		r = open_socket(h, &fd, e);
	if (r == 0)
		r = server_create(h->loop, fd, MIN(max_body, UINT32_MAX), api_handle,
			&h->api, &h->server, e);
	if (r < 0)
		return err_add(e, r, "API socket");
	phase_mark(&h->phases, PHASE_API_READY);
	log_info("API server started.");
	return count_start_up(h, e);
}

static int set_up_filters(struct husk *h, struct err *e)
{
	int r = 0;

	if (arg("--no-seccomp"))
		return 0;
	h->filters = seccomp_filter_builtin();
	if (arg("--seccomp-filter")) {
		r = seccomp_filter_load(arg("--seccomp-filter"), &h->custom_filters, e);
		h->filters = &h->custom_filters;
	}
	return r == 0 ? seccomp_filter_prepare(e) : r;
}

static int set_up(struct husk *h, struct err *e)
{
	struct machine_env env = {
		.lock = &h->lock,
		.phases = &h->phases,
		.api_counts = &h->api_counts,
		.process_counts = &h->process_counts,
		.own_metrics = arg("--own-metrics") != NULL,
		.boot_timer = arg("--boot-timer") != NULL,
		.opens_no_files = arg("--no-api") != NULL,
		.ended = on_guest_ended,
		.self = h,
	};
	int r = loop_create(&h->lock, &h->loop, e);

	h->signals = (struct signals){
		.counts = &h->process_counts,
		.stop = on_stop,
		.suspend = on_suspend,
		.resume = on_resume,
		.dying = on_dying,
		.self = h,
	};
	if (r == 0)
		r = signals_watch(&h->signals, h->loop, e);
	if (r == 0)
		r = set_up_filters(h, e);
	env.loop = h->loop;
	env.filters = h->filters;
	if (r == 0)
		r = machine_create(&env, &h->machine, e);
	if (r == 0 && arg("--metrics-path"))
		r = machine_set_metrics(h->machine, arg("--metrics-path"), NULL, e);
	h->api = (struct api){
		.machine = h->machine,
		.counts = &h->api_counts,
		.id = arg("--id") ? arg("--id") : "anonymous-instance",
	};
	if (r == 0 && !arg("--no-api"))
		r = serve_api(h, e);
	if (r == 0 && !arg("--config-file"))
		r = seccomp_filter_install(h->filters, SECCOMP_API, e);
	return r;
}

static int start_from_file(struct husk *h, struct err *e)
{
	int r = config_load(&h->api, arg("--config-file"), e);

	if (r == 0)
		r = machine_boot(h->machine, e);
	if (r == 0)
		log_info(
			"Successfully started microvm that was configured from one single json");
	return r;
}

static int run(struct husk *h, struct err *e)
{
	struct err why;
	int r = set_up(h, e);

	if (r == 0 && arg("--config-file")) {
		h->doing = "Failed to build MicroVM from Json: ";
		r = start_from_file(h, e);
	}
	if (r < 0)
		return r;
	h->doing = "";
	if (sd_notify_ready(&why) < 0) /* the guest runs on without its launcher */
		log_warn("%s", why.text);
	r = loop_run(h->loop);
	if (r < 0)
		return err_code(e, r, "event loop");
	log_info("Vmm is stopping.");
	machine_stop(h->machine);
	log_phases(&h->phases);
	(void)machine_write_metrics(h->machine);
	return machine_exit_status(h->machine);
}

/* Refuses options of Firecracker's that husk does not have. */
static int refuse_args(struct err *e)
{
	for (size_t i = 0; i < 2 * n_absents; i++) {
		const struct absent *a = &absents[i / 2];
		const char *option = a->options[i % 2];

		if (option && arg(option))
			return err_bad(e, "%s: %s", option, a->why);
	}
	return ARGS_RUN;
}

static int check_numbers(struct err *e)
{
	static const char *const numbers[] = { "--api-fd", "--start-time-us",
		"--start-time-cpu-us", "--parent-cpu-time-us",
		"--http-api-max-payload-size", "--mmds-size-limit" };
	uint64_t number;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
		r = arg_u64(numbers[i], 0, &number, e);
	return r;
}

static int check_args(int argc, char **argv, struct husk *h, struct err *e)
{
	int rest;
	int r = args_parse(argc, argv, args, ARRAY_LEN(args), &rest, e);

	if (r == ARGS_RUN)
		r = check_numbers(e);
	if (r != ARGS_RUN)
		return r;
	r = arg_u64("--start-time-us", h->phases.at_us[PHASE_MAIN],
		&h->phases.at_us[PHASE_PROCESS_START], e);
	if (r < 0)
		return r;
	if (arg("--no-api") && !arg("--config-file"))
		return err_bad(e, "--no-api needs --config-file");
	if (arg("--api-sock") && arg("--api-fd"))
		return err_bad(e, "--api-sock and --api-fd exclude each other");
	if (arg("--no-seccomp") && arg("--seccomp-filter"))
		return err_bad(
			e, "--no-seccomp and --seccomp-filter exclude each other");
	return refuse_args(e);
}

/* Clients read the second word of the first line, or look anywhere for "Firecracker v"
 * and a number. */
static void print_version(void)
{
	const char *product = name_of_product();

	printf("%s v%s\n\n", product, HUSK_VERSION);
	if (strcmp(product, "Firecracker") == 0)
		printf("husk v%s\n", HUSK_VERSION);
	else
		printf("Firecracker v%s API\n", HUSK_VERSION);
	printf("husk release %s\n", HUSK_RELEASE);
}

/* Called when everything is cleaned up. Ends husk by the signal that asked for it, or
 * returns the status to exit with. */
static int leave(int sig, int status)
{
	if (sig != 0) {
		log_info("exiting by signal %s", sigabbrev_np(sig));
		return signals_end(sig);
	}
	if (status == STATUS_OK)
		log_info("Firecracker exiting successfully. exit_code=0");
	else
		log_error("Firecracker exiting with error. exit_code=%d", status);
	return status;
}

int main(int argc, char **argv)
{
	struct husk h = { .lock = PTHREAD_MUTEX_INITIALIZER, .doing = "" };
	struct err e = { "" };
	int r;

	phase_mark(&h.phases, PHASE_MAIN);
	io_fill_standard_fds();
	io_raise_fd_limit();
	r = check_args(argc, argv, &h, &e);
	if (r < 0)
		return fail(STATUS_BAD_ARGUMENTS, &e);
	if (r == ARGS_VERSION) {
		print_version();
		return STATUS_OK;
	}
	if (r == ARGS_HELP) {
		printf("%s v%s: a microVM monitor\n\n", name_of_product(),
			HUSK_VERSION);
		args_print_help(args, ARRAY_LEN(args));
		return STATUS_OK;
	}
	r = set_up_log(&e);
	if (r != STATUS_OK)
		return fail(r, &e);
	phase_mark(&h.phases, PHASE_ARGUMENTS_READ);
	r = run(&h, &e);
	if (r < 0) {
		log_error("%s%s", h.doing, e.text);
		r = fail(STATUS_FAILURE, &e);
	}
	unix_file_remove(&h.socket); /* while the server still has the socket open */
	server_destroy(h.server);
	machine_destroy(TAKE(h.machine)); /* on_dying finds no machine now */
	signals_unwatch(&h.signals, h.loop);
	loop_destroy(h.loop);
	seccomp_filter_fini(&h.custom_filters);
	return leave(h.stop_signal, r);
}
