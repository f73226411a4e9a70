/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: what can be opened, and what happens to the bytes. Files live in a directory of
 * the test's own under /tmp.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/limit_cpu.h"
#include "virtio/blk/disk_internal.h"

static struct fake_dir dir;
static char path[64];
static struct err err;
static struct disk *d;

static void set_up(void)
{
	limit_cpu_time();
	dir = fake_dir();
	(void)snprintf(path, sizeof(path), "%s/disk", dir.path);
}

static void tear_down(void)
{
	disk_close(d);
	fake_dir_remove(&dir);
}

TestSuite(disk, .init = set_up, .fini = tear_down);

static void make_file(off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, size), 0);
	close(fd);
}

static void open_disk(off_t size, bool read_only)
{
	make_file(size);
	cr_assert_eq(disk_open(path, read_only, &d, &err), 0, "%s", err.text);
}

static int last_result;
static unsigned n_done;

static void on_done(struct disk_req *req, int result)
{
	(void)req;
	last_result = result;
	n_done++;
}

static int submit(struct disk_req req)
{
	unsigned before = n_done;

	req.done = on_done;
	disk_submit(d, &req);
	cr_assert_eq(n_done, before + 1);
	return last_result;
}

static int transfer(enum disk_op op, uint64_t at, void *buf, size_t n)
{
	struct iovec iov = { buf, n };

	return submit((struct disk_req){
		.op = op, .at = at, .len = n, .data = { &iov, 1, 0 } });
}

static int range(enum disk_op op, bool unmap, uint64_t at, uint64_t len)
{
	return submit(
		(struct disk_req){ .op = op, .unmap = unmap, .at = at, .len = len });
}

Test(disk, names_what_cannot_be_opened_and_why)
{
	cr_assert_eq(disk_open("/nowhere/x", false, &d, &err), -ENOENT);
	cr_assert_str_eq(
		err.text, "cannot open '/nowhere/x': No such file or directory");
	cr_assert_null(d);
}

Test(disk, refuses_a_directory)
{
	cr_assert_eq(disk_open(dir.path, true, &d, &err), -EISDIR);
	cr_assert_not_null(strstr(err.text, "Is a directory"), "%s", err.text);
	cr_assert_eq(disk_open(dir.path, false, &d, &err), -EISDIR);
}

Test(disk, refuses_a_fifo_without_waiting_for_its_writer, .timeout = 10)
{
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(disk_open(path, true, &d, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, path), "%s", err.text);
}

/* Firecracker opens every file that has an end to seek to. */
static void check_empty_device(const char *device)
{
	struct disk_req flush = { .op = DISK_FLUSH, .done = on_done };

	cr_assert_eq(disk_open(device, false, &d, &err), 0, "%s", err.text);
	cr_assert_eq(disk_bytes(d), 0);
	last_result = 1;
	disk_submit(d, &flush);
	cr_assert_eq(last_result, 0);
	disk_close(TAKE(d));
}

Test(disk, may_be_a_character_device_without_sectors)
{
	check_empty_device("/dev/null");
	check_empty_device("/dev/zero");
}

Test(disk, refuses_a_terminal, .timeout = 10)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	cr_assert_eq(unlockpt(master), 0);
	cr_assert_eq(disk_open(ptsname(master), false, &d, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "terminal"), "%s", err.text);
	cr_assert_eq(disk_open("/dev/ptmx", false, &d, &err), -EINVAL);
	close(master);
}

Test(disk, hides_a_tail_that_is_no_whole_sector)
{
	open_disk(1024 + 511, false);
	cr_assert_eq(disk_bytes(d), 1024);
	cr_assert_eq(disk_hidden_tail(d), 511);
}

Test(disk, may_be_empty)
{
	open_disk(0, false);
	cr_assert_eq(disk_bytes(d), 0);
	cr_assert_eq(disk_hidden_tail(d), 0);
}

Test(disk, has_a_serial_of_device_and_inode_numbers)
{
	char serial[DISK_SERIAL_BYTES], expected[64] = { 0 };
	struct stat st;

	open_disk(512, true);
	cr_assert_eq(stat(path, &st), 0);
	(void)snprintf(expected, sizeof(expected), "%lu%lu%lu", st.st_dev, st.st_rdev,
		st.st_ino);
	disk_serial(d, serial);
	cr_assert_arr_eq(serial, expected, sizeof(serial));
}

Test(disk, cannot_be_written_when_opened_read_only)
{
	char sector[512] = "x";

	open_disk(4096, true);
	cr_assert(disk_is_read_only(d));
	cr_assert_eq(transfer(DISK_WRITE, 0, sector, 512), -EBADF);
}

Test(disk, reads_back_what_was_written_in_pieces)
{
	char a[512], b[1024], c[1536];
	struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };

	open_disk(8192, false);
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	cr_assert_eq(submit((struct disk_req){ .op = DISK_WRITE,
			     .at = 512,
			     .len = sizeof(c),
			     .data = { iov, 2, 0 } }),
		0);
	cr_assert_eq(transfer(DISK_READ, 512, c, sizeof(c)), 0);
	cr_assert_arr_eq(c, a, sizeof(a));
	cr_assert_arr_eq(c + sizeof(a), b, sizeof(b));
	cr_assert_eq(range(DISK_FLUSH, false, 0, 0), 0);
}

Test(disk, fails_to_read_what_was_cut_off_behind_its_back)
{
	char sectors[1024];

	open_disk(8192, false);
	cr_assert_eq(truncate(path, 4096 + 512), 0);
	cr_assert_eq(transfer(DISK_READ, 4096, sectors, 512), 0);
	cr_assert_eq(transfer(DISK_READ, 4096, sectors, 1024), -EIO);
	cr_assert_eq(transfer(DISK_READ, 6144, sectors, 512), -EIO);
}

Test(disk, passes_on_that_the_host_takes_no_more)
{
	struct rlimit small = { 4096 + 256, 4096 + 256 };
	char sectors[1024] = { 0 };

	open_disk(8192, false);
	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	/* short, then refused: the rest is tried again from where it stopped */
	cr_assert_eq(transfer(DISK_WRITE, 4096, sectors, 1024), -EFBIG);
	cr_assert_eq(transfer(DISK_WRITE, 0, sectors, 1024), 0);
}

Test(disk, goes_on_with_the_next_span_after_one_that_was_all_the_host_took)
{
	struct rlimit small = { 4096 + 512, 4096 + 512 };
	char sectors[2][512] = { { 0 } };
	struct iovec iov[] = { { sectors[0], 512 }, { sectors[1], 512 } };
	struct disk_req req = {
		.op = DISK_WRITE, .at = 4096, .len = 1024, .data = { iov, 2, 0 }
	};

	open_disk(8192, false);
	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_assert_eq(submit(req), -EFBIG);
}

/* Fills the first 64 KiB, executes op on the middle 32 KiB and checks the bytes. */
static void check_range(enum disk_op op, bool unmap, bool reads_zero)
{
	static char buf[65536], zero[32768];
	struct stat st;

	open_disk(65536, false);
	memset(buf, 'x', sizeof(buf));
	cr_assert_eq(transfer(DISK_WRITE, 0, buf, sizeof(buf)), 0);
	cr_assert_eq(range(op, unmap, 16384, 32768), 0);
	cr_assert_eq(transfer(DISK_READ, 0, buf, sizeof(buf)), 0);
	cr_assert_eq(buf[16383], 'x');
	cr_assert_eq(buf[49152], 'x');
	if (reads_zero)
		cr_assert_arr_eq(buf + 16384, zero, sizeof(zero));
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_size, 65536);
	if (unmap)
		cr_assert_leq(st.st_blocks, 65536 / 512 - 32);
}

Test(disk, discards)
{
	check_range(DISK_DISCARD, true, false);
}

Test(disk, zeroes_and_gives_back_the_space)
{
	check_range(DISK_ZERO, true, true);
}

Test(disk, zeroes_and_keeps_the_space)
{
	check_range(DISK_ZERO, false, true);
}

Test(disk, zeroes_what_is_no_whole_page)
{
	char buf[2048], zero[512] = { 0 };

	open_disk(8192, false);
	memset(buf, 'x', sizeof(buf));
	cr_assert_eq(transfer(DISK_WRITE, 0, buf, sizeof(buf)), 0);
	cr_assert_eq(range(DISK_ZERO, true, 512, 512), 0);
	cr_assert_eq(range(DISK_ZERO, false, 1536, 512), 0);
	cr_assert_eq(range(DISK_ZERO, false, 1024, 0), 0);
	cr_assert_eq(transfer(DISK_READ, 0, buf, sizeof(buf)), 0);
	cr_assert_eq(buf[511], 'x');
	cr_assert_arr_eq(buf + 512, zero, 512);
	cr_assert_eq(buf[1024], 'x');
	cr_assert_arr_eq(buf + 1536, zero, 512);
}

/* A file system without FALLOC_FL_ZERO_RANGE: the zeroes are written. */
Test(disk, zeroes_by_hand_where_the_host_cannot)
{
	static char buf[1 << 20], zero[1 << 20];
	struct fake_file shm = fake_file(buf, sizeof(buf)); /* of a tmpfs */

	cr_assert_eq(disk_open(shm.path, false, &d, &err), 0);
	fake_file_close(&shm);
	memset(buf, 'x', sizeof(buf));
	cr_assert_eq(transfer(DISK_WRITE, 0, buf, sizeof(buf)), 0);
	cr_assert_eq(range(DISK_ZERO, false, 512, sizeof(buf) - 1024), 0);
	cr_assert_eq(transfer(DISK_READ, 0, buf, sizeof(buf)), 0);
	cr_assert_eq(buf[511], 'x');
	cr_assert_eq(buf[sizeof(buf) - 512], 'x');
	cr_assert_arr_eq(buf + 512, zero, sizeof(buf) - 1024);
}

/* io_uring and some drivers respect O_NONBLOCK, and would fail requests that wait. */
Test(disk, does_not_keep_the_flag_that_it_was_opened_with)
{
	int flags;

	open_disk(4096, false);
	flags = fcntl(d->fd, F_GETFL);
	cr_assert_geq(flags, 0);
	cr_assert_eq(flags & O_NONBLOCK, 0);
	cr_assert_eq(flags & O_ACCMODE, O_RDWR);
	cr_assert_eq(fcntl(d->fd, F_GETFD), FD_CLOEXEC);
}
