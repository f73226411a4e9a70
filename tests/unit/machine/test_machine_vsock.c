/* SPDX-License-Identifier: Apache-2.0
 *
 * machine: the vsock setting: what is bound and removed as it is made and replaced,
 * and what stays when a replacement fails. No KVM.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_machine.h"
#include "virtio/vsock/kind.h"

static struct fake_dir dir;
static struct machine *m;

static void set_up(void)
{
	dir = fake_dir();
	m = fake_machine_create(NULL);
}

static void tear_down(void)
{
	fake_machine_destroy(m);
	fake_dir_remove(&dir);
}

TestSuite(machine_vsock, .init = set_up, .fini = tear_down);

static char *in_dir(const char *name)
{
	char *p;

	cr_assert_geq(asprintf(&p, "%s/%s", dir.path, name), 0);
	return p;
}

static int set(uint32_t cid, const char *name, struct err *e)
{
	struct vsock_cfg c = { .guest_cid = cid, .uds_path = in_dir(name) };
	int r = machine_put_device(m, &vsock_kind, &c, e);

	/* taken over on success only */
	cr_assert_eq(c.uds_path == NULL, r == 0);
	fields_fini(vsock_kind.cfg.fields, &c);
	return r;
}

static bool is_bound(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", dir.path, name);
	r = connect(fd, (struct sockaddr *)&at, sizeof(at));
	close(fd);
	return r == 0;
}

static bool exists(const char *name)
{
	char *path = in_dir(name);
	bool yes = access(path, F_OK) == 0;

	free(path);
	return yes;
}

Test(machine_vsock, binds_at_once)
{
	struct err e;

	cr_assert_eq(set(3, "a", &e), 0, "%s", e.text);
	cr_assert(is_bound("a"));
}

Test(machine_vsock, replaces_by_another_path)
{
	struct err e;

	cr_assert_eq(set(3, "a", &e), 0);
	cr_assert_eq(set(4, "b", &e), 0, "%s", e.text);
	cr_assert(is_bound("b"));
	cr_assert_not(exists("a"));
}

Test(machine_vsock, replaces_at_the_same_path)
{
	struct err e;

	for (uint32_t i = 3; i < 6; i++)
		cr_assert_eq(set(i, "a", &e), 0, "%s", e.text);
	cr_assert(is_bound("a"));
}

Test(machine_vsock, stays_when_a_replacement_fails)
{
	struct err e;
	char *path = in_dir("file");

	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_assert_eq(set(3, "a", &e), 0);
	cr_assert_eq(set(3, "file", &e), -EADDRINUSE);
	cr_assert_not_null(strstr(e.text, path), "%s", e.text);
	cr_assert_eq(set(2, "b", &e), -EINVAL);
	cr_assert_eq(set(2, "a", &e), -EINVAL);
	cr_assert_eq(set(3, "no/b", &e), -ENOENT);
	cr_assert(is_bound("a"));
	cr_assert(exists("file"));
	cr_assert_not(exists("b"));
	free(path);
}

Test(machine_vsock, unlinks_its_file_when_the_machine_goes)
{
	struct err e;

	cr_assert_eq(set(3, "a", &e), 0);
	machine_destroy(m);
	m = NULL;
	cr_assert_not(exists("a"));
}

static void take_the_place_of(const char *name)
{
	char *path = in_dir(name);

	cr_assert_eq(unlink(path), 0);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	free(path);
}

Test(machine_vsock, removes_no_file_that_took_the_place_of_its_own)
{
	struct err e;

	cr_assert_eq(set(3, "a", &e), 0);
	take_the_place_of("a");
	cr_assert_eq(set(3, "b", &e), 0, "%s", e.text);
	cr_assert(exists("a"));
	take_the_place_of("b");
	cr_assert_eq(set(3, "b", &e), -EADDRINUSE);
	cr_assert(exists("b"));
	cr_assert_eq(set(3, "c", &e), 0, "%s", e.text);
	take_the_place_of("c");
	machine_destroy(m);
	m = NULL;
	cr_assert(exists("c"));
}
