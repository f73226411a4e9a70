/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/process/sd_notify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int sd_notify_ready(struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *name = getenv("NOTIFY_SOCKET");
	AUTO(close_fd) int fd = -1;
	size_t n;

	if (!name || name[0] == '\0')
		return 0;
	n = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || n >= sizeof(to.sun_path))
		return err_bad(
			e, "NOTIFY_SOCKET '%.120s' is not the name of a socket", name);
	memcpy(to.sun_path, name, n);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 ||
		sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		return err_sys(e, "cannot notify '%s'", name);
	return 0;
}
