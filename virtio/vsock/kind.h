/* SPDX-License-Identifier: Apache-2.0
 *
 * kind: the vsock: what the API knows of the socket device (contract, 3.19).
 */
#ifndef HUSK_VIRTIO_VSOCK_KIND_H
#define HUSK_VIRTIO_VSOCK_KIND_H

#include "virtio/kind.h"

struct vsock_cfg {
	uint32_t guest_cid;
	char *uds_path;
	char *vsock_id; /* deprecated; has no effect */
	bool has_vsock_id;
};

/* The backend is the device itself, whose socket listens from its creation on. New
 * settings with the same path close the old socket first, so that their failure leaves
 * none; with another path it stays on failure. Each removes its own file only: see
 * unix_file_remove. */
extern const struct device_kind vsock_kind;

#endif
