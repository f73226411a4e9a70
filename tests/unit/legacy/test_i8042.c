/* SPDX-License-Identifier: Apache-2.0
 *
 * i8042: what a driver that probes it sees, and when it resets the machine.
 */
#include "vmm/legacy/i8042.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "tests/unit/fakes/fake_stream.h"

enum { DATA = 0, COMMAND = 4, FULL = 1 };

static struct i8042 dev;
static unsigned resets, irqs;

static void on_reset(void *self)
{
	cr_assert_eq(self, &resets);
	resets++;
}

static void on_irq(void *self)
{
	cr_assert_eq(self, &resets);
	irqs++;
}

static void set_up(void)
{
	const struct i8042_ops ops = { on_reset, on_irq, &resets };

	i8042_init(&dev, &ops);
}

TestSuite(i8042, .init = set_up);

static void put(uint64_t at, uint8_t v)
{
	i8042_bus_ops()->write(&dev, at, &v, 1);
}

static uint8_t get(uint64_t at)
{
	uint8_t v = 0xff;

	i8042_bus_ops()->read(&dev, at, &v, 1);
	return v;
}

static uint8_t ask(uint8_t command)
{
	put(COMMAND, command);
	cr_assert(get(COMMAND) & FULL, "%#x has an answer", command);
	return get(DATA);
}

Test(i8042, has_nothing_to_read_at_first)
{
	cr_assert_eq(get(COMMAND), 4);
}

Test(i8042, empties_its_output_when_it_is_read)
{
	put(COMMAND, 0xaa);
	cr_assert_eq(get(COMMAND), 4 | FULL);
	cr_assert_eq(get(DATA), 0x55);
	cr_assert_eq(get(COMMAND), 4);
}

Test(i8042, passes_a_drivers_tests)
{
	cr_assert_eq(ask(0xaa), 0x55, "self test");
	cr_assert_eq(ask(0xab), 0, "keyboard port");
	cr_assert_eq(ask(0xa9), 0, "aux port");
	cr_assert_eq(ask(0xd0), 3, "output port");
}

Test(i8042, keeps_the_command_byte)
{
	put(COMMAND, 0x60);
	put(DATA, 0x47);
	cr_assert_eq(get(COMMAND) & FULL, 0);
	cr_assert_eq(ask(0x20), 0x47);
}

Test(i8042, acknowledges_what_is_sent_to_the_keyboard)
{
	put(DATA, 0xff);
	cr_assert_eq(get(COMMAND) & FULL, FULL);
	cr_assert_eq(get(DATA), 0xfa);
}

Test(i8042, resets_on_command_fe)
{
	put(COMMAND, 0xfe);
	cr_assert_eq(resets, 1);
}

Test(i8042, resets_when_the_output_port_drops_the_reset_line)
{
	put(COMMAND, 0xd1);
	put(DATA, 0x03);
	cr_assert_eq(resets, 0);
	put(COMMAND, 0xd1);
	put(DATA, 0x02);
	cr_assert_eq(resets, 1);
}

Test(i8042, does_not_reset_on_fe_as_data)
{
	put(DATA, 0xfe);
	put(COMMAND, 0x60);
	put(DATA, 0xfe);
	cr_assert_eq(resets, 0);
}

Test(i8042, forgets_a_command_that_waits_when_another_comes)
{
	put(COMMAND, 0xd1);
	put(COMMAND, 0xaa);
	put(DATA, 0x00);
	cr_assert_eq(resets, 0);
}

Test(i8042, ignores_every_other_command_and_port)
{
	for (unsigned c = 0; c < 0xfe; c++)
		put(COMMAND, (uint8_t)c);
	for (uint64_t at = 1; at < I8042_PORTS - 1; at++) {
		put(at, 0xfe);
		cr_expect_eq(get(at), 0xff);
	}
	cr_assert_eq(resets, 0);
}

Test(i8042, ignores_accesses_wider_than_a_byte)
{
	static const uint8_t fe[8] = { 0xfe };
	uint8_t v[8] = { 0xee, 0xee };

	i8042_bus_ops()->write(&dev, COMMAND, fe, 2);
	i8042_bus_ops()->write(&dev, COMMAND, fe, 4);
	i8042_bus_ops()->read(&dev, DATA, v, 2);
	cr_assert_eq(resets, 0);
	cr_assert_eq(v[0], 0xee);
}

static void allow_irq(void)
{
	put(COMMAND, 0x60);
	put(DATA, 0x01);
}

Test(i8042, types_ctrl_alt_del_byte_by_byte)
{
	static const uint8_t keys[] = { 0x14, 0x11, 0xe0, 0x71 };

	allow_irq();
	cr_assert_eq(i8042_press_ctrl_alt_del(&dev), 0);
	for (unsigned i = 0; i < 4; i++) {
		cr_assert_eq(irqs, i + 1, "an edge for each byte in front");
		cr_assert_eq(get(COMMAND) & FULL, FULL);
		cr_assert_eq(get(DATA), keys[i]);
	}
	cr_assert_eq(get(COMMAND) & FULL, 0);
	cr_assert_eq(irqs, 4);
}

Test(i8042, types_without_interrupts_where_the_guest_wants_none)
{
	cr_assert_eq(i8042_press_ctrl_alt_del(&dev), 0);
	cr_assert_eq(get(DATA), 0x14);
	cr_assert_eq(irqs, 0);
}

Test(i8042, refuses_keys_that_do_not_fit)
{
	for (int i = 0; i < I8042_OUTPUT_MAX / 4; i++)
		cr_assert_eq(i8042_press_ctrl_alt_del(&dev), 0);
	cr_assert_eq(i8042_press_ctrl_alt_del(&dev), -EBUSY);
	(void)get(DATA);
	cr_assert_eq(i8042_press_ctrl_alt_del(&dev), -EBUSY, "not in part either");
	for (int i = 1; i < I8042_OUTPUT_MAX; i++)
		(void)get(DATA);
	cr_assert_eq(get(COMMAND) & FULL, 0, "nothing of the refused ones");
}

Test(i8042, answers_a_command_before_keys_that_were_not_read)
{
	cr_assert_eq(i8042_press_ctrl_alt_del(&dev), 0);
	for (int i = 0; i < 1000; i++)
		put(COMMAND, 0xaa);
	cr_assert_eq(get(DATA), 0x55);
	cr_assert_eq(get(COMMAND) & FULL, 0);
}

Test(i8042, counts_what_it_serves_and_what_it_does_not)
{
	uint16_t wide = 0;

	put(COMMAND, 0xaa);
	(void)get(COMMAND);
	(void)get(DATA);
	put(COMMAND, 0xa7); /* unknown */
	put(1, 0);
	(void)get(2);
	i8042_bus_ops()->write(&dev, COMMAND, &wide, 2);
	i8042_bus_ops()->read(&dev, DATA, &wide, 2);
	put(COMMAND, 0xd1);
	put(DATA, 0);
	put(COMMAND, 0xfe);
	cr_expect_eq(dev.counts.write_count, 5);
	cr_expect_eq(dev.counts.read_count, 2);
	cr_expect_eq(dev.counts.missed_write_count, 2);
	cr_expect_eq(dev.counts.missed_read_count, 2);
	cr_expect_eq(dev.counts.error_count, 1);
	cr_expect_eq(dev.counts.reset_count, 2);
}

static int load(const struct i8042 *from)
{
	struct i8042 c = *from;
	struct fake_stream f;

	(void)!i8042_snap(&c, fake_save(&f));
	return fake_loaded(&f, i8042_snap(&dev, fake_load(&f)));
}

Test(i8042, goes_on_where_it_was_saved)
{
	struct i8042 old = {
		.control = 0x47, .command = 0xd1, .output = { 0x55 }, .n_output = 1
	};

	cr_assert_eq(load(&old), 0);
	cr_assert_eq(get(DATA), 0x55);
	put(DATA, 0);
	cr_assert_eq(resets, 1, "the reset callback is this machine's own");
	cr_assert_eq(ask(0x20), 0x47);
}

Test(i8042, refuses_a_saved_command_that_waits_for_nothing)
{
	struct i8042 old = { .command = 0xaa };

	cr_assert_eq(load(&old), -EBADMSG);
}
