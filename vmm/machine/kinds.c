/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/kinds.h"

#include "virtio/blk/kind.h"
#include "virtio/net/kind.h"
#include "virtio/vsock/kind.h"

const struct device_kind *const device_kinds[] = {
	&blk_kind,
	&net_kind,
	&vsock_kind,
	NULL,
};

_Static_assert(ARRAY_LEN(device_kinds) - 1 <= DEVICE_KINDS_MAX, "kinds.h");
