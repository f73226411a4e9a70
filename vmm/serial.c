/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: see the header. Registers by the data sheet's names. The transmitter is
 * always empty for the guest; its bytes gather here until the loop writes them in one
 * go.
 */
#include "vmm/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <termios.h>

#include "vmm/base/io.h"

enum {
	REG_DATA = 0, /* RBR and THR; divisor low with DLAB */
	REG_IER = 1, /* divisor high with DLAB */
	REG_IIR = 2, /* FCR when written */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,

	IER_RX = 1,
	IER_TX = 2,
	IER_BITS = 0x0f,
	IIR_NONE = 1,
	IIR_TX = 2,
	IIR_RX = 4,
	IIR_FIFO = 0xc0,
	FCR_ENABLE = 1,
	FCR_CLEAR_RX = 2,
	LCR_8_BITS = 0x03,
	LCR_DLAB = 0x80,
	DIVISOR_9600 = 12, /* of the PC's 115200 */
	MCR_BITS = 0x1f,
	MCR_LOOP = 0x10,
	LSR_DATA = 1,
	LSR_TX_EMPTY = 0x60, /* holding register and shifter */
	MSR_PRESENT = 0xb0, /* CTS, DSR, DCD: somebody is there */

	RX_BYTES = 64,
	TX_BYTES = 4096,
};

struct serial {
	uint8_t ier, fcr, lcr, mcr, scr;
	uint16_t divisor;
	bool tx_pending; /* the "transmitter empty" interrupt, until IIR is read */
	bool irq_raised; /* the line's level, of which KVM sees the rising edge */
	uint8_t rx[RX_BYTES];
	uint32_t n_rx;

	uint8_t tx[TX_BYTES];
	size_t n_tx;
	struct serial_counts counts;

	struct loop *loop;
	int out_fd;
	int irq_fd;
	struct loop_source input; /* fd -1: none */
	struct loop_source flush; /* eventfd: tx has become non-empty */
	struct loop_source writable; /* out_fd, while it takes no more; fd -1: idle */
	bool raw; /* the terminal's settings are to be put back */
	struct termios cooked;
	int out_flags; /* of a terminal that was made not to block; -1: left alone */
};

static uint8_t pending(const struct serial *s)
{
	if (s->n_rx > 0 && (s->ier & IER_RX))
		return IIR_RX;
	if (s->tx_pending && (s->ier & IER_TX))
		return IIR_TX;
	return IIR_NONE;
}

/* Recomputes the interrupt line; a rising edge goes to the guest. */
static void update_irq(struct serial *s)
{
	bool on = pending(s) != IIR_NONE;

	if (on && !s->irq_raised)
		(void)eventfd_write(s->irq_fd, 1); /* full: raised already */
	s->irq_raised = on;
}

/* Writes what is buffered; what the host does not take now waits for EPOLLOUT. */
static void flush_tx(struct serial *s)
{
	size_t done = 0;

	while (done < s->n_tx) {
		ssize_t n = io_write_now(s->out_fd, s->tx + done, s->n_tx - done);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		if (n <= 0) { /* the reader is gone */
			s->counts.error_count++;
			s->counts.dropped_bytes += s->n_tx - done;
			done = s->n_tx;
			break;
		}
		s->counts.flush_count++;
		done += (size_t)n;
	}
	s->n_tx -= done;
	memmove(s->tx, s->tx + done, s->n_tx);
}

static void on_flush(void *self, uint32_t events)
{
	struct serial *s = self;
	eventfd_t n;

	(void)events;
	(void)eventfd_read(s->flush.fd, &n); /* resets it */
	flush_tx(s);
	if (s->n_tx == 0 || s->writable.fd >= 0)
		return;
	s->writable.fd = s->out_fd;
	if (loop_add(s->loop, &s->writable, EPOLLOUT) < 0) {
		s->writable.fd = -1;
		s->counts.error_count++;
		s->counts.dropped_bytes +=
			s->n_tx; /* nobody would tell when to go on */
		s->n_tx = 0;
	}
}

static void on_writable(void *self, uint32_t events)
{
	struct serial *s = self;

	(void)events;
	flush_tx(s);
	if (s->n_tx == 0) {
		loop_remove(s->loop, &s->writable);
		s->writable.fd = -1;
	}
}

/* No more from here: a terminal is as it was found. */
static void end_input(struct serial *s)
{
	if (s->raw)
		(void)tcsetattr(s->input.fd, TCSANOW, &s->cooked);
	s->raw = false;
	loop_remove(s->loop, &s->input);
	s->input.fd = -1;
}

static void on_input(void *self, uint32_t events)
{
	struct serial *s = self;
	ssize_t n;

	(void)events;
	if (s->n_rx == RX_BYTES) { /* by loop mode, or as it was saved */
		(void)loop_set(s->loop, &s->input, 0);
		return;
	}
	n = read(s->input.fd, s->rx + s->n_rx, RX_BYTES - s->n_rx);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_input(s);
		return;
	}
	s->n_rx += (uint32_t)n;
	if (s->n_rx == RX_BYTES)
		(void)loop_set(s->loop, &s->input, 0); /* until the guest reads */
	update_irq(s);
}

static void put_byte(struct serial *s, uint8_t byte)
{
	if (s->n_tx == TX_BYTES) {
		s->counts.dropped_bytes++;
		return;
	}
	s->tx[s->n_tx++] = byte;
	if (s->n_tx == 1)
		(void)eventfd_write(s->flush.fd, 1); /* full: signalled already */
}

static uint8_t take_byte(struct serial *s)
{
	uint8_t byte;

	if (s->n_rx == 0)
		return 0;
	byte = s->rx[0];
	if (s->n_rx == RX_BYTES && s->input.fd >= 0)
		(void)loop_set(s->loop, &s->input, EPOLLIN);
	memmove(s->rx, s->rx + 1, --s->n_rx);
	return byte;
}

static void write_data(struct serial *s, uint8_t v)
{
	s->counts.write_count++;
	if (s->mcr & MCR_LOOP) {
		if (s->n_rx < RX_BYTES)
			s->rx[s->n_rx++] = v;
	} else {
		put_byte(s, v);
	}
	s->tx_pending = true;
	/* Sending takes no time here: the transmitter was busy and is empty again,
	 * which is an edge of its own. */
	if (pending(s) == IIR_TX)
		s->irq_raised = false;
}

static void serial_write(void *self, uint64_t at, const void *data, size_t n)
{
	struct serial *s = self;
	uint8_t v = *(const uint8_t *)data;

	if (n != 1) {
		s->counts.missed_write_count++;
		return;
	}
	if ((s->lcr & LCR_DLAB) && at <= REG_IER) {
		unsigned shift = at == REG_IER ? 8 : 0;

		s->divisor = (uint16_t)((s->divisor & ~(0xff << shift)) | v << shift);
		return;
	}
	switch (at) {
	case REG_DATA:
		write_data(s, v);
		break;
	case REG_IER:
		if (!(s->ier & IER_TX) && (v & IER_TX))
			s->tx_pending = true;
		s->ier = v & IER_BITS;
		break;
	case REG_IIR:
		s->fcr = v & FCR_ENABLE;
		if (v & FCR_CLEAR_RX)
			while (s->n_rx > 0)
				(void)take_byte(s);
		break;
	case REG_LCR:
		s->lcr = v;
		break;
	case REG_MCR:
		s->mcr = v & MCR_BITS;
		break;
	case REG_SCR:
		s->scr = v;
		break;
	}
	update_irq(s);
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t v = pending(s);

	if (v == IIR_TX)
		s->tx_pending = false;
	return v | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

/* In loop mode the modem inputs follow the outputs: DTR to DSR, RTS to CTS, OUT1 to RI,
 * OUT2 to DCD (data sheet, 8.6.7). */
static uint8_t read_msr(const struct serial *s)
{
	if (!(s->mcr & MCR_LOOP))
		return MSR_PRESENT;
	return (uint8_t)((s->mcr & 1) << 5 | (s->mcr & 2) << 3 | (s->mcr & 0x0c) << 4);
}

static void serial_read(void *self, uint64_t at, void *data, size_t n)
{
	struct serial *s = self;
	uint8_t *v = data;

	if (n != 1) {
		s->counts.missed_read_count++;
		return;
	}
	if ((s->lcr & LCR_DLAB) && at <= REG_IER) {
		*v = (uint8_t)(s->divisor >> (at == REG_IER ? 8 : 0));
		return;
	}
	switch (at) {
	case REG_DATA:
		s->counts.read_count += s->n_rx > 0;
		*v = take_byte(s);
		break;
	case REG_IER:
		*v = s->ier;
		break;
	case REG_IIR:
		*v = read_iir(s);
		break;
	case REG_LCR:
		*v = s->lcr;
		break;
	case REG_MCR:
		*v = s->mcr;
		break;
	case REG_LSR:
		*v = LSR_TX_EMPTY | (s->n_rx > 0 ? LSR_DATA : 0);
		break;
	case REG_MSR:
		*v = read_msr(s);
		break;
	default:
		*v = s->scr;
	}
	update_irq(s);
}

const struct bus_ops *serial_bus_ops(void)
{
	static const struct bus_ops ops = {
		.name = "serial",
		.read = serial_read,
		.write = serial_write,
	};

	return &ops;
}

/* Input of a terminal goes to the guest byte by byte, and no key means anything here.
 */
static void make_raw(struct serial *s)
{
	struct termios t;

	if (!isatty(s->input.fd) || tcgetattr(s->input.fd, &s->cooked) < 0)
		return;
	t = s->cooked;
	cfmakeraw(&t);
	t.c_oflag |= OPOST;
	s->raw = tcsetattr(s->input.fd, TCSANOW, &t) == 0;
}

/* A terminal that is ready takes a byte, and may wait for more. Others share it, so its
 * flags are put back at the end. Files and pipes need none: see io_write_now. */
static void make_nonblocking(struct serial *s)
{
	s->out_flags = isatty(s->out_fd) ? fcntl(s->out_fd, F_GETFL) : -1;
	if (s->out_flags >= 0)
		(void)fcntl(s->out_fd, F_SETFL, s->out_flags | O_NONBLOCK);
}

static int watch_input(struct serial *s, int in_fd, struct err *e)
{
	int r;

	if (in_fd < 0)
		return 0;
	s->input.fd = in_fd;
	r = loop_add(s->loop, &s->input, EPOLLIN);
	if (r == -EPERM || r == -EBADF) { /* a plain file, /dev/null, nothing */
		s->input.fd = -1;
		return 0;
	}
	if (r < 0)
		return err_code(e, r, "serial input");
	make_raw(s);
	return 0;
}

int serial_create(
	struct loop *loop, int in_fd, int out_fd, struct serial **out, struct err *e)
{
	AUTO(serial_destroy) struct serial *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_code(e, -ENOMEM, "serial");
	s->loop = loop;
	s->out_fd = out_fd;
	/* As firmware leaves it. Linux' boot code divides by what it finds here,
	 * without handling the exception (probe_baud in
	 * arch/x86/boot/early_serial_console.c). */
	s->lcr = LCR_8_BITS;
	s->divisor = DIVISOR_9600;
	make_nonblocking(s);
	s->input = (struct loop_source){ .fd = -1, .fn = on_input, .self = s };
	s->writable = (struct loop_source){ .fd = -1, .fn = on_writable, .self = s };
	s->flush = (struct loop_source){ .fn = on_flush, .self = s };
	s->flush.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->flush.fd < 0 || s->irq_fd < 0)
		return err_sys(e, "serial");
	r = loop_add(loop, &s->flush, EPOLLIN);
	if (r < 0)
		return err_code(e, r, "serial");
	r = watch_input(s, in_fd, e);
	if (r < 0)
		return r;
	*out = TAKE(s);
	return 0;
}

void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	flush_tx(s);
	end_input(s);
	if (s->out_flags >= 0)
		(void)fcntl(s->out_fd, F_SETFL, s->out_flags);
	loop_remove(s->loop, &s->writable);
	loop_remove(s->loop, &s->flush);
	close_fd(s->flush.fd);
	close_fd(s->irq_fd);
	free(s);
}

void serial_pause(struct serial *s, bool pause)
{
	bool wanted = !pause && s->n_rx < RX_BYTES;

	if (s->input.fd >= 0)
		(void)loop_set(s->loop, &s->input, wanted ? EPOLLIN : 0);
}

int serial_irq_fd(const struct serial *s)
{
	return s->irq_fd;
}

uint64_t serial_dropped(const struct serial *s)
{
	return __atomic_load_n(&s->counts.dropped_bytes, __ATOMIC_RELAXED);
}

const struct serial_counts *serial_counts(const struct serial *s)
{
	return &s->counts;
}

int serial_snap(struct serial *s, struct snap *snap)
{
	(void)snap_begin(snap, "uart", 1);
	snap_u8(snap, &s->ier);
	snap_u8(snap, &s->fcr);
	snap_u8(snap, &s->lcr);
	snap_u8(snap, &s->mcr);
	snap_u8(snap, &s->scr);
	snap_u16(snap, &s->divisor);
	snap_bool(snap, &s->tx_pending);
	snap_bool(snap, &s->irq_raised);
	snap_u32(snap, &s->n_rx);
	snap_bytes(snap, s->rx, sizeof(s->rx));
	snap_end(snap);
	if (s->n_rx > RX_BYTES) {
		s->n_rx = 0;
		return snap_check(snap, false);
	}
	return snap_check(
		snap, s->ier <= IER_BITS && s->fcr <= FCR_ENABLE && s->mcr <= MCR_BITS);
}
