/* SPDX-License-Identifier: Apache-2.0
 *
 * devices: the constructors, which are all that callers see of a device. The caller
 * owns the result until a transport takes it over.
 */
#ifndef HUSK_DEVICES_H
#define HUSK_DEVICES_H

#include "virtio/disk.h"
#include "virtio/virtio.h"

/* A block device (virtio 1.2, 5.2) named id over an open disk. Takes the disk over,
 * also on failure. flush: offer VIRTIO_BLK_F_FLUSH. */
MUST_CHECK int blk_create(const char *id, struct disk *disk, bool flush,
	struct vdev **out, struct err *e);

/* Gives the device another disk, which it takes over, when what is in flight on the one
 * it has is done; tells the driver. The new disk is as writable as the old one. */
void blk_set_disk(struct vdev *v, struct disk *disk);

/* What a block device counted since its creation, in the names of the metrics file. */
struct blk_stats {
	uint64_t read_bytes, write_bytes, read_count, write_count, flush_count;
	uint64_t queue_event_count; /* kicks served */
	uint64_t no_avail_buffer; /* kicks that found nothing */
	uint64_t invalid_reqs_count; /* requests that make no sense */
	uint64_t execute_fails; /* requests that the disk failed */
};

/* Borrowed; v is a block device. */
const struct blk_stats *blk_stats(const struct vdev *v);

#endif
