/* SPDX-License-Identifier: Apache-2.0
 *
 * json_scan: whether a text is one JSON value by RFC 8259, of limited depth; the check
 * that stands before cJSON, which is laxer. Pure.
 */
#ifndef HUSK_CODEC_JSON_SCAN_H
#define HUSK_CODEC_JSON_SCAN_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* 0, or -EINVAL with text that gives line and column. */
MUST_CHECK int json_scan(const char *text, size_t n, unsigned depth_max, struct err *e);

#endif
