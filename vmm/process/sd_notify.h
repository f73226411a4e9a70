/* SPDX-License-Identifier: Apache-2.0
 *
 * notify: tells a launcher that husk is ready, in the form of sd_notify(3): a datagram
 * "READY=1" to the Unix socket that $NOTIFY_SOCKET names.
 */
#ifndef HUSK_PROCESS_SD_NOTIFY_H
#define HUSK_PROCESS_SD_NOTIFY_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Does nothing when $NOTIFY_SOCKET is not set. A name that begins with '@' is abstract.
 * -errno with text. Waits for nobody. */
MUST_CHECK int notify_ready(struct err *e);

#endif
