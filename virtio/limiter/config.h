/* SPDX-License-Identifier: Apache-2.0
 *
 * config: limits as JSON, for the tables of whoever has limits (contract, section 4).
 */
#ifndef HUSK_VIRTIO_LIMITER_CONFIG_H
#define HUSK_VIRTIO_LIMITER_CONFIG_H

#include "virtio/limiter/limiter.h"
#include "vmm/codec/json.h"

extern const struct fields bucket_fields; /* struct bucket_cfg */
extern const struct fields limiter_fields; /* struct limiter_cfg */
extern const struct fields limiter_patch_fields; /* struct limiter_patch */

/* For struct field.is_null: nothing is limited. */
bool bucket_is_none(const void *bucket_cfg);
bool limiter_is_none(const void *limiter_cfg);

#endif
