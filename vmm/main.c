/* SPDX-License-Identifier: Apache-2.0
 *
 * main: options, log, signals, the machine, the loop, and the exit status (contract,
 * section 1).
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "api/config_file.h"
#include "vmm/base/args.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/machine.h"

#define HUSK_VERSION "1.16.0"

enum {
	STATUS_OK = 0,
	STATUS_FAILURE = 1,
	STATUS_BAD_LEVEL = 152,
	STATUS_BAD_ARGUMENTS = 153,
	STATUS_SIGXCPU = 154,
	STATUS_SIGHUP = 156,
};

/* clang-format off */
static struct arg args[] = {
	{ .name = "--config-file", .value_name = "path", .help = "JSON settings of a microVM that starts at once" },
	{ .name = "--no-api", .help = "no API socket; needs --config-file" },
	{ .name = "--id", .value_name = "id", .help = "instance id: 1 to 64 letters, digits or '-'" },
	{ .name = "--log-path", .value_name = "path", .help = "file or FIFO for the log instead of stdout" },
	{ .name = "--level", .value_name = "level", .help = "Off, Error, Warn, Info (default), Debug or Trace" },
	{ .name = "--show-level", .help = "the level in each log line" },
	{ .name = "--metrics-path", .value_name = "path", .help = "file or FIFO for metrics, a JSON line each" },
	{ .name = "--boot-timer", .help = "a page at 0xc0000000 by which the guest's init reports" },
	{ .name = "--start-time-us", .value_name = "us", .help = "CLOCK_MONOTONIC when the launcher started husk" },
	{ .name = "--version", .help = "print the version" },
	{ .name = "--help", .help = "print this" },
};
/* clang-format on */

struct husk {
	pthread_mutex_t lock; /* the device lock */
	struct loop *loop;
	struct machine *machine;
	struct phases phases;
	struct loop_source signals; /* signalfd */
	int signal_status; /* of a signal that is a failure, else 0 */
	int metrics_fd;
};

static const char *arg(const char *name)
{
	return args_value(args, ARRAY_LEN(args), name);
}

/* An error before there is a log, and after: the last line on stderr says why. */
static int fail(int status, const struct err *e)
{
	(void)fprintf(stderr, "husk: %s\n", e->text);
	return status;
}

static void on_guest_ended(void *self)
{
	struct husk *h = self;

	loop_stop(h->loop);
}

static void on_signal(void *self, uint32_t events)
{
	struct husk *h = self;
	struct signalfd_siginfo info;

	(void)events;
	if (read(h->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		h->signal_status = STATUS_SIGHUP;
	if (info.ssi_signo == SIGXCPU)
		h->signal_status = STATUS_SIGXCPU;
	log_info("signal %s: stopping", sigabbrev_np((int)info.ssi_signo));
	loop_stop(h->loop);
}

/* Signals after which no code of husk can be relied on, and the status of each. */
static const struct {
	int sig, status;
} fatal_signals[] = {
	{ SIGSYS, 148 },
	{ SIGBUS, 149 }, /* also the host out of 2 MiB pages */
	{ SIGSEGV, 150 },
	{ SIGXFSZ, 151 },
	{ SIGILL, 157 },
};

static void on_fatal_signal(int sig)
{
	const char *name = sigabbrev_np(sig); /* a table: safe in a handler */

	(void)!write(STDERR_FILENO, "husk: fatal signal ", 19);
	(void)!write(STDERR_FILENO, name, strlen(name));
	(void)!write(STDERR_FILENO, "\n", 1);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
		if (fatal_signals[i].sig == sig)
			_exit(fatal_signals[i].status);
}

static void catch_fatal_signals(void)
{
	struct sigaction sa = { .sa_handler = on_fatal_signal };

	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
		(void)sigaction(fatal_signals[i].sig, &sa, NULL); /* all can be */
}

/* nohup's child goes on when its terminal is gone. */
static bool is_hangup_ignored(void)
{
	struct sigaction sa;

	return sigaction(SIGHUP, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

/* What asks husk to end becomes an event of the loop: the process ends cleanly. A
 * reader that goes away is an error of that write, not the end of husk. */
static int watch_signals(struct husk *h, struct err *e)
{
	sigset_t set;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	catch_fatal_signals();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGXCPU);
	if (!is_hangup_ignored())
		(void)sigaddset(&set, SIGHUP);
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r != 0)
		return err_code(e, -r, "signals");
	h->signals = (struct loop_source){ .fn = on_signal, .self = h };
	h->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (h->signals.fd < 0)
		return err_sys(e, "signals");
	r = loop_add(h->loop, &h->signals, EPOLLIN);
	return r < 0 ? err_code(e, r, "signals") : 0;
}

static int set_up_log(struct err *e)
{
	enum log_level level;

	if (arg("--level")) {
		if (!log_parse_level(arg("--level"), &level)) {
			(void)err_bad(e,
				"level '%s' is not one of Off, Error, Warn, "
				"Info, Debug, Trace",
				arg("--level"));
			return STATUS_BAD_LEVEL;
		}
		log_set_level(level);
	}
	if (arg("--id")) {
		if (config_check_instance_id(arg("--id"), e) < 0)
			return STATUS_FAILURE;
		log_set_id(arg("--id"));
	}
	log_set_show_level(arg("--show-level") != NULL);
	if (arg("--log-path") && log_open(arg("--log-path"), e) < 0)
		return STATUS_FAILURE;
	return STATUS_OK;
}

static void log_phases(const struct phases *p)
{
	for (enum phase i = PHASE_MAIN; i < PHASE_COUNT; i++)
		log_debug("phase %s = %llu us", phase_name(i),
			(unsigned long long)phase_us(p, i));
}

static void write_metrics(struct husk *h)
{
	if (h->metrics_fd >= 0 && machine_write_metrics(h->machine, h->metrics_fd) < 0)
		log_warn("a line of metrics is lost");
}

static int set_up(struct husk *h, struct err *e)
{
	struct machine_env env = {
		.lock = &h->lock,
		.phases = &h->phases,
		.boot_timer = arg("--boot-timer") != NULL,
		.ended = on_guest_ended,
		.self = h,
	};
	int r = loop_create(&h->lock, &h->loop, e);

	if (r == 0)
		r = watch_signals(h, e);
	if (r == 0 && arg("--metrics-path")) {
		h->metrics_fd = metrics_open(arg("--metrics-path"), e);
		r = MIN(h->metrics_fd, 0);
	}
	env.loop = h->loop;
	if (r == 0)
		r = machine_create(&env, &h->machine, e);
	return r;
}

static int run(struct husk *h, struct err *e)
{
	int r = set_up(h, e);

	if (r == 0)
		r = config_load(h->machine, arg("--config-file"), e);
	if (r < 0)
		return r;
	phase_mark(&h->phases, PHASE_CONFIGURED);
	r = machine_start(h->machine, e);
	if (r < 0)
		return err_add(e, r, "cannot start the microVM");
	write_metrics(h);
	r = loop_run(h->loop);
	if (r < 0)
		return err_code(e, r, "event loop");
	machine_stop(h->machine);
	log_phases(&h->phases);
	write_metrics(h);
	return h->signal_status ? h->signal_status : machine_exit_status(h->machine);
}

static int check_args(int argc, char **argv, struct husk *h, struct err *e)
{
	uint64_t start_us;
	int rest;
	int r = args_parse(argc, argv, args, ARRAY_LEN(args), &rest, e);

	if (r == ARGS_RUN)
		r = args_u64(args, ARRAY_LEN(args), "--start-time-us",
			h->phases.at_us[PHASE_MAIN], &start_us, e);
	if (r != ARGS_RUN)
		return r;
	h->phases.at_us[PHASE_PROCESS_START] = start_us;
	if (arg("--no-api") && !arg("--config-file"))
		return err_bad(e, "--no-api needs --config-file");
	if (!arg("--no-api"))
		return err_bad(e,
			"the API socket is not in this version of husk: "
			"give --no-api and --config-file");
	return ARGS_RUN;
}

/* A launcher may have closed them, and then the next file opened would get what is
 * written to the console. Where there is no /dev/null they stay closed. */
static void fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return;
}

int main(int argc, char **argv)
{
	struct husk h = { .lock = PTHREAD_MUTEX_INITIALIZER, .metrics_fd = -1 };
	struct err e = { "" };
	int r;

	h.signals.fd = -1;
	phase_mark(&h.phases, PHASE_MAIN);
	fill_standard_fds();
	r = check_args(argc, argv, &h, &e);
	if (r < 0)
		return fail(STATUS_BAD_ARGUMENTS, &e);
	if (r == ARGS_VERSION) {
		printf("husk v%s\n\n", HUSK_VERSION);
		return STATUS_OK;
	}
	if (r == ARGS_HELP) {
		printf("husk v%s: a microVM monitor\n\n", HUSK_VERSION);
		args_print_help(args, ARRAY_LEN(args));
		return STATUS_OK;
	}
	r = set_up_log(&e);
	if (r != STATUS_OK)
		return fail(r, &e);
	phase_mark(&h.phases, PHASE_ARGUMENTS_READ);
	r = run(&h, &e);
	if (r < 0) {
		log_error("%s", e.text);
		r = fail(STATUS_FAILURE, &e);
	}
	machine_destroy(h.machine);
	loop_destroy(h.loop);
	close_fd(h.signals.fd);
	close_fd(h.metrics_fd);
	log_info("exiting with status %d", r);
	return r;
}
