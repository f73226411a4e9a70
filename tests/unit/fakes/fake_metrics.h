/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_metrics: a reader of lines of metrics. Failures of its own end the test.
 */
#ifndef HUSK_FAKE_METRICS_H
#define HUSK_FAKE_METRICS_H

#include "vmm/base/base.h"

/* The end of the strict JSON object at line, without space in it, whose values are
 * objects, unsigned integers and strings without escapes; NULL when there is none. */
const char *metrics_skip_object(const char *line);

/* Whether a line has the member: "group.key", or "group.key.min_us". */
bool metrics_has(const char *line, const char *path);

/* Its value, which must be there. */
uint64_t metrics_get(const char *line, const char *path);

#endif
