/* SPDX-License-Identifier: Apache-2.0
 *
 * seccomp: a file of filters is taken whole or not at all; the filters that husk was
 * built with allow what its threads do, by arguments too, and name what they refuse.
 */
#include "vmm/process/seccomp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_filters.h"
#include "vmm/codec/stream.h"
#include "vmm/core/kvm.h"
#include "vmm/process/landlock.h"

/* What a file says of a category; one whose name is NULL ends the list. */
struct part {
	const char *name;
	uint32_t n;
};

static const struct part good[] = { { "api", 0 }, { "vmm", 2 }, { "vcpu", 1 },
	{ NULL, 0 } };

/* Begins a file; the caller ends it with finish or without. */
static struct stream begin(const char *magic, uint32_t version, uint32_t n)
{
	struct stream s;
	char text[4];

	memcpy(text, magic, sizeof(text));
	stream_init_save(&s);
	stream_bytes(&s, text, sizeof(text));
	stream_u32(&s, &version);
	stream_u32(&s, &n);
	return s;
}

/* Instruction i of a category is { 6, 0, 0, i }: return i. */
static void put(struct stream *s, const struct part *p)
{
	char name[SECCOMP_NAME_BYTES] = "";
	uint32_t n = p->n;

	memcpy(name, p->name, strlen(p->name));
	stream_bytes(s, name, sizeof(name));
	stream_u32(s, &n);
	for (uint32_t i = 0; i < p->n; i++) {
		struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, i);

		stream_bytes(s, &insn, sizeof(insn));
	}
}

static struct stream file_of(const struct part *p)
{
	uint32_t n = 0;
	struct stream s;

	while (p[n].name)
		n++;
	s = begin("HSKF", 1, n);
	for (; p->name; p++)
		put(&s, p);
	return s;
}

/* Parses and ends the stream, whose checksum is made right. */
static int parse(struct stream *s, struct seccomp_filters *set, struct err *e)
{
	int r;

	cr_assert_eq(stream_finish(s), 0);
	r = seccomp_filter_parse(s->buf, s->len, set, e);
	stream_fini(s);
	return r;
}

static void refuses(struct stream s, const char *words)
{
	struct seccomp_filters set;
	struct err e = { "" };

	cr_assert_eq(parse(&s, &set, &e), -EINVAL);
	cr_assert(strstr(e.text, words), "%s", e.text);
}

Test(seccomp, takes_a_file_with_all_categories)
{
	struct stream s = file_of(good);
	struct seccomp_filters set;
	struct err e = { "" };

	cr_assert_eq(parse(&s, &set, &e), 0, "%s", e.text);
	cr_assert_eq(set.program[SECCOMP_API].n, 0);
	cr_assert_eq(set.program[SECCOMP_VMM].n, 2);
	cr_assert_eq(set.program[SECCOMP_VMM].insn[1].k, 1);
	cr_assert_eq(set.program[SECCOMP_VCPU].n, 1);
	cr_assert_eq(set.program[SECCOMP_VCPU].insn[0].code, 6);
	/* a file has three categories: main's holds with --no-api too */
	cr_assert_eq(set.program[SECCOMP_NO_API].n, 2);
	cr_assert_eq(set.program[SECCOMP_NO_API].insn[1].k, 1);
	seccomp_filter_fini(&set);
	cr_assert_eq(set.program[SECCOMP_VMM].n, 0);
}

Test(seccomp, takes_categories_in_any_order_and_of_the_full_size)
{
	const struct part parts[] = { { "vcpu", SECCOMP_INSTRUCTIONS_MAX },
		{ "vmm", SECCOMP_INSTRUCTIONS_MAX },
		{ "api", SECCOMP_INSTRUCTIONS_MAX }, { NULL, 0 } };
	struct stream s = file_of(parts);
	struct seccomp_filters set;
	struct err e = { "" };

	cr_assert_leq(s.len + 8, SECCOMP_FILE_MAX);
	cr_assert_eq(parse(&s, &set, &e), 0, "%s", e.text);
	cr_assert_eq(set.program[SECCOMP_API].insn[4095].k, 4095);
	seccomp_filter_fini(&set);
}

Test(seccomp, refuses_categories_that_are_missing_extra_or_twice)
{
	const struct part missing[] = { { "api", 0 }, { "vmm", 1 }, { NULL, 0 } };
	const struct part extra[] = { { "api", 0 }, { "vmm", 1 }, { "vcpu", 1 },
		{ "boot", 0 }, { NULL, 0 } };
	const struct part twice[] = { { "api", 0 }, { "api", 0 }, { NULL, 0 } };
	const struct part other[] = { { "apis", 0 }, { "vmm", 1 }, { "vcpu", 1 },
		{ NULL, 0 } };

	refuses(file_of(missing), "'vcpu' is missing");
	refuses(file_of(extra), "'boot' is not");
	refuses(file_of(twice), "'api' is there twice");
	refuses(file_of(other), "'apis' is not");
	refuses(file_of(missing + 2), "'api' is missing");
}

Test(seccomp, refuses_more_instructions_than_the_kernel_takes)
{
	const struct part parts[] = { { "api", SECCOMP_INSTRUCTIONS_MAX + 1 },
		{ NULL, 0 } };

	refuses(file_of(parts), "4097 instructions");
}

Test(seccomp, refuses_what_is_no_such_file)
{
	struct stream s = file_of(good);
	uint8_t more = 0;

	refuses(begin("HSKG", 1, 0), "husk-seccomp");
	refuses(begin("HSKF", 2, 0), "version 2");
	refuses(begin("HSKF", 1, UINT32_MAX), "ends before");
	stream_u8(&s, &more);
	refuses(s, "more after");
}

Test(seccomp, refuses_instructions_that_are_not_there)
{
	struct stream s = begin("HSKF", 1, 1);
	char name[SECCOMP_NAME_BYTES] = "vmm";
	uint32_t n = 4096;

	stream_bytes(&s, name, sizeof(name));
	stream_u32(&s, &n);
	refuses(s, "'vmm' is cut short");
}

Test(seccomp, refuses_a_file_that_is_cut_or_changed_anywhere)
{
	struct stream s = file_of(good);
	struct seccomp_filters set;
	struct err e;

	cr_assert_eq(stream_finish(&s), 0);
	for (size_t n = 0; n < s.len; n++)
		cr_assert_eq(seccomp_filter_parse(s.buf, n, &set, &e), -EINVAL);
	for (size_t i = 0; i < s.len; i++) {
		s.buf[i] ^= 0x10;
		cr_assert_eq(seccomp_filter_parse(s.buf, s.len, &set, &e), -EINVAL);
		s.buf[i] ^= 0x10;
	}
	cr_assert_eq(seccomp_filter_parse(s.buf, s.len, &set, &e), 0);
	seccomp_filter_fini(&set);
	stream_fini(&s);
}

Test(seccomp, file_that_cannot_be_read_is_named)
{
	struct seccomp_filters set;
	struct err e = { "" };
	struct fake_file f = fake_file("text", 4);

	cr_assert_eq(seccomp_filter_load("/nowhere/f", &set, &e), -ENOENT);
	cr_assert(strstr(e.text, "'/nowhere/f'"));
	cr_assert_eq(seccomp_filter_load(f.path, &set, &e), -EINVAL);
	cr_assert(strstr(e.text, f.path), "%s", e.text);
	cr_assert_eq(ftruncate(f.fd, SECCOMP_FILE_MAX + 1), 0);
	cr_assert_eq(seccomp_filter_load(f.path, &set, &e), -EINVAL);
	cr_assert(strstr(e.text, "100001 bytes"), "%s", e.text);
	fake_file_close(&f);
}

Test(seccomp, system_calls_have_names)
{
	cr_assert_str_eq(seccomp_filter_syscall_name(SYS_read), "read");
	cr_assert_str_eq(seccomp_filter_syscall_name(SYS_mmap), "mmap");
	cr_assert_str_eq(seccomp_filter_syscall_name(SYS_openat2), "openat2");
	cr_assert_str_eq(seccomp_filter_syscall_name(335), "?"); /* a hole */
	cr_assert_str_eq(seccomp_filter_syscall_name(-1), "?");
	cr_assert_str_eq(seccomp_filter_syscall_name(1 << 20), "?");
}

/* --- installed --- */

/* arg: a system call's number and arguments. 0 when the kernel executed the call, with
 * whatever result; 1 when a filter returned ENOSYS. */
static int call(const long *arg)
{
	long r = syscall(arg[0], arg[1], arg[2], arg[3], arg[4], arg[5], arg[6]);

	return r < 0 && errno == ENOSYS;
}

/* A program that answers `answer` to getppid. */
static struct tried try_on_getppid(uint32_t answer)
{
	const struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct seccomp_filters set = {
		.program = { [SECCOMP_VMM] = { insn, ARRAY_LEN(insn) } }
	};
	const long arg[7] = { SYS_getppid };

	return try_filter(&set, SECCOMP_VMM, call, arg);
}

Test(seccomp, trapped_call_is_named_and_ends_the_process_with_148)
{
	struct tried t = try_on_getppid(SECCOMP_RET_TRAP);

	cr_assert_eq(t.status, 148);
	cr_assert(strstr(t.text,
			  "] Shutting down VM after intercepting a bad "
			  "syscall (110): system call 110 (getppid)"),
		"%s", t.text);
	cr_assert(strstr(t.text, "test_seccomp: system call getppid is not allowed\n"));
	cr_assert(strstr(t.text, "test_seccomp: fatal signal SYS\n"));
}

Test(seccomp, other_answers_are_the_programs)
{
	cr_assert_eq(try_on_getppid(SECCOMP_RET_ALLOW).status, 0);
	cr_assert_eq(try_on_getppid(SECCOMP_RET_ERRNO | ENOSYS).status, 1);
	cr_assert_eq(try_on_getppid(SECCOMP_RET_KILL_PROCESS).signal, SIGSYS);
}

Test(seccomp, no_program_is_no_filter)
{
	const struct seccomp_filters none = { .owned = NULL };
	const long arg[7] = { SYS_getppid };

	cr_assert_eq(try_filter(&none, SECCOMP_VCPU, call, arg).status, 0);
	cr_assert_eq(try_filter(NULL, SECCOMP_VCPU, call, arg).status, 0);
}

/* What is missing of what seccomp_filter_prepare does to the process, as bits. */
static int missing_of_prepared(const long *arg)
{
	(void)arg;
	return (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) |
		(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) << 1;
}

Test(seccomp, prepared_process_is_closed_to_others_and_gains_nothing_by_exec)
{
	const long arg[7] = { 0 };

	cr_assert_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	cr_assert_eq(try_filter(NULL, SECCOMP_VMM, missing_of_prepared, arg).status, 0);
}

Test(seccomp, program_that_the_kernel_does_not_take_is_an_error)
{
	const struct sock_filter insn[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) };
	const struct seccomp_filters set = { .program = {
						     [SECCOMP_VCPU] = { insn, 1 } } };
	struct err e = { "" };

	cr_assert_eq(seccomp_filter_install(&set, SECCOMP_VCPU, &e), -EINVAL);
	cr_assert(strstr(e.text, "'vcpu'"), "%s", e.text);
}

/* --- husk's own --- */

enum { ALLOWED = 0, UNKNOWN = 1, REFUSED = 148 };

/* clang-format off */
static struct rule_case {
	enum seccomp_filter_category which;
	int status;
	long arg[7];
} cases[] = {
	{ SECCOMP_VCPU, ALLOWED, { SYS_ioctl, -1, KVM_RUN } },
	{ SECCOMP_VCPU, ALLOWED, { SYS_ioctl, -1, (long)(KVM_RUN | 0xffffffff00000000) } },
	{ SECCOMP_VCPU, REFUSED, { SYS_ioctl, -1, KVM_CREATE_VM } },
	{ SECCOMP_VCPU, REFUSED, { SYS_ioctl, -1, KVM_SET_SREGS } },
	{ SECCOMP_VCPU, REFUSED, { SYS_unlink, 0 } },
	{ SECCOMP_VCPU, REFUSED, { SYS_socket, AF_UNIX, SOCK_STREAM } },
	{ SECCOMP_VCPU, REFUSED, { SYS_clone3, 0, 0 } },
	{ SECCOMP_VCPU, REFUSED, { SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ SECCOMP_VMM, ALLOWED, { SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ SECCOMP_VMM, REFUSED, { SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ SECCOMP_VMM, REFUSED, { SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC } },
	{ SECCOMP_VMM, ALLOWED, { SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC } },
	{ SECCOMP_VMM, REFUSED, { SYS_socket, AF_NETLINK, SOCK_RAW } },
	{ SECCOMP_VMM, REFUSED, { SYS_socket, AF_VSOCK, SOCK_STREAM } },
	{ SECCOMP_VMM, REFUSED, { SYS_socket, AF_INET, SOCK_STREAM } },
	{ SECCOMP_VMM, ALLOWED, { SYS_tgkill, -1, -1, 34 } },
	{ SECCOMP_VMM, ALLOWED, { SYS_tgkill, -1, -1, SIGABRT } },
	{ SECCOMP_VMM, REFUSED, { SYS_tgkill, -1, -1, SIGKILL } },
	{ SECCOMP_VCPU, ALLOWED, { SYS_tgkill, -1, -1, SIGABRT } },
	{ SECCOMP_VCPU, REFUSED, { SYS_tgkill, -1, -1, 34 } },
	{ SECCOMP_VMM, ALLOWED, { SYS_sched_setscheduler, 0, SCHED_BATCH, 0 } },
	{ SECCOMP_VMM, REFUSED, { SYS_sched_setscheduler, 0, SCHED_FIFO, 0 } },
	{ SECCOMP_VMM, REFUSED, { SYS_sched_setscheduler, 1, SCHED_BATCH, 0 } },
	{ SECCOMP_VMM, ALLOWED, { SYS_fcntl, -1, F_SETFL } },
	{ SECCOMP_VMM, REFUSED, { SYS_fcntl, -1, F_SETOWN } },
	{ SECCOMP_VMM, REFUSED, { SYS_ioctl, -1, KVM_CREATE_VM } },
	{ SECCOMP_VMM, REFUSED, { SYS_ioctl, -1, KVM_RUN } },
	{ SECCOMP_VMM, REFUSED, { SYS_clone3, 0, 0 } },
	{ SECCOMP_VMM, REFUSED, { SYS_execve, 0, 0, 0 } },
	{ SECCOMP_VMM, ALLOWED, { SYS_renameat2, -1, 0, -1, 0, RENAME_NOREPLACE } },
	{ SECCOMP_VMM, REFUSED, { SYS_renameat2, -1, 0, -1, 0, 0 } },
	{ SECCOMP_VMM, REFUSED, { SYS_link, 0, 0 } },
	{ SECCOMP_API, ALLOWED, { SYS_link, 0, 0 } },
	{ SECCOMP_VMM, REFUSED, { SYS_prctl, 22, 0 } },
	{ SECCOMP_VMM, ALLOWED, { SYS_io_uring_setup, 0, 0 } },
	{ SECCOMP_VMM, ALLOWED, { SYS_openat, -1, 0 } },
	{ SECCOMP_NO_API, REFUSED, { SYS_io_uring_setup, 0, 0 } },
	{ SECCOMP_NO_API, REFUSED, { SYS_io_uring_register, -1, 0 } },
	{ SECCOMP_NO_API, ALLOWED, { SYS_io_uring_enter, -1, 0 } },
#ifndef __SANITIZE_ADDRESS__ /* whose reports open files */
	{ SECCOMP_NO_API, REFUSED, { SYS_openat, -1, 0 } },
	{ SECCOMP_NO_API, REFUSED, { SYS_openat2, -1, 0 } },
	{ SECCOMP_NO_API, REFUSED, { SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, -1 } },
#endif
	{ SECCOMP_NO_API, REFUSED, { SYS_fcntl, -1, F_SETFL } },
	{ SECCOMP_NO_API, REFUSED, { SYS_execve, 0, 0, 0 } },
	{ SECCOMP_NO_API, REFUSED, { SYS_socket, AF_INET, SOCK_STREAM } },
	{ SECCOMP_NO_API, ALLOWED, { SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC } },
	{ SECCOMP_NO_API, ALLOWED, { SYS_rt_sigpending, 0, 8 } },
	{ SECCOMP_NO_API, REFUSED, { SYS_tgkill, -1, -1, SIGTERM } },
	{ SECCOMP_VCPU, ALLOWED, { SYS_sendto, -1, 0, 0, 0, 0, 0 } },
	{ SECCOMP_VCPU, REFUSED, { SYS_sendto, -1, 0, 0, 0, 1, 0 } },
	{ SECCOMP_API, ALLOWED, { SYS_ioctl, -1, KVM_CREATE_VM } },
	{ SECCOMP_API, ALLOWED, { SYS_ioctl, -1, KVM_RUN } },
	{ SECCOMP_API, UNKNOWN, { SYS_clone3, 0, 0 } },
	{ SECCOMP_API, REFUSED, { SYS_clone, SIGCHLD } },
	{ SECCOMP_API, REFUSED, { SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD } },
	{ SECCOMP_API, REFUSED, { SYS_fork } },
	{ SECCOMP_API, ALLOWED, { SYS_mmap, 0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ SECCOMP_API, REFUSED, { SYS_mmap, 0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ SECCOMP_API, REFUSED, { SYS_mprotect, 0, 4096, PROT_EXEC } },
	{ SECCOMP_API, REFUSED, { SYS_execve, 0, 0, 0 } },
	{ SECCOMP_API, REFUSED, { SYS_mount, 0, 0, 0, 0, 0 } },
};
/* clang-format on */

Test(seccomp, own_filters_check_arguments)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct rule_case *c = &cases[i];
		struct tried t =
			try_filter(seccomp_filter_builtin(), c->which, call, c->arg);

		cr_expect_eq(t.status, c->status,
			"case %zu: status %d, signal %d: %s: %s", i, t.status, t.signal,
			seccomp_filter_syscall_name((int)c->arg[0]), t.text);
	}
}

static int install_all(const long *arg)
{
	struct err e;

	(void)arg;
	return seccomp_filter_install(seccomp_filter_builtin(), SECCOMP_VMM, &e) < 0;
}

Test(seccomp, own_filters_can_be_put_on_top_of_the_first)
{
	const long arg[7] = { 0 };

	cr_assert_eq(try_filter(seccomp_filter_builtin(), SECCOMP_API, install_all, arg)
			     .status,
		0);
	cr_assert_eq(try_filter(seccomp_filter_builtin(), SECCOMP_VMM, install_all, arg)
			     .status,
		148);
}

/* --- Landlock --- */

/* arg[0]: a descriptor that stays usable. */
static int use_files(const long *arg)
{
	struct err e;
	char byte;

	if (landlock_forbid_files(&e) < 0)
		return 2;
	if (pread((int)arg[0], &byte, 1, 0) != 1)
		return 3;
	if (open("/tmp", O_WRONLY | O_TMPFILE, 0600) >= 0 || errno != EACCES)
		return 4;
	return 0;
}

Test(seccomp, landlock_leaves_open_files_and_no_others)
{
	struct fake_file f = fake_file("x", 1);
	const struct seccomp_filters none = { .owned = NULL };
	const long arg[7] = { f.fd };

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 0)
		cr_skip("this kernel has no Landlock");
	cr_assert_eq(try_filter(&none, SECCOMP_VMM, use_files, arg).status, 0);
	fake_file_close(&f);
}
