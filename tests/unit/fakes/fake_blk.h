/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_blk: a block device behind a transport, a driver that posts requests to it, and
 * an engine for its disk that keeps requests until the test completes them. The disk is
 * a file in /tmp whose sector i begins with i. Failures of its own end the test.
 */
#ifndef HUSK_FAKE_BLK_H
#define HUSK_FAKE_BLK_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "tests/unit/fakes/fake_driver.h"
#include "tests/unit/fakes/fake_file.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/disk_internal.h"

enum {
	FB_SECTORS = 256,
	FB_STATUS_UNSET = 0xee,
	FB_LONG_MS = 86400000,
	FB_HELD_FD = 1000, /* what a drain of the engine gives; never waited for */
};

#define FB_BASIC \
	(FAKE_FEATURE(VIRTIO_F_VERSION_1) | FAKE_FEATURE(VIRTIO_RING_F_INDIRECT_DESC))
#define FB_WRITABLE \
	(FAKE_FEATURE(VIRTIO_BLK_F_DISCARD) | FAKE_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))
#define FB_FLUSH FAKE_FEATURE(VIRTIO_BLK_F_FLUSH)

extern char fb_path[FAKE_PATH_MAX];
extern pthread_mutex_t fb_lock;
extern struct fake_driver fb_drv;
extern struct loop *fb_loop;
extern struct mmio *fb_t;
extern struct disk *fb_disk; /* that is attached */

/* What the engine keeps, in the order of submission. */
extern struct disk_req *fb_held[QUEUE_SIZE_MAX];
extern unsigned fb_n_held, fb_n_submit_alls;
/* Whether a drain of the engine completes everything; if not, it does not answer. */
extern bool fb_is_quick;

/* Makes an empty file, a driver with a ring of that size, and the loop; no device. */
void fb_init_bare(uint16_t ring_size);
/* The same with FB_SECTORS sectors, and a device over the engine, attached and driven.
 */
void fb_init(void);
/* Completes what is held first. */
void fb_fini(void);

/* Attaches a device over the file, without limits, that offers flush or does not, in
 * the place of what is attached. The driver has not seen it yet. */
struct vdev *fb_attach_file(bool read_only, bool flush);

/* Attaches a device over this disk, with a driver that starts anew. */
void fb_attach(struct disk *d, struct limiter_cfg limits);
/* The same over a file that is served at once, with limits of so many bytes and
 * operations in ms. */
void fb_attach_limited(uint64_t bytes, uint64_t ops, uint64_t ms);
/* The same over the kernel's io_uring; skips the test where there is none. */
void fb_attach_real(void);
/* The file, over the engine. */
struct disk *fb_open_held(void);

/* Completes the i-th request that is held: with an error, or as the disk does it. */
void fb_complete(unsigned i, int result);
/* The engine tells the device that some were completed. */
void fb_batch(void);
void fb_complete_all(void);

struct posted {
	gpa_t data, status;
	uint16_t head;
};

/* Posts a request of len bytes of data; indirectly, so that 256 fit the ring. */
struct posted fb_post(uint32_t type, uint64_t sector, uint32_t len, uint8_t fill);
/* The same of n times the same len bytes of memory. */
struct posted fb_post_many(uint32_t type, uint64_t sector, uint32_t len, unsigned n);
/* A discard or write-zeroes of n ranges of so many sectors, one after the other. */
struct posted fb_post_ranges(
	uint32_t type, const uint64_t *at, unsigned n, uint32_t sectors);
uint8_t fb_status(const struct posted *p);
/* The first word of a request's data. */
uint64_t fb_first(const struct posted *p);

void fb_poll(int ms);
/* Notifies the device, and gives the device one turn, or as many as it asks for. */
void fb_notify_once(void);
void fb_notify(void);
/* Whether it asks for another. */
bool fb_has_notify(void);
/* Until n requests are answered. */
void fb_wait_used(uint16_t n);
const struct blk_stats *fb_stats(void);

#endif
