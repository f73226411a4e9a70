/* SPDX-License-Identifier: Apache-2.0
 *
 * attack: what an attacker would do who has taken a husk over: `attack PID THREAD NAME
 * [ARGUMENT]` makes a thread of the process do it (puppet.h) and prints "ok" when it
 * worked, else the error, or how the process died of it. THREAD is main, or the begin
 * of a name. `attack with-key COMMAND...` runs a command in a session that has a secret
 * key; `attack landlock` says whether the kernel has Landlock.
 */
#include "tests/system/puppet.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>

#define UPWARDS "../../../../../../../.."
#define KEY_NAME "husk-secret"
#define ABSTRACT_NAME "husk-attack"

enum { TIMEOUT_S = 30, FDS = 512, FORKS = 40, OWN_HANDLE_BYTES = 128 };

static long open_path(struct puppet *p, const char *path)
{
	return call(p, SYS_openat, (uint64_t)AT_FDCWD, puppet_text(p, path), O_RDONLY);
}

static long open_upwards(struct puppet *p, const char *path)
{
	char up[256];

	(void)snprintf(up, sizeof(up), UPWARDS "%s", path);
	return open_path(p, up);
}

/* By a descriptor of its root, and with that as the working directory. */
static long open_from_root(struct puppet *p, const char *path)
{
	char up[256];
	uint64_t at;
	long fd = call(p, SYS_openat, (uint64_t)AT_FDCWD, puppet_text(p, "/"),
		O_PATH | O_DIRECTORY);
	long r;

	(void)snprintf(up, sizeof(up), UPWARDS "%s", path);
	at = puppet_text(p, up);
	if (fd < 0)
		return fd;
	r = call(p, SYS_openat, (uint64_t)fd, at, O_RDONLY);
	if (r < 0 && call(p, SYS_fchdir, (uint64_t)fd) == 0)
		r = call(p, SYS_openat, (uint64_t)AT_FDCWD, at, O_RDONLY);
	(void)call(p, SYS_close, (uint64_t)fd);
	return r;
}

/* By each descriptor that it has. A directory among them is a way out. */
static long open_from_fds(struct puppet *p, const char *path)
{
	char up[256];
	uint64_t at;
	long last = -EBADF;

	(void)snprintf(up, sizeof(up), UPWARDS "%s", path);
	at = puppet_text(p, up);
	for (uint64_t fd = 0; fd < FDS; fd++) {
		long r = call(p, SYS_openat, fd, at, O_RDONLY);

		if (r >= 0)
			return r;
		if (r != -EBADF)
			last = r;
	}
	return last;
}

/* --- by a ring of its own, whose requests name what no filter sees --- */

enum { RING_ENTRIES = 4, RING_BYTES = 4096 };

static struct ring {
	uint64_t fd; /* the process's */
	struct io_uring_params params;
	char *queues; /* shared with the process */
	struct io_uring_sqe *entries;
} ring;

/* What the process has mapped, here too: its memory by /proc has no rings on some
 * kernels. */
static void *share_ring(int fd, uint64_t offset)
{
	const int protection = PROT_READ | PROT_WRITE;
	void *at = mmap(NULL, RING_BYTES, protection, MAP_SHARED, fd, (off_t)offset);

	if (at == MAP_FAILED)
		die("mmap of a ring");
	return at;
}

static long map_ring(struct puppet *p, uint64_t offset)
{
	return call(p, SYS_mmap, 0, RING_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, ring.fd, offset);
}

/* For the main thread: the calls that others have not. */
static long make_ring(struct puppet *p)
{
	uint64_t at = puppet_put(p, &ring.params, sizeof(ring.params));
	long r = call(p, SYS_io_uring_setup, RING_ENTRIES, at);
	int process, fd;

	if (r < 0)
		return r;
	ring.fd = (uint64_t)r;
	puppet_get(p, at, &ring.params, sizeof(ring.params));
	r = map_ring(p, IORING_OFF_SQ_RING);
	if (r >= 0)
		r = map_ring(p, IORING_OFF_SQES);
	process = (int)syscall(SYS_pidfd_open, p->pid, 0);
	fd = (int)syscall(SYS_pidfd_getfd, process, ring.fd, 0);
	if (fd < 0)
		die("pidfd_getfd");
	/* one area for both queues */
	if (!(ring.params.features & IORING_FEAT_SINGLE_MMAP))
		die("an old kernel's ring");
	ring.queues = share_ring(fd, IORING_OFF_SQ_RING);
	ring.entries = share_ring(fd, IORING_OFF_SQES);
	return r;
}

static unsigned *in_queues(unsigned offset)
{
	return (unsigned *)(void *)(ring.queues + offset);
}

static long open_by_ring(struct puppet *p, const char *path)
{
	const struct io_sqring_offsets *sq = &ring.params.sq_off;
	const struct io_cqring_offsets *cq = &ring.params.cq_off;
	const struct io_uring_cqe *done;
	unsigned first = *in_queues(cq->head) & *in_queues(cq->ring_mask);
	long r;

	ring.entries[0] = (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = puppet_text(p, path),
		.open_flags = O_RDONLY };
	in_queues(sq->array)[0] = 0;
	__atomic_store_n(in_queues(sq->tail), 1, __ATOMIC_RELEASE);
	r = call(p, SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
	if (r < 0)
		return r;
	if (__atomic_load_n(in_queues(cq->tail), __ATOMIC_ACQUIRE) != 1)
		return -ENODATA;
	done = (const struct io_uring_cqe *)(void *)in_queues(cq->cqes) + first;
	return done->res;
}

/* Its own code, as it is, through a file that no protection of pages is for. */
static long write_code(struct puppet *p, const char *path)
{
	char code[2];
	struct iovec v = { .iov_len = sizeof(code) };
	uint64_t at;
	long fd = call(p, SYS_openat, (uint64_t)AT_FDCWD, puppet_text(p, path), O_RDWR),
	     r;

	if (fd < 0)
		return fd;
	puppet_get(p, p->gadget, code, sizeof(code));
	v.iov_base = (void *)(uintptr_t)puppet_put(p, code, sizeof(code));
	at = puppet_put(p, &v, sizeof(v));
	r = call(p, SYS_pwritev, (uint64_t)fd, at, 1, p->gadget, 0);
	(void)call(p, SYS_close, (uint64_t)fd);
	return r;
}

/* A file of the same file system by its handle, whatever the root is. */
static long open_by_handle(struct puppet *p, const char *path)
{
	union {
		struct file_handle h;
		char bytes[sizeof(struct file_handle) + OWN_HANDLE_BYTES];
	} u = { .h.handle_bytes = OWN_HANDLE_BYTES };
	uint64_t at;
	long dir, r;
	int id;

	if (name_to_handle_at(AT_FDCWD, path, &u.h, &id, 0) < 0)
		die(path);
	at = puppet_put(p, &u, sizeof(u.h) + u.h.handle_bytes);
	dir = call(p, SYS_openat, (uint64_t)AT_FDCWD, puppet_text(p, "."),
		O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		return dir;
	r = call(p, SYS_open_by_handle_at, (uint64_t)dir, at, O_RDONLY);
	(void)call(p, SYS_close, (uint64_t)dir);
	return r;
}

static long change_root(struct puppet *p, const char *path)
{
	return call(p, SYS_chroot, puppet_text(p, path));
}

static long make_node(struct puppet *p, const char *name)
{
	return call(p, SYS_mknodat, (uint64_t)AT_FDCWD, puppet_text(p, name),
		S_IFCHR | 0600, makedev(1, 1));
}

static long change_mounts(struct puppet *p, const char *path)
{
	return call(p, SYS_mount, 0, puppet_text(p, path), 0, MS_PRIVATE, 0);
}

static long own_mounts(struct puppet *p, const char *unused)
{
	(void)unused;
	return call(p, SYS_unshare, CLONE_NEWNS);
}

static long own_users(struct puppet *p, const char *unused)
{
	(void)unused;
	return call(p, SYS_clone, CLONE_NEWUSER | SIGCHLD);
}

/* --- other processes: a child of this tool --- */

static pid_t make_victim(void)
{
	pid_t pid = fork();

	if (pid < 0 || (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0))
		die("fork");
	while (pid == 0)
		(void)pause();
	return pid;
}

static long after(pid_t victim, long r)
{
	(void)kill(victim, SIGKILL);
	return r;
}

static long signal_process(struct puppet *p, const char *unused)
{
	pid_t victim = make_victim();

	(void)unused;
	return after(victim, call(p, SYS_kill, (uint64_t)victim, 0));
}

static long find_process(struct puppet *p, const char *unused)
{
	pid_t victim = make_victim();

	(void)unused;
	return after(victim, call(p, SYS_pidfd_open, (uint64_t)victim));
}

static long trace_process(struct puppet *p, const char *unused)
{
	pid_t victim = make_victim();

	(void)unused;
	return after(victim, call(p, SYS_ptrace, PTRACE_SEIZE, (uint64_t)victim));
}

static long read_process(struct puppet *p, const char *unused)
{
	static const char secret[] = "secret"; /* at the same place in the child */
	pid_t victim = make_victim();
	struct iovec from = { (void *)(uintptr_t)secret, sizeof(secret) }, to = from;
	uint64_t local, remote;

	(void)unused;
	to.iov_base = (void *)(uintptr_t)puppet_text(p, "......");
	local = puppet_put(p, &to, sizeof(to));
	remote = puppet_put(p, &from, sizeof(from));
	return after(victim,
		call(p, SYS_process_vm_readv, (uint64_t)victim, local, 1, remote, 1));
}

/* --- rights --- */

static long become_user(struct puppet *p, const char *id)
{
	uint64_t n = strtoull(id, NULL, 10);

	return call(p, SYS_setresuid, n, n, n);
}

static long set_user(struct puppet *p, const char *id)
{
	return call(p, SYS_setuid, strtoull(id, NULL, 10));
}

static long set_group(struct puppet *p, const char *id)
{
	return call(p, SYS_setgid, strtoull(id, NULL, 10));
}

static long set_groups(struct puppet *p, const char *id)
{
	gid_t group = (gid_t)strtoul(id, NULL, 10);

	return call(p, SYS_setgroups, 1, puppet_put(p, &group, sizeof(group)));
}

static long take_capabilities(struct puppet *p, const char *unused)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2] = { { 0 } };

	(void)unused;
	sets[0].effective = sets[0].permitted = 1U << CAP_SYS_ADMIN;
	return call(p, SYS_capset, puppet_put(p, &head, sizeof(head)),
		puppet_put(p, sets, sizeof(sets)));
}

static long name_host(struct puppet *p, const char *name)
{
	return call(p, SYS_sethostname, puppet_text(p, name), strlen(name));
}

static long find_key(struct puppet *p, const char *unused)
{
	uint64_t type = puppet_text(p, "user"), name = puppet_text(p, KEY_NAME);

	(void)unused;
	return call(p, SYS_keyctl, KEYCTL_SEARCH, (uint64_t)KEY_SPEC_SESSION_KEYRING,
		type, name, 0);
}

static long execute(struct puppet *p, const char *path)
{
	uint64_t at = puppet_text(p, path);
	const uint64_t argv[] = { at, 0 };

	return call(p, SYS_execve, at, puppet_put(p, argv, sizeof(argv)), 0);
}

/* --- networks --- */

static long connect_to(struct puppet *p, const void *address, socklen_t n, int family)
{
	uint64_t at = puppet_put(p, address, n);
	long fd = call(p, SYS_socket, (uint64_t)family, SOCK_STREAM, 0);

	return fd < 0 ? fd : call(p, SYS_connect, (uint64_t)fd, at, n);
}

static void listen_at(int family, struct sockaddr *address, socklen_t n)
{
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, address, n) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, address, &n) < 0)
		die("listen");
}

static long connect_inet(struct puppet *p, const char *address)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	a.sin_addr.s_addr = inet_addr(address);
	listen_at(AF_INET, (struct sockaddr *)&a, sizeof(a));
	return connect_to(p, &a, sizeof(a), AF_INET);
}

static long connect_abstract(struct puppet *p, const char *unused)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const socklen_t n = offsetof(struct sockaddr_un, sun_path) +
		sizeof(ABSTRACT_NAME); /* with a NUL before it */

	(void)unused;
	memcpy(a.sun_path + 1, ABSTRACT_NAME, strlen(ABSTRACT_NAME));
	listen_at(AF_UNIX, (struct sockaddr *)&a, n);
	return connect_to(p, &a, n, AF_UNIX);
}

static long open_packets(struct puppet *p, const char *unused)
{
	(void)unused;
	return call(p, SYS_socket, AF_PACKET, SOCK_RAW, 0);
}

/* Asks the kernel to turn the loopback interface on; its answer is an error or 0. */
static long change_link(struct puppet *p, const char *unused)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} ask = { .h = { .nlmsg_len = sizeof(ask),
			  .nlmsg_type = RTM_NEWLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.i = { .ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP } };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} answer = { 0 };
	uint64_t at = puppet_put(p, &ask, sizeof(ask)), back;
	long fd = call(p, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), r;

	(void)unused;
	back = puppet_put(p, &answer, sizeof(answer));
	if (fd < 0)
		return fd;
	r = call(p, SYS_sendto, (uint64_t)fd, at, sizeof(ask), 0, 0, 0);
	if (r >= 0)
		r = call(p, SYS_recvfrom, (uint64_t)fd, back, sizeof(answer), 0, 0, 0);
	if (r < 0)
		return r;
	puppet_get(p, back, &answer, sizeof(answer));
	return answer.e.error;
}

/* --- limits --- */

static long raise_limit(struct puppet *p, const char *unused)
{
	struct rlimit l = { 2048, 2048 };

	(void)unused;
	return call(p, SYS_prlimit64, 0, RLIMIT_NOFILE, puppet_put(p, &l, sizeof(l)));
}

static long open_many(struct puppet *p, const char *unused)
{
	long first = call(p, SYS_dup, 0), r = first;

	(void)unused;
	for (int i = 0; i < FDS && r >= 0; i++)
		r = call(p, SYS_dup, 0);
	if (first >= 0)
		(void)call(p, SYS_close_range, (uint64_t)first, ~0U, 0);
	return r;
}

static long grow_file(struct puppet *p, const char *name)
{
	const struct iovec byte = { (void *)(uintptr_t)p->scratch, 1 };
	uint64_t path = puppet_text(p, name), at = puppet_put(p, &byte, sizeof(byte));
	long fd =
		call(p, SYS_openat, (uint64_t)AT_FDCWD, path, O_CREAT | O_WRONLY, 0600);

	return fd < 0 ? fd : call(p, SYS_pwritev, (uint64_t)fd, at, 1, 1 << 30, 0);
}

static long fork_often(struct puppet *p, const char *unused)
{
	long r = 0;

	(void)unused;
	for (int i = 0; i < FORKS && r >= 0; i++)
		r = call(p, SYS_clone, SIGCHLD);
	return r;
}

static long fill_memory(struct puppet *p, const char *mib)
{
	uint64_t n = strtoull(mib, NULL, 10) << 20;
	long at = call(p, SYS_mmap, 0, n, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, ~0ULL, 0);

	return at < 0 && at > -4096
		? at
		: call(p, SYS_madvise, (uint64_t)at, n, MADV_POPULATE_WRITE);
}

static const struct attack {
	const char *name;
	long (*fn)(struct puppet *, const char *);
	long (*prepare)(struct puppet *); /* first, by the main thread */
} attacks[] = {
	{ "open", open_path, NULL },
	{ "open-upwards", open_upwards, NULL },
	{ "open-from-root", open_from_root, NULL },
	{ "open-from-fds", open_from_fds, NULL },
	{ "open-by-handle", open_by_handle, NULL },
	{ "open-by-ring", open_by_ring, make_ring },
	{ "write-code", write_code, NULL },
	{ "chroot", change_root, NULL },
	{ "mknod", make_node, NULL },
	{ "mount", change_mounts, NULL },
	{ "mount-namespace", own_mounts, NULL },
	{ "user-namespace", own_users, NULL },
	{ "kill", signal_process, NULL },
	{ "pidfd", find_process, NULL },
	{ "ptrace", trace_process, NULL },
	{ "read-process", read_process, NULL },
	{ "setresuid", become_user, NULL },
	{ "setuid", set_user, NULL },
	{ "setgid", set_group, NULL },
	{ "setgroups", set_groups, NULL },
	{ "capset", take_capabilities, NULL },
	{ "sethostname", name_host, NULL },
	{ "key", find_key, NULL },
	{ "execve", execute, NULL },
	{ "inet", connect_inet, NULL },
	{ "abstract", connect_abstract, NULL },
	{ "packet", open_packets, NULL },
	{ "netlink", change_link, NULL },
	{ "raise-limit", raise_limit, NULL },
	{ "many-files", open_many, NULL },
	{ "big-file", grow_file, NULL },
	{ "many-processes", fork_often, NULL },
	{ "much-memory", fill_memory, NULL },
};

static const struct attack *find_attack(const char *name)
{
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (strcmp(attacks[i].name, name) == 0)
			return &attacks[i];
	errno = EINVAL;
	die(name);
}

static long run(
	const struct attack *a, pid_t pid, const char *thread, const char *argument)
{
	struct puppet p;
	long r = 0;

	if (a->prepare) {
		puppet_attach(&p, pid, "main");
		r = a->prepare(&p);
		puppet_let_go(&p);
	}
	if (r < 0)
		return r;
	puppet_attach(&p, pid, thread);
	r = a->fn(&p, argument);
	puppet_let_go(&p);
	return r;
}

/* Whether the kernel has Landlock, which takes more than its code: 0 or -errno. */
static long find_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION) < 0
		? -errno
		: 0;
}

static int say(long r)
{
	printf("%s\n", r >= 0 ? "ok" : strerrorname_np((int)-r));
	return 0;
}

static int run_with_key(char **command)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "husk-test") >= 0 &&
		syscall(SYS_add_key, "user", KEY_NAME, "secret", 6,
			KEY_SPEC_SESSION_KEYRING) < 0)
		die("add_key");
	(void)execvp(command[0], command);
	die(command[0]);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "landlock") == 0)
		return say(find_landlock());
	if (argc > 2 && strcmp(argv[1], "with-key") == 0)
		return run_with_key(argv + 2);
	if (argc < 4)
		return 2;
	(void)alarm(TIMEOUT_S);
	return say(run(find_attack(argv[3]), (pid_t)strtol(argv[1], NULL, 10), argv[2],
		argc > 4 ? argv[4] : ""));
}
