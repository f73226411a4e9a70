/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_async: a disk over the kernel's own io_uring. Where there is none, every test
 * says so and is skipped.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/unit/fakes/fake_file.h"
#include "virtio/blk/disk_internal.h"

enum { DISK_SIZE = 1 << 20, REQS = 600 };

static char path[FAKE_PATH_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static struct err err;
static struct disk *d;
static unsigned n_batches;

struct io {
	struct disk_req req;
	struct iovec iov;
	unsigned n_done;
	int result;
	unsigned place; /* among the completions */
};

static struct io ios[REQS];
static unsigned n_done;

static void on_done(struct disk_req *req, int result)
{
	struct io *io = container_of(req, struct io, req);

	io->n_done++;
	io->result = result;
	io->place = ++n_done;
}

static void on_batch(void *self)
{
	cr_assert_eq(self, &n_batches);
	n_batches++;
}

static void open_at(const char *where, bool read_only)
{
	int r;

	cr_assert_eq(disk_open(where, read_only, &d, &err), 0, "%s", err.text);
	r = disk_go_async(d, loop, &err);
	if (r == -ENOSYS || r == -EPERM)
		cr_skip_test("no io_uring here");
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert(disk_is_async(d));
	disk_on_batch(d, on_batch, &n_batches);
}

static void set_up(void)
{
	int fd = fake_disk_file(path);

	cr_assert_eq(ftruncate(fd, DISK_SIZE), 0);
	close(fd);
	cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
	open_at(path, false);
}

static void tear_down(void)
{
	disk_close(d);
	loop_destroy(loop);
	(void)unlink(path);
}

TestSuite(disk_async, .init = set_up, .fini = tear_down, .timeout = 30);

static struct io *submit(unsigned i, struct disk_req req)
{
	ios[i] = (struct io){ .req = req };
	ios[i].req.done = on_done;
	if (req.data.iov) {
		ios[i].iov = *req.data.iov;
		ios[i].req.data.iov = &ios[i].iov;
	}
	disk_submit(d, &ios[i].req);
	return &ios[i];
}

static struct io *transfer(
	unsigned i, enum disk_op op, uint64_t at, void *buf, size_t n)
{
	struct iovec iov = { buf, n };

	return submit(i,
		(struct disk_req){
			.op = op, .at = at, .len = n, .data = { &iov, 1, 0 } });
}

static struct io *change(unsigned i, enum disk_op op, uint64_t at, uint64_t len)
{
	return submit(
		i, (struct disk_req){ .op = op, .unmap = true, .at = at, .len = len });
}

/* By the loop, as a device waits. */
static int wait_for(struct io *io)
{
	disk_submit_all(d);
	while (io->n_done == 0)
		cr_assert_eq(loop_poll(loop, 1000), 0);
	cr_assert_eq(io->n_done, 1);
	return io->result;
}

static void drain(void)
{
	struct pollfd p = { .events = POLLIN };

	while ((p.fd = disk_drain(d)) >= 0)
		cr_assert_eq(poll(&p, 1, 10000), 1);
}

Test(disk_async, reads_back_what_it_wrote)
{
	char out[1536], in[1536];

	memset(out, 'a', sizeof(out));
	cr_assert_eq(wait_for(transfer(0, DISK_WRITE, 512, out, sizeof(out))), 0);
	cr_assert_eq(wait_for(transfer(0, DISK_READ, 512, in, sizeof(in))), 0);
	cr_assert_arr_eq(in, out, sizeof(in));
	cr_assert_eq(wait_for(change(0, DISK_FLUSH, 0, 0)), 0);
}

Test(disk_async, starts_nothing_before_it_is_submitted)
{
	char sector[512];
	struct io *io = transfer(0, DISK_READ, 0, sector, sizeof(sector));

	cr_assert_eq(loop_poll(loop, 20), 0);
	cr_assert_eq(io->n_done, 0);
	cr_assert_eq(wait_for(io), 0);
}

Test(disk_async, completes_more_requests_than_fit_the_ring)
{
	static uint64_t out[REQS][64], in[REQS][64];

	for (unsigned i = 0; i < REQS; i++) {
		out[i][0] = i;
		(void)transfer(i, DISK_WRITE, i * 512, out[i], 512);
	}
	drain();
	cr_assert_eq(n_done, REQS);
	for (unsigned i = 0; i < REQS; i++)
		(void)transfer(i, DISK_READ, i * 512, in[i], 512);
	drain();
	cr_assert_eq(n_done, 2 * REQS);
	for (unsigned i = 0; i < REQS; i++) {
		cr_assert_eq(ios[i].result, 0);
		cr_assert_eq(in[i][0], i);
	}
}

/* Discards are never done at once, so the flush has something to wait for. */
Test(disk_async, flushes_after_all_changes_before)
{
	char sector[512] = "x";

	for (unsigned round = 0; round < 50; round++) {
		n_done = 0;
		for (unsigned i = 0; i < 8; i++)
			(void)change(i, DISK_DISCARD, i * 65536, 65536);
		(void)transfer(8, DISK_WRITE, 4096, sector, 512);
		(void)change(9, DISK_FLUSH, 0, 0);
		(void)change(10, DISK_DISCARD, 900 << 10, 65536);
		(void)change(11, DISK_FLUSH, 0, 0);
		drain();
		cr_assert_eq(n_done, 12);
		for (unsigned i = 0; i < 9; i++)
			cr_assert_lt(ios[i].place, ios[9].place);
		for (unsigned i = 0; i < 11; i++)
			cr_assert(i == 9 || ios[i].place < ios[11].place);
		for (unsigned i = 0; i < 12; i++)
			cr_assert_eq(ios[i].result, 0);
	}
}

Test(disk_async, fails_to_read_what_was_cut_off_behind_its_back)
{
	char sectors[1024];

	cr_assert_eq(truncate(path, 4096 + 512), 0);
	cr_assert_eq(wait_for(transfer(0, DISK_READ, 4096, sectors, 512)), 0);
	cr_assert_eq(wait_for(transfer(0, DISK_READ, 4096, sectors, 1024)), -EIO);
	cr_assert_eq(wait_for(transfer(0, DISK_READ, 8192, sectors, 512)), -EIO);
}

Test(disk_async, goes_on_after_a_short_write_until_the_host_refuses)
{
	struct rlimit small = { 4096 + 256, 4096 + 256 };
	char sectors[1024];
	struct stat st;

	memset(sectors, 'x', sizeof(sectors));
	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(truncate(path, 4096), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_assert_eq(wait_for(transfer(0, DISK_WRITE, 4096, sectors, 1024)), -EFBIG);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_size, 4096 + 256);
	cr_assert_eq(wait_for(transfer(0, DISK_WRITE, 0, sectors, 1024)), 0);
}

Test(disk_async, cannot_be_written_when_opened_read_only)
{
	char sector[512] = "x";

	disk_close(d);
	open_at(path, true);
	cr_assert_eq(wait_for(transfer(0, DISK_WRITE, 0, sector, 512)), -EBADF);
}

static void check_range(enum disk_op op)
{
	static char buf[65536], zero[32768];

	memset(buf, 'x', sizeof(buf));
	cr_assert_eq(wait_for(transfer(0, DISK_WRITE, 0, buf, sizeof(buf))), 0);
	cr_assert_eq(wait_for(change(0, op, 16384, 32768)), 0);
	cr_assert_eq(wait_for(change(0, op, 0, 0)), 0);
	cr_assert_eq(wait_for(transfer(0, DISK_READ, 0, buf, sizeof(buf))), 0);
	cr_assert_eq(buf[16383], 'x');
	cr_assert_eq(buf[49152], 'x');
	cr_assert_arr_eq(buf + 16384, zero, sizeof(zero));
}

Test(disk_async, discards_and_zeroes)
{
	check_range(DISK_DISCARD);
	check_range(DISK_ZERO);
}

/* A file system without FALLOC_FL_ZERO_RANGE: the request is done synchronously. */
Test(disk_async, zeroes_by_hand_where_the_host_cannot)
{
	static char buf[65536], zero[1024];
	struct fake_file f = fake_file(buf, sizeof(buf)); /* a tmpfs */
	struct disk_req req = { .op = DISK_ZERO, .at = 512, .len = 1024 };

	disk_close(d);
	open_at(f.path, false);
	for (unsigned i = 0; i < 2; i++) { /* finds out, and then knows */
		memset(buf, 'x', sizeof(buf));
		cr_assert_eq(wait_for(transfer(0, DISK_WRITE, 0, buf, 4096)), 0);
		cr_assert_eq(wait_for(submit(0, req)), 0);
		cr_assert_eq(wait_for(transfer(0, DISK_READ, 0, buf, 4096)), 0);
		cr_assert_eq(buf[511], 'x');
		cr_assert_eq(buf[1536], 'x');
		cr_assert_arr_eq(buf + 512, zero, sizeof(zero));
	}
	fake_file_close(&f);
}

Test(disk_async, is_drained_with_a_word_to_its_owner)
{
	unsigned n;

	for (unsigned i = 0; i < 20; i++)
		(void)change(i, DISK_DISCARD, i * 4096, 4096);
	drain();
	cr_assert_eq(n_done, 20);
	cr_assert_geq(n_batches, 1);
	n = n_batches;
	drain();
	cr_assert_eq(n_batches, n);
}

Test(disk_async, tells_its_owner_after_completions_from_the_loop)
{
	cr_assert_eq(wait_for(change(0, DISK_DISCARD, 0, 4096)), 0);
	cr_assert_leq(
		n_batches, 1); /* 0: it was done when the notification came back */
	for (unsigned i = 0; i < 200 && n_batches == 0; i++)
		cr_assert_eq(wait_for(change(0, DISK_DISCARD, 0, 4096)), 0);
	cr_assert_gt(n_batches, 0);
}

/* The ring's descriptor, among those of this process. */
static int ring_fd(void)
{
	for (int fd = 3; fd < 64; fd++) {
		char name[64], target[64] = { 0 };

		(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		if (readlink(name, target, sizeof(target) - 1) > 0 &&
			strstr(target, "io_uring"))
			return fd;
	}
	return -1;
}

/* The ring gives a guest that has broken husk no way around the filters. */
Test(disk_async, has_a_ring_that_cannot_be_given_other_files)
{
	int file = STDIN_FILENO;

	cr_assert_eq(syscall(SYS_io_uring_register, ring_fd(), IORING_REGISTER_BUFFERS,
			     &ios[0].iov, 1),
		-1);
	cr_assert_eq(errno, EACCES);
	cr_assert_eq(syscall(SYS_io_uring_register, ring_fd(), IORING_UNREGISTER_FILES,
			     &file, 1),
		-1);
	cr_assert_eq(errno, EACCES);
}

Test(disk_async, serves_at_once_when_the_ring_is_lost)
{
	char sector[512] = "lost", back[512] = { 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd = ring_fd();

	cr_assert_geq(fd, 0);
	cr_assert_eq(dup2(null, fd), fd);
	(void)transfer(0, DISK_WRITE, 0, sector, 512);
	(void)change(1, DISK_FLUSH, 0, 0);
	disk_submit_all(d);
	cr_assert_eq(n_done, 2);
	cr_assert_lt(ios[0].place, ios[1].place);
	cr_assert_eq(wait_for(transfer(2, DISK_READ, 0, back, 512)), 0);
	cr_assert_str_eq(back, "lost");
	close(null);
}

/* From now on a call that submits exactly three requests fails; others succeed. */
static void refuse_three(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_LEN(code), code };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

/* Checks that the ring is in use: only its completions come through the loop. */
static void expect_ring_in_use(void)
{
	n_batches = 0;
	for (unsigned i = 0; i < 200 && n_batches == 0; i++)
		cr_assert_eq(wait_for(change(9, DISK_DISCARD, 65536, 4096)), 0);
	cr_expect_gt(n_batches, 0);
}

static void check_refused(int error)
{
	char sectors[3][512] = { "one", "two", "three" }, back[512];

	refuse_three(error);
	for (unsigned i = 0; i < 3; i++)
		(void)transfer(i, DISK_WRITE, i * 512, sectors[i], 512);
	disk_submit_all(d);
	cr_expect_eq(n_done, 3, "nothing stalls");
	memset(sectors, 'x', sizeof(sectors));
	cr_assert_eq(wait_for(transfer(3, DISK_READ, 512, back, 512)), 0);
	cr_expect_str_eq(back, "two");
	expect_ring_in_use();
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(ios[i].n_done, 1, "%u: %u", i, ios[i].n_done);
}

Test(disk_async, serves_at_once_what_the_kernel_has_no_memory_for)
{
	check_refused(EAGAIN);
}

Test(disk_async, serves_at_once_what_the_kernel_has_no_memory_for_at_all)
{
	check_refused(ENOMEM);
}

Test(disk_async, survives_interrupted_submissions)
{
	check_refused(EINTR);
}

/* Replaces the file by a pipe, from which reads end when the test writes; reads at an
 * offset, as disk_run does them, fail. Returns the pipe's other end. */
static int read_from_a_pipe(void)
{
	int ends[2], r;

	disk_close(d);
	cr_assert_eq(disk_open(path, true, &d, &err), 0, "%s", err.text);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(dup2(ends[0], d->fd), d->fd);
	close(ends[0]);
	r = disk_go_async(d, loop, &err);
	cr_assert_eq(r, 0, "%s", err.text);
	return ends[1];
}

Test(disk_async, tries_again_with_the_next_completion)
{
	static char sectors[5][512];
	int end = read_from_a_pipe();

	refuse_three(EAGAIN);
	(void)transfer(0, DISK_READ, 0, sectors[0], 512);
	disk_submit_all(d); /* and stays inside */
	for (unsigned i = 1; i < 4; i++)
		(void)transfer(i, DISK_READ, 0, sectors[i], 512);
	disk_submit_all(d);
	cr_assert_eq(n_done, 0, "refused, but a completion will come");
	(void)transfer(4, DISK_READ, 0, sectors[4], 512); /* then it is four */
	cr_assert_eq(write(end, sectors, 512), 512);
	while (n_done < 1)
		cr_assert_eq(loop_poll(loop, 1000), 0);
	cr_expect_eq(n_done, 1);
	cr_assert_eq(write(end, sectors, sizeof(sectors) - 512), 4 * 512);
	while (n_done < 5)
		cr_assert_eq(loop_poll(loop, 1000), 0);
	for (unsigned i = 0; i < 5; i++) {
		cr_expect_eq(ios[i].n_done, 1);
		cr_expect_eq(ios[i].result, 0, "%u: by the ring, and not here", i);
	}
	close(end);
}

/* guest: it cannot make husk wait for a disk that never answers */
Test(disk_async, is_not_waited_for)
{
	static char sector[512];
	int end = read_from_a_pipe(), fd;
	struct io *io = transfer(0, DISK_READ, 0, sector, sizeof(sector));

	fd = disk_drain(d);
	cr_assert_eq(fd, ring_fd());
	cr_assert_eq(disk_drain(d), fd);
	cr_assert_eq(io->n_done, 0);
	cr_assert_eq(write(end, sector, sizeof(sector)), sizeof(sector));
	drain();
	cr_assert_eq(io->n_done, 1);
	cr_assert_eq(io->result, 0);
	close(end);
}

static void *drain_elsewhere(void *fd)
{
	*(int *)fd = disk_drain(d);
	return NULL;
}

/* The kernel delays a thread's end until the requests that it submitted have ended. */
Test(disk_async, gives_the_kernel_nothing_on_another_thread)
{
	char sector[512] = "x";
	struct io *io = transfer(0, DISK_WRITE, 0, sector, sizeof(sector));
	pthread_t thread;
	int fd = -1;

	cr_assert_eq(pthread_create(&thread, NULL, drain_elsewhere, &fd), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(fd, ring_fd());
	cr_assert_eq(io->n_done, 0);
	cr_assert_eq(loop_poll(loop, 20), 0);
	cr_assert_eq(io->n_done, 0, "it is still in line");
	cr_assert_eq(wait_for(io), 0);
	cr_assert_eq(pthread_create(&thread, NULL, drain_elsewhere, &fd), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_lt(fd, 0);
}

/* The bytes of a request are some of those that its spans hold. */
Test(disk_async, moves_a_part_of_what_the_spans_hold)
{
	static char out[4][1024], in[4096];
	struct iovec iov[4];
	struct disk_req req = { .op = DISK_WRITE,
		.at = 1024,
		.len = 2048,
		.data = { iov, 4, 512 },
		.done = on_done };
	struct io io = { .req = req };

	for (unsigned i = 0; i < 4; i++) {
		memset(out[i], 'a' + (int)i, sizeof(out[i]));
		iov[i] = (struct iovec){ out[i], sizeof(out[i]) };
	}
	disk_submit(d, &io.req);
	drain();
	cr_assert_eq(io.result, 0);
	disk_go_past(&io.req);
	cr_assert_eq(io.req.data.iov, &iov[2]);
	cr_assert_eq(io.req.data.n, 2);
	cr_assert_eq(io.req.data.skip, 512);
	cr_assert_eq(io.req.at, 3072);
	cr_assert_eq(wait_for(transfer(0, DISK_READ, 0, in, sizeof(in))), 0);
	cr_assert_eq(in[1023], 0);
	cr_assert_arr_eq(in + 1024, out[0] + 512, 512);
	cr_assert_arr_eq(in + 1536, out[1], 1024);
	cr_assert_arr_eq(in + 2560, out[2], 512);
	cr_assert_eq(in[3072], 0);
}

Test(disk_async, leaves_no_descriptors)
{
	unsigned fds = fake_open_fds();

	disk_close(d);
	cr_assert_eq(fake_open_fds(), fds - 2); /* the file and the ring */
	d = NULL;
}

Test(disk_async, says_why_it_cannot_and_stays_synchronous)
{
	struct rlimit all, none;
	char sector[512];
	struct io *io;

	disk_close(d);
	cr_assert_eq(disk_open(path, false, &d, &err), 0);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert_eq(disk_go_async(d, loop, &err), -EMFILE);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	cr_assert_str_eq(
		err.text, "io_engine Async needs io_uring: Too many open files");
	cr_assert_not(disk_is_async(d));
	io = transfer(0, DISK_READ, 0, sector, 512);
	cr_assert_eq(io->n_done, 1);
	cr_assert_eq(io->result, 0);
}

/* Replaces the file by a full pipe: a write ends when the test reads, and a discard
 * fails at once. Returns the pipe's other end. */
static int write_to_a_full_pipe(void)
{
	static char page[4096];
	int ends[2], r;

	disk_close(d);
	cr_assert_eq(disk_open(path, false, &d, &err), 0, "%s", err.text);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, sizeof(page)), sizeof(page));
	cr_assert_eq(write(ends[1], page, sizeof(page)), sizeof(page));
	cr_assert_eq(dup2(ends[1], d->fd), d->fd);
	close(ends[1]);
	r = disk_go_async(d, loop, &err);
	cr_assert_eq(r, 0, "%s", err.text);
	return ends[0];
}

Test(disk_async, flushes_only_after_the_change_before_whatever_comes_after)
{
	static char page[4096];
	int end = write_to_a_full_pipe();
	struct io *before = transfer(0, DISK_WRITE, 0, page, 512);
	struct io *flush = change(1, DISK_FLUSH, 0, 0);
	struct io *after = change(2, DISK_DISCARD, 0, 4096);

	(void)wait_for(after);
	cr_assert_eq(loop_poll(loop, 200), 0); /* nothing more comes */
	cr_assert_eq(before->n_done, 0);
	cr_assert_eq(flush->n_done, 0, "what it is to wait for is under way");
	cr_assert_eq(read(end, page, sizeof(page)), sizeof(page));
	(void)wait_for(flush);
	cr_assert_eq(before->n_done, 1);
	cr_assert_lt(before->place, flush->place);
	close(end);
}
