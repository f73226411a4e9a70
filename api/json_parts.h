/* SPDX-License-Identifier: Apache-2.0
 *
 * json_parts: that a struct json is a cJSON, for json.c and json_fields.c alone.
 */
#ifndef HUSK_JSON_PARTS_H
#define HUSK_JSON_PARTS_H

#include <cJSON.h>

#include "api/json.h"

static inline const cJSON *json_item(const struct json *v)
{
	return (const cJSON *)(const void *)v;
}

#endif
