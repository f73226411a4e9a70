/* SPDX-License-Identifier: Apache-2.0
 *
 * sd_notify: the one datagram that a launcher with a $NOTIFY_SOCKET gets.
 */
#include "vmm/process/sd_notify.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/fakes/fake_file.h"

static struct err e;

/* A launcher's socket at a name, "@..." for an abstract one. */
static int launcher(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert_geq(fd, 0);
	cr_assert_lt(n, sizeof(at.sun_path));
	memcpy(at.sun_path, name, n);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
		0, "%s", strerror(errno));
	return fd;
}

static void expect_ready(int fd)
{
	char text[64];
	ssize_t n = recv(fd, text, sizeof(text), 0);

	cr_assert_eq(n, 7, "%zd bytes", n);
	cr_expect_eq(memcmp(text, "READY=1", 7), 0);
	cr_expect_eq(recv(fd, text, sizeof(text), 0), -1, "twice");
	cr_expect_eq(errno, EAGAIN);
}

Test(sd_notify, does_nothing_when_nobody_asks)
{
	(void)unsetenv("NOTIFY_SOCKET");
	cr_expect_eq(sd_notify_ready(&e), 0);
	(void)setenv("NOTIFY_SOCKET", "", 1);
	cr_expect_eq(sd_notify_ready(&e), 0);
}

Test(sd_notify, says_ready_to_a_path)
{
	struct fake_dir dir = fake_dir();
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/s", dir.path);
	fd = launcher(path);
	(void)setenv("NOTIFY_SOCKET", path, 1);
	cr_expect_eq(sd_notify_ready(&e), 0, "%s", e.text);
	expect_ready(fd);
	close(fd);
	fake_dir_remove(&dir);
}

Test(sd_notify, says_ready_to_an_abstract_name)
{
	char name[64];
	int fd;

	(void)snprintf(name, sizeof(name), "@husk-notify-%d", (int)getpid());
	fd = launcher(name);
	(void)setenv("NOTIFY_SOCKET", name, 1);
	cr_expect_eq(sd_notify_ready(&e), 0, "%s", e.text);
	expect_ready(fd);
	close(fd);
}

Test(sd_notify, refuses_what_is_not_the_name_of_a_socket)
{
	char name[256];

	(void)setenv("NOTIFY_SOCKET", "relative/path", 1);
	cr_expect_eq(sd_notify_ready(&e), -EINVAL);
	cr_expect(strstr(e.text, "'relative/path'"), "%s", e.text);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(((struct sockaddr_un *)0)->sun_path)] = '\0'; /* one too long */
	(void)setenv("NOTIFY_SOCKET", name, 1);
	cr_expect_eq(sd_notify_ready(&e), -EINVAL);
}

Test(sd_notify, says_whom_it_cannot_reach)
{
	(void)setenv("NOTIFY_SOCKET", "/nonexistent/s", 1);
	cr_expect_eq(sd_notify_ready(&e), -ENOENT);
	cr_expect(strstr(e.text, "'/nonexistent/s': No such file"), "%s", e.text);
}

Test(sd_notify, waits_for_nobody, .timeout = 60)
{
	char name[64];
	int fd, r = 0;

	(void)snprintf(name, sizeof(name), "@husk-deaf-%d", (int)getpid());
	fd = launcher(name);
	(void)setenv("NOTIFY_SOCKET", name, 1);
	for (int i = 0; r == 0 && i < 100000; i++) /* until its queue is full */
		r = sd_notify_ready(&e);
	cr_expect_eq(r, -EAGAIN);
	close(fd);
}

Test(sd_notify, leaves_no_descriptor)
{
	unsigned fds = fake_open_fds();

	(void)setenv("NOTIFY_SOCKET", "/nonexistent/s", 1);
	cr_expect_lt(sd_notify_ready(&e), 0);
	cr_expect_eq(fake_open_fds(), fds);
}
