/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: a 16550 between a guest's registers and two pipes, on a real loop: output in
 * one go, input no faster than the guest reads, interrupts as the data sheet has them.
 */
#include "vmm/legacy/serial.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

#include "tests/unit/fakes/fake_file.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
enum { RX_ROOM = 64, TX_ROOM = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop;
static struct serial *serial;
static int in[2], out[2]; /* pipes: in[1] feeds the guest, out[0] is its output */
static struct err e;

static void set_up(void)
{
	(void)signal(SIGPIPE, SIG_IGN); /* as main does */
	cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(loop_create(&lock, &loop, &e), 0);
	cr_assert_eq(serial_create(loop, in[0], out[1], &serial, &e), 0);
}

static void tear_down(void)
{
	serial_destroy(serial);
	loop_destroy(loop);
	for (int i = 0; i < 2; i++) {
		close_fd(in[i]);
		close_fd(out[i]);
	}
}

TestSuite(serial, .init = set_up, .fini = tear_down);

static void put(uint64_t at, uint8_t v)
{
	serial_bus_ops()->write(serial, at, &v, 1);
}

static uint8_t get(uint64_t at)
{
	uint8_t v = 0xff;

	serial_bus_ops()->read(serial, at, &v, 1);
	return v;
}

static void turn(void)
{
	cr_assert_eq(loop_poll(loop, 0), 0);
}

static void print(const char *text)
{
	for (; *text != '\0'; text++)
		put(DATA, (uint8_t)*text);
}

/* What the guest's output holds now. */
static ssize_t shown(char *buf, size_t n)
{
	return read(out[0], buf, n);
}

static void type(const char *text)
{
	cr_assert_eq(write(in[1], text, strlen(text)), (ssize_t)strlen(text));
}

/* How often the interrupt was raised since it was last asked. */
static uint64_t irqs(void)
{
	uint64_t n = 0;

	(void)!read(serial_irq_fd(serial), &n, sizeof(n));
	return n;
}

/* --- output --- */

Test(serial, writes_what_gathered_in_one_go)
{
	char buf[64];

	print("hello");
	cr_assert_eq(shown(buf, sizeof(buf)), -1, "nothing from a vCPU thread");
	print(", host\n");
	turn();
	cr_assert_eq(shown(buf, sizeof(buf)), 12);
	cr_assert_eq(memcmp(buf, "hello, host\n", 12), 0);
	print("again");
	turn();
	cr_assert_eq(shown(buf, sizeof(buf)), 5);
	cr_assert_eq(serial_dropped(serial), 0);
	cr_assert_eq(serial_counts(serial)->write_count, 17);
	cr_assert_eq(serial_counts(serial)->flush_count, 2);
}

Test(serial, always_says_that_it_can_send)
{
	cr_assert_eq(get(LSR), 0x60);
	for (int i = 0; i < TX_ROOM + 10; i++)
		put(DATA, 'x');
	cr_assert_eq(get(LSR), 0x60);
}

Test(serial, drops_and_counts_what_does_not_fit)
{
	static char buf[2 * TX_ROOM];

	for (int i = 0; i < TX_ROOM + 10; i++)
		put(DATA, (uint8_t)i);
	turn();
	cr_assert_eq(serial_dropped(serial), 10);
	cr_assert_eq(shown(buf, sizeof(buf)), TX_ROOM);
	for (int i = 0; i < TX_ROOM; i++)
		cr_assert_eq((uint8_t)buf[i], (uint8_t)i);
}

static size_t fill(int fd)
{
	char page[4096] = { 0 };
	size_t n = 0;
	ssize_t r;

	while ((r = write(fd, page, sizeof(page))) > 0)
		n += (size_t)r;
	cr_assert_eq(errno, EAGAIN);
	return n;
}

Test(serial, goes_on_when_the_host_reads_again)
{
	static char buf[1 << 20];
	size_t full = fill(out[1]);

	print("late");
	turn();
	turn();
	print("r");
	turn();
	cr_assert_eq(serial_dropped(serial), 0);
	cr_assert_eq(shown(buf, full), (ssize_t)full);
	turn();
	cr_assert_eq(shown(buf, sizeof(buf)), 5);
	cr_assert_eq(memcmp(buf, "later", 5), 0);
	print("x");
	turn();
	cr_assert_eq(shown(buf, sizeof(buf)), 1);
}

Test(serial, drops_output_when_the_reader_is_gone)
{
	close_fd(TAKE_FD(out[0]));
	print("hello");
	turn();
	cr_assert_eq(serial_dropped(serial), 5);
	print("you");
	turn();
	cr_assert_eq(serial_dropped(serial), 8);
	cr_assert_eq(serial_counts(serial)->error_count, 2);
}

Test(serial, drops_output_when_the_reader_goes_while_it_waits)
{
	(void)fill(out[1]);
	print("hello");
	turn();
	close_fd(TAKE_FD(out[0]));
	turn();
	cr_assert_eq(serial_dropped(serial), 5);
}

Test(serial, drops_output_that_it_cannot_wait_to_write)
{
	int pair[2];
	size_t full;
	static char buf[1 << 20];

	/* one descriptor both ways: it is watched for input already */
	serial_destroy(serial);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	cr_assert_eq(serial_create(loop, pair[0], pair[0], &serial, &e), 0);
	full = fill(pair[0]);
	print("lost");
	turn();
	cr_assert_eq(serial_dropped(serial), 4);
	while (full > 0)
		full -= (size_t)read(pair[1], buf, sizeof(buf));
	print("seen");
	turn();
	cr_assert_eq(read(pair[1], buf, sizeof(buf)), 4);
	serial_destroy(TAKE(serial));
	close_fd(pair[0]);
	close_fd(pair[1]);
}

Test(serial, writes_the_rest_when_it_is_destroyed)
{
	char buf[16];

	print("bye");
	serial_destroy(TAKE(serial));
	cr_assert_eq(shown(buf, sizeof(buf)), 3);
}

/* --- input --- */

Test(serial, gives_the_guest_what_is_typed)
{
	type("ab");
	cr_assert_eq(get(LSR) & 1, 0);
	turn();
	cr_assert_eq(get(LSR) & 1, 1);
	cr_assert_eq(get(DATA), 'a');
	cr_assert_eq(get(DATA), 'b');
	cr_assert_eq(get(LSR) & 1, 0);
	cr_assert_eq(get(DATA), 0, "nothing there");
	cr_assert_eq(serial_counts(serial)->read_count, 2);
}

Test(serial, reads_no_more_input_than_the_guest_takes)
{
	int left;

	for (int i = 0; i < 100; i++)
		type("0123456789");
	for (int i = 0; i < 5; i++)
		turn();
	cr_assert_eq(get(DATA), '0');
	left = 1;
	for (int i = 1; i < 1000; i++) {
		if (!(get(LSR) & 1))
			turn();
		cr_assert_eq(get(DATA), '0' + i % 10, "byte %d", i);
		left++;
	}
	cr_assert_eq(left, 1000);
	turn();
	cr_assert_eq(get(LSR) & 1, 0);
}

Test(serial, gives_all_input_of_a_writer_that_left)
{
	for (int i = 0; i < 20; i++)
		type("0123456789");
	close_fd(TAKE_FD(in[1]));
	for (int i = 0; i < 5; i++)
		turn();
	for (int i = 0; i < 200; i++) {
		if (!(get(LSR) & 1))
			turn();
		cr_assert_eq(get(DATA), '0' + i % 10, "byte %d", i);
	}
	turn();
	turn();
	cr_assert_eq(get(LSR) & 1, 0);
}

Test(serial, takes_input_after_loop_mode_filled_its_buffer)
{
	put(MCR, 0x10);
	for (int i = 0; i < RX_ROOM + 5; i++)
		put(DATA, 'x');
	put(MCR, 0);
	type("hi");
	turn();
	for (int i = 0; i < RX_ROOM; i++)
		cr_assert_eq(get(DATA), 'x');
	turn();
	cr_assert_eq(get(DATA), 'h');
	cr_assert_eq(get(DATA), 'i');
}

Test(serial, forgets_input_when_the_guest_clears_its_buffer)
{
	type("abc");
	turn();
	put(IIR, 0x03);
	cr_assert_eq(get(LSR) & 1, 0);
	type("d");
	turn();
	cr_assert_eq(get(DATA), 'd');
}

Test(serial, reads_on_after_the_guest_cleared_a_full_buffer)
{
	for (int i = 0; i < 7; i++)
		type("0123456789");
	turn();
	put(IIR, 0x02);
	turn();
	cr_assert_eq(get(DATA), '4', "the byte after the 64 that were cleared");
}

Test(serial, works_without_input)
{
	static const char *const paths[] = { "/dev/null", "/proc/self/status" };
	char buf[4];

	for (size_t i = 0; i < 3; i++) {
		int fd = i < 2 ? open(paths[i], O_RDONLY | O_CLOEXEC) : -1;

		serial_destroy(serial);
		cr_assert_eq(serial_create(loop, fd, out[1], &serial, &e), 0);
		print("x");
		turn();
		cr_assert_eq(shown(buf, sizeof(buf)), 1);
		cr_assert_eq(get(LSR) & 1, 0);
		close_fd(fd);
	}
}

static bool echoes(int fd)
{
	struct termios t;

	cr_assert_eq(tcgetattr(fd, &t), 0);
	return t.c_lflag & ECHO;
}

Test(serial, gives_a_terminal_back_as_it_was)
{
	int far = posix_openpt(O_RDWR | O_NOCTTY), near;
	struct termios t;

	cr_assert(grantpt(far) == 0 && unlockpt(far) == 0);
	near = open(ptsname(far), O_RDWR | O_NOCTTY);
	serial_destroy(serial);
	cr_assert_eq(serial_create(loop, near, out[1], &serial, &e), 0);
	cr_assert_not(echoes(near));
	/* someone else makes it cooked, so that ^D ends the input */
	cr_assert_eq(tcgetattr(near, &t), 0);
	t.c_lflag |= ICANON;
	cr_assert_eq(tcsetattr(near, TCSANOW, &t), 0);
	cr_assert_eq(write(far, "\x04", 1), 1);
	turn();
	cr_assert(echoes(near), "at the end of input");
	serial_destroy(serial);
	cr_assert_eq(serial_create(loop, near, out[1], &serial, &e), 0);
	cr_assert_not(echoes(near));
	serial_destroy(serial);
	serial = NULL;
	cr_assert(echoes(near), "at the end of the port");
	close_fd(near);
	close_fd(far);
}

Test(serial, never_waits_for_a_terminal_that_nobody_reads)
{
	int far = posix_openpt(O_RDWR | O_NOCTTY), near;

	cr_assert(grantpt(far) == 0 && unlockpt(far) == 0);
	near = open(ptsname(far), O_RDWR | O_NOCTTY);
	serial_destroy(serial);
	cr_assert_eq(serial_create(loop, -1, near, &serial, &e), 0);
	for (int i = 0; i < 100; i++) { /* far more than a terminal holds */
		for (int j = 0; j < TX_ROOM; j++)
			put(DATA, 'x');
		turn();
	}
	cr_assert_gt(serial_dropped(serial), 0);
	cr_assert_not(fcntl(near, F_GETFL) & O_NONBLOCK, "others share it");
	serial_destroy(TAKE(serial));
	close_fd(near);
	close_fd(far);
}

/* --- interrupts --- */

Test(serial, raises_no_interrupt_that_is_not_enabled)
{
	type("a");
	turn();
	print("x");
	cr_assert_eq(irqs(), 0);
	cr_assert_eq(get(IIR), 1);
}

Test(serial, interrupts_for_input_until_it_is_read)
{
	put(IER, 1);
	type("ab");
	turn();
	cr_assert_eq(irqs(), 1);
	cr_assert_eq(get(IIR), 4);
	cr_assert_eq(get(IIR), 4, "reading it changes nothing");
	(void)get(DATA);
	cr_assert_eq(get(IIR), 4);
	(void)get(DATA);
	cr_assert_eq(get(IIR), 1);
	type("c");
	turn();
	cr_assert_eq(irqs(), 1);
}

Test(serial, interrupts_for_input_that_came_before_it_was_enabled)
{
	type("a");
	turn();
	put(IER, 1);
	cr_assert_eq(irqs(), 1);
}

Test(serial, interrupts_when_it_can_send_until_the_cause_is_read)
{
	put(IER, 2);
	cr_assert_eq(irqs(), 1);
	cr_assert_eq(get(IIR), 2);
	cr_assert_eq(get(IIR), 1);
	put(DATA, 'x');
	cr_assert_eq(irqs(), 1);
	put(DATA, 'y');
	cr_assert_eq(irqs(), 1, "an edge for each byte");
	put(IER, 0);
	cr_assert_eq(get(IIR), 1);
	put(IER, 2);
	cr_assert_eq(irqs(), 1);
}

Test(serial, tells_of_input_before_it_tells_that_it_can_send)
{
	type("a");
	turn();
	put(IER, 3);
	cr_assert_eq(get(IIR), 4);
	(void)get(DATA);
	cr_assert_eq(get(IIR), 2, "not lost in the meantime");
}

/* --- the other registers --- */

Test(serial, shows_a_16550a_when_fifos_are_on)
{
	cr_assert_eq(get(IIR) & 0xc0, 0);
	put(IIR, 1);
	cr_assert_eq(get(IIR) & 0xc0, 0xc0);
	put(IIR, 0);
	cr_assert_eq(get(IIR) & 0xc0, 0);
}

Test(serial, keeps_what_is_written_to_its_registers)
{
	put(SCR, 0xa5);
	put(LCR, 0x1b);
	put(MCR, 0xff);
	put(IER, 0xff);
	cr_assert_eq(get(SCR), 0xa5);
	cr_assert_eq(get(LCR), 0x1b);
	cr_assert_eq(get(MCR), 0x1f, "five bits exist");
	cr_assert_eq(get(IER), 0x0f, "four bits exist");
	put(LSR, 0xff);
	put(MSR, 0xff);
	cr_assert_eq(get(LSR), 0x60);
}

Test(serial, has_its_divisor_which_is_never_0_at_first_behind_the_latch_bit)
{
	char buf[4];

	put(IER, 1);
	put(LCR, 0x80);
	cr_assert_eq(get(DATA) | get(IER) << 8, 12, "9600 baud");
	put(DATA, 0x34);
	put(IER, 0x12);
	cr_assert_eq(get(DATA), 0x34);
	cr_assert_eq(get(IER), 0x12);
	put(DATA, 0x56);
	cr_assert_eq(get(IER), 0x12);
	put(LCR, 0);
	cr_assert_eq(get(IER), 1);
	turn();
	cr_assert_eq(shown(buf, sizeof(buf)), -1, "no byte was sent");
	put(LCR, 0x80);
	cr_assert_eq(get(DATA), 0x56);
}

Test(serial, sends_to_itself_in_loop_mode)
{
	char buf[4];

	put(MCR, 0x10);
	print("ab");
	turn();
	cr_assert_eq(shown(buf, sizeof(buf)), -1);
	cr_assert_eq(get(DATA), 'a');
	cr_assert_eq(get(DATA), 'b');
}

Test(serial, loops_modem_outputs_to_modem_inputs)
{
	static const uint8_t follows[][2] = { { 0x10, 0 }, { 0x11, 0x20 },
		{ 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 }, { 0x1f, 0xf0 } };

	cr_assert_eq(get(MSR), 0xb0, "somebody is there");
	for (size_t i = 0; i < ARRAY_LEN(follows); i++) {
		put(MCR, follows[i][0]);
		cr_expect_eq(get(MSR), follows[i][1], "MCR %#x", follows[i][0]);
	}
}

Test(serial, ignores_accesses_wider_than_a_byte)
{
	uint32_t v = 0x41414141;

	serial_bus_ops()->write(serial, DATA, &v, 4);
	serial_bus_ops()->write(serial, SCR, &v, 2);
	cr_assert_eq(get(SCR), 0);
	v = UINT32_MAX;
	serial_bus_ops()->read(serial, LSR, &v, 2);
	cr_assert_eq(v, UINT32_MAX);
	cr_assert_eq(serial_counts(serial)->missed_write_count, 2);
	cr_assert_eq(serial_counts(serial)->missed_read_count, 1);
}

/* --- snapshot --- */

/* Saves a serial port, in a state of its own, and loads it into `serial`. The byte at
 * `at` of its section becomes v, unless at is -1. */
static int reload(int at, uint8_t v)
{
	struct stream s, hostile, l;
	int r;

	stream_init_save(&s);
	cr_assert_eq(serial_snap(serial, &s), 0);
	if (at >= 0)
		s.buf[12 + at] = v;
	stream_init_save(&hostile);
	stream_bytes(&hostile, s.buf, s.len);
	cr_assert_eq(stream_finish(&hostile), 0);
	stream_fini(&s);
	serial_destroy(serial);
	cr_assert_eq(serial_create(loop, in[0], out[1], &serial, &e), 0);
	stream_init_load(&l, hostile.buf, hostile.len);
	r = serial_snap(serial, &l);
	if (r == 0)
		r = stream_finish(&l);
	stream_fini(&hostile);
	return r;
}

Test(serial, goes_on_where_it_was_saved)
{
	put(LCR, 0x80);
	put(DATA, 0x34);
	put(LCR, 0x03);
	put(IER, 1);
	put(IIR, 1);
	put(MCR, 0x08);
	put(SCR, 0x77);
	for (int i = 0; i < 7; i++)
		type("0123456789");
	turn();
	cr_assert_eq(reload(-1, 0), 0);
	cr_assert_eq(get(LCR), 0x03);
	cr_assert_eq(get(IER), 1);
	cr_assert_eq(get(IIR), 0xc4);
	cr_assert_eq(get(MCR), 0x08);
	cr_assert_eq(get(SCR), 0x77);
	for (int i = 0; i < 70; i++) {
		turn();
		cr_assert_eq(get(DATA), '0' + i % 10, "byte %d", i);
	}
	put(LCR, 0x80);
	cr_assert_eq(get(DATA), 0x34);
}

Test(serial, refuses_a_saved_state_that_cannot_be)
{
	enum { AT_IER, AT_FCR, AT_MCR = 3, AT_TX_PENDING = 7, AT_N_RX = 9 };
	static const uint8_t bad[][2] = { { AT_IER, 0x10 }, { AT_FCR, 2 },
		{ AT_MCR, 0x20 }, { AT_TX_PENDING, 2 }, { AT_N_RX, RX_ROOM + 1 },
		{ AT_N_RX + 3, 0x80 } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(reload(bad[i][0], bad[i][1]), -EBADMSG, "%zu", i);
		turn();
		(void)get(DATA);
		serial_destroy(serial); /* whatever was loaded is not loaded again */
		cr_assert_eq(serial_create(loop, in[0], out[1], &serial, &e), 0);
	}
	cr_expect_eq(reload(AT_N_RX, RX_ROOM), 0);
}
