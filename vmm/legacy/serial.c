/* SPDX-License-Identifier: Apache-2.0
 *
 * serial: see the header. Registers have the data sheet's names. For the guest, the
 * transmitter is always empty; its bytes are buffered here until the loop writes all of
 * them at once.
 */
#include "vmm/legacy/serial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "vmm/base/clock.h"
#include "vmm/base/io.h"
#include "vmm/legacy/input.h"

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
	DIVISOR_9600 = 12, /* 115200 / 9600 */
	MCR_BITS = 0x1f,
	MCR_LOOP = 0x10,
	LSR_DATA = 1,
	LSR_TX_EMPTY = 0x60, /* holding register and shifter */
	MSR_PRESENT = 0xb0, /* CTS, DSR, DCD: the other side is ready */

	RX_BYTES = 64,
	TX_BYTES = 4096,
};

struct serial {
	uint8_t ier, fcr, lcr, mcr, scr;
	uint16_t divisor;
	bool tx_pending; /* the "transmitter empty" interrupt, until IIR is read */
	bool irq_raised; /* the level of the line; KVM gets its rising edges */
	uint8_t rx[RX_BYTES];
	uint32_t n_rx;

	uint8_t tx[TX_BYTES];
	size_t n_tx;
	struct bucket limit; /* for bytes that go into tx */
	struct serial_counts counts;

	struct loop *loop;
	struct io_output out;
	int irq_fd;
	struct input input;
	struct loop_source flush; /* eventfd: tx has become non-empty */
	struct loop_source writable; /* out.fd, while it takes no more; fd -1: idle */
};

static uint8_t pending(const struct serial *s)
{
	if (s->n_rx > 0 && (s->ier & IER_RX))
		return IIR_RX;
	if (s->tx_pending && (s->ier & IER_TX))
		return IIR_TX;
	return IIR_NONE;
}

/* Recomputes the level of the interrupt line. Interrupts the guest when it rises. */
static void update_irq(struct serial *s)
{
	bool on = pending(s) != IIR_NONE;

	if (on && !s->irq_raised)
		(void)eventfd_write(s->irq_fd, 1); /* full: raised already */
	s->irq_raised = on;
}

/* Writes what is buffered. What the host does not take now stays in the buffer. */
static void flush_tx(struct serial *s)
{
	size_t done = 0;

	while (done < s->n_tx) {
		ssize_t n = io_write_now(&s->out, s->tx + done, s->n_tx - done);

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
	s->writable.fd = s->out.fd;
	if (loop_add(s->loop, &s->writable, EPOLLOUT) < 0) {
		s->writable.fd = -1;
		s->counts.error_count++;
		s->counts.dropped_bytes +=
			s->n_tx; /* there would be no event to go on */
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

static void on_input(void *self)
{
	struct serial *s = self;
	size_t n;

	if (s->n_rx == RX_BYTES) { /* filled by loop mode, or loaded so */
		input_watch(&s->input, false);
		return;
	}
	n = input_read(&s->input, s->rx + s->n_rx, RX_BYTES - s->n_rx);
	s->n_rx += (uint32_t)n;
	if (s->n_rx == RX_BYTES)
		input_watch(&s->input, false); /* until the guest reads */
	if (n > 0)
		update_irq(s);
}

/* Takes a token for a byte. Whether there was one. Without a limit, does not read the
 * clock. */
static bool is_in_limit(struct serial *s)
{
	uint64_t now;

	if (s->limit.size == 0)
		return true;
	now = clock_ns();
	if (bucket_wait_ns(&s->limit, 1, now) > 0)
		return false;
	bucket_take(&s->limit, 1, now);
	return true;
}

static void put_byte(struct serial *s, uint8_t byte)
{
	if (!is_in_limit(s)) {
		s->counts.rate_limiter_dropped_bytes++;
		return;
	}
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
	if (s->n_rx == RX_BYTES)
		input_watch(&s->input, true);
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
	/* Sending takes no time here: the transmitter was busy and is empty again, so
	 * the line fell and rises once more. */
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

int serial_create(
	struct loop *loop, int in_fd, int out_fd, struct serial **out, struct err *e)
{
	AUTO(serial_destroy) struct serial *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_code(e, -ENOMEM, "serial");
	s->loop = loop;
	io_output_init(&s->out, out_fd);
	/* Begin as firmware would leave it. Linux' boot code divides by the divisor
	 * without looking whether it is 0 (probe_baud in
	 * arch/x86/boot/early_serial_console.c). */
	s->lcr = LCR_8_BITS;
	s->divisor = DIVISOR_9600;
	s->writable = (struct loop_source){ .fd = -1, .fn = on_writable, .self = s };
	s->flush = (struct loop_source){ .fn = on_flush, .self = s };
	s->flush.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->flush.fd < 0 || s->irq_fd < 0)
		return err_sys(e, "serial");
	r = loop_add(loop, &s->flush, EPOLLIN);
	if (r < 0)
		return err_code(e, r, "serial");
	r = input_open(&s->input, in_fd, on_input, s, loop, e);
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
	input_close(&s->input);
	loop_remove(s->loop, &s->writable);
	io_output_fini(&s->out);
	loop_remove(s->loop, &s->flush);
	close_fd(s->flush.fd);
	close_fd(s->irq_fd);
	free(s);
}

void serial_set_limit(struct serial *s, const struct bucket_cfg *cfg)
{
	bucket_init(&s->limit, cfg, clock_ns());
}

void serial_pause(struct serial *s, bool pause)
{
	input_watch(&s->input, !pause && s->n_rx < RX_BYTES);
}

void serial_suspend(struct serial *s)
{
	input_suspend(&s->input);
}

void serial_resume(struct serial *s)
{
	input_resume(&s->input);
}

void serial_restore_fatal(const struct serial *s)
{
	input_restore_fatal(&s->input);
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

int serial_snap(struct serial *s, struct stream *snap)
{
	(void)stream_begin(snap, "uart", 1);
	stream_u8(snap, &s->ier);
	stream_u8(snap, &s->fcr);
	stream_u8(snap, &s->lcr);
	stream_u8(snap, &s->mcr);
	stream_u8(snap, &s->scr);
	stream_u16(snap, &s->divisor);
	stream_bool(snap, &s->tx_pending);
	stream_bool(snap, &s->irq_raised);
	stream_u32(snap, &s->n_rx);
	stream_bytes(snap, s->rx, sizeof(s->rx));
	stream_end(snap);
	if (s->n_rx > RX_BYTES) {
		s->n_rx = 0;
		return stream_check(snap, false);
	}
	return stream_check(
		snap, s->ier <= IER_BITS && s->fcr <= FCR_ENABLE && s->mcr <= MCR_BITS);
}
