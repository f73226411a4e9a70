/* SPDX-License-Identifier: Apache-2.0
 *
 * blk: the block device (virtio 1.2, 5.2), as the machine sees it. Loop thread, device
 * lock held, but for blk_create, which needs no lock.
 */
#ifndef HUSK_VIRTIO_BLK_BLK_H
#define HUSK_VIRTIO_BLK_BLK_H

#include "virtio/blk/disk.h"
#include "virtio/limiter/limiter.h"
#include "virtio/virtio.h"
#include "vmm/base/counter.h"

/* Creates a block device named id over an open disk. The device owns the disk; on
 * failure the disk is closed. flush: offer VIRTIO_BLK_F_FLUSH. limits are copied, loop
 * is borrowed. The caller owns *out until a transport takes it. -errno with text. */
MUST_CHECK int blk_create(const char *id, struct disk *disk, bool flush,
	struct loop *loop, const struct limiter_cfg *limits, struct vdev **out,
	struct err *e);

/* For all below, v is a block device that a transport owns. */

/* Takes no more requests off the ring until blk_release. Returns whether none is in
 * flight; if one is, call again when the loop has served the disk. */
bool blk_hold(struct vdev *v);
void blk_release(struct vdev *v);

/* Replaces the disk and closes the old one. Only between a blk_hold that returned true
 * and blk_release. The driver gets a configuration change, even if the size is the
 * same. The device owns the new disk; on failure that is closed, and the old one stays.
 * -EINVAL when only one of the two can be written. */
MUST_CHECK int blk_set_disk(struct vdev *v, struct disk *disk);

/* Applies a change of the limits; and the limits in force. */
void blk_patch_limiter(struct vdev *v, const struct limiter_patch *p);
struct limiter_cfg blk_limiter(const struct vdev *v);

/* What a device counted since its creation, named as in the metrics (contract, 9.2).
 * Only the device writes it, with the device lock held, but for update_count and
 * update_fails. The metrics read it without the lock, and restart each struct latency.
 */
struct blk_stats {
	uint64_t activate_fails, cfg_fails, event_fails;
	uint64_t read_bytes, write_bytes, read_count, write_count, flush_count;
	uint64_t queue_event_count; /* notifications served */
	uint64_t no_avail_buffer; /* notifications that found the ring empty */
	uint64_t invalid_reqs_count; /* requests that make no sense */
	uint64_t execute_fails; /* requests that the disk failed */
	uint64_t update_count, update_fails; /* PATCHes; written by vmm/machine */
	uint64_t rate_limiter_event_count; /* the limiter let requests go on */
	/* Requests that had to wait: for the limiter, for others in flight. */
	uint64_t rate_limiter_throttled_events, io_engine_throttled_events;
	uint64_t remaining_reqs_count; /* in the ring when a turn ended, summed up */
	struct latency read_agg, write_agg; /* from taking a request to its answer */
};

/* Describes that struct to the metrics. */
extern const struct counter_group blk_counters;

/* Borrowed. */
struct blk_stats *blk_stats(struct vdev *v);

#endif
