/* SPDX-License-Identifier: Apache-2.0
 *
 * json_internal: what json.c and json_fields.c know: a struct json is a cJSON.
 */
#ifndef HUSK_CODEC_JSON_INTERNAL_H
#define HUSK_CODEC_JSON_INTERNAL_H

#include <cJSON.h>

#include "vmm/codec/json.h"

static inline const cJSON *json_item(const struct json *v)
{
	return (const cJSON *)(const void *)v;
}

#endif
