/* SPDX-License-Identifier: Apache-2.0
 *
 * jailer options: what the command line may say (contract, 7.1).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "jailer/options.h"
#include "vmm/base/args.h"

#define NEEDED "--id vm-1 --exec-file /bin/husk --uid 123 --gid 456 "

static struct options o;
static struct err e;
static char words[8192];
static char *argv_of[1024];

/* Parses the words of one string, split at spaces. */
static int parse(const char *text)
{
	static char name[] = "husk-jailer";
	int argc = 0;

	options_fini(&o);
	argv_of[argc++] = name;
	(void)snprintf(words, sizeof(words), "%s", text);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv_of[argc++] = w;
	argv_of[argc] = NULL;
	return options_parse(argc, argv_of, &o, &e);
}

static void tear_down(void)
{
	options_fini(&o);
}

TestSuite(jailer_options, .fini = tear_down);

static void expect_refusal(const char *text, const char *why)
{
	cr_expect_eq(parse(text), -EINVAL, "%s", text);
	cr_expect(strstr(e.text, why), "%s: %s", text, e.text);
}

/* text after the options that are needed */
static void expect_refused(const char *text, const char *why)
{
	char all[2048];

	(void)snprintf(all, sizeof(all), NEEDED "%s", text);
	expect_refusal(all, why);
}

Test(jailer_options, has_the_contracts_defaults)
{
	cr_assert_eq(parse(NEEDED), ARGS_RUN, "%s", e.text);
	cr_expect_str_eq(o.id, "vm-1");
	cr_expect_str_eq(o.exec_file, "/bin/husk");
	cr_expect_eq(o.uid, 123);
	cr_expect_eq(o.gid, 456);
	cr_expect_str_eq(o.base_dir, "/srv/jailer");
	cr_expect_null(o.netns);
	cr_expect_null(o.parent_cgroup);
	cr_expect_not(o.daemonize || o.new_pid_ns || o.has_fsize);
	cr_expect_eq(o.cgroup_version, 1);
	cr_expect_eq(o.no_file, 2048);
	cr_expect_eq(o.n_properties, 0);
	cr_expect_eq(o.n_keep_fds, 0);
	cr_expect_null(o.extra[0]);
}

Test(jailer_options, takes_what_the_go_sdk_builds)
{
	cr_assert_eq(parse(NEEDED "--cgroup cpuset.mems=0 --cgroup cpuset.cpus=0-3 "
				  "--cgroup-version 2 --parent-cgroup a/b "
				  "--chroot-base-dir /jails --netns /run/netns/x "
				  "--daemonize -- --no-seccomp --api-sock /s"),
		ARGS_RUN, "%s", e.text);
	cr_expect_eq(o.n_properties, 2);
	cr_expect_str_eq(o.properties[0].file, "cpuset.mems");
	cr_expect_str_eq(o.properties[1].value, "0-3");
	cr_expect_eq(o.cgroup_version, 2);
	cr_expect_str_eq(o.parent_cgroup, "a/b");
	cr_expect_str_eq(o.base_dir, "/jails");
	cr_expect_str_eq(o.netns, "/run/netns/x");
	cr_expect(o.daemonize);
	cr_expect_str_eq(o.extra[0], "--no-seccomp");
	cr_expect_str_eq(o.extra[2], "/s");
	cr_expect_null(o.extra[3]);
}

Test(jailer_options, needs_id_exec_file_uid_and_gid)
{
	expect_refusal("--exec-file x --uid 1 --gid 1", "'--id' is required");
	expect_refusal("--id x --uid 1 --gid 1", "'--exec-file' is required");
	expect_refusal("--id x --exec-file x --gid 1", "'--uid' is required");
	expect_refusal("--id x --exec-file x --uid 1", "'--gid' is required");
}

Test(jailer_options, takes_ids_of_1_to_64_letters_digits_and_hyphens)
{
	static const char *const bad[] = { ".", "..", "a/b", "a_b", "a.b", "\xc3",
		"\xe2\x82\xac" };
	char text[256], id[66];

	memset(id, 'Z', 65);
	id[65] = '\0';
	(void)snprintf(text, sizeof(text), "--id %s --exec-file x --uid 1 --gid 1", id);
	expect_refusal(text, "1 to 64");
	id[64] = '\0';
	(void)snprintf(text, sizeof(text), "--id %s --exec-file x --uid 1 --gid 1", id);
	cr_expect_eq(parse(text), ARGS_RUN);
	cr_expect_eq(parse("--id vm-\xc3\xa9 --exec-file x --uid 1 --gid 1"), ARGS_RUN);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text),
			"--id %s --exec-file x --uid 1 --gid 1", bad[i]);
		expect_refusal(text, "1 to 64");
	}
}

Test(jailer_options, refuses_an_empty_id)
{
	char *argv[] = { (char[]){ "j" }, (char[]){ "--id" }, (char[]){ "" }, NULL };

	cr_assert_eq(options_parse(3, argv, &o, &e), -EINVAL);
	cr_assert(strstr(e.text, "1 to 64"), "%s", e.text);
}

Test(jailer_options, takes_users_that_chown_and_setuid_can_set)
{
	cr_assert_eq(parse("--id x --exec-file x --uid 0 --gid 4294967294"), ARGS_RUN);
	cr_expect_eq(o.uid, 0);
	cr_expect_eq(o.gid, 4294967294U);
	expect_refusal("--id x --exec-file x --uid 4294967295 --gid 1", "not below");
	expect_refusal("--id x --exec-file x --uid 1 --gid 4294967295", "not below");
	expect_refusal("--id x --exec-file x --uid 4294967296 --gid 1", "not below");
	expect_refusal("--id x --exec-file x --uid -1 --gid 1", "not a number");
	expect_refusal("--id x --exec-file x --uid 1 --gid root", "not a number");
}

Test(jailer_options, takes_cgroup_versions_1_and_2)
{
	cr_expect_eq(parse(NEEDED "--cgroup-version 1"), ARGS_RUN);
	expect_refused("--cgroup-version 0", "neither 1 nor 2");
	expect_refused("--cgroup-version 3", "neither 1 nor 2");
	expect_refused("--cgroup-version v2", "neither 1 nor 2");
	expect_refused("--cgroup-version 22", "neither 1 nor 2");
}

Test(jailer_options, keeps_the_parent_cgroup_below_the_mount)
{
	static const char *const bad[] = { "/a", ".", "..", "a/..", "a/./b", "../a",
		"a/../..", "/" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "--parent-cgroup %s", bad[i]);
		expect_refused(text, "parent cgroup");
	}
	cr_expect_eq(parse(NEEDED "--parent-cgroup a.b/..c/..."), ARGS_RUN);
}

Test(jailer_options, refuses_an_empty_parent_cgroup)
{
	char *argv[] = { (char[]){ "j" }, (char[]){ "--id" }, (char[]){ "x" },
		(char[]){ "--exec-file" }, (char[]){ "x" }, (char[]){ "--uid" },
		(char[]){ "1" }, (char[]){ "--gid" }, (char[]){ "1" },
		(char[]){ "--parent-cgroup" }, (char[]){ "" }, NULL };

	cr_assert_eq(options_parse((int)ARRAY_LEN(argv) - 1, argv, &o, &e), -EINVAL);
	cr_assert(strstr(e.text, "parent cgroup ''"), "%s", e.text);
}

Test(jailer_options, lets_the_later_of_two_equal_limits_win)
{
	cr_assert_eq(parse(NEEDED "--resource-limit no-file=1 --resource-limit fsize=0 "
				  "--resource-limit no-file=18446744073709551615"),
		ARGS_RUN, "%s", e.text);
	cr_expect_eq(o.no_file, UINT64_MAX);
	cr_expect(o.has_fsize);
	cr_expect_eq(o.fsize, 0);
}

Test(jailer_options, refuses_what_is_no_limit)
{
	expect_refused("--resource-limit fsize", "<name>=<number>");
	expect_refused("--resource-limit fsize=", "<name>=<number>");
	expect_refused("--resource-limit fsize=1=2", "<name>=<number>");
	expect_refused("--resource-limit fsize=-1", "<name>=<number>");
	expect_refused("--resource-limit fsize=1k", "<name>=<number>");
	expect_refused("--resource-limit no-file=18446744073709551616", "<number>");
	expect_refused("--resource-limit nofile=1", "neither fsize nor no-file");
	expect_refused("--resource-limit fsiz=1", "neither fsize nor no-file");
	expect_refused("--resource-limit =1", "neither fsize nor no-file");
}

Test(jailer_options, keeps_descriptors_in_rising_order)
{
	cr_assert_eq(parse(NEEDED "--keep-fd 9 --keep-fd 3 --keep-fd 5"), ARGS_RUN);
	cr_assert_eq(o.n_keep_fds, 3);
	cr_expect_eq(o.keep_fds[0], 3);
	cr_expect_eq(o.keep_fds[1], 5);
	cr_expect_eq(o.keep_fds[2], 9);
}

Test(jailer_options, refuses_what_is_no_descriptor_to_keep)
{
	char text[2048] = "";

	expect_refused("--keep-fd 2", "without being asked");
	expect_refused("--keep-fd x", "not a descriptor");
	expect_refused("--keep-fd -1", "not a descriptor");
	expect_refused("--keep-fd 2147483647", "not a descriptor");
	for (int i = 0; i <= KEEP_FDS_MAX; i++)
		(void)strcat(text, "--keep-fd 3 ");
	expect_refused(text, "more than 64");
}

Test(jailer_options, lets_help_and_version_skip_everything)
{
	cr_expect_eq(parse("--version"), ARGS_VERSION);
	cr_expect_eq(parse("--id .. --version --bad -h"), ARGS_HELP);
}

Test(jailer_options, follows_the_grammar_that_husk_has)
{
	expect_refused("--daemonize --daemonize", "twice");
	expect_refused("--netns=x", "'--netns=x'");
	expect_refused("--netns --daemonize", "needs a value");
	expect_refused("x", "'x'");
	expect_refused("--start-time-us 1", "unknown");
}
