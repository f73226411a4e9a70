/* SPDX-License-Identifier: Apache-2.0
 *
 * blk: the block device, as the machine sees it. The caller owns a new device until a
 * transport takes it over.
 */
#ifndef HUSK_BLK_H
#define HUSK_BLK_H

#include "virtio/blk/disk.h"
#include "virtio/limiter/limiter.h"
#include "virtio/virtio.h"
#include "vmm/base/counter.h"

/* A block device (virtio 1.2, 5.2) named id over an open disk. Takes the disk over,
 * also on failure. flush: offer VIRTIO_BLK_F_FLUSH. limits: copied. Borrows loop. */
MUST_CHECK int blk_create(const char *id, struct disk *disk, bool flush,
	struct loop *loop, const struct limiter_cfg *limits, struct vdev **out,
	struct err *e);

/* For those below: v is a block device that a transport has, on the loop's thread with
 * the device lock held.
 *
 * Takes no more requests off the ring until blk_release. Returns whether none is in
 * flight: if not, ask again when the loop has served the disk. */
bool blk_hold(struct vdev *v);
void blk_release(struct vdev *v);

/* Puts another disk in the place of the old one, which is closed, while blk_hold has
 * said that none of its requests is in flight: the driver is told of the change, also
 * when the size is the same. Takes the disk over, also on failure: -EINVAL when one can
 * be written and the other not, and the old one stays. */
MUST_CHECK int blk_set_disk(struct vdev *v, struct disk *disk);

/* Merges a change of the limits. */
void blk_patch_limiter(struct vdev *v, const struct limiter_patch *p);
struct limiter_cfg blk_limiter(const struct vdev *v);

/* What a device counted since its creation, in the names of the metrics
 * (contract, 9.2). Bumped by its device alone, but where it says so, with the device
 * lock held; read, and the extremes of each struct latency restarted, by the metrics.
 */
struct blk_stats {
	uint64_t activate_fails, cfg_fails, event_fails;
	uint64_t read_bytes, write_bytes, read_count, write_count, flush_count;
	uint64_t queue_event_count; /* notifications served */
	uint64_t no_avail_buffer; /* notifications that found nothing */
	uint64_t invalid_reqs_count; /* requests that make no sense */
	uint64_t execute_fails; /* requests that the disk failed */
	uint64_t update_count, update_fails; /* PATCHes of the API; machine_run.c's */
	uint64_t rate_limiter_event_count; /* its timer, and then requests go on */
	uint64_t rate_limiter_throttled_events, io_engine_throttled_events;
	uint64_t remaining_reqs_count; /* left in the ring when it was left */
	struct latency read_agg, write_agg; /* from request to answer */
};

/* That struct, as the metrics show it. */
extern const struct counter_group blk_counters;

/* Borrowed; v is a block device. */
struct blk_stats *blk_stats(struct vdev *v);

#endif
