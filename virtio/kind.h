/* SPDX-License-Identifier: Apache-2.0
 *
 * kind: all that the machine and the API know of one kind of device: how its settings
 * are read and checked, what is opened with them, how that becomes a device, and how it
 * is changed. Each device's room has one; vmm/machine/kinds.c lists them. Routes,
 * sections of the config file, GET /vm/config, metrics and the start go by that list.
 *
 * `cfg` and `patch` below point to the structs that the kind's field tables fill. All
 * functions are called on the loop's thread; those with a struct vdev hold the device
 * lock, the others do not.
 */
#ifndef HUSK_VIRTIO_KIND_H
#define HUSK_VIRTIO_KIND_H

#include "virtio/virtio.h"
#include "vmm/base/loop.h"
#include "vmm/codec/cmdline.h"
#include "vmm/codec/json.h"

enum { KIND_CFG_MAX = 256 }; /* bytes of the struct of a body */

/* What a request of the API, or an entry of the config file, is read into. */
struct kind_body {
	const struct fields *fields; /* NULL: there is no such request */
	size_t bytes; /* of the struct, all zero to begin with */
	size_t id_at; /* of a list: offset of the char * with the id */
	size_t deprecated; /* 1 + offset of a bool: a deprecated member was used */
};

/* What becomes of an open backend when new settings replace its own. */
enum kind_reuse {
	REUSE_NONE, /* the new one is opened, then the old one closed */
	REUSE_KEEP, /* it is the same one, and cannot be opened twice */
	REUSE_CLOSE_FIRST, /* both need the same name: a failure leaves neither */
};

struct device_kind {
	const struct vdev_ops *ops; /* counters, snap and the rest of a device's life */
	const char *what; /* in texts: "drive" */
	const char *resource; /* of the API, and the section of the config file */
	const char *area; /* what the API's error texts begin with */
	/* Of requests, in the metrics: "drive" of drive_count. NULL: they are not
	 * counted. */
	const char *counter;
	/* There may be several, each with an id; else there is one, and settings
	 * replace it. */
	bool is_list;
	bool is_required; /* in a config file */

	struct kind_body cfg, patch;

	/* Whether the settings make sense, beyond what their fields say; and beside
	 * those of another device of the kind, which a change is not checked against.
	 * -EINVAL with text. Or NULL. */
	int (*check)(const void *cfg, struct err *e);
	int (*check_beside)(const void *cfg, const void *other, struct err *e);
	/* Whether it is made before others of its kind; NULL: in the order of the
	 * settings. */
	bool (*is_first)(const void *cfg);
	/* Adds to the kernel's command line; or NULL. */
	int (*add_args)(const void *cfg, struct cmdline *c, struct err *e);

	/* Opens what the device is made over: a disk, a tap. With the settings, so that
	 * whoever sets them learns what is wrong, and again for a start after one that
	 * failed. -errno with text. NULL, and close too, for a device that is made of
	 * its settings alone: its backend is then always NULL. */
	int (*open)(const void *cfg, struct loop *loop, void **backend, struct err *e);
	/* Logs what the user should know of a backend that was just set; or NULL. */
	void (*log_oddities)(const void *cfg, const void *backend);
	void (*close)(void *backend); /* takes NULL */
	enum kind_reuse (*reuse)(const void *cfg, const void *before); /* or NULL */
	/* Takes the backend over, also on failure. -errno with text. */
	int (*create)(const void *cfg, void *backend, struct loop *loop,
		struct vdev **out, struct err *e);

	/* A change of a device that is there. `patch` may give parts of itself to
	 * `cfg`. apply does all of it or, on failure, nothing, and takes the backend
	 * over in both cases. */
	int (*check_patch)(const void *patch, struct err *e); /* or NULL */
	int (*apply)(
		struct vdev *v, void *cfg, void *patch, void *backend, struct err *e);
	void (*count_patch)(struct vdev *v, bool failed); /* or NULL */
	/* A change that needs another backend; NULL: there are none. The device is held
	 * first: asked again after the loop has run, until nothing is in flight. */
	bool (*needs_backend)(const void *patch);
	bool (*hold)(struct vdev *v);
	void (*release)(struct vdev *v);
	int (*reopen)(const void *cfg, const void *patch, struct loop *loop,
		void **backend, struct err *e);
};

/* The id in a body of a list: borrowed. */
const char *kind_id(const struct kind_body *b, const void *body);

/* The syntax of the id, and `check`. -EINVAL with text. */
MUST_CHECK int kind_check(const struct device_kind *k, const void *cfg, struct err *e);

#endif
