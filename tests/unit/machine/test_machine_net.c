/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_net: settings of interfaces, one by one and against each other; and with real
 * taps, where the host lets the test make them, what a replacement keeps.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_machine.h"
#include "virtio/net/kind.h"
#include "virtio/net/tap.h"

static struct machine *machine;
static struct err e;

static void set_up(void)
{
	machine = fake_machine_create(NULL);
}

static void tear_down(void)
{
	fake_machine_destroy(machine);
}

TestSuite(machine_net, .init = set_up, .fini = tear_down);

/* As the body of a PUT; NULL: the member is not given. */
static char *body(const char *id, const char *tap, const char *mac, uint32_t mtu)
{
	static char text[512];
	int n = snprintf(text, sizeof(text), "{\"iface_id\":\"%s\"", id);

	if (tap)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			",\"host_dev_name\":\"%s\"", tap);
	if (mac)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			",\"guest_mac\":\"%s\"", mac);
	if (mtu > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"mtu\":%u", mtu);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "}");
	return text;
}

static int put_mtu(const char *id, const char *tap, const char *mac, uint32_t mtu)
{
	char *text = body(id, tap, mac, mtu);
	struct net_cfg c = { 0 };
	struct json *v;
	int r;

	cr_assert_eq(json_parse(text, strlen(text), &v, &e), 0, "%s", e.text);
	r = json_read(v, net_kind.cfg.fields, &c, &e);
	json_free(v);
	if (r < 0)
		return r;
	r = machine_put_device(machine, &net_kind, &c, &e);
	cr_expect_eq(c.iface_id == NULL, r == 0, "taken over on success only");
	fields_fini(net_kind.cfg.fields, &c);
	return r;
}

static int put(const char *id, const char *tap, const char *mac)
{
	return put_mtu(id, tap, mac, 0);
}

Test(machine_net, refuses_settings_that_make_no_sense)
{
	static const struct {
		const char *id, *tap, *mac;
		uint32_t mtu;
		const char *why;
	} bad[] = {
		{ "eth-0", "t", NULL, 0, "iface_id 'eth-0'" },
		{ "", "t", NULL, 0, "iface_id ''" },
		{ "eth0", NULL, NULL, 0, "'host_dev_name' is missing" },
		{ "eth0", "", NULL, 0, "1 to 15 bytes" },
		{ "eth0", "1234567890123456", NULL, 0, "1 to 15 bytes" },
		{ "eth0", "fd:2", NULL, 0, "fd:N" },
		{ "eth0", "t", "aa:bb:cc:dd:ee", 0, "'guest_mac': 'aa:bb:cc:dd:ee'" },
		{ "eth0", "t", NULL, 67, "'mtu' is 67" },
		{ "eth0", "t", NULL, 65536, "'mtu' is 65536" },
		{ "eth0", "fd:1000", NULL, 0, "interface 'eth0': cannot use tap" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_lt(put_mtu(bad[i].id, bad[i].tap, bad[i].mac, bad[i].mtu), 0,
			"%zu", i);
		cr_expect(strstr(e.text, bad[i].why), "%s", e.text);
	}
}

Test(machine_net, reads_mac_addresses)
{
	static const uint8_t expected[] = { 0x06, 0, 0xac, 0x1f, 0xFF, 2 };
	static const char *const bad[] = { "", "06:00:ac:1f:ff",
		"06:00:ac:1f:ff:02:", "06:00:ac:1f:ff:2", "06-00-ac-1f-ff-02",
		"0600ac1fff02", "06:00:ac:1f:ff:0g", "06:00:ac:1f:ff: 2",
		"06:00:ac:1f:ff:02\n", "6::00:ac:1f:ff:02", "0x:00:ac:1f:ff:02" };
	struct mac mac = { 0 };

	cr_expect(mac_parse("06:00:ac:1f:FF:02", &mac));
	cr_expect(mac.is_set);
	cr_expect_arr_eq(mac.byte, expected, 6);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		static const uint8_t none[6];

		mac = (struct mac){ 0 };
		cr_expect_not(mac_parse(bad[i], &mac), "%s", bad[i]);
		cr_expect_not(mac.is_set);
		cr_expect_arr_eq(mac.byte, none, 6);
	}
}

/* --- with real taps --- */

static char tap_a[16], tap_b[16];

static void need_taps(void)
{
	struct tap *t;
	int r;

	(void)snprintf(tap_a, sizeof(tap_a), "huska%d", (int)getpid());
	(void)snprintf(tap_b, sizeof(tap_b), "huskb%d", (int)getpid());
	r = tap_open(tap_a, &t, &e);
	if (r == -EPERM || r == -EACCES || r == -ENOENT || r == -ENODEV)
		cr_skip_test("no TAP can be made here: %s", e.text);
	cr_assert_eq(r, 0, "%s", e.text);
	tap_close(t);
}

static int is_busy(const char *name)
{
	struct tap *t = NULL;
	int r = tap_open(name, &t, &e);

	tap_close(t);
	return r == -EBUSY;
}

Test(machine_net, opens_a_tap_at_once_and_closes_it_at_last)
{
	need_taps();
	cr_assert_eq(
		put_mtu("eth0", tap_a, "06:00:00:00:00:01", 1500), 0, "%s", e.text);
	cr_expect(is_busy(tap_a));
	machine_destroy(machine);
	machine = NULL;
	cr_expect_not(is_busy(tap_a));
}

Test(machine_net, replaces_an_interface_by_one_with_the_same_tap)
{
	unsigned before;

	need_taps();
	cr_assert_eq(put("eth0", tap_a, NULL), 0, "%s", e.text);
	before = fake_open_fds();
	cr_assert_eq(put("eth0", tap_a, "06:00:00:00:00:01"), 0, "%s", e.text);
	cr_assert_eq(put("eth0", tap_a, "06:00:00:00:00:01"), 0, "%s", e.text);
	cr_expect(is_busy(tap_a));
	cr_expect_eq(fake_open_fds(), before);
}

Test(machine_net, replaces_an_interface_by_one_with_another_tap)
{
	need_taps();
	cr_assert_eq(put("eth0", tap_a, NULL), 0, "%s", e.text);
	cr_assert_eq(put("eth0", tap_b, NULL), 0, "%s", e.text);
	cr_expect_not(is_busy(tap_a));
	cr_expect(is_busy(tap_b));
}

Test(machine_net, keeps_an_interface_whose_replacement_is_refused)
{
	need_taps();
	cr_assert_eq(put("eth0", tap_a, "06:00:00:00:00:01"), 0, "%s", e.text);
	cr_expect_lt(put("eth0", "lo", NULL), 0);
	cr_expect(strstr(e.text, "interface 'eth0'"), "%s", e.text);
	cr_expect_lt(put("eth0", tap_a, "nonsense"), 0);
	cr_expect(is_busy(tap_a));
	/* its address is still taken */
	cr_expect_lt(put("eth1", tap_b, "06:00:00:00:00:01"), 0);
}

Test(machine_net, refuses_a_tap_or_an_address_of_another_interface)
{
	need_taps();
	cr_assert_eq(put("eth0", tap_a, "06:00:00:00:00:ab"), 0, "%s", e.text);
	cr_expect_eq(put("eth1", tap_a, NULL), -EINVAL);
	cr_expect(strstr(e.text, "'eth0' has tap"), "%s", e.text);
	cr_expect_eq(put("eth1", tap_b, "06:00:00:00:00:AB"), -EINVAL);
	cr_expect(strstr(e.text, "'eth0' has guest_mac"), "%s", e.text);
	cr_expect_not(is_busy(tap_b));
	cr_expect_eq(put("eth1", tap_b, "06:00:00:00:00:ac"), 0, "%s", e.text);
}
