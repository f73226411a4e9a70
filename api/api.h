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
	/* The request that is being served over several turns of the loop, or NULL, and
	 * when it began. Others wait for it, except GET. */
	const struct http_request *waiting;
	uint64_t since_us;
};

/* Serves a request. An http_handler whose self is the struct api. It never waits for a
 * guest or its disks: it sets reply->later, and is called again. */
void api_handle(void *self, const struct http_request *req, struct http_reply *reply);

/* Does what PUT of that resource ("boot-source") does; an id is taken from the body.
 * For sections of the config file. -errno with text. */
MUST_CHECK int api_put(
	struct api *a, const char *resource, const struct json *body, struct err *e);

#endif
