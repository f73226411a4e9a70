/* SPDX-License-Identifier: Apache-2.0
 *
 * kind: drives: what the API calls a block device and its file (contract, 3.6).
 */
#ifndef HUSK_VIRTIO_BLK_KIND_H
#define HUSK_VIRTIO_BLK_KIND_H

#include "virtio/kind.h"
#include "virtio/limiter/limiter.h"

enum cache_type { CACHE_UNSAFE, CACHE_WRITEBACK };
enum io_engine { IO_SYNC, IO_ASYNC };

struct drive_cfg {
	char *drive_id;
	char *path_on_host;
	bool is_root_device;
	bool is_read_only;
	char *partuuid; /* or NULL */
	uint32_t cache_type; /* enum cache_type */
	uint32_t io_engine; /* enum io_engine */
	struct limiter_cfg rate_limiter;
};

/* A change of a drive; what is not given stays. */
struct drive_patch {
	char *drive_id;
	char *path_on_host; /* or NULL */
	bool has_rate_limiter;
	struct limiter_patch rate_limiter;
};

/* The backend is a struct disk. A change of the path opens the file anew, also when it
 * is the same, and tells the guest of its size. */
extern const struct device_kind blk_kind;

#endif
