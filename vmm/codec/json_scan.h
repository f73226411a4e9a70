/* SPDX-License-Identifier: Apache-2.0
 *
 * json_scan: checks that a text is just one JSON value by RFC 8259, of limited depth,
 * before cJSON sees it, which accepts more. No state; any thread.
 */
#ifndef HUSK_CODEC_JSON_SCAN_H
#define HUSK_CODEC_JSON_SCAN_H

#include "vmm/base/base.h"
#include "vmm/base/err.h"

/* 0, or -EINVAL with text that gives line and column. depth_max: how many brackets may
 * be open at once, at most 64. */
MUST_CHECK int json_scan(const char *text, size_t n, unsigned depth_max, struct err *e);

#endif
