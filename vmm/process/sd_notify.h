/* SPDX-License-Identifier: Apache-2.0
 *
 * sd_notify: tells a launcher that husk is ready, in the form of sd_notify(3): a
 * datagram "READY=1" to the Unix socket whose name is in $NOTIFY_SOCKET.
 */
#ifndef HUSK_PROCESS_SD_NOTIFY_H
#define HUSK_PROCESS_SD_NOTIFY_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Sends the datagram; never waits. 0, also when $NOTIFY_SOCKET is not set, or -errno
 * with text. A name that begins with '@' is an abstract socket's. */
MUST_CHECK int sd_notify_ready(struct err *e);

#endif
