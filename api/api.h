/* SPDX-License-Identifier: Apache-2.0
 *
 * api: the control API over one machine (contract, sections 2 and 3): which request is
 * served when, by what, and how it is answered. On the loop's thread, without the
 * device lock.
 */
#ifndef HUSK_API_H
#define HUSK_API_H

#include "vmm/codec/http.h"
#include "vmm/codec/json.h"
#include "vmm/machine/machine.h"

struct api {
	struct machine *machine; /* borrowed, as are the next two */
	struct api_counts *counts;
	const char *id; /* of the instance */
	/* A request whose answer takes its time, or NULL: others wait for it, but for
	 * those that only ask. Since when. */
	const struct http_request *waiting;
	uint64_t since_us;
};

/* Serves a request: an http_handler whose self is the struct api. Nothing in it waits
 * for a guest or its disks: such requests are answered later. */
void api_handle(void *self, const struct http_request *req, struct http_reply *reply);

/* What a section of the config file does: the PUT of resource ("boot-source"), with the
 * body's own id where it has one. -errno with text. */
MUST_CHECK int api_put(
	struct api *a, const char *resource, const struct json *body, struct err *e);

#endif
