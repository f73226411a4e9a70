/* SPDX-License-Identifier: Apache-2.0
 *
 * ids: the names that users give to a microVM and to its devices, and what they may be
 * made of: letters and digits of any script (see utf8.h) and one mark. No state; any
 * thread.
 */
#ifndef HUSK_BASE_IDS_H
#define HUSK_BASE_IDS_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* Lengths in bytes. A device's id may be longer than a request line of the API has room
 * for. */
enum { INSTANCE_ID_MAX = 64, DEVICE_ID_MAX = 1024 };

/* The --id of husk and of its jailer: 1 to INSTANCE_ID_MAX bytes of letters, digits and
 * '-'. 0, or -EINVAL with text. */
MUST_CHECK int ids_check_instance(const char *id, struct err *e);

/* The id of a drive or an interface: 1 to DEVICE_ID_MAX bytes of letters, digits and
 * '_'. */
bool ids_is_device(const char *id);
/* The same as 0, or -EINVAL with text that names the setting: `what` is "drive_id". */
MUST_CHECK int ids_check_device(const char *what, const char *id, struct err *e);

#endif
